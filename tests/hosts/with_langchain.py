"""Our tools as langchain-mcp-adapters gives them to a model. `scripts/hosts` runs it, where that SDK is installed."""
# pyright: basic, reportMissingImports=false
# the SDK is no dependency of this project

import json
import sys
from importlib.metadata import version

import anyio
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_mcp_adapters.client import MultiServerMCPClient


async def main() -> None:
    command, calls = sys.argv[1:-1], json.loads(sys.argv[-1])
    server = {"transport": "stdio", "command": command[0], "args": command[1:]}
    made = {tool.name: tool for tool in await MultiServerMCPClient({"runway": server}).get_tools()}
    tools = {name: convert_to_openai_tool(tool)["function"] for name, tool in made.items()}
    answers = []
    for name, arguments in calls:
        try:
            answers.append(str(await made[name].ainvoke(arguments)))
        except Exception as error:  # noqa: BLE001 - what it raises, its model is told
            answers.append(str(error))
    sdk = f"langchain-mcp-adapters {version('langchain-mcp-adapters')}"
    print(json.dumps({"sdk": sdk, "tools": tools, "answers": answers}))


anyio.run(main)

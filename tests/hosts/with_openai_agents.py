"""Our tools as openai-agents gives them to a model, strict. `scripts/hosts` runs it, where that SDK is installed."""
# pyright: basic, reportMissingImports=false
# the SDK is no dependency of this project

import json
import sys
from importlib.metadata import version

import anyio
from agents import RunContextWrapper
from agents.mcp import MCPServerStdio, MCPUtil


async def main() -> None:
    command, calls = sys.argv[1:-1], json.loads(sys.argv[-1])
    tools, answers = {}, []
    async with MCPServerStdio({"command": command[0], "args": command[1:]}) as server:
        listed = {tool.name: tool for tool in await server.list_tools()}
        for name, tool in listed.items():
            made = MCPUtil.to_function_tool(tool, server, convert_schemas_to_strict=True)
            if not made.strict_json_schema:
                sys.exit(f"{name} fell back to a schema that is not strict")
            tools[name] = {"description": made.description, "parameters": made.params_json_schema}
        for name, arguments in calls:
            answers.append(
                str(await MCPUtil.invoke_mcp_tool(server, listed[name], RunContextWrapper(None), json.dumps(arguments)))
            )
    print(json.dumps({"sdk": f"openai-agents {version('openai-agents')}", "tools": tools, "answers": answers}))


anyio.run(main)

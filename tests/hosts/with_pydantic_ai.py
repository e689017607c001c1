"""Our tools as pydantic-ai gives them to a model. `scripts/hosts` runs it, where that SDK is installed."""
# pyright: basic, reportMissingImports=false
# the SDK is no dependency of this project

import json
import sys
from importlib.metadata import version

import anyio
from pydantic_ai import RunContext
from pydantic_ai.mcp import MCPToolset, StdioTransport
from pydantic_ai.models.test import TestModel
from pydantic_ai.usage import RunUsage


async def main() -> None:
    command, calls = sys.argv[1:-1], json.loads(sys.argv[-1])
    context = RunContext(deps=None, model=TestModel(), usage=RunUsage())
    answers = []
    async with MCPToolset(StdioTransport(command=command[0], args=command[1:])) as toolset:
        made = await toolset.get_tools(context)
        tools = {
            name: {"description": tool.tool_def.description, "parameters": tool.tool_def.parameters_json_schema}
            for name, tool in made.items()
        }
        for name, arguments in calls:
            try:
                answers.append(str(await toolset.call_tool(name, arguments, context, made[name])))
            except Exception as error:  # noqa: BLE001 - what it raises, its model is told
                answers.append(str(error))
    print(json.dumps({"sdk": f"pydantic-ai {version('pydantic-ai-slim')}", "tools": tools, "answers": answers}))


anyio.run(main)

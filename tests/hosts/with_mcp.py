"""Tools and results over stdio, for SDKs that leave the connection to the `mcp` package."""
# pyright: basic, reportMissingImports=false
# it runs with the version of mcp that the SDK wants

import json
import sys
from collections.abc import Callable
from typing import Any

import anyio
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


def converted_over_stdio(sdk: str, convert: Callable[[Any], dict[str, Any]]) -> None:
    """Print what an SDK makes of each tool, and what the session returns for each call, as `judge.py` reads it."""
    command, calls = sys.argv[1:-1], json.loads(sys.argv[-1])

    async def main() -> None:
        server = StdioServerParameters(command=command[0], args=command[1:])
        async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            tools = {tool.name: convert(tool) for tool in (await session.list_tools()).tools}
            answers = [(await session.call_tool(name, arguments)).model_dump_json() for name, arguments in calls]
        print(json.dumps({"sdk": sdk, "tools": tools, "answers": answers}))

    anyio.run(main)

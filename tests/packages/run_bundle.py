"""Starts the server of a bundle by the command on standard input, and asks it for its tools and for an estimate."""

import json
import os
import sys

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

START = {"model": "gen4.5", "promptText": "rain", "ratio": "1280:720", "duration": 5}


async def run(config: dict[str, object]) -> None:
    """Fail unless the server starts, offers its tools and holds the limits of the bundle's settings."""
    server = StdioServerParameters.model_validate(config)
    server.env = {**os.environ, **(server.env or {})}
    async with Client(stdio_client(server)) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        estimate = await client.call_tool("runway_estimateCost", {"type": "text_to_video", "input": START})
    assert "runway_getTask" in names, names
    assert "runway_downloadOutput" in names, names
    assert estimate.structured_content, estimate
    assert estimate.structured_content["credits"] > 0, estimate
    sys.stdout.write(f"The bundle's server offers {len(names)} tools and estimates {estimate.structured_content}.\n")


anyio.run(run, json.load(sys.stdin))

"""The baseline of the benchmarks: the least server that the SDK makes possible, with one tool.

With RUNWAYML_BASE_URL set its tool makes the same GET as `runway_getTask`, and nothing more. Given a
port it serves over HTTP there, and leaves out the lines that the SDK would write for each request.
"""

import os
import sys

import httpx2
from mcp.server.mcpserver import MCPServer

port = int(sys.argv[1]) if len(sys.argv) > 1 else None
server = MCPServer("bare", log_level="WARNING" if port else "INFO")
client = httpx2.AsyncClient(base_url=os.environ.get("RUNWAYML_BASE_URL", ""))


@server.tool()
async def get(taskId: str) -> str:  # noqa: N803 - the parameter of the tool it is compared with
    """Get a task."""
    reply = await client.get(
        f"/v1/tasks/{taskId}", headers={"Authorization": "Bearer key", "X-Runway-Version": "2024-11-06"}
    )
    return reply.text


if __name__ == "__main__":
    if port:
        server.run("streamable-http", port=port)
    else:
        server.run()

"""A server for the official conformance suite: what its scenarios call, through our extension and our wiring.

By default it is served as the product is. With `--sessions` it keeps sessions, which the
product does not: in the older revisions a server can ask its client nothing without one.
"""

import argparse
import asyncio
import logging
from itertools import count
from typing import Any

import asking_tools
import content
import job_tools
from mcp.server import ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp_memory import MemoryMcpTasks
from mcp_types import (
    EmptyResult,
    JSONRPCMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    UnsubscribeRequestParams,
)

from runway_mcp.mcp_server.server import LOCAL, MAX_IN_FLIGHT, InFlightLimit, RunwayServer
from runway_mcp.mcp_server.tasks_extension import McpTasksExtension
from runway_mcp.web.app import build_app
from runway_mcp.web.origin_policy import OriginPolicy
from runway_mcp.web.serving import listen, serve_http
from runway_mcp.web.shutdown import GracefulShutdown

HOST = "127.0.0.1"
PATH = "/mcp"


class MemoryEvents(EventStore):
    """Events kept for a client that comes back to a broken stream, which the product does not allow."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._events: dict[str, tuple[str, JSONRPCMessage | None]] = {}

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        event_id = str(next(self._numbers))
        self._events[event_id] = (stream_id, message)
        return event_id

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        if last_event_id not in self._events:
            return None
        stream = self._events[last_event_id][0]
        for event_id, (stream_id, message) in list(self._events.items()):
            if stream_id == stream and int(event_id) > int(last_event_id) and message is not None:
                await send_callback(EventMessage(message, event_id))
        return stream


def fixture() -> MCPServer[Any]:
    jobs = MemoryMcpTasks(job_tools.JOBS)
    extension = McpTasksExtension(lambda _: jobs)
    server = RunwayServer(
        name="conformance-fixture",
        version="1",
        tools=[content.schema_tool()],
        subscriptions=InMemorySubscriptionBus(),
        extensions=[extension],
        middleware=[InFlightLimit(MAX_IN_FLIGHT), extension.subscriptions],
    )
    for name, run in (content.TOOLS | asking_tools.TOOLS | job_tools.TOOLS).items():
        server.add_tool(run, name=name, description=name, structured_output=False)
    content.add_resources(server)
    content.add_prompts(server)

    async def acknowledge(_: ServerRequestContext[Any, Any], __: object) -> EmptyResult:
        return EmptyResult()

    # what only the older revisions have: the SDK serves it, but offers no public way to add it
    core = server._lowlevel_server  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see above
    core.add_request_handler("logging/setLevel", SetLevelRequestParams, acknowledge)
    core.add_request_handler("resources/subscribe", SubscribeRequestParams, acknowledge)
    core.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, acknowledge)
    return server


def main() -> None:
    parser = argparse.ArgumentParser(description="A server for the official conformance suite.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--sessions", action="store_true", help="keep sessions")
    options = parser.parse_args()
    server = fixture()
    logging.getLogger().setLevel(logging.WARNING)
    app = (
        server.streamable_http_app(streamable_http_path=PATH, host=HOST, event_store=MemoryEvents(), retry_interval=100)
        if options.sessions
        else build_app(server, origin_policy=OriginPolicy(), path=PATH, caller=LOCAL)
    )
    asyncio.run(serve_http(app, listen(HOST, options.port), GracefulShutdown()))


if __name__ == "__main__":
    main()

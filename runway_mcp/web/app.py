"""MCP over streamable HTTP on this machine: every protocol revision on one endpoint.

The SDK would run uvicorn without limits and without an end; here it is run with both.
"""

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp

from runway_mcp.signals import on_stop_signal
from runway_mcp.web.deadlines import BodyDeadline, HeaderDeadlineProtocol
from runway_mcp.web.errors import ShortErrors
from runway_mcp.web.stopping import Stoppable

MOST_CONNECTIONS = 1_000
GRACE_SECONDS = 0.5
"""How long requests under way may go on after a stop signal; a DELETE that was sent goes on beside them."""
CLOSING_SECONDS = 2
"""How long clients may then take to read what is left for them."""


def build_app(server: MCPServer[Any], *, host: str, path: str) -> ASGIApp:
    """Return the ASGI app that serves `server` at `path` to clients of this machine.

    Sessions are not kept: the tools never call back into a client, and without a session a
    client that goes away cancels its call, in the older protocol revisions too.

    Args:
        server: What is served.
        host: The loopback host that the app is served on; other Host and Origin headers are refused.
        path: The endpoint's path.
    """
    names = [f"[{host}]" if ":" in host else host, "127.0.0.1", "localhost", "[::1]"]
    app = server.streamable_http_app(
        streamable_http_path=path,
        stateless_http=True,
        transport_security=TransportSecuritySettings(
            allowed_hosts=[*names, *(f"{name}:*" for name in names)],
            allowed_origins=[*(f"http://{name}" for name in names), *(f"http://{name}:*" for name in names)],
        ),
    )
    app.router.redirect_slashes = False
    return BodyDeadline(ShortErrors(app))


class _Server(uvicorn.Server):
    """Uvicorn that takes a stop signal as a wish to stop, not as a reason to die of it afterwards."""

    def __init__(self, config: uvicorn.Config, app: Stoppable) -> None:
        super().__init__(config)
        self._app = app

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        with on_stop_signal(self._stop):
            yield

    def _stop(self) -> None:
        self.should_exit = True
        asyncio.get_running_loop().call_later(GRACE_SECONDS, self._app.stop)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to the address, or raise OSError where it can't be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it, each reply took 40 ms longer.
    return socket.socket(listener.family, listener.type, socket.IPPROTO_TCP, fileno=listener.detach())


async def serve_http(app: ASGIApp, listener: socket.socket) -> None:
    """Serve `app` on `listener` until SIGINT or SIGTERM comes."""
    stoppable = Stoppable(app)
    config = uvicorn.Config(
        stoppable,
        http=HeaderDeadlineProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=CLOSING_SECONDS,
    )
    await _Server(config, stoppable).serve(sockets=[listener])

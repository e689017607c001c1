"""MCP over streamable HTTP on this machine: every protocol revision on one endpoint.

The SDK would run uvicorn without limits and without an end; here it is run with both.
"""

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

MOST_CONNECTIONS = 1_000
SHUTDOWN_SECONDS = 1
"""How long requests under way may go on after a stop signal; a DELETE that was sent goes on beside them."""


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
    return BodyDeadline(app)


class _Server(uvicorn.Server):
    """Uvicorn that takes a stop signal as a wish to stop, not as a reason to die of it afterwards."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        with on_stop_signal(self._stop):
            yield

    def _stop(self) -> None:
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to the address, or raise OSError where it can't be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it, each reply took 40 ms longer.
    return socket.socket(listener.family, listener.type, socket.IPPROTO_TCP, fileno=listener.detach())


async def serve_http(app: ASGIApp, listener: socket.socket) -> None:
    """Serve `app` on `listener` until SIGINT or SIGTERM comes."""
    config = uvicorn.Config(
        app,
        http=HeaderDeadlineProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    await _Server(config).serve(sockets=[listener])

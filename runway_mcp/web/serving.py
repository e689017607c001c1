"""The process's HTTP server: uvicorn with limits and with an end, of which the SDK would set neither."""

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from runway_mcp.signals import on_stop_signal
from runway_mcp.web.deadlines import HeaderDeadlineProtocol
from runway_mcp.web.stopping import Stoppable

MOST_CONNECTIONS = 1_000
GRACE_SECONDS = 0.5
"""How long requests under way may go on after a stop signal; a DELETE that was sent goes on beside them."""
CLOSING_SECONDS = 2
"""How long clients may then take to read what is left for them."""


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

"""The HTTP server of the process: uvicorn with limits and a graceful shutdown."""

import asyncio
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress

import anyio
import uvicorn
from starlette.types import ASGIApp

from runway_mcp.signals import on_stop_signal
from runway_mcp.web.deadlines import DeadlineProtocol
from runway_mcp.web.shutdown import GracefulShutdown

KEEP_ALIVE_SECONDS = 75
"""How long a connection may be idle. Longer than a proxy keeps one, so that no request meets a closing connection."""
UNREACHABLE_SECONDS = 30
"""How long a client may leave a packet unacknowledged, such as the ping that an open stream gets every 15 seconds."""
CLOSING_SECONDS = 0.5
"""How long clients may take at the end to read the rest of their responses."""


class _Server(uvicorn.Server):
    """Uvicorn that ends with exit code 0 after a stop signal, instead of raising the signal again."""

    def __init__(self, config: uvicorn.Config, stop: GracefulShutdown) -> None:
        super().__init__(config)
        self._stop = stop
        self._finishing: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        with on_stop_signal(self._begin_to_stop):
            yield

    def _begin_to_stop(self) -> None:
        self._finishing = asyncio.get_running_loop().create_task(self._finish())

    async def _finish(self) -> None:
        try:
            await self._stop.finish()
            with anyio.move_on_after(CLOSING_SECONDS):
                while self._unread():  # noqa: ASYNC110 - a transport tells its protocol of this, and nobody else
                    await anyio.sleep(0.02)
            for connection in self._unread():
                connection.transport.abort()
        finally:
            self.should_exit = True

    def _unread(self) -> list[DeadlineProtocol]:
        connections = (one for one in self.server_state.connections if isinstance(one, DeadlineProtocol))
        return [one for one in connections if one.transport.get_write_buffer_size()]


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the address, or raise `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    with suppress(AttributeError):  # Linux's; a client that vanished then ends its calls, instead of 15 minutes later
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREACHABLE_SECONDS * 1000)
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it, each reply took 40 ms longer.
    return socket.socket(listener.family, listener.type, socket.IPPROTO_TCP, fileno=listener.detach())


async def serve_http(
    app: ASGIApp, listener: socket.socket, stop: GracefulShutdown, *, proxies: Sequence[str] = ()
) -> None:
    """Serve `app` on `listener` until SIGINT or SIGTERM.

    `stop` already guards the app's requests. The X-Forwarded-For and -Proto headers of `proxies` are trusted.
    """
    config = uvicorn.Config(
        app,
        http=DeadlineProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    await _Server(config, stop).serve(sockets=[listener])

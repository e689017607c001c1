"""Connections that are made directly, without a proxy, over a network that can be chosen."""

import select
import ssl
from collections.abc import Iterable
from typing import Any, cast

import httpcore2
import httpx2

_CAN_POLL = hasattr(select, "poll")  # Windows has none


class DirectTransport(httpx2.AsyncHTTPTransport):
    """httpx2's transport over a given network; the library's own takes none. Without a context nothing is encrypted."""

    def __init__(
        self,
        context: ssl.SSLContext | None,
        limits: httpx2.Limits,
        network: httpcore2.AsyncNetworkBackend | None = None,
    ) -> None:
        super().__init__(verify=context or False, trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=network or _Network(cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())),
        )


class _Network(httpcore2.AsyncNetworkBackend):
    def __init__(self, network: httpcore2.AsyncNetworkBackend) -> None:
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        return _Connection(await self._network.connect_tcp(host, port, timeout, local_address, socket_options))


class _Connection(httpcore2.AsyncNetworkStream):
    """A connection that finds its socket once.

    The pool asks each idle connection whether it is readable, twice per request. httpcore2 looks the socket up anew
    each time, which costs a tenth of a whole call.
    """

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream
        self._socket: Any = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        return _Connection(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        if info != "is_readable" or not _CAN_POLL:
            return self._stream.get_extra_info(info)
        self._socket = self._socket or self._stream.get_extra_info("socket")
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

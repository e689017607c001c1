"""Files to and from where Runway keeps them: the client that knows no key and trusts no link.

Only https and public addresses, no redirect, no cookie, no credentials; no proxy either, whatever the
environment names: behind one nobody could tell which address is connected to. The one exception is the
sandbox's own address.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import anyio
import httpcore2
import httpx2

from runway_mcp.api.connection import USER_AGENT, trust
from runway_mcp.api.errors import quote
from runway_mcp.files.file_errors import LateError, RefusedError, StatusError, describe_status, typed_errors
from runway_mcp.files.public_addresses import PublicNetwork

MAX_TEXT = 4096
"""Bytes of an answer to a POST that are kept."""
AT_ONCE = 4
"""Files that come to one caller at once, and files that go from them; the others wait for their turn."""
MAX_CONNECTIONS = 128
"""Connections of all callers together."""
HIGHEST_PORT = 0xFFFF

_TIMEOUTS = {"connect": 10.0, "read": 20.0, "write": 20.0}
_HEADERS = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
_NUMBER = re.compile(r"[0-9]{1,18}")
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_STRONG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')


@dataclass(frozen=True, slots=True)
class Answer:
    """What the host says of a file that was sent.

    Attributes:
        status: The HTTP status.
        text: The beginning of its body: data, that may repeat parts of the signature.
    """

    status: int
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file, or the rest of one, that is coming.

    Attributes:
        start: Bytes of the file before the first that comes: what was asked for, or 0.
        end: Bytes of the file up to the last that comes; as `total`, or fewer where the host sends a part at a time.
        total: Bytes of the whole file, or None where the host does not say.
        etag: Its strong validator, which only the same bytes have; None where the host gives none.
        chunks: What comes, as it comes; ends in a `BrokenError` where it ends too early.
    """

    start: int
    end: int | None
    total: int | None
    etag: str | None
    chunks: AsyncGenerator[bytes] = field(repr=False)


class Transfers:
    """The client of one caller. Made by `open_transfers`, those of further callers by `for_another`."""

    def __init__(
        self,
        own_origin: str | None,
        connect: Callable[[bool], httpx2.AsyncBaseTransport],
        transports: dict[bool, httpx2.AsyncBaseTransport],
    ) -> None:
        self._own_origin = own_origin and _origin(httpx2.URL(own_origin))
        self._connect = connect
        self._transports = transports
        self._places = {method: anyio.Semaphore(AT_ONCE) for method in ("GET", "POST")}

    def for_another(self) -> "Transfers":
        """Return a client for another caller: over the same connections, but neither waits for the other's files."""
        return Transfers(self._own_origin, self._connect, self._transports)

    @asynccontextmanager
    async def get(
        self, url: str, *, start: int = 0, etag: str | None = None, timeout: float
    ) -> AsyncGenerator[Incoming]:
        """Ask for a file, or for the rest of it.

        Args:
            url: Where it is.
            start: Bytes that are there already.
            etag: The strong validator of the file that they are of; another one comes whole, from 0. Without it
                nothing tells what the rest would be of, so the whole is asked for.
            timeout: Seconds that everything may take, the wait for a turn included, up to the end of the context.

        Raises:
            TransferError: It does not come; LateError also where the time ends within the context.
        """
        headers = {**_HEADERS, "Range": f"bytes={start}-", "If-Range": etag} if start and etag else _HEADERS
        async with self._exchange("GET", url, headers, None, timeout) as (host, response):
            yield _incoming(host, response, start, etag)

    async def post(
        self, url: str, *, content: AsyncIterator[bytes], headers: Mapping[str, str], timeout: float
    ) -> Answer:
        """Send a file.

        Args:
            url: Where it goes.
            content: The body.
            headers: Its type and, where known, its length.
            timeout: Seconds that everything may take, the wait for a turn included.

        Returns:
            The answer, whatever its status.

        Raises:
            TransferError: There was none.
        """
        async with self._exchange("POST", url, {**_HEADERS, **headers}, content, timeout) as (host, response):
            text = b""
            async with aclosing(_chunks(host, response)) as chunks:
                async for chunk in chunks:
                    text += chunk
                    if len(text) > MAX_TEXT:
                        break
        return Answer(response.status_code, text[:MAX_TEXT].decode(errors="replace"))

    async def aclose(self) -> None:
        """Close the connections, if there are any."""
        for transport in self._transports.values():
            await transport.aclose()

    @asynccontextmanager
    async def _exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: AsyncIterator[bytes] | None,
        timeout: float,
    ) -> AsyncGenerator[tuple[str, httpx2.Response]]:
        transport, request = self._request(method, url, headers, content)
        host = quote(request.url.host, 80)
        with anyio.move_on_after(timeout) as scope:
            async with self._places[method]:
                with typed_errors(host):
                    response = await transport.handle_async_request(request)
                try:
                    yield host, response
                finally:
                    with anyio.CancelScope(shield=True):
                        await response.aclose()
        if scope.cancelled_caught:
            raise LateError(f"The time was up before the exchange with {host} was over.") from None

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], content: AsyncIterator[bytes] | None
    ) -> tuple[httpx2.AsyncBaseTransport, httpx2.Request]:
        try:
            request = httpx2.Request(method, url, headers=headers, content=content, extensions={"timeout": _TIMEOUTS})
        except (httpx2.InvalidURL, ValueError):
            raise RefusedError("The link to the file is no URL: nothing was sent.") from None
        scheme, host, port = request.url.scheme, request.url.host, request.url.port or 0
        own = _origin(request.url) == self._own_origin
        if not own and (scheme != "https" or not host or port > HIGHEST_PORT):
            raise RefusedError("The link to the file is not one of https to a host: nothing was sent.")
        if own not in self._transports:
            try:
                self._transports[own] = self._connect(own)
            except OSError:
                raise RefusedError(
                    "The certificate settings of this machine can't be used, so nothing was sent. "
                    "Mend SSL_CERT_FILE, SSL_CERT_DIR or --ca-file (PEM)."
                ) from None
        return self._transports[own], request


@asynccontextmanager
async def open_transfers(
    *,
    own_origin: str | None = None,
    own_transport: httpx2.AsyncBaseTransport | None = None,
    ca_file: Path | None = None,
    network: httpcore2.AsyncNetworkBackend | None = None,
) -> AsyncGenerator[Transfers]:
    """Open a client for files, and close it at the end.

    Its connections and the trust store, which takes time to load, are made with the first request.

    Args:
        own_origin: The sandbox, as `http://host:port`: the one address that need be neither https nor public.
        own_transport: What carries the requests to it instead of the network.
        ca_file: Certificates in PEM form that are trusted beside the operating system's.
        network: Makes the connections to every other host; `PublicNetwork` where not given.
    """

    def connect(own: bool) -> httpx2.AsyncBaseTransport:
        if own and own_transport is not None:
            return own_transport
        plain = own and str(own_origin).startswith("http:")
        return _Pool(
            httpcore2.AsyncConnectionPool(
                ssl_context=None if plain else trust(ca_file),
                max_connections=MAX_CONNECTIONS,
                keepalive_expiry=10,
                network_backend=None if own else network or PublicNetwork(),
            )
        )

    transfers = Transfers(own_origin, connect, {})
    try:
        yield transfers
    finally:
        with anyio.CancelScope(shield=True):
            await transfers.aclose()


class _Pool(httpx2.AsyncBaseTransport):
    """A connection pool as a transport: httpx2's own lets nobody choose what makes the connections."""

    def __init__(self, pool: httpcore2.AsyncConnectionPool) -> None:
        self._pool = pool

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        reply = await self._pool.handle_async_request(
            httpcore2.Request(
                request.method,
                httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,  # pyright: ignore[reportArgumentType] - it is iterable in one way or the other
                extensions=request.extensions,
            )
        )
        return httpx2.Response(reply.status, headers=reply.headers, stream=_Body(reply))

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, reply: httpcore2.Response) -> None:
        self._reply = reply

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._reply.aiter_stream()

    async def aclose(self) -> None:
        await self._reply.aclose()


def _origin(url: httpx2.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


async def _chunks(host: str, response: httpx2.Response) -> AsyncGenerator[bytes]:
    with typed_errors(host):
        async with aclosing(response.aiter_raw()) as chunks:
            async for chunk in chunks:
                yield chunk


def _incoming(host: str, response: httpx2.Response, start: int, etag: str | None) -> Incoming:
    """What an answer to a GET brings, if it is the file."""
    status, headers = response.status_code, response.headers
    if status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        raise StatusError(describe_status(host, status), status)
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise StatusError(f"{host} sends the file in an encoding that was not asked for.", status)
    strong = headers["ETag"] if _STRONG.fullmatch(headers.get("ETag", "")) else None
    length = headers.get("Content-Length", "")
    chunks = _chunks(host, response)
    if status == HTTPStatus.OK:
        total = int(length) if _NUMBER.fullmatch(length) else None
        if total is None and "Transfer-Encoding" not in headers:
            raise StatusError(f"{host} does not say how long the file is, so a part could be taken for it.", status)
        return Incoming(0, total, total, strong, chunks)
    match = _RANGE.fullmatch(headers.get("Content-Range", ""))
    first, last, total = map(int, match.groups()) if match else (0, 0, 0)
    if etag is None or strong != etag or not 0 < start == first <= last < total:
        raise StatusError(f"{host} sends another part of the file than was asked for.", status)
    return Incoming(start, last + 1, total, etag, chunks)

"""The HTTP client for files: it knows no key, follows no redirect, and trusts no link.

It uses https only, through the machine's proxy where there is one (settings as for the API; it resolves names
itself), else to public addresses. The sandbox's own address is the one exception.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path

import anyio
import httpcore2
import httpx2

from runway_mcp.api.connection import USER_AGENT, trust
from runway_mcp.api.direct_transport import DirectTransport
from runway_mcp.api.errors import NetworkSettingsError
from runway_mcp.api.proxies import find_proxy
from runway_mcp.files import file_errors as errors
from runway_mcp.files.public_addresses import PublicNetwork

MAX_TEXT = 4096
"""Bytes of an answer to a POST that are kept."""
MAX_CONCURRENT = 4
"""Files that one caller receives at once, and files that they send; more wait for their turn."""
MAX_CONNECTIONS = 128
"""Connections of all callers together."""
MAX_PORT = 0xFFFF

_LIMITS = httpx2.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=10)
_TIMEOUTS = {"connect": 10.0, "read": 20.0, "write": 20.0}
_HEADERS = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
_NUMBER = re.compile(r"[0-9]{1,18}")
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_STRONG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')


@dataclass(frozen=True, slots=True)
class UploadResponse:
    """What the host says of a file that was sent; `text` is data, that may repeat parts of the signature."""

    status: int
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DownloadResponse:
    """The bytes from `start` to before `end` of a file of `total` bytes, as they come; None where the host is silent.

    `etag` is the strong validator, which only the same bytes share. `chunks` raises `TransferInterruptedError` where
    they end too early.
    """

    host: str
    start: int
    end: int | None
    total: int | None
    etag: str | None
    chunks: AsyncGenerator[bytes] = field(repr=False)


class FileClient:
    """The client of one caller. Made by `open_file_client`, those of further callers by `for_another`."""

    def __init__(self, connections: "_Connections") -> None:
        self._connections = connections
        self._places = {method: anyio.Semaphore(MAX_CONCURRENT) for method in ("GET", "POST")}

    def for_another(self) -> "FileClient":
        """Return a client for another caller: over the same connections, with turns of its own."""
        return FileClient(self._connections)

    @asynccontextmanager
    async def get(self, url: str, *, start: int = 0, etag: str | None = None) -> AsyncGenerator[DownloadResponse]:
        """Request a file, or the rest of it after the first `start` bytes, which are of the file with this `etag`.

        Raises:
            TransferError: It does not come.
        """
        headers = {**_HEADERS, "Range": f"bytes={start}-", "If-Range": etag} if start and etag else _HEADERS
        async with self._exchange("GET", url, headers, None) as (host, response):
            found = _response(host, response, start, etag)
            async with aclosing(found.chunks):
                yield found

    async def post(self, url: str, *, content: AsyncIterator[bytes], headers: Mapping[str, str]) -> UploadResponse:
        """Send a file, and return the answer, whatever its status.

        Raises:
            TransferError: There was no answer.
        """
        async with self._exchange("POST", url, {**_HEADERS, **headers}, content) as (host, response):
            text = b""
            async with aclosing(_chunks(host, response)) as chunks:
                async for chunk in chunks:
                    text += chunk
                    if len(text) > MAX_TEXT:
                        break
        return UploadResponse(response.status_code, text[:MAX_TEXT].decode(errors="replace"))

    @asynccontextmanager
    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], content: AsyncIterator[bytes] | None
    ) -> AsyncGenerator[tuple[str, httpx2.Response]]:
        try:
            request = httpx2.Request(method, url, headers=headers, content=content, extensions={"timeout": _TIMEOUTS})
        except (httpx2.InvalidURL, ValueError):
            raise errors.UrlNotAllowedError("invalid") from None
        transport = self._connections.transport(request.url)
        host = request.url.host
        async with self._places[method]:
            with errors.typed_errors(host):
                response = await transport.handle_async_request(request)
            try:
                yield host, response
            finally:
                with anyio.CancelScope(shield=True):
                    await response.aclose()


@asynccontextmanager
async def open_file_client(
    *,
    own_origin: str | None = None,
    own_transport: httpx2.AsyncBaseTransport | None = None,
    ca_file: Path | None = None,
    network: httpcore2.AsyncNetworkBackend | None = None,
) -> AsyncGenerator[FileClient]:
    """Open a client for files, and close it at the end.

    Connections and the trust store, which takes time to load, are made with the first request.

    Args:
        own_origin: The sandbox, as `http://host:port`: the one address that need be neither https nor public.
        own_transport: Carries the requests to it instead of the network.
        ca_file: Certificates in PEM form that are trusted beside the operating system's.
        network: Makes the direct connections to every other host; `PublicNetwork` where not given.
    """
    connections = _Connections(own_origin, own_transport, ca_file, network or PublicNetwork())
    try:
        yield FileClient(connections)
    finally:
        with anyio.CancelScope(shield=True):
            await connections.aclose()


class _Connections:
    def __init__(
        self,
        own_origin: str | None,
        own_transport: httpx2.AsyncBaseTransport | None,
        ca_file: Path | None,
        network: httpcore2.AsyncNetworkBackend,
    ) -> None:
        self._own_origin = own_origin and _origin(httpx2.URL(own_origin))
        self._own_transport = own_transport
        self._network = network
        self._trust = cache(partial(trust, ca_file))
        self._others = dict[str | None, httpx2.AsyncBaseTransport]()

    def transport(self, url: httpx2.URL) -> httpx2.AsyncBaseTransport:
        is_own = _origin(url) == self._own_origin
        if not is_own and (url.scheme != "https" or not url.host or (url.port or 0) > MAX_PORT):
            raise errors.UrlNotAllowedError("not_https", url.host)
        try:
            return self._own(url) if is_own else self._other(url)
        except NetworkSettingsError as error:
            raise errors.UnusableNetworkError(error) from None
        except (ValueError, OSError):
            raise errors.UnusableNetworkError(NetworkSettingsError()) from None

    def _own(self, url: httpx2.URL) -> httpx2.AsyncBaseTransport:
        if self._own_transport is None:
            verify = self._trust() if url.scheme == "https" else False
            self._own_transport = httpx2.AsyncHTTPTransport(verify=verify, trust_env=False, limits=_LIMITS)
        return self._own_transport

    def _other(self, url: httpx2.URL) -> httpx2.AsyncBaseTransport:
        proxy = find_proxy(url)
        key = proxy and proxy.url
        if key not in self._others:
            context = self._trust()
            self._others[key] = (
                proxy.open(context, _LIMITS) if proxy else DirectTransport(context, _LIMITS, self._network)
            )
        return self._others[key]

    async def aclose(self) -> None:
        for transport in filter(None, (self._own_transport, *self._others.values())):
            await transport.aclose()


def _origin(url: httpx2.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


async def _chunks(host: str, response: httpx2.Response) -> AsyncGenerator[bytes]:
    with errors.typed_errors(host):
        async with aclosing(response.aiter_raw()) as chunks:
            async for chunk in chunks:
                yield chunk


def _response(host: str, response: httpx2.Response, start: int, etag: str | None) -> DownloadResponse:
    status, headers = response.status_code, response.headers
    if status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        raise errors.UnexpectedStatusError(host, status)
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise errors.UnexpectedContentError("encoded", host)
    strong = headers["ETag"] if _STRONG.fullmatch(headers.get("ETag", "")) else None
    length = headers.get("Content-Length", "")
    chunks = _chunks(host, response)
    if status == HTTPStatus.OK:
        total = int(length) if _NUMBER.fullmatch(length) else None
        if total is None and "Transfer-Encoding" not in headers:
            raise errors.UnexpectedContentError("no_length", host)
        return DownloadResponse(host, 0, total, total, strong, chunks)
    match = _RANGE.fullmatch(headers.get("Content-Range", ""))
    first, last, total = map(int, match.groups()) if match else (0, 0, 0)
    if etag is None or strong != etag or not 0 < start == first <= last < total:
        raise errors.UnexpectedContentError("wrong_range", host)
    return DownloadResponse(host, start, last + 1, total, etag, chunks)

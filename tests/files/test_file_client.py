"""Files over real sockets: what is asked, what is refused, and that links and their signatures stay secret."""

import asyncio
import ssl
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import cast

import anyio
import httpcore2
import httpx2
import pytest
import trustme
from support.upstream import HANG, RESET, Reply, Request, Upstream, reply, upstream
from support.waiting import together

from runway_mcp.files.file_client import MAX_CONCURRENT, MAX_TEXT, FileClient, open_file_client
from runway_mcp.files.file_errors import (
    TransferError,
    TransferInterruptedError,
    UnexpectedContentError,
    UnexpectedStatusError,
    UnusableNetworkError,
    UrlNotAllowedError,
)
from runway_mcp.files.public_addresses import PublicNetwork
from runway_mcp.mcp_server.file_messages import explain

QUERY = "?_jwt=eyJ.marked-signature&x=marked-query"
CONTENT = bytes(range(256)) * 40
ETAG = '"version-1"'
WHOLE = reply(200, CONTENT, ETag=ETAG)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@asynccontextmanager
async def client_of(api: Upstream) -> AsyncGenerator[FileClient]:
    """A client whose one exception is `api`."""
    with anyio.fail_after(20):
        async with open_file_client(own_origin=api.url) as client:
            yield client


async def get(
    client: FileClient, url: str, *, start: int = 0, etag: str | None = None
) -> tuple[int, int | None, str | None, bytes]:
    """Fetch a file, or all the rest of it: its start, total and mark, and what came."""
    async with client.get(f"{url}/outputs/1.mp4{QUERY}", start=start, etag=etag) as response:
        content = b"".join([chunk async for chunk in response.chunks])
        assert "marked" not in repr(response)
    assert response.end == response.total
    return response.start, response.total, response.etag, content


@asynccontextmanager
async def refused(error: type[TransferError], match: str) -> AsyncGenerator[None]:
    """What is done within fails so, in these words, and nothing of the link is told, in no traceback either."""
    with pytest.raises(error) as caught:
        yield
    assert type(caught.value) is error
    assert match in explain(caught.value)
    assert "marked" not in "".join(traceback.format_exception(caught.value)) + explain(caught.value)


async def test_a_file_comes_as_it_is_and_nothing_of_ours_goes() -> None:
    """Its bytes, number and mark; no key, no cookie, no compression, and one connection for all."""
    async with upstream([reply(200, CONTENT, ETag=ETAG, Set_Cookie="a=b; Path=/")]) as api, client_of(api) as files:
        for _ in range(2):
            assert await get(files, api.url) == (0, len(CONTENT), ETAG, CONTENT)
        for request in api.requests:
            assert request.path == f"/outputs/1.mp4{QUERY}"
            assert set(request.headers) == {"host", "user-agent", "accept", "accept-encoding"}
            assert request.headers["accept-encoding"] == "identity"
        assert api.connections == 1


async def test_without_a_mark_the_whole_is_asked_for() -> None:
    """For nothing tells which file the rest would be of."""
    async with upstream([WHOLE]) as api, client_of(api) as files:
        assert await get(files, api.url, start=9_000) == (0, len(CONTENT), ETAG, CONTENT)
        assert not {"range", "if-range"} & set(api.requests[0].headers)


REST = "bytes 9000-10239/10240"
WRONG_PARTS = {
    "another start": {"Content_Range": "bytes 100-10239/10240", "ETag": ETAG},
    "an end before the start": {"Content_Range": "bytes 9000-8999/10240", "ETag": ETAG},
    "an end beyond the file's": {"Content_Range": "bytes 9000-10240/10240", "ETag": ETAG},
    "no total": {"Content_Range": "bytes 9000-10239/*", "ETag": ETAG},
    "no range": {"ETag": ETAG},
    "another file": {"Content_Range": REST, "ETag": '"version-2"'},
    "a file like it": {"Content_Range": REST, "ETag": f"W/{ETAG}"},
    "any file": {"Content_Range": REST},
    "the whole": {"Content_Range": "bytes 0-10239/10240", "ETag": ETAG},
}


async def test_another_part_than_was_asked_for_is_refused() -> None:
    async def check(what: str) -> None:
        part = reply(206, CONTENT[9_000:], after=0, **WRONG_PARTS[what])
        async with (
            upstream([part]) as api,
            client_of(api) as files,
            refused(UnexpectedContentError, "another part of the file"),
        ):
            await get(files, api.url, start=9_000, etag=ETAG)

    await together(check, WRONG_PARTS)


async def test_a_mark_that_other_bytes_may_share_is_none() -> None:
    for mark in ('W/"version-1"', "version-1", ""):
        async with upstream([reply(200, CONTENT, ETag=mark)]) as api, client_of(api) as files:
            assert (await get(files, api.url))[2] is None


STATUSES = {
    307: "redirects are not followed",
    401: "has expired",
    403: "does not accept the link (403): it has expired",
    404: "no longer has the file",
    410: "no longer has the file",
    416: "answers 416 instead of the file",
    503: "answers 503 instead of the file",
}


async def test_an_answer_that_is_not_the_file_is_told_by_its_status() -> None:
    """In a sentence, with the status; a redirect leads nowhere."""
    async with upstream([WHOLE]) as elsewhere:

        async def check(status: int) -> None:
            answer = reply(status, b"<Error>marked</Error>", Location=f"{elsewhere.url}/outputs/1.mp4{QUERY}")
            async with (
                upstream([answer]) as api,
                client_of(api) as files,
                refused(UnexpectedStatusError, STATUSES[status]),
            ):
                await get(files, api.url)

        await together(check, STATUSES)
        assert elsewhere.requests == []


UNUSABLE = {
    "in an encoding": reply(200, CONTENT, Content_Encoding="gzip"),
    "how long the file is": Reply(b"HTTP/1.1 200 OK\r\n\r\n" + CONTENT, then="close"),
}


@pytest.mark.parametrize("what", UNUSABLE)
async def test_a_file_whose_end_can_not_be_told_is_refused(what: str) -> None:
    """One that was cut off would pass for the whole."""
    async with upstream([UNUSABLE[what]]) as api, client_of(api) as files, refused(UnexpectedContentError, what):
        await get(files, api.url)


async def test_a_file_in_chunks_has_an_end_without_a_length() -> None:
    """So it comes, and how long it is is known at the end."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    async with upstream([Reply(chunked)]) as api, client_of(api) as files:
        assert await get(files, api.url) == (0, None, None, b"hello")


BROKEN = {
    "reset": RESET,
    "not HTTP": Reply(b"\x00\x01nonsense\r\n\r\n", then="close"),
    "cut in the head": Reply(WHOLE.data[:30], then="close"),
    "cut in the body": Reply(WHOLE.data[:-10], then="close"),
    "reset in the body": Reply(WHOLE.data[:-10], then="reset"),
    "cut in a chunk": Reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", then="close"),
}


async def test_an_answer_that_breaks_off_is_never_the_file() -> None:
    async def check(what: str) -> None:
        async with (
            upstream([BROKEN[what]]) as api,
            client_of(api) as files,
            refused(TransferInterruptedError, "broke before"),
        ):
            await get(files, api.url)

    await together(check, BROKEN)


async def test_nobody_there_is_told_with_what_the_system_says() -> None:
    async with upstream([WHOLE]) as api:
        pass
    async with client_of(api) as files, refused(TransferInterruptedError, "could not be reached: "):
        await get(files, api.url)


class Silent(httpcore2.AsyncNetworkBackend):
    """Makes no connection in time."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        assert (host, port, local_address, socket_options) == ("files.example", 443, None, None)
        assert timeout
        raise httpcore2.ConnectTimeout


async def test_a_host_that_keeps_silent_is_told() -> None:
    """The network drops what is sent to it, as some do that have only a proxy."""
    said = '"files.example" could not be reached in time. Behind a company\'s proxy, set HTTPS_PROXY.'
    async with open_file_client(network=Silent()) as files, refused(TransferInterruptedError, said):
        await get(files, "https://files.example")


async def test_a_call_that_ends_midway_closes_its_connection() -> None:
    for answer in (HANG, Reply(WHOLE.data[:100], then="hang")):
        async with upstream([answer]) as api, client_of(api) as files:
            with anyio.move_on_after(0.2) as scope:
                await get(files, api.url)
            assert scope.cancelled_caught
            await api.left()


async def test_one_caller_does_not_make_another_wait() -> None:
    """Each has a few files that come and a few that go at once; more wait for their turn."""

    async def nothing() -> AsyncGenerator[bytes]:
        yield b""

    async def send(client: FileClient, url: str) -> None:
        async with aclosing(nothing()) as content:
            await client.post(url, content=content, headers={"Content-Length": "0"})

    def hang(request: Request) -> Reply:
        return WHOLE if "outputs" in request.path else HANG

    async with upstream(hang) as api, client_of(api) as files, anyio.create_task_group() as calls:

        async def fetch() -> None:
            async with files.get(f"{api.url}/slow"):
                pass

        for _ in range(MAX_CONCURRENT + 1):
            calls.start_soon(fetch)
            calls.start_soon(send, files, api.url)
        await api.asked("GET", MAX_CONCURRENT)
        await api.asked("POST", MAX_CONCURRENT)
        await anyio.wait_all_tasks_blocked()
        assert (api.count("GET"), api.count("POST")) == (MAX_CONCURRENT, MAX_CONCURRENT)
        assert (await get(files.for_another(), api.url))[3] == CONTENT
        calls.cancel_scope.cancel()


async def test_what_fails_within_is_not_taken_for_the_networks_failure() -> None:
    """A full disk is told as such, and the connection is closed."""
    async with upstream([Reply(WHOLE.data[:100], then="hang")]) as api, client_of(api) as files:
        with pytest.raises(OSError, match="full"):
            async with files.get(api.url):
                raise OSError("the disk is full")
        await api.left()


NOT_HTTPS = (
    "http://files.example/1.mp4",
    "ftp://files.example/1.mp4",
    "file:///etc/passwd",
    "data:video/mp4;base64,AAAA",
    "//files.example/1.mp4",
    "/etc/passwd",
    "",
    "https://",
    "https:///1.mp4",
    "https://[::1/1.mp4",
    "https://files.example:99999/1.mp4",
    "https://files.example/\r\nX: y",
)


@pytest.mark.parametrize("url", NOT_HTTPS)
async def test_a_link_that_is_not_https_is_not_followed(url: str) -> None:
    """Not even to a name that is not known, for a look-up tells it too."""
    network = httpcore2.AsyncNetworkBackend()  # whose every method raises NotImplementedError
    async with (
        open_file_client(own_origin="http://127.0.0.1:1", network=network) as files,
        refused(UrlNotAllowedError, "Nothing was sent."),
        files.get(url + QUERY),
    ):
        pass


async def test_this_machine_is_not_connected_to_however_it_is_written() -> None:
    """Without a word of the sandbox, nothing listens that hears of it; with one, only that one does."""
    heard: list[object] = []

    async def hear(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    hosts = (
        "127.0.0.1 localhost localhost. 127.1 2130706433 0x7f000001 0177.0.0.1 127.0.0.1. 0.0.0.0 [::1] [::] "
        "[::ffff:127.0.0.1] [::ffff:7f00:1] [64:ff9b::7f00:1] [2002:7f00:1::] ①②⑦.0.0.1 user:pass@127.0.0.1"
    )
    async with server, open_file_client(own_origin=f"http://127.0.0.1:{port + 1}") as files:

        async def check(host: str) -> None:
            with pytest.raises((UrlNotAllowedError, TransferInterruptedError)):
                await get(files, f"https://{host}:{port}")
            with pytest.raises(UrlNotAllowedError):
                await get(files, f"http://{host}:{port}")

        await together(check, hosts.split())
        async with refused(UrlNotAllowedError, '"127.0.0.1" has an address in a private or reserved network'):
            await get(files, f"https://127.0.0.1:{port}")
        assert heard == []


class Rerouted(httpcore2.AsyncNetworkBackend):
    """Carries what goes to the public address 1.1.1.1 to a port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        # the library declares a second class of this name, for where anyio is missing
        self._network = cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        assert (host, port) == ("1.1.1.1", 443)
        return await self._network.connect_tcp("127.0.0.1", self._port, timeout, local_address, socket_options)


@asynccontextmanager
async def tls_host(tmp_path: Path) -> AsyncGenerator[tuple[Upstream, Path]]:
    """The host `files.example` on this machine, and the authority that vouches for it."""
    authority = trustme.CA()
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = authority.issue_cert("files.example", "127.0.0.1")
    certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - trustme leaves another type open
    async with upstream([WHOLE], tls=context) as host:
        yield host, file


async def resolve(_host: str, _port: int) -> list[str]:
    """Return the address of every host."""
    return ["1.1.1.1"]


async def test_a_checked_address_still_has_to_be_the_hosts(tmp_path: Path) -> None:
    """TLS verifies the name that the link has, not the address; for another name nothing is asked.

    Nor is the sandbox's word taken for it where it has a certificate.
    """
    async with tls_host(tmp_path) as (host, file):
        network = PublicNetwork(resolve, Rerouted(int(host.url.rpartition(":")[2])))
        async with open_file_client(ca_file=file, network=network) as files:
            assert (await get(files, "https://files.example"))[3] == CONTENT
            async with refused(UrlNotAllowedError, "Hostname mismatch"):
                await get(files, "https://other.example")
        async with open_file_client(ca_file=file, own_origin=host.url) as files:
            assert (await get(files, host.url))[3] == CONTENT
        async with (
            open_file_client(network=network) as strange,
            refused(UrlNotAllowedError, "certificate verify failed"),
        ):
            await get(strange, "https://files.example")
        assert [request.headers["host"] for request in host.requests] == ["files.example", host.url[8:]]


class Proxy:
    """A company's proxy: tunnels CONNECT to a port of this machine, whatever host it is asked for, or refuses.

    Attributes:
        url: Where it is.
        asked: The hosts that it was asked for.
    """

    def __init__(self, port: int, answer: bytes = b"HTTP/1.1 200 OK") -> None:
        self.url = ""
        self.asked: list[str] = []
        self._port = port
        self._answer = answer
        self._tunnels: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        for tunnel in self._tunnels:
            tunnel.cancel()
        await asyncio.gather(*self._tunnels, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tunnels.add(task)
        back = writer
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, target, _ = head.split(" ", 2)
            assert method == "CONNECT"
            self.asked.append(target)
            writer.write(self._answer + b"\r\n\r\n")
            await writer.drain()
            if b"200" in self._answer:
                there, back = await asyncio.open_connection("127.0.0.1", self._port)
                await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            back.transport.abort()
            writer.transport.abort()
            self._tunnels.discard(task)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def proxied(tmp_path: Path, answer: bytes = b"HTTP/1.1 200 OK") -> AsyncGenerator[tuple[Proxy, Path, Upstream]]:
    """A proxy before a host, and the authority that vouches for that."""
    async with tls_host(tmp_path) as (host, file):
        proxy = Proxy(int(host.url.rpartition(":")[2]), answer)
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield proxy, file, host
            await proxy.close()


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY"])
async def test_files_go_through_the_machines_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The proxy resolves the name; TLS still verifies it, and the proxy sees no link."""
    async with proxied(tmp_path) as (proxy, file, host):
        monkeypatch.setenv(name, proxy.url)
        async with open_file_client(ca_file=file) as files:
            assert (await get(files, "https://files.example"))[3] == CONTENT
            answer = await files.post(
                f"https://files.example/{QUERY}", content=body(b"abc"), headers={"Content-Length": "3"}
            )
            assert answer.status == 200
            async with refused(UrlNotAllowedError, "does not trust the certificate"):
                await get(files, "https://other.example")
        assert set(proxy.asked) == {"files.example:443", "other.example:443"}
        assert [request.method for request in host.requests] == ["GET", "POST"]
        assert not {"proxy-authorization", "authorization", "cookie"} & set(host.requests[0].headers)


async def test_without_a_proxy_for_a_host_its_address_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_PROXY names hosts that are connected to directly, and only if they are public; the sandbox has no proxy."""
    async with proxied(tmp_path) as (proxy, file, host), upstream([WHOLE]) as sandbox:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,direct.example")
        network = PublicNetwork(resolve, Rerouted(int(host.url.rpartition(":")[2])))
        async with open_file_client(ca_file=file, own_origin=sandbox.url, network=network) as files:
            assert (await get(files, sandbox.url))[3] == CONTENT
            async with refused(UrlNotAllowedError, "certificate"):
                await get(files, "https://direct.example")
        async with open_file_client(ca_file=file) as files:
            async with refused(UrlNotAllowedError, "private or reserved"):
                await get(files, host.url)
            async with refused(UrlNotAllowedError, "https"):
                await get(files, "http://files.example")
        assert proxy.asked == []
        assert host.requests == []


async def test_a_proxy_that_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxied(tmp_path, b"HTTP/1.1 407 Who are you?") as (proxy, file, _):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with open_file_client(ca_file=file) as files, refused(TransferInterruptedError, "407 Who are you?"):
            await get(files, "https://files.example")
    async with open_file_client(ca_file=file) as files, refused(TransferInterruptedError, "could not be reached"):
        await get(files, "https://files.example")


async def test_settings_are_looked_at_with_the_first_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To open a client costs nothing; a file without certificates and a proxy that is none are told in a sentence."""
    (tmp_path / "ca.pem").write_text("nothing")
    for file in (tmp_path / "ca.pem", tmp_path / "missing.pem"):
        async with open_file_client(ca_file=file) as files, refused(UnusableNetworkError, "SSL_CERT_FILE"):
            await get(files, "https://files.example")
    monkeypatch.setenv("ALL_PROXY", "socks://proxy.example")
    async with open_file_client() as files, refused(UnusableNetworkError, "The proxy that ALL_PROXY or "):
        await get(files, "https://files.example")


async def test_only_the_proxy_that_applies_to_a_host_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Desktops set ALL_PROXY to a kind that is not supported; another variable may decide."""
    async with proxied(tmp_path) as (proxy, file, host):
        monkeypatch.setenv("ALL_PROXY", "socks://proxy.example")
        monkeypatch.setenv("NO_PROXY", ".files.example")
        network = PublicNetwork(resolve, Rerouted(int(host.url.rpartition(":")[2])))
        async with open_file_client(ca_file=file, network=network) as files:
            assert (await get(files, "https://files.example"))[3] == CONTENT
        assert proxy.asked == []
        monkeypatch.delenv("NO_PROXY")
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with open_file_client(ca_file=file) as files:
            assert (await get(files, "https://files.example"))[3] == CONTENT
        assert proxy.asked == ["files.example:443"]


class Wire(httpx2.AsyncBaseTransport):
    """What carries requests in this process: answers with the address that was asked, or breaks."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if "broken" in request.url.path:
            raise httpx2.ReadError("marked")
        content = str(request.url.copy_with(query=None)).encode()
        length = {"Content-Length": str(len(content))}
        return httpx2.Response(200, headers=length, stream=httpx2.ByteStream(content))


async def test_the_sandbox_may_be_in_this_process() -> None:
    """Its requests go to no network; everything else is as strict as ever."""
    async with open_file_client(own_origin="http://sandbox.localhost", own_transport=Wire()) as files:
        assert (await get(files, "http://sandbox.localhost"))[3] == b"http://sandbox.localhost/outputs/1.mp4"
        async with refused(TransferInterruptedError, "broke before"):
            await get(files, "http://sandbox.localhost/broken")
        for other in ("http://sandbox.localhost:81", "https://sandbox.localhost", "http://localhost"):
            with pytest.raises((UrlNotAllowedError, TransferInterruptedError)):
                await get(files, other)


async def body(*chunks: bytes) -> AsyncIterator[bytes]:
    """A body that is made while it is sent."""
    for chunk in chunks:
        yield chunk


async def test_a_file_is_sent_as_it_is_made_and_the_answer_is_told() -> None:
    """Whatever the status; what it says is data, and no repr shows it."""
    async with (
        upstream([reply(201, b"<PostResponse/>"), reply(403, b"x" * 100_000)]) as api,
        client_of(api) as files,
    ):
        for status, text in ((201, "<PostResponse/>"), (403, "x" * MAX_TEXT)):
            headers = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": "6"}
            answer = await files.post(f"{api.url}/{QUERY}", content=body(b"abc", b"def"), headers=headers)
            assert (answer.status, answer.text) == (status, text)
            assert repr(answer) == f"UploadResponse(status={status})"
        (first, second) = api.requests
        assert (first.method, first.body, second.body) == ("POST", b"abcdef", b"abcdef")
        assert first.headers["content-type"] == "multipart/form-data; boundary=b"
        assert "authorization" not in first.headers
        assert "transfer-encoding" not in first.headers

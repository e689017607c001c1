"""Clients that begin what they never end: a request's head, its body, or the reading of its answer."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import ClassVar

import anyio
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from support.served import connection, free_port
from support.serving import served
from support.waiting import together

from runway_mcp.observability.http_middleware import HttpRequestMiddleware
from runway_mcp.tasks.callers import Caller
from runway_mcp.web.deadlines import DeadlineProtocol
from runway_mcp.web.request_body import RequestBody

DEADLINE = 0.3
LOCAL = Caller("local")


class Hasty(DeadlineProtocol):
    """The deadlines of a connection, short enough to be waited for."""

    header_seconds = DEADLINE
    reading_seconds = DEADLINE


class Crowded(DeadlineProtocol):
    """Few silent connections, so that a test can open more."""

    max_silent = 3
    neighbours: ClassVar[set[int]] = set()
    """Ports of clients that come from another address."""

    @property
    def address(self) -> str:
        return "192.0.2.1" if self.client and self.client[1] in self.neighbours else super().address


class Patient(Hasty):
    """A deadline for reading that a busy machine does not miss by itself."""

    reading_seconds = 4 * DEADLINE


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the request's body, after longer than a request's head may take."""
    body = await Request(scope, receive).body()
    await anyio.sleep(2 * DEADLINE)
    await PlainTextResponse(body)(scope, receive, send)


@asynccontextmanager
async def hasty(app: ASGIApp, protocol: type[DeadlineProtocol] = Hasty) -> AsyncGenerator[int]:
    async with served(HttpRequestMiddleware(app, LOCAL, ()), http=protocol, lifespan="off") as url:
        yield int(url.rpartition(":")[2])


async def exchange(port: int, pieces: list[bytes], pause: float = DEADLINE / 4) -> bytes:
    """Send the pieces with pauses between them, until the server closes; return what it said."""

    async def feed(writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await anyio.sleep(pause)

    said = b""
    async with connection(port) as (reader, writer), anyio.create_task_group() as tasks:
        tasks.start_soon(feed, writer)
        with anyio.move_on_after(5) as deadline:
            # Piece by piece: what has come must not be lost to the reset that a late piece of ours brings about.
            with suppress(ConnectionError):
                while piece := await reader.read(65_536):
                    said += piece
        tasks.cancel_scope.cancel()
        assert not deadline.cancelled_caught, "the server did not close the connection"
    return said


_HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
_MESSAGE = b'{"jsonrpc":"2.0","method":"hello"}'
_LONGER_HEAD = _HEAD.replace(b"5", str(len(_MESSAGE)).encode())


def _drip(start: bytes, piece: bytes) -> list[bytes]:
    return [start, *[piece] * 1_000]


STALLING_HEADS = {
    "nothing": [],
    "half a line": [_HEAD[:20]],
    "half a head": [_HEAD],
    "dripping headers": _drip(b"GET / HTTP/1.1\r\n", b"X-More: x\r\n"),
    "a dripping line": _drip(b"GET /", b"x"),
}


async def test_a_head_that_does_not_come_in_time_closes_the_connection() -> None:
    async def check(what: str) -> None:
        with anyio.fail_after(5):
            assert await exchange(port, STALLING_HEADS[what]) == b""

    async with hasty(echo) as port:
        await together(check, STALLING_HEADS)


async def test_silent_connections_take_no_room_from_others() -> None:
    """One more closes the oldest, whether it never said anything or has had its answer; never one that is answered."""
    release = anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await release.wait()
        await PlainTextResponse("done")(scope, receive, send)

    async with hasty(app, Crowded) as port, AsyncExitStack() as stack:
        slow, asking = await stack.enter_async_context(connection(port))
        asking.write(_GET.replace(b"/", b"/slow", 1))
        answered, asking = await stack.enter_async_context(connection(port))
        asking.write(_GET)
        with anyio.fail_after(5):
            assert (await answered.readuntil(b"done")).startswith(b"HTTP/1.1 200")
            silent = [await stack.enter_async_context(connection(port)) for _ in range(4)]
            assert await answered.read() == b""
            assert await silent[0][0].read() == b""
            latest, asking = silent[-1]
            asking.write(_GET)
            assert (await latest.readuntil(b"done")).startswith(b"HTTP/1.1 200")
            release.set()
            assert (await slow.readuntil(b"done")).startswith(b"HTTP/1.1 200")


async def test_an_address_with_many_silent_connections_closes_its_own() -> None:
    own = free_port()
    Crowded.neighbours.add(own)
    async with hasty(echo, Crowded) as port, AsyncExitStack() as stack:
        older = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.1", own))
        stack.callback(older[1].close)
        silent = [await stack.enter_async_context(connection(port)) for _ in range(4)]
        with anyio.fail_after(5):
            assert await silent[0][0].read() == b""
            assert await silent[1][0].read() == b""
            older[1].write(_LONGER_HEAD + b"Connection: close\r\n\r\n" + _MESSAGE)
            assert (await older[0].read()).endswith(_MESSAGE)


async def test_the_second_head_of_a_connection_has_the_same_deadline() -> None:
    """Also if it began behind the request before it: then its deadline begins with the end of that answer."""
    async with hasty(echo) as port:
        for pieces in ([_HEAD + b"\r\nhello", b"GET"], [_HEAD + b"\r\nhelloGET /he"]):
            said = await exchange(port, pieces, pause=3 * DEADLINE)
            assert said.startswith(b"HTTP/1.1 200")
            assert said.endswith(b"hello")


async def test_an_answer_may_take_longer_than_the_head_of_its_request() -> None:
    """The deadline ends with the head; the call itself has others."""
    async with hasty(echo) as port:
        said = await exchange(port, [_HEAD + b"Connection: close\r\n\r\nhello"])
    assert said.endswith(b"hello")


STALLING_BODIES = {
    "stalling": [_HEAD + b"\r\nhe"],
    "dripping": _drip(_HEAD.replace(b"5", b"5000") + b"\r\n", b"x"),
    "dripping chunks": _drip(
        _HEAD.replace(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"\r\n", b"1\r\nx\r\n"
    ),
}


async def test_a_body_that_does_not_come_in_time_is_408() -> None:
    async def check(what: str) -> None:
        assert (await exchange(port, STALLING_BODIES[what])).startswith(b"HTTP/1.1 408")

    async with hasty(RequestBody(echo, seconds=2 * DEADLINE)) as port:
        await together(check, STALLING_BODIES)


async def test_a_body_that_comes_slowly_but_in_time_is_whole() -> None:
    close = _LONGER_HEAD + b"Connection: close\r\n\r\n"
    async with hasty(RequestBody(echo, seconds=10 * DEADLINE)) as port:
        said = await exchange(port, [close, _MESSAGE[:2], _MESSAGE[2:9], _MESSAGE[9:]])
    assert said.endswith(_MESSAGE)


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_let_go() -> None:
    """The app never sees the body, nothing is left waiting, and the next request is answered."""
    heard: list[bytes] = []

    async def listen(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append(await Request(scope, receive).body())
        await PlainTextResponse(heard[-1])(scope, receive, send)

    async with hasty(RequestBody(listen)) as port:
        async with connection(port) as (_, writer):
            writer.write(_HEAD + b"\r\nhe")
            await writer.drain()
        said = await exchange(port, [_LONGER_HEAD + b"Connection: close\r\n\r\n" + _MESSAGE])
    assert said.endswith(_MESSAGE)
    assert heard == [_MESSAGE]


class Feed:
    """An app that answers with so many bytes. `gone`: it was told that the client has left."""

    def __init__(self, size: int) -> None:
        self.gone = False
        self.whole = False
        self._size = size

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            self.gone = not self.whole
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x" * self._size, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            self.whole = True
            tasks.cancel_scope.cancel()


_GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
_MUCH = 16 * 1024 * 1024
"""Bytes that no buffers between here and there take in."""


@asynccontextmanager
async def narrow(port: int) -> AsyncGenerator[socket.socket]:
    """A connection whose client takes in little at a time."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, _GET)
        yield client


async def test_a_client_that_reads_in_drops_is_cut_off() -> None:
    feed = Feed(_MUCH)
    async with hasty(feed) as port, narrow(port) as client:
        loop = asyncio.get_running_loop()
        with anyio.fail_after(5), suppress(ConnectionError):
            while not feed.gone:
                await loop.sock_recv(client, 1)
                await anyio.sleep(DEADLINE / 20)


async def test_a_client_that_reads_slowly_gets_everything() -> None:
    feed = Feed(_MUCH)
    size = 0
    async with hasty(feed, Patient) as port, connection(port) as (reader, writer):
        writer.write(_GET)
        slowly_until = anyio.current_time() + 5 * DEADLINE
        with anyio.fail_after(10):
            while piece := await reader.read(64 * 1024):
                size += len(piece)
                if size >= _MUCH:
                    break
                if anyio.current_time() < slowly_until:
                    await anyio.sleep(DEADLINE / 20)
    assert size >= _MUCH
    assert feed.whole

"""The server over streamable HTTP: a process of its own, a real socket, and clients good and bad."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import anyio
import httpx2
import pytest
import uvicorn
from mcp import Client
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from support.process import KEY, Message, Server, Stop, call, lines, request, running, slow_delete
from support.upstream import HANG, TASK_ID, Upstream, reply, task, upstream
from support.waiting import together, until

from runway_mcp.sandbox import SAMPLES
from runway_mcp.web.deadlines import BodyDeadline, HeaderDeadlineProtocol

SIGNALS: tuple[Stop, ...] = ("SIGINT", "SIGTERM")
ERAS = ("2026-07-28", "2025-11-25")
LIMIT = 4 * 1024 * 1024
SLOW_DELETE = 1.5
"""Longer than requests under way are given at a stop, so that the caller is cut off."""
DEADLINE = 0.3


@asynccontextmanager
async def connection(port: int) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection to a port of this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with anyio.move_on_after(1, shield=True), suppress(OSError):
            await writer.wait_closed()


@dataclass(frozen=True, slots=True)
class Served:
    """A server process that listens on a port."""

    server: Server
    port: int

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self.port}/mcp"

    async def post(self, content: Message | bytes | AsyncIterator[bytes], **headers: str) -> httpx2.Response:
        """Send one request, with the headers of the newest protocol revision where none replaces them."""
        replaced = {name.replace("_", "-"): text for name, text in headers.items()}
        named = [(name.encode(), text.encode()) for name, text in (headers_of(content) | replaced).items()]
        body = json.dumps(content).encode() if isinstance(content, dict) else content
        async with httpx2.AsyncClient(trust_env=False, timeout=10) as http:
            return await http.post(self.url, content=body, headers=named)

    @asynccontextmanager
    async def under_way(self, message: Message, era: str) -> AsyncGenerator[None]:
        """Send a request, leave its answer unread, and go away at the end."""
        body = json.dumps(message).encode()
        named = headers_of(message) | {"Host": "localhost", "MCP-Protocol-Version": era}
        head = "".join(f"{name}: {text}\r\n" for name, text in named.items())
        async with connection(self.port) as (_, writer):
            writer.write(f"POST /mcp HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
            yield

    async def assert_alive(self) -> None:
        """Check that the next request is answered, and that nothing was raised before."""
        answer = await self.post(call("alive", "runway_getTask", SAMPLES["failed_moderation"].id))
        assert answer.json()["result"]["structuredContent"]["status"] == "FAILED"
        assert "Traceback" not in self.server.stderr


def headers_of(content: object) -> dict[str, str]:
    """What the newest protocol revision wants in the headers of a request."""
    headers = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": ERAS[0],
    }
    match content:
        case {"method": str(method), "params": {"name": str(name)}}:
            return headers | {"Mcp-Method": method, "Mcp-Name": name}
        case {"method": str(method)}:
            return headers | {"Mcp-Method": method}
        case _:
            return headers | {"Mcp-Method": "tools/call", "Mcp-Name": "runway_getTask"}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


@asynccontextmanager
async def serving_http(api: Upstream | None = None, *arguments: str) -> AsyncGenerator[Served]:
    """A server that listens already, and calls `api`, or the sandbox where there is none."""
    port = free_port()
    env = {"RUNWAYML_BASE_URL": api.url, "RUNWAYML_API_SECRET": KEY} if api else {"RUNWAY_MCP_SANDBOX": "true"}
    http = ("--transport", "streamable-http", "--port", str(port))
    async with running(*http, *arguments, env=env) as server:
        await server.logged("MCP over streamable HTTP at ")
        yield Served(server, port)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Let one event loop serve the module, so that its tests can share a process."""
    return "asyncio"


@pytest.fixture(scope="module")
async def sandboxed() -> AsyncGenerator[Served]:
    """One process for all that must leave it alive."""
    async with serving_http(None, "--log-level", "debug") as served:
        yield served


@pytest.mark.parametrize(
    ("mode", "running_task", "finished_task"),
    [("auto", "running_long", "succeeded_audio"), ("legacy", "pending", "failed_internal")],
)
async def test_every_tool_works_through_the_sdks_client(
    mode: str, running_task: str, finished_task: str, sandboxed: Served
) -> None:
    """In both eras of the protocol: read, wait, cancel and delete, with structured results the client validates."""
    async with Client(sandboxed.url, mode=mode) as client:
        assert len((await client.list_tools()).tools) == 4
        read = await client.call_tool("runway_getTask", {"taskId": SAMPLES["succeeded_images"].id})
        cancelled = await client.call_tool("runway_cancelTask", {"taskId": SAMPLES[running_task].id})
        deleted = await client.call_tool("runway_deleteTask", {"taskId": SAMPLES[finished_task].id})
        gone = await client.call_tool("runway_getTask", {"taskId": SAMPLES[finished_task].id})
        waited = await client.call_tool("runway_waitForTask", {"taskId": SAMPLES["succeeded_video"].id})
    assert (waited.structured_content or {})["status"] == "SUCCEEDED"
    assert (read.structured_content or {})["status"] == "SUCCEEDED"
    assert (cancelled.structured_content or {})["done"] == "cancelled"
    assert (deleted.structured_content or {})["done"] == "deleted"
    assert gone.is_error


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_each_of_many_calls_at_once_gets_its_own_answer(mode: str, sandboxed: Served) -> None:
    """Forty reads, all under way together, are not mixed up."""
    names = ("succeeded_video", "succeeded_images", "cancelled", "failed_moderation")
    wanted = [SAMPLES[name].id for name in names] * 10
    found: dict[int, object] = {}

    async def read(number: int) -> None:
        result = await client.call_tool("runway_getTask", {"taskId": wanted[number]})
        found[number] = (result.structured_content or {})["id"]

    async with Client(sandboxed.url, mode=mode) as client:
        await together(read, range(len(wanted)))
    assert [found[number] for number in range(len(wanted))] == wanted


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example:80", "0.0.0.0", ""]
)
async def test_a_foreign_host_header_is_421(host: str, era: str, sandboxed: Served) -> None:
    """A web page whose name was bound to this machine's address afterwards reaches nothing."""
    answer = await sandboxed.post(request(1, "tools/list"), Host=host, MCP_Protocol_Version=era)
    assert answer.status_code == 421


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://localhost.evil.example", "http://127.0.0.1.evil.example:80", "null"]
)
async def test_a_foreign_origin_is_403(origin: str, era: str, sandboxed: Served) -> None:
    """No other web page's script is answered."""
    answer = await sandboxed.post(request(1, "tools/list"), Origin=origin, MCP_Protocol_Version=era)
    assert answer.status_code == 403


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "OPTIONS", "HEAD"])
async def test_the_other_methods_are_checked_too(method: str, sandboxed: Served) -> None:
    """Whatever the method, a foreign Host or Origin gets no further, and no answer allows a foreign origin."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            answer = await http.request(method, sandboxed.url, headers={"Accept": "text/event-stream", **headers})
            assert answer.status_code in {403, 405, 421}
            assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
async def test_this_machines_names_pass(name: str, sandboxed: Served) -> None:
    """With and without the port, as a Host and as an Origin."""
    for host in (name, f"{name}:{sandboxed.port}"):
        answer = await sandboxed.post(request(1, "tools/list"), Host=host, Origin=f"http://{host}")
        assert answer.status_code == 200


async def test_no_header_names_the_software(sandboxed: Served) -> None:
    """There is no Server header, on a success as on a refusal."""
    for answer in (await sandboxed.post(request(1, "tools/list")), await sandboxed.post(b"", Host="evil.example")):
        assert "server" not in answer.headers
        assert "x-powered-by" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/mcp/", "/mcpx", "/mcp/more", "/other", "//mcp", "/mcp%2f", "/.env"])
async def test_a_foreign_path_is_404(path: str, sandboxed: Served) -> None:
    """Nothing but the endpoint is served, and nobody is sent elsewhere."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        for method in ("GET", "POST"):
            answer = await http.request(method, f"http://127.0.0.1:{sandboxed.port}{path}")
            assert answer.status_code == 404


async def _chunks(size: int) -> AsyncGenerator[bytes]:
    for _ in range(size // 65_536 + 1):
        yield b" " * 65_536


async def test_a_body_over_the_limit_is_413(sandboxed: Served) -> None:
    """Whether its length is told or not; one just below the limit is read."""
    padded = json.dumps(request(1, "tools/list")).encode().ljust(LIMIT)
    list_headers = headers_of(request(1, "tools/list"))
    assert (await sandboxed.post(padded + b" ")).status_code == 413
    assert (await sandboxed.post(_chunks(LIMIT))).status_code == 413
    async with httpx2.AsyncClient(trust_env=False, timeout=10) as http:
        answer = await http.post(sandboxed.url, content=padded, headers=list_headers)
    assert "tools" in answer.json()["result"]
    await sandboxed.assert_alive()


_LONE = rb'"\ud800"'
GARBAGE: dict[str, bytes] = {
    "nothing": b"",
    "bad JSON": b'{"jsonrpc":',
    "bytes that are not UTF-8": b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}',
    "a batch": b"[]",
    "null": b"null",
    "deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "a huge number": b'{"jsonrpc":"2.0","id":' + b"9" * 5_000 + b',"method":"ping"}',
    "a number that is none": b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}',
    "a surrogate as a method": b'{"jsonrpc":"2.0","id":1,"method":' + _LONE + b',"params":{}}',
    "a surrogate as an id": json.dumps(request("ID", "tools/list")).encode().replace(b'"ID"', _LONE),
    "a surrogate as a tool": json.dumps(call(1, "TOOL", TASK_ID)).encode().replace(b'"TOOL"', _LONE),
    "a surrogate as a task id": json.dumps(call(1, "runway_getTask", "ID")).encode().replace(b'"ID"', _LONE),
    "a surrogate as an argument's name": json.dumps(call(1, "runway_getTask", TASK_ID))
    .encode()
    .replace(b'"taskId"', _LONE),
    "a surrogate as a client's name": json.dumps(call(1, "runway_getTask", TASK_ID)).encode().replace(b'"test"', _LONE),
    "arguments that are none": json.dumps(request(1, "tools/call", name="runway_getTask", arguments=7)).encode(),
    "an id with a NUL": json.dumps(call(1, "runway_getTask", f"{TASK_ID}\0")).encode(),
}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("what", GARBAGE)
async def test_garbage_is_answered_and_survived(what: str, era: str, sandboxed: Served) -> None:
    """What can't be understood is refused, not a failure of the server, which goes on."""
    answer = await sandboxed.post(GARBAGE[what], MCP_Protocol_Version=era)
    assert answer.status_code < 500
    await sandboxed.assert_alive()


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Accept": "text/html"},
        {"MCP_Protocol_Version": "1999-01-01"},
        {"MCP_Protocol_Version": "\u00e9"},
        {"Mcp_Method": "tools/call"},
        {"Content_Encoding": "gzip"},
    ],
)
async def test_headers_that_do_not_fit_are_refused_and_survived(headers: dict[str, str], sandboxed: Served) -> None:
    """A wrong content type, version or method header is no failure of the server."""
    answer = await sandboxed.post(request(1, "tools/list"), **headers)
    assert answer.status_code < 500
    await sandboxed.assert_alive()


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"\0" * 64, b"\r\n\r\n", b"GET /\xff HTTP/9.9\r\n\r\n"]
)
async def test_bytes_that_are_not_http_are_survived(data: bytes, sandboxed: Served) -> None:
    """A TLS handshake or noise on the port gets a refusal at most."""
    async with connection(sandboxed.port) as (reader, writer):
        writer.write(data + b"\r\n\r\n")
        refusal = b""
        with anyio.fail_after(10), suppress(ConnectionError):
            refusal = await reader.read()
    assert refusal == b"" or refusal.startswith(b"HTTP/1.1 400")
    await sandboxed.assert_alive()


async def test_an_idle_server_stops_at_once() -> None:
    """Exit code 0 and not a word but the address, though a client keeps its connection open."""

    async def check(how: Stop) -> None:
        async with serving_http() as served, served.under_way(request(1, "tools/list"), ERAS[0]):
            await served.assert_alive()
            await served.server.stop(how)
            await served.server.ends_quietly(within=2)
            assert len(lines(served.server.stderr)) == 1
            assert served.server.stdout == b""

    await together(check, SIGNALS)


async def test_a_signal_as_soon_as_it_listens_stops_it() -> None:
    """Between the announcement and the first request there is no moment at which a signal is lost or kills."""

    async def check(how: Stop) -> None:
        async with serving_http() as served:
            await served.server.stop(how)
            await served.server.ends_quietly(within=2)

    await together(check, SIGNALS)


async def test_open_calls_and_streams_do_not_hold_the_server_up() -> None:
    """Calls of both eras that get no answer, and a listening stream, are closed; no task is touched."""

    async def check(how: Stop) -> None:
        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(upstream([HANG]))
            served = await stack.enter_async_context(serving_http(api))
            for number, era in enumerate(ERAS):
                asked = call(1, "runway_getTask", f"00000000-0000-4000-8000-{number:012}")
                await stack.enter_async_context(served.under_way(asked, era))
            _, listener = await stack.enter_async_context(connection(served.port))
            listener.write(b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
            await api.asked("GET", times=2)
            await served.server.stop(how)
            await served.server.ends_quietly(within=5)
            assert api.count("DELETE") == 0

    await together(check, SIGNALS)


async def test_a_delete_under_way_is_seen_to_its_end() -> None:
    """The process stays until the API has answered, asks once, and says on stderr what became of the task."""

    async def check(case: tuple[Stop, str]) -> None:
        how, era = case
        async with (
            upstream(slow_delete(SLOW_DELETE)) as api,
            serving_http(api) as served,
            served.under_way(call(1, "runway_cancelTask", TASK_ID), era),
        ):
            await api.asked("DELETE")
            await served.server.stop(how)
            await served.server.ends_quietly(within=10)
            assert api.count("DELETE") == 1
            assert f"cancel of {TASK_ID}" in served.server.stderr
            assert "cancelled" in served.server.stderr

    await together(check, zip(SIGNALS, ERAS, strict=True))


@pytest.fixture(scope="module")
async def unanswered() -> AsyncGenerator[tuple[Upstream, Served]]:
    """A server whose calls get no answer from the API."""
    async with upstream([HANG]) as api, serving_http(api) as served:
        yield api, served


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("tool", ["runway_getTask", "runway_cancelTask", "runway_deleteTask"])
async def test_a_client_that_goes_away_cancels_its_call(
    tool: str, era: str, unanswered: tuple[Upstream, Served]
) -> None:
    """The request to the API is dropped within a second, nothing is deleted, and the server goes on answering."""
    api, served = unanswered
    before = api.count("GET")
    async with served.under_way(call(1, tool, TASK_ID), era):
        await api.asked("GET", times=before + 1)
    await api.left(within=1)
    assert (await served.post(request(1, "tools/list"))).status_code == 200
    assert api.count("DELETE") == 0


async def test_a_delete_goes_on_after_its_client_went_away() -> None:
    """A DELETE that is on its way is not dropped with its caller; what became of it stands on stderr."""
    async with upstream(slow_delete(0.3)) as api, serving_http(api) as served:
        async with served.under_way(call(1, "runway_cancelTask", TASK_ID), ERAS[0]):
            await api.asked("DELETE")
        await served.server.logged(f"cancel of {TASK_ID}")
        assert "cancelled" in served.server.stderr
        assert api.count("DELETE") == 1


async def test_an_address_others_can_reach_is_refused() -> None:
    """Without authentication it would be everybody's: exit code 2, and one line that says why."""

    async def check(host: str) -> None:
        async with running("--sandbox", "--transport", "streamable-http", "--host", host) as server:
            assert await server.ends(within=5) == 2
            assert len(lines(server.stderr)) == 1
            assert "without authentication" in server.stderr

    await together(check, ("0.0.0.0", "::", "192.0.2.1", "example.com"))


async def test_a_port_in_use_is_one_line() -> None:
    """Exit code 1, and the address that can't be listened on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        async with running("--sandbox", "--transport", "streamable-http", "--port", port) as server:
            assert await server.ends(within=5) == 1
            assert len(lines(server.stderr)) == 1
            assert f"127.0.0.1:{port}" in server.stderr


class Hasty(HeaderDeadlineProtocol):
    """The deadline of whole request heads, short enough to be waited for."""

    seconds = DEADLINE


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the request's body, after longer than a request's head may take."""
    body = await Request(scope, receive).body()
    await anyio.sleep(2 * DEADLINE)
    await PlainTextResponse(body)(scope, receive, send)


@asynccontextmanager
async def hasty(app: ASGIApp) -> AsyncGenerator[int]:
    """Serve `app` in this event loop with short deadlines; gives the port."""
    config = uvicorn.Config(
        app, http=Hasty, ws="none", lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        try:
            await until(lambda: server.started, "uvicorn to start")
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            with anyio.move_on_after(5, shield=True):
                await serving


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
    """Each byte that drips in gains no time."""

    async def check(what: str) -> None:
        with anyio.fail_after(5):
            assert await exchange(port, STALLING_HEADS[what]) == b""

    async with hasty(echo) as port:
        await together(check, STALLING_HEADS)


async def test_the_second_head_of_a_connection_has_the_same_deadline() -> None:
    """A client can't earn the right to stall with one good request."""
    async with hasty(echo) as port:
        said = await exchange(port, [_HEAD + b"\r\nhello", b"GET"], pause=3 * DEADLINE)
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
    """It is answered in the app's place, and the connection is closed."""

    async def check(what: str) -> None:
        assert (await exchange(port, STALLING_BODIES[what])).startswith(b"HTTP/1.1 408")

    async with hasty(BodyDeadline(echo, seconds=2 * DEADLINE)) as port:
        await together(check, STALLING_BODIES)


async def test_a_body_that_comes_slowly_but_in_time_is_whole() -> None:
    """Pieces are put together, and the app sees them all."""
    close = _HEAD + b"Connection: close\r\n\r\n"
    async with hasty(BodyDeadline(echo, seconds=10 * DEADLINE)) as port:
        said = await exchange(port, [close, b"he", b"l", b"lo"])
    assert said.endswith(b"hello")


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_let_go() -> None:
    """The app is told that it went, and nothing is left waiting."""
    seen: list[str] = []

    async def listen(_scope: Scope, receive: Receive, _send: Send) -> None:
        while not seen or seen[-1] != "http.disconnect":
            seen.append((await receive())["type"])

    async with hasty(BodyDeadline(listen)) as port:
        async with connection(port) as (_, writer):
            writer.write(_HEAD + b"\r\nhe")
            await writer.drain()
        await until(lambda: seen[-1:] == ["http.disconnect"], "the app to be told")
    assert seen.count("http.disconnect") == 1


async def test_an_mcp_task_outlives_the_server() -> None:
    """Begun with one server, followed with another, to the very result that the tool would have returned."""
    running_task, done = task("RUNNING", progress=0.5), task("SUCCEEDED", output=["https://x.example/1.mp4"])
    async with upstream([reply(200, running_task), reply(200, running_task), reply(200, done)]) as api:
        states: list[dict[str, Any]] = []
        for method, params in (
            ("tools/call", {"name": "runway_waitForTask", "arguments": {"taskId": TASK_ID}}),
            ("tasks/get", {"taskId": TASK_ID}),
            ("tasks/get", {"taskId": TASK_ID}),
        ):
            async with serving_http(api) as served:
                states.append(await mcp_task_request(served.url, method, params))
    assert [state["status"] for state in states] == ["working", "working", "completed"]
    assert states[0]["resultType"] == "task"
    assert {state["taskId"] for state in states} == {TASK_ID}
    assert states[0]["statusMessage"] == "RUNNING, 50 %"
    assert states[2]["result"]["structuredContent"] == done


async def mcp_task_request(url: str, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Make one request of the revision that has MCP tasks, declaring that they are understood."""
    meta: dict[str, Any] = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}},
    }
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": method,
        "Mcp-Name": params.get("taskId") or params["name"],
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    async with httpx2.AsyncClient() as http:
        text = (await http.post(url, json=body, headers=headers, timeout=20)).text
    line = next((line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")), text)
    return json.loads(line)["result"]

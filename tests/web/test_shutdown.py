"""The end of serving over HTTP: what is under way is answered, and the process ends in time, with exit code 0."""

import asyncio
import json
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from support.process import Stop as How
from support.process import call, lines, request
from support.served import ERAS, NO_TRUST, connection, serving_http
from support.upstream import HANG, TASK_ID, Reply, reply, task, upstream
from support.upstream import Request as Asked
from support.waiting import together

from runway_mcp.signals import STOP_SIGNALS
from runway_mcp.web.serving import CLOSING_SECONDS, listen, serve_http
from runway_mcp.web.shutdown import GRACE_SECONDS, LAST_SECONDS, MAX_SECONDS, GracefulShutdown

SIGNALS: tuple[How, ...] = ("SIGINT", "SIGTERM")
SLOW_DELETE = GRACE_SECONDS + 0.5
"""Longer than other requests under way are given at a stop."""
SILENT_ID = "00000000-0000-4000-8000-000000000001"
OTHER_ID = "00000000-0000-4000-8000-000000000002"
LEFT_ID = "00000000-0000-4000-8000-000000000003"
LISTEN = {"toolsListChanged": True}


async def test_an_idle_server_stops_at_once() -> None:
    async with serving_http() as served, served.under_way(request(1, "tools/list"), ERAS[0]):
        await served.assert_alive()
        await served.server.stop("SIGINT")
        await served.server.ends_quietly(timeout=6)
        assert len(lines(served.server.stderr)) == 1
        assert served.server.stdout == b""


async def test_a_signal_as_soon_as_it_listens_stops_it() -> None:
    async with serving_http() as served:
        await served.server.stop("SIGTERM")
        await served.server.ends_quietly(timeout=6)


def half_silent(asked: Asked) -> Reply:
    """Tell of a RUNNING task, but of one task nothing; take long to remove any."""
    if asked.method == "DELETE":
        return reply(204, after=SLOW_DELETE)
    return HANG if SILENT_ID in asked.path else reply(200, task("RUNNING", asked.path.rpartition("/")[2]))


def results(answer: bytes) -> list[dict[str, Any]]:
    texts = [line.removeprefix("data: ") for line in answer.decode().splitlines() if line.startswith(("data: {", "{"))]
    return [message["result"] for message in map(json.loads, texts) if "result" in message]


async def until_refusing(port: int) -> None:
    """Return once the server has heard the signal."""
    async with httpx2.AsyncClient(trust_env=False, verify=NO_TRUST) as http:
        with anyio.fail_after(5):
            while (await http.get(f"http://127.0.0.1:{port}/readyz")).status_code != 503:
                pass


async def test_everything_under_way_comes_to_its_end() -> None:
    """Waits return their task as it stands, streams end, a DELETE is seen to its end and told, the rest is cut off.

    Meanwhile who comes anew is told to go elsewhere, and a second signal changes nothing. Where the caller
    of a DELETE has gone, its outcome stands on stderr.
    """

    async def check(case: tuple[How, str]) -> None:
        how, era = case
        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(upstream(half_silent))
            served = await stack.enter_async_context(serving_http(api))

            async def asking(message: dict[str, Any], era: str) -> asyncio.StreamReader:
                return await stack.enter_async_context(served.stream(message, era))

            async with served.under_way(call(1, "runway_cancelTask", LEFT_ID), era):
                await api.asked("DELETE")
            waiting = await asking(call(1, "runway_waitForTask", TASK_ID), era)
            hung = await asking(call(1, "runway_getTask", SILENT_ID), era)
            listening = await asking(request(1, "subscriptions/listen", notifications=LISTEN), ERAS[0])
            assert (await listening.readline()).startswith(b"HTTP/1.1 200")
            cancelling = await asking(call(1, "runway_cancelTask", OTHER_ID), era)
            await api.asked("GET", times=4)
            await api.asked("DELETE", times=2)

            await served.server.stop(how)
            await until_refusing(served.port)
            await served.server.stop(how)
            with anyio.fail_after(10):
                refused = await served.post(request(1, "tools/list"))
                alive = await served.ask("GET", "/healthz")
                ready = await served.ask("GET", "/readyz")
                (waited,), (cancelled,) = results(await waiting.read()), results(await cancelling.read())
                listened, cut_off = await listening.read(), await hung.read()
            await served.server.ends_quietly(timeout=20)

            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert refused.headers["connection"] == "close"
            assert "nothing was changed" in refused.json()["error"]
            assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
            assert (ready.status_code, ready.json()["reason"]) == (503, "The server is stopping.")
            assert (waited["structuredContent"]["id"], waited["structuredContent"]["status"]) == (TASK_ID, "RUNNING")
            assert cancelled["structuredContent"]["done"] == "cancelled"
            assert len(results(listened)) == 1
            assert listened.endswith(b"0\r\n\r\n")
            if era == ERAS[0]:
                assert cut_off.startswith(b"HTTP/1.1 503")
                assert b"cut off" in cut_off
            assert cut_off.endswith((b"}", b"0\r\n\r\n"))
            removed = sorted(asked.path for asked in api.requests if asked.method == "DELETE")
            assert removed == [f"/v1/tasks/{OTHER_ID}", f"/v1/tasks/{LEFT_ID}"]
            assert f"cancel of {LEFT_ID} had ended. Outcome: " in served.server.stderr
            assert OTHER_ID not in served.server.stderr

    await together(check, zip(SIGNALS, ERAS, strict=True))


def test_listeners_name_their_protocol() -> None:
    """Only then does asyncio turn Nagle's algorithm off, which would cost each reply 40 ms."""
    for host in ("127.0.0.1", "::1"):
        with listen(host, 0) as listener:
            assert listener.proto == socket.IPPROTO_TCP


def test_the_longest_end_is_within_ten_seconds() -> None:
    """All that an end may take, uvicorn's own part and the interpreter's included; a DELETE's 8 s fit in."""
    assert MAX_SECONDS + LAST_SECONDS >= 8
    assert MAX_SECONDS + CLOSING_SECONDS + 1 + LAST_SECONDS < 9.7


START: Message = {"type": "http.response.start", "status": 200, "headers": []}
PART: Message = {"type": "http.response.body", "body": b"part", "more_body": True}
END: Message = {"type": "http.response.body", "body": b"", "more_body": False}
SCOPE: Scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": []}


class Sent(list[Message]):
    async def __call__(self, message: Message) -> None:
        self.append(message)


async def receive() -> Message:
    await anyio.sleep_forever()
    raise AssertionError


async def stopped_after(*said: Message, method: str = "POST", changes: Callable[[], int] = lambda: 0) -> Sent:
    """What a client gets of a request that had said this when the server stopped."""
    sent = Sent()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in said:
            await send(message)
        await anyio.sleep_forever()

    stop = GracefulShutdown(changes=changes, grace_seconds=0.05, max_seconds=0.2)
    guarded = stop.guard(app)

    async def ask() -> None:
        await guarded({**SCOPE, "method": method}, receive, sent)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            await stop.finish()
    return sent


async def test_a_request_under_way_gets_a_whole_response() -> None:
    """503 where none had begun, an end where one had, and nothing more where it was whole."""
    assert [message.get("status") for message in await stopped_after()] == [503, None]
    assert await stopped_after(START, PART) == [START, PART, END]
    assert await stopped_after(START, PART, method="GET") == [START, PART, END]
    assert await stopped_after(START, END) == [START, END]


async def test_only_what_changed_nothing_may_be_repeated_blindly() -> None:
    """Runway's SDKs repeat a 503 by themselves unless it forbids that."""

    async def forbids(method: str) -> bool:
        start, _ = await stopped_after(method=method)
        return (b"x-should-retry", b"false") in start["headers"]

    assert [await forbids(method) for method in ("GET", "DELETE", "POST")] == [False, True, True]


async def test_a_change_without_end_does_not_hold_the_server_up() -> None:
    """Requests wait for it longer than for anything else, and no longer than that."""
    started = anyio.current_time()
    assert [message.get("status") for message in await stopped_after(changes=lambda: 1)] == [503, None]
    assert 0.2 <= anyio.current_time() - started < 2


@pytest.fixture
def _own_handlers() -> Generator[None]:
    """The test process's own signal handlers come back afterwards."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@asynccontextmanager
async def served_here(app: ASGIApp, *proxies: str) -> AsyncGenerator[tuple[int, asyncio.Task[None]]]:
    """Serve `app` in this process until a stop signal comes, at the latest at the end; gives port and task."""
    stop = GracefulShutdown(grace_seconds=0.05)
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        serving = asyncio.create_task(serve_http(stop.guard(app), listener, stop, proxies=proxies))
        async with connection(port) as (reader, writer):
            writer.write(b"GET /begun HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.readline()
        yield port, serving
        signal.raise_signal(signal.SIGTERM)
        with anyio.fail_after(5):
            await serving


async def whence(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer with whence the request came; to the lifespan say nothing."""
    if scope["type"] == "http":
        body = json.dumps([scope["client"][0], scope["scheme"]]).encode()
        await send(START)
        await send({"type": "http.response.body", "body": body, "more_body": False})


@pytest.mark.usefixtures("_own_handlers")
@pytest.mark.parametrize(
    ("proxies", "found"),
    [
        ((), ["127.0.0.1", "http"]),
        (("192.0.2.0/24",), ["127.0.0.1", "http"]),
        (("127.0.0.1",), ["192.0.2.9", "https"]),
        (("127.0.0.0/8", "192.0.2.9"), ["198.51.100.7", "https"]),
    ],
)
async def test_only_a_trusted_proxy_says_whence_a_request_came(proxies: tuple[str, ...], found: list[str]) -> None:
    """From anyone else the headers have no effect; what a client put there itself counts for nothing."""
    forwarded = {"X-Forwarded-For": "198.51.100.7, 192.0.2.9", "X-Forwarded-Proto": "https"}
    async with served_here(whence, *proxies) as (port, _), httpx2.AsyncClient(trust_env=False, verify=NO_TRUST) as http:
        answer = await http.get(f"http://127.0.0.1:{port}/", headers=forwarded)
    assert answer.json() == found


@pytest.mark.usefixtures("_own_handlers")
async def test_a_client_that_does_not_read_does_not_hold_the_server_up(caplog: pytest.LogCaptureFixture) -> None:
    async def flood(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send(START)
            await send({"type": "http.response.body", "body": b"x" * 2**24, "more_body": scope["path"] == "/more"})
            if scope["path"] == "/more":
                await send(END)

    async with served_here(flood) as (port, serving), AsyncExitStack() as stack:
        for path in (b"/more", b"/all"):
            reader, writer = await stack.enter_async_context(connection(port))
            writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        signal.raise_signal(signal.SIGTERM)
        with anyio.fail_after(5):
            await asyncio.shield(serving)
    assert not caplog.records

"""How much one caller may ask for at once: over a real port with two callers, and among strangers."""

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send
from support.databases import PostgresPlace
from support.process import call, request
from support.served import ERAS, Served, connection, headers_of, serving_http, token_entry
from support.upstream import HANG, TASK_ID, Upstream, upstream
from support.waiting import until

from runway_mcp.history.start_history import History
from runway_mcp.observability.http_middleware import HttpRequestMiddleware
from runway_mcp.tasks.callers import ANONYMOUS, READ, SCOPES
from runway_mcp.tasks.replica_counts import ReplicaCounts
from runway_mcp.tasks.shared_reads import DatabaseBreaker
from runway_mcp.web.limits import MAX_REQUESTS, RequestLimit
from runway_mcp.web.request_body import MAX_READER_BYTES

LIMIT = 4 * 1024 * 1024
PAGE = "https://app.example.com"
MAX_CONCURRENT = 3
MAX_WAITS = 1
TOKENS = {name: f"an-access-token-of-{name}" for name in ("ana", "ben")}
OTHER_ID = "00000000-0000-4000-8000-000000000002"


@pytest.fixture(scope="module")
async def limited(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[tuple[Upstream, Served]]:
    """A server for two callers, whose calls get no answer from the API."""
    tokens = tmp_path_factory.mktemp("limits") / "tokens.toml"
    scopes = {"ana": SCOPES, "ben": (READ,)}
    tokens.write_text("".join(token_entry(token, name, *scopes[name]) for name, token in TOKENS.items()), "utf-8")
    arguments = ("--auth", "token", "--tokens-file", str(tokens), "--allow-shared-key")
    page = ("--allowed-origin", PAGE)
    limits = ("--max-concurrent-requests", str(MAX_CONCURRENT), "--max-concurrent-waits", str(MAX_WAITS))
    async with upstream([HANG]) as api, serving_http(api, *arguments, *page, *limits) as served:
        yield api, served
        await served.server.stop("SIGTERM")
        await served.server.ends_quietly(timeout=20)


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[name]}"}


async def test_a_caller_with_too_much_under_way_is_429(limited: tuple[Upstream, Served]) -> None:
    api, served = limited
    before = api.count("GET")
    async with AsyncExitStack() as stack:
        for number in range(MAX_CONCURRENT):
            asked = call(1, "runway_getTask", f"00000000-0000-4000-8000-1{number:011}")
            await stack.enter_async_context(served.under_way(asked, ERAS[0], **bearer("ana")))
        await api.asked("GET", times=before + MAX_CONCURRENT)
        refused = await served.post(request(1, "tools/list"), **bearer("ana"))
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert f"{MAX_CONCURRENT} requests of yours" in refused.json()["error"]
        assert "nothing was changed" in refused.json()["error"]
        assert (await served.ask("GET", f"/v1/tasks/{TASK_ID}", *bearer("ana").items())).status_code == 429
        assert (await served.post(request(1, "tools/list"), **bearer("ben"))).status_code == 200
        assert (await served.post(request(1, "tools/list"))).status_code == 401
        assert (await served.ask("GET", "/healthz", *bearer("ana").items())).status_code == 200
    await api.left()

    async def is_served() -> bool:
        return (await served.post(request(1, "tools/list"), **bearer("ana"))).status_code == 200

    with anyio.fail_after(5):
        while not await is_served():
            await anyio.lowlevel.checkpoint()


async def test_a_stream_is_a_request_for_as_long_as_it_is_open(limited: tuple[Upstream, Served]) -> None:
    _, served = limited
    listen = request(1, "subscriptions/listen", notifications={"toolsListChanged": True})
    async with AsyncExitStack() as stack:
        for _ in range(MAX_CONCURRENT):
            stream = await stack.enter_async_context(served.stream(listen, **bearer("ben")))
            assert (await stream.readline()).startswith(b"HTTP/1.1 200")
        assert (await served.post(request(1, "tools/list"), **bearer("ben"))).status_code == 429


async def test_a_caller_with_too_many_waits_gets_a_tool_error(limited: tuple[Upstream, Served]) -> None:
    api, served = limited
    before = api.count("GET")
    async with served.under_way(call(1, "runway_waitForTask", TASK_ID), ERAS[0], **bearer("ana")):
        await api.asked("GET", times=before + 1)
        answer = await served.post(call(2, "runway_waitForTask", OTHER_ID), **bearer("ana"))
        async with served.under_way(call(1, "runway_waitForTask", TASK_ID), ERAS[0], **bearer("ben")):
            await api.asked("GET", times=before + 2)
    result: dict[str, Any] = answer.json()["result"]
    assert result["isError"]
    assert f"You have {MAX_WAITS} waits in progress" in result["content"][0]["text"]


async def test_a_body_over_the_limit_is_413(limited: tuple[Upstream, Served]) -> None:
    _, served = limited
    padded = json.dumps(request(1, "tools/list")).encode().ljust(LIMIT)
    headers = headers_of(request(1, "tools/list")) | bearer("ana")

    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(LIMIT // 65_536 + 1):
            yield b" " * 65_536

    for body in (padded + b" ", pieces()):
        assert (await served.post(body, **headers)).status_code == 413
    assert "tools" in (await served.post(padded, **headers)).json()["result"]


async def test_a_body_larger_than_a_reader_can_need_is_413(limited: tuple[Upstream, Served]) -> None:
    _, served = limited
    padded = json.dumps(request(1, "tools/list")).encode().ljust(MAX_READER_BYTES)
    headers = headers_of(request(1, "tools/list")) | bearer("ben")
    assert "tools" in (await served.post(padded, **headers)).json()["result"]
    refused = await served.post(padded + b" ", **headers)
    assert refused.status_code == 413
    assert refused.json()["id"] == 1
    assert "over 64 KiB" in refused.json()["error"]["message"]


@pytest.mark.parametrize(("head", "status"), [("POST /mcp", 401), ("DELETE /v1/tasks/x", 401), ("GET /healthz", 200)])
async def test_no_body_is_read_without_need(limited: tuple[Upstream, Served], head: str, status: int) -> None:
    _, served = limited
    async with connection(served.port) as (reader, writer):
        writer.write(f"{head} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LIMIT + 1}\r\n\r\n{{".encode())
        with anyio.fail_after(5):
            assert (await reader.readline()).startswith(f"HTTP/1.1 {status}".encode())


async def test_a_page_learns_how_to_get_in_before_it_has_a_token(limited: tuple[Upstream, Served]) -> None:
    """Its preflight allows every header of MCP's clients, but no cookies, and it can read why it was refused."""
    _, served = limited
    wanted = "authorization, content-type, mcp-method, mcp-name, mcp-param-task-id, mcp-protocol-version, traceparent"
    for method in ("GET", "POST", "DELETE"):
        asked = (("Access-Control-Request-Method", method), ("Access-Control-Request-Headers", wanted))
        answer = await served.ask("OPTIONS", "/mcp", ("Origin", PAGE), *asked)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert answer.headers["access-control-allow-headers"] == wanted
        assert method in answer.headers["access-control-allow-methods"]
        assert "access-control-allow-credentials" not in answer.headers
        assert "Origin" in answer.headers["vary"]
    refused = await served.post(request(1, "tools/list"), Origin=PAGE)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, PAGE)
    assert "www-authenticate" in refused.headers
    assert "WWW-Authenticate" in refused.headers["access-control-expose-headers"]


class Line:
    """Requests that wait in line behind a limit of each caller's, until they are released."""

    def __init__(self, limit: int, counts: ReplicaCounts | None = None) -> None:
        self.statuses: list[int] = []
        self.release = anyio.Event()
        self._app = HttpRequestMiddleware(RequestLimit(self._wait, limit, counts), ANONYMOUS, ())

    async def ask(self, client: tuple[str, int] | None) -> None:
        scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": client}
        await self._app(scope, self._receive, self._send)

    async def status_of(self, client: tuple[str, int]) -> int:
        await self.ask(client)
        return self.statuses[-1]

    async def _wait(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await self.release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def _send(self, message: Message) -> None:
        self.statuses.extend([message["status"]] if "status" in message else [])

    async def _receive(self) -> Message:
        raise AssertionError


async def test_strangers_are_told_apart_by_their_address() -> None:
    line = Line(1)
    async with anyio.create_task_group() as tasks:
        for client in (("192.0.2.1", 1), ("192.0.2.1", 2), ("192.0.2.2", 1), None):
            tasks.start_soon(line.ask, client)
        await until(lambda: line.statuses, "a refusal")
        assert line.statuses == [429]
        line.release.set()
    assert line.statuses == [429, 200, 200, 200]


async def test_requests_at_another_replica_count_towards_the_limit() -> None:
    place, lines = PostgresPlace(), list[Line]()
    with anyio.fail_after(60):
        async with place.open() as history, anyio.create_task_group() as tasks:

            async def open_it() -> History:
                return history

            for _ in range(2):
                counts = ReplicaCounts(0.02)
                lines.append(Line(1, counts))
                tasks.start_soon(counts.run, open_it, DatabaseBreaker())
            one, other = lines
            tasks.start_soon(one.ask, ("192.0.2.1", 1))
            other.release.set()
            for status in (429, 200):
                while await other.status_of(("192.0.2.1", 1)) != status:
                    await anyio.lowlevel.checkpoint()
                assert await other.status_of(("192.0.2.2", 1)) == 200
                one.release.set()
            tasks.cancel_scope.cancel()


async def test_more_requests_than_a_server_has_room_for_are_503() -> None:
    line = Line(MAX_REQUESTS)
    async with anyio.create_task_group() as tasks:
        for number in range(MAX_REQUESTS + 1):
            tasks.start_soon(line.ask, (f"192.0.2.{number % 2}", 1))
        await until(lambda: line.statuses, "a refusal")
        assert line.statuses == [503]
        line.release.set()
    assert line.statuses == [503, *[200] * MAX_REQUESTS]

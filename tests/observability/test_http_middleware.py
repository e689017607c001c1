"""Each request leaves one line: over HTTP, whatever became of it, and over stdio."""

import json
import logging
from collections.abc import AsyncGenerator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.server.auth.provider import AccessToken
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from support.faulty import FaultyWire, faulty_client
from support.process import KEY, Message, call, request, running
from support.served import free_port
from support.serving import authorized, served
from support.upstream import TASK_ID, Reply, reply, task, upstream
from support.upstream import Request as Asked
from support.waiting import until

from runway_mcp.mcp_server.server import build_server
from runway_mcp.observability.http_middleware import HttpRequestMiddleware
from runway_mcp.observability.request_record import MAX_NAME, RequestRecord, current_id, log_request
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import ANONYMOUS, READ, Caller, CallerRegistry
from runway_mcp.web.app import build_app
from runway_mcp.web.auth import Authentication, CallerToken
from runway_mcp.web.origin_policy import OriginPolicy

TOKENS = {
    "token-of-ann": Caller("ann", key=None),
    "token-of-eve": Caller("eve\n2026-11-21 INFO forged", scopes=frozenset({READ})),
}
ID = SAMPLES["succeeded_images"].id
OF_EVERY_LINE = {"time", "level", "logger", "message"}
OF_ACCESS = {"request_id", "caller", "tool", "requested", "status", "duration_ms", "outcome"}
"""All that an access line may hold beside them."""


class Tokens:
    async def verify_token(self, token: str) -> AccessToken | None:
        return CallerToken.of(TOKENS[token]) if token in TOKENS else None


class Told(list[RequestRecord]):
    def of(self, **wanted: object) -> list[RequestRecord]:
        return [one for one in self if all(getattr(one, name) == value for name, value in wanted.items())]


async def explode(_: Request) -> Response:
    raise RuntimeError("a fault of our own")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
async def url(told: Told) -> AsyncGenerator[str]:
    server = build_server(CallerRegistry(lambda _: faulty_client(FaultyWire())), local=ANONYMOUS)

    @server.prompt("broken")
    def broken() -> str:  # pyright: ignore[reportUnusedFunction] - the server calls it
        raise RuntimeError("a fault of our own")

    app = build_app(
        server,
        origin_policy=OriginPolicy(),
        path="/mcp",
        caller=ANONYMOUS,
        authentication=Authentication(Tokens()),
        routes=[Route("/explode", explode), Route("/things/{id}", Response())],
        on_request_end=[told.append],
    )
    async with served(app) as one:
        yield one


async def last(told: Told, request_id: str) -> RequestRecord:
    await until(lambda: told.of(id=request_id), f"the record of {request_id}")
    return told.of(id=request_id)[0]


def seen(one: RequestRecord) -> tuple[str, str, str, int | None, str]:
    return one.caller.subject, one.method, one.tool, one.status, one.outcome


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_call_is_told_of_with_caller_tool_status_and_outcome(mode: str, url: str, told: Told) -> None:
    answers: list[httpx2.Response] = []
    async with authorized(f"{url}/mcp", "token-of-ann", answers=answers, mode=mode) as client:
        told.clear()
        answers.clear()
        await client.call_tool("runway_getTask", {"taskId": ID})
        await client.call_tool("runway_getTask", {"taskId": "no id"})
        with pytest.raises(MCPError):
            await client.call_tool("no_such_tool", {})
        with pytest.raises(MCPError):
            await client.get_prompt("broken")
    ids = [answer.headers["X-Request-Id"] for answer in answers if answer.request.method == "POST"]
    calls = [await last(told, one) for one in ids]
    found = [seen(one) for one in calls if one.method in {"tools/call", "prompts/get"}]
    refused = 400 if mode == "auto" else 200
    assert found == [
        ("ann", "tools/call", "runway_getTask", 200, ""),
        ("ann", "tools/call", "runway_getTask", 200, "tool_error"),
        ("ann", "tools/call", "other", refused, "error -32602"),
        ("ann", "prompts/get", "", 200, "failed"),
    ]
    assert [one.requested for one in calls if one.tool == "other"] == ["no_such_tool"]
    assert all(0 < one.seconds < 10 for one in calls)


EVIL = "evil.example"
REFUSED: Mapping[str, tuple[str, str, Mapping[str, str], tuple[object, ...]]] = {
    "no token": ("POST", "/mcp", {}, ("nobody", "POST /mcp", "", 401)),
    "a foreign host": ("POST", "/mcp", {"Host": EVIL}, ("nobody", "POST", "/mcp", 421)),
    "a foreign origin": ("POST", "/mcp", {"Origin": f"http://{EVIL}"}, ("nobody", "POST", "/mcp", 403)),
    "nothing there": ("POST", "/nothing?_jwt=x", {}, ("nobody", "POST", "/nothing", 404)),
    "a line's end": ("POST", "/a%0ab", {}, ("nobody", "POST", "/a\nb", 400)),
    "an odd verb": ("BREW", "/nothing", {}, ("nobody", "other", "/nothing", 404)),
    "our own fault": ("GET", "/explode", {}, ("nobody", "GET /explode", "", 500)),
    "a thing": ("GET", "/things/7", {}, ("nobody", "GET", "/things/7", 200)),
}
"""Method, URL and headers; and the caller, method, path and status that are told of."""


@pytest.mark.parametrize("what", REFUSED)
async def test_a_request_that_mcp_never_sees_is_told_of_too(what: str, url: str, told: Told) -> None:
    method, path, headers, expected = REFUSED[what]
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as http:
        answer = await http.request(method, path, headers=headers)
    one = await last(told, answer.headers["X-Request-Id"])
    assert (one.caller.subject, one.method, one.requested, one.status) == expected


async def test_want_of_a_scope_is_told_of_as_403(url: str, told: Told) -> None:
    async with authorized(f"{url}/mcp", "token-of-eve") as client:
        with pytest.raises(MCPError):
            await client.call_tool("runway_cancelTask", {"taskId": ID})
    await until(lambda: told.of(status=403), "the record")
    (one,) = told.of(status=403, tool="runway_cancelTask")
    assert one.caller.subject.startswith("eve")


async def test_methods_that_nobody_knows_become_one(url: str, told: Told) -> None:
    """A client can't think up new ones; what it said is kept apart."""
    headers = {"Authorization": "Bearer token-of-ann", "Accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient(base_url=url, trust_env=False, headers=headers) as http:
        for body in (request(1, "made/up"), request(2, "tools/call", name={"no": "name"}, arguments={})):
            named = {"MCP-Protocol-Version": "2025-11-25"}
            await http.post("/mcp", json=body, headers=named)
    await until(lambda: told.of(tool="other", requested=""), "the record")
    (one,) = told.of(requested="made/up")
    assert (one.method, one.outcome) == ("other", "error -32601")


async def test_an_answer_that_never_began_has_the_status_that_the_server_gives_for_it() -> None:
    told = Told()
    errors: list[Exception] = [RuntimeError("before any answer")]

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        assert current_id() == RequestRecord.from_scope(scope).id
        for error in errors:
            raise error

    scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": []}

    async def nothing(*_: object) -> Any:
        return {}

    recorded = HttpRequestMiddleware(app, ANONYMOUS, [told.append])
    with pytest.raises(RuntimeError):
        await recorded(dict(scope), nothing, nothing)
    errors.clear()
    await recorded(dict(scope), nothing, nothing)
    assert [one.status for one in told] == [500, None]
    assert current_id() == ""


def test_a_line_tells_what_is_known_and_leaves_the_rest_out(caplog: pytest.LogCaptureFixture) -> None:
    known = RequestRecord(
        "ab12", Caller("ann"), "tools/call", "other", requested="x" * 5_000, status=200, seconds=0.01234
    )
    with caplog.at_level(logging.INFO, "runway_mcp.observability.access_log"):
        log_request(known)
        log_request(RequestRecord("cd34", Caller("ann"), "ping"))
    first, second = (vars(record) for record in caplog.records)
    assert {name: first[name] for name in ("request_id", "caller", "tool", "requested", "status", "duration_ms")} == {
        "request_id": "ab12",
        "caller": "ann",
        "tool": "other",
        "requested": "x" * MAX_NAME,
        "status": 200,
        "duration_ms": 12.3,
    }
    assert not {"tool", "requested", "status", "outcome"} & second.keys()


async def test_what_does_not_come_over_http_is_told_of_by_the_mcp_server() -> None:
    told = Told()
    server = build_server(CallerRegistry(lambda _: faulty_client(FaultyWire())), on_request_end=[told.append])
    with anyio.fail_after(20):
        async with Client(server) as client:
            await client.call_tool("runway_getTask", {"taskId": ID})
            with anyio.move_on_after(0.05):
                await client.call_tool("runway_waitForTask", {"taskId": SAMPLES["running_long"].id})
            await until(lambda: len(told.of(method="tools/call")) == 2, "the records")
    assert [(*seen(one)[:3], one.outcome) for one in told.of(method="tools/call")] == [
        ("local", "tools/call", "runway_getTask", ""),
        ("local", "tools/call", "runway_waitForTask", "cancelled"),
    ]
    assert {one.status for one in told} == {None}


async def test_a_process_writes_one_json_line_for_each_request_over_stdio() -> None:
    """What goes on after the caller has left carries the request's id, too."""
    read = reply(200, task("SUCCEEDED", ID, output=["https://cdn.example/0.mp4?_jwt=eyJmarked"], note="a prompt"))
    running_task, delete = reply(200, task("RUNNING")), reply(204, after=0.2)

    def script(asked: Asked) -> Reply:
        return delete if asked.method == "DELETE" else read if ID in asked.path else running_task

    async with upstream(script) as api:
        env = {"RUNWAYML_BASE_URL": api.url, "RUNWAYML_API_SECRET": KEY}
        async with running("--log-level", "info", "--log-format", "json", env=env) as server:
            await server.ask(call(1, "runway_getTask", ID))
            await server.ask(call(2, "runway_getTask", f"no id {KEY}"))
            await server.send(request(3, "tools/call", name="x" * 70 + KEY, arguments={}))
            await server.answer(3)
            await server.send(call("left", "runway_cancelTask", TASK_ID))
            await api.asked("DELETE")
            await server.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "left"}})
            await server.logged("cancel of")
            await server.stop("eof")
            await server.ends_quietly(timeout=5)
            assert not [mark for mark in (KEY[:8], "_jwt", "prompt", ID) if mark in server.stderr]
            lines: list[Message] = [json.loads(line) for line in server.stderr.splitlines()]
    *told, last_told = [line for line in lines if line["logger"] == "runway_mcp.observability.access_log"]
    assert [(line["caller"], line["message"], line["tool"], line.get("outcome")) for line in told] == [
        ("local", "tools/call", "runway_getTask", None),
        ("local", "tools/call", "runway_getTask", "tool_error"),
        ("local", "tools/call", "other", "error -32602"),
    ]
    assert all(OF_EVERY_LINE < set(line) <= OF_EVERY_LINE | OF_ACCESS for line in told)
    assert len({line["request_id"] for line in told}) == 3
    (change,) = [line for line in lines if line["logger"] == "runway_mcp.tasks.background_tasks"]
    assert (last_told["outcome"], last_told["request_id"]) == ("cancelled", change["request_id"])


async def test_a_process_over_http_tells_everything_and_shows_no_callers_key(tmp_path: Path) -> None:
    other_key = f"key_{'fedcba98' * 4}"
    hashed = sha256(b"rwmcp_ann").hexdigest()
    tokens = tmp_path / "tokens.toml"
    tokens.write_text(
        f'[[token]]\nname = "ann"\nsha256 = "{hashed}"\nscopes = ["{READ}"]\nrunway_key_env = "ANNS_KEY"\n'
    )
    port = free_port()
    flags = ["--transport", "streamable-http", "--port", str(port), "--auth", "token", "--tokens-file", str(tokens)]
    flags += ["--metrics", "--tracing", "--log-level", "info", "--log-format", "json"]
    async with upstream([reply(200, task("SUCCEEDED"))]) as api:
        env = {"RUNWAYML_BASE_URL": api.url, "ANNS_KEY": other_key, "OTEL_SDK_DISABLED": "true"}
        async with running(*flags, env=env, measured=True) as server:
            await server.logged("MCP over streamable HTTP at ")
            answers: list[httpx2.Response] = []
            url = f"http://127.0.0.1:{port}"
            async with authorized(f"{url}/mcp", "rwmcp_ann", answers=answers) as client:
                await client.call_tool("runway_getTask", {"taskId": TASK_ID})
                with pytest.raises(MCPError):
                    await client.call_tool(other_key, {})
            headers = {"Authorization": "Bearer rwmcp_ann"}
            async with httpx2.AsyncClient(base_url=url, trust_env=False, headers=headers) as http:
                shown = (await http.get("/metrics")).text
            await server.logged("GET /metrics")
            await server.stop("SIGTERM")
            await server.ends_quietly(timeout=5)
            assert not [mark for mark in (other_key[:8], "rwmcp_ann", hashed[:8]) if mark in server.stderr + shown]
            lines: list[Message] = [json.loads(line) for line in server.stderr.splitlines()]
    assert api.requests[0].headers["authorization"] == f"Bearer {other_key}"
    assert 'runway_mcp_api_requests_total{endpoint="GET /v1/tasks/{id}",status="200"} 1.0' in shown
    told = [line for line in lines if line["logger"] == "runway_mcp.observability.access_log"]
    assert {line["caller"] for line in told} == {"ann"}
    (called,) = [line for line in told if line.get("tool") == "runway_getTask"]
    assert called["request_id"] in [answer.headers["X-Request-Id"] for answer in answers]
    assert [line["requested"] for line in told if line.get("tool") == "other"] == ["[hidden]"]

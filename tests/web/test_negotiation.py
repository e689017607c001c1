"""The endpoint answers in the media type that a client accepts, in both eras of the protocol."""

import json
from collections.abc import AsyncGenerator, Mapping

import httpx2
import pytest
from starlette.types import Message, Receive, Scope, Send
from support.faulty import FaultyWire, faulty_client
from support.process import META
from support.served import ERAS, headers_of
from support.serving import served

from runway_mcp.mcp_server.server import LOCAL, build_server
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import CallerRegistry
from runway_mcp.web.app import build_app
from runway_mcp.web.negotiation import EVENTS, JSON, Negotiation
from runway_mcp.web.origin_policy import OriginPolicy

AS_JSON = (
    None,
    "",
    "*/*",
    "application/*",
    "application/json",
    "Application/JSON; charset=utf-8",
    "application/json, text/plain, */*",
    "text/html",
    "application/json, text/event-stream;q=0",
    "text/event-stream; q=0.5, application/json; q=1.0",
    "application/json;q=high, text/event-stream;q=0.9",
)
AS_EVENTS = ("text/event-stream", "text/*", "text/event-stream, application/json;q=0.1", "text/event-stream;q=1.000")
AS_EITHER = ("application/json, text/event-stream", "text/event-stream, */*", "application/json;q=0.8, text/*;q=0.8")


@pytest.fixture(scope="module")
async def url() -> AsyncGenerator[str]:
    callers = CallerRegistry(lambda _: faulty_client(FaultyWire()), poll_seconds=0.05)
    app = build_app(build_server(callers), origin_policy=OriginPolicy(), path="/mcp", caller=LOCAL)
    async with served(app) as one:
        yield one


async def asked(
    url: str, era: str, accept: str | None, params: Mapping[str, object], method: str = "tools/call"
) -> httpx2.Response:
    message: Message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {**params, "_meta": META}}
    headers = headers_of(message) | {"MCP-Protocol-Version": era}
    del headers["Accept"]
    async with httpx2.AsyncClient(trust_env=False) as http:
        del http.headers["accept"]
        return await http.post(
            f"{url}/mcp", json=message, headers=headers if accept is None else headers | {"Accept": accept}
        )


def call(tool: str) -> dict[str, object]:
    return {"name": tool, "arguments": {"taskId": SAMPLES["succeeded_video"].id}}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("tool", ["runway_getTask", "runway_waitForTask"])
async def test_the_answer_has_the_type_that_is_asked_for(tool: str, era: str, url: str) -> None:
    for accept in (*AS_JSON, *AS_EVENTS, *AS_EITHER):
        answer = await asked(url, era, accept, call(tool))
        assert answer.status_code == 200
        given = answer.headers["content-type"]
        message = answer.json() if given == JSON else json.loads(answer.text.rpartition("data: ")[2])
        assert message["id"] == 7
        assert message["result"]["structuredContent"]["status"] == "SUCCEEDED"
        if accept not in AS_EITHER:
            assert given == (EVENTS if accept in AS_EVENTS else JSON), accept
        assert int(answer.headers.get("content-length", len(answer.content))) == len(answer.content)


@pytest.mark.parametrize("era", ERAS)
async def test_an_error_is_json_with_its_status(era: str, url: str) -> None:
    for accept in (AS_JSON[0], AS_EVENTS[0]):
        answer = await asked(url, era, accept, {"name": "runway_getTask", "arguments": ["x"]})
        message = (
            answer.json() if answer.headers["content-type"] == JSON else json.loads(answer.text.split("data: ")[1])
        )
        assert message["error"]["code"] == -32602
        assert "params.arguments" in message["error"]["message"]


async def test_a_stream_without_end_needs_a_client_that_takes_streams(url: str) -> None:
    answer = await asked(url, ERAS[0], JSON, {"notifications": {"toolsListChanged": True}}, "subscriptions/listen")
    assert answer.status_code == 406


async def test_a_notification_is_taken_whatever_its_client_accepts(url: str) -> None:
    message = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    async with httpx2.AsyncClient(trust_env=False) as http:
        for era in ERAS:
            for accept in ("", JSON, EVENTS):
                headers = {"MCP-Protocol-Version": era, "Accept": accept}
                assert (await http.post(f"{url}/mcp", json=message, headers=headers)).status_code == 202


async def test_progress_is_left_out_for_a_client_without_streams() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", EVENTS.encode())]})
        for event in (b'event: message\r\ndata: {"progress": 1}\r\n\r\n', b": ping\r\n\r\n", b'data: {"id": 7}\n\n'):
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError

    await Negotiation(app)({"type": "http", "headers": [(b"accept", JSON.encode())]}, receive, send)
    assert [message.get("body") for message in sent] == [None, b'{"id": 7}']

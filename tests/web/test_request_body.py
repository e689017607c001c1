"""How many bytes callers may have in flight, and what is said of a body that is no message."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from runway_mcp.observability.request_record import SCOPE_KEY, RequestRecord
from runway_mcp.tasks.callers import SCOPES, Caller
from runway_mcp.web.request_body import MAX_CALLER_BYTES, MAX_TOTAL_BYTES, SMALL_BYTES, RequestBody

SIZE = 4 * 1024 * 1024


def ping(size: int = 0, params: object = None) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": "ping", "params": params or {}}).encode().ljust(size)


class Holding:
    """An app that holds each body until it is released."""

    def __init__(self) -> None:
        self.release = anyio.Event()
        self.bodies: list[bytes] = []

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        self.bodies.append((await receive())["body"])
        await self.release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


class Endpoint:
    def __init__(self) -> None:
        self.app = Holding()
        self._endpoint = RequestBody(self.app)

    async def post(self, content: bytes, caller: str = "ana") -> tuple[int, dict[str, str], dict[str, object]]:
        """Return the status, the headers and the JSON of the answer."""
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        record = RequestRecord("id", Caller(caller, scopes=frozenset(SCOPES)))
        await self._endpoint({"type": "http", "headers": [], SCOPE_KEY: record}, receive, send)
        start, body = sent
        headers = {name.decode(): text.decode() for name, text in start["headers"]}
        return start["status"], headers, json.loads(body["body"])

    @asynccontextmanager
    async def holding(self, *callers: str) -> AsyncGenerator[None]:
        """Have one large body of each of these callers in flight."""
        async with anyio.create_task_group() as tasks:
            for caller in callers:
                tasks.start_soon(self.post, ping(SIZE), caller)
            with anyio.fail_after(5):
                while len(self.app.bodies) < len(callers):
                    await anyio.lowlevel.checkpoint()
            yield
            self.app.release.set()


async def test_one_caller_has_a_budget_of_bytes_in_flight() -> None:
    endpoint = Endpoint()
    async with endpoint.holding(*["ana"] * (MAX_CALLER_BYTES // SIZE)):
        status, headers, body = await endpoint.post(ping(SIZE))
    assert (status, headers["retry-after"]) == (429, "1")
    assert "Your calls in flight hold over 8 MiB. Nothing was done." in str(body["error"])
    assert (await endpoint.post(ping(SIZE)))[0] == 200  # the budget is free again


async def test_all_callers_together_have_a_budget_that_small_calls_never_meet() -> None:
    endpoint = Endpoint()
    async with endpoint.holding(*map(str, range(MAX_TOTAL_BYTES // SIZE))):
        status, headers, body = await endpoint.post(ping(SIZE))
        endpoint.app.release.set()
        small, _, _ = await endpoint.post(ping(SMALL_BYTES))
    assert (status, headers["retry-after"]) == (503, "1")
    assert "All calls in flight" in str(body["error"])
    assert small == 200


@pytest.mark.parametrize(
    ("content", "status", "word"),
    [
        (b"{", 400, "not valid JSON"),
        (b"", 400, "not valid JSON"),
        (b"[" + ping() + b"]", 400, "Batches"),
        (ping(params=["x"]), 400, "params must be an object"),
        (ping(params={"x": [0] * 5_000}), 413, "JSON values"),
        (b"[" * 100_000, 413, "JSON values"),
        (ping(SIZE + 1), 413, "over 4 MiB"),
    ],
)
async def test_a_body_that_is_no_message_is_a_json_rpc_error(content: bytes, status: int, word: str) -> None:
    endpoint = Endpoint()
    found, headers, body = await endpoint.post(content)
    assert (found, headers["content-type"]) == (status, "application/json")
    assert word in str(body["error"])
    assert body["id"] == (7 if b"7" in content else None)
    assert endpoint.app.bodies == []


async def test_half_an_emoji_is_a_replacement_character() -> None:
    endpoint = Endpoint()
    endpoint.app.release.set()
    assert (await endpoint.post(ping(params={"text": "\ud83d"})))[0] == 200
    assert json.loads(endpoint.app.bodies[0])["params"]["text"] == "\ufffd"

"""A client that stops to wait over HTTP, in the revisions that say so in a message of its own."""

import json
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from support.faulty import FaultyWire, faulty_client
from support.served import ERAS
from support.serving import served
from support.waiting import until

from runway_mcp.mcp_server.server import LOCAL, build_server
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import CallerRegistry
from runway_mcp.web.app import build_app
from runway_mcp.web.origin_policy import OriginPolicy
from runway_mcp.web.serving import UNREACHABLE_SECONDS, listen

TASK_ID = SAMPLES["running_long"].id


@dataclass
class Endpoint:
    url: str
    callers: CallerRegistry

    async def waits(self, number: int) -> None:
        await until(lambda: self.callers.waits_in_progress == number, f"{number} waits")

    @asynccontextmanager
    async def waiting(self, request_id: int, program: str) -> AsyncGenerator[httpx2.Response]:
        """Have a wait in progress, and yield its open stream."""
        before = self.callers.waits_in_progress
        params = {"name": "runway_waitForTask", "arguments": {"taskId": TASK_ID}}
        message = {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}
        async with (
            httpx2.AsyncClient(trust_env=False) as http,
            http.stream("POST", self.url, json=message, headers=_headers(program)) as stream,
        ):
            await self.waits(before + 1)
            yield stream

    async def cancel(self, request_id: object, program: str) -> None:
        params = {"requestId": request_id, "reason": "timeout"}
        message = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
        async with httpx2.AsyncClient(trust_env=False) as http:
            answer = await http.post(self.url, json=message, headers=_headers(program))
        assert answer.status_code == 202


def _headers(program: str) -> dict[str, str]:
    return {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": ERAS[1], "User-Agent": program}


@pytest.fixture(scope="module")
async def endpoint() -> AsyncGenerator[Endpoint]:
    callers = CallerRegistry(lambda _: faulty_client(FaultyWire()), poll_seconds=0.05)
    app = build_app(build_server(callers), origin_policy=OriginPolicy(), path="/mcp", caller=LOCAL)
    async with served(app) as url:
        yield Endpoint(f"{url}/mcp", callers)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_wait_ends_when_its_clients_time_is_out(mode: str, endpoint: Endpoint) -> None:
    async with Client(endpoint.url, mode=mode) as client:
        with pytest.raises(MCPError, match="timed out"):
            await client.call_tool("runway_waitForTask", {"taskId": TASK_ID}, read_timeout_seconds=0.5)
        await endpoint.waits(0)


async def test_a_cancelled_wait_is_answered(endpoint: Endpoint) -> None:
    async with endpoint.waiting(5, "one") as stream:
        await endpoint.cancel(5, "one")
        with anyio.fail_after(5):
            events = (await stream.aread()).decode()
    error = json.loads(events.partition("data: ")[2])["error"]
    assert error["code"] == -32800
    assert "The task was not changed." in error["message"]


async def test_nobody_elses_wait_is_ended(endpoint: Endpoint) -> None:
    """Another program's, another request's, or one of two that could both be meant."""
    async with AsyncExitStack() as stack:
        for program in ("one", "two", "two"):
            await stack.enter_async_context(endpoint.waiting(5, program))
        for request_id, program in ((5, "two"), (5, "three"), (6, "one"), ("5", "one"), (None, "one"), ([5], "one")):
            await endpoint.cancel(request_id, program)
        await endpoint.waits(3)
        await endpoint.cancel(5, "one")
        await endpoint.waits(2)
    await endpoint.waits(0)


def test_a_client_that_vanished_is_noticed_by_the_system() -> None:
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert option is None or accepted.getsockopt(socket.IPPROTO_TCP, option) == UNREACHABLE_SECONDS * 1000

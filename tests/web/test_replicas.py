"""Several servers behind a round robin without sticky sessions: what one began, another goes on with."""

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from typing import TYPE_CHECKING

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from support.process import KEY, META, Message, Server, running
from support.served import NO_TRUST, Served, free_port, start_task

from runway_mcp.mcp_server.tasks_extension.wire import EXTENSION_ID
from runway_mcp.sandbox import SAMPLES

if TYPE_CHECKING:
    from mcp_types import CallToolResult

SPEED = "15"
"""A task that is started here runs for less than two seconds."""
DECLARED: Message = META | {"io.modelcontextprotocol/clientCapabilities": {"extensions": {EXTENSION_ID: {}}}}


class RoundRobin(httpx2.AsyncHTTPTransport):
    """The network, with a balancer on it: each request goes to the next of the ports."""

    def __init__(self, *ports: int) -> None:
        super().__init__(verify=NO_TRUST, trust_env=False)
        self._ports = cycle(ports)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = request.url.copy_with(port=next(self._ports))
        return await super().handle_async_request(request)


class Replicas:
    """Server processes that call one simulated API."""

    def __init__(self, api: str, *served: Served) -> None:
        self.api = api
        self.served = served

    @asynccontextmanager
    async def client(self, mode: str = "auto") -> AsyncGenerator[Client]:
        async with (
            httpx2.AsyncClient(transport=RoundRobin(*(one.port for one in self.served)), timeout=10) as http,
            Client(streamable_http_client("http://127.0.0.1/mcp", http_client=http), mode=mode) as client,
        ):
            yield client


@pytest.fixture(scope="module")
async def replicas() -> AsyncGenerator[Replicas]:
    """Two replicas, of which the module's last test stops one."""
    api, *ports = (free_port() for _ in range(3))
    url = f"http://127.0.0.1:{api}"
    env = {"RUNWAYML_BASE_URL": url, "RUNWAYML_API_SECRET": KEY, "RUNWAY_MCP_POLL_SECONDS": "0.1"}
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(running("sandbox", "--port", str(api), "--speed", SPEED))
        servers: list[Server] = [
            await stack.enter_async_context(running("--transport=streamable-http", f"--port={port}", env=env))
            for port in ports
        ]
        await sandbox.logged(f"runway-mcp: Simulated Runway API: RUNWAYML_BASE_URL={url} with any key\n")
        for server in servers:
            await server.logged("MCP over streamable HTTP at ")
        yield Replicas(url, *map(Served, servers, ports))


@pytest.mark.parametrize(
    ("mode", "active", "finished"),
    [("auto", "running_long", "succeeded_audio"), ("legacy", "pending", "failed_internal")],
)
async def test_every_tool_works_wherever_each_request_goes(
    mode: str, active: str, finished: str, replicas: Replicas
) -> None:
    async with replicas.client(mode) as client:
        waited = await client.call_tool("runway_waitForTask", {"taskId": SAMPLES["succeeded_video"].id})
        cancelled = await client.call_tool("runway_cancelTask", {"taskId": SAMPLES[active].id})
        deleted = await client.call_tool("runway_deleteTask", {"taskId": SAMPLES[finished].id})
        gone = [await client.call_tool("runway_getTask", {"taskId": SAMPLES[finished].id}) for _ in replicas.served]
    assert (waited.structured_content or {})["status"] == "SUCCEEDED"
    assert (cancelled.structured_content or {})["done"] == "cancelled"
    assert (deleted.structured_content or {})["done"] == "deleted"
    assert all(one.is_error for one in gone)


async def test_an_mcp_task_is_known_to_every_replica(replicas: Replicas) -> None:
    one, other = replicas.served
    task_id = await start_task(replicas.api)
    made = await ask(one, "tools/call", "runway_waitForTask", arguments={"taskId": task_id})
    assert (made["resultType"], made["taskId"], made["status"]) == ("task", f"wait-{task_id}", "working")
    assert (await ask(other, "tasks/get", f"wait-{task_id}"))["status"] == "working"
    await ask(other, "tasks/cancel", f"wait-{task_id}")
    assert (await ask(one, "tasks/get", f"wait-{task_id}"))["status"] == "working"
    await ask(other, "tasks/cancel", f"start-{task_id}")
    for served in replicas.served:
        assert (await ended(served, f"wait-{task_id}"))["status"] == "cancelled"


async def test_an_mcp_task_ends_with_the_tools_result_at_another_replica(replicas: Replicas) -> None:
    one, other = replicas.served
    task_id = await start_task(replicas.api)
    await ask(one, "tools/call", "runway_waitForTask", arguments={"taskId": task_id})
    found = await ended(other, f"wait-{task_id}")
    assert found["status"] == "completed"
    assert found["result"]["structuredContent"]["status"] == "SUCCEEDED"


async def test_a_wait_goes_on_elsewhere_when_its_replica_is_stopped(replicas: Replicas) -> None:
    """The one that stops returns the task as it stands, and the next call ends the wait at the other."""
    task_id = await start_task(replicas.api)
    seen = anyio.Event()
    results: list[CallToolResult] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001 - the SDK's names
        seen.set()

    async def wait(served: Served) -> None:
        async with Client(served.url) as client:
            await client.list_tools()
            asked = {"taskId": task_id}
            results.append(await client.call_tool("runway_waitForTask", asked, progress_callback=note))

    other, stopped = replicas.served
    async with anyio.create_task_group() as calls:
        calls.start_soon(wait, stopped)
        with anyio.fail_after(5):
            await seen.wait()
        await stopped.server.stop("SIGTERM")
        await stopped.server.ends_quietly(timeout=20)
    await wait(other)
    first, second = results
    assert (first.structured_content or {})["status"] in {"PENDING", "THROTTLED", "RUNNING"}
    assert not first.is_error
    assert "call runway_waitForTask again to keep waiting" in str(first.content)
    assert (second.structured_content or {})["status"] == "SUCCEEDED"


async def ask(served: Served, method: str, name: str, **params: object) -> Message:
    key = "name" if method == "tools/call" else "taskId"
    message: Message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {key: name, **params, "_meta": DECLARED}}
    text = (await served.post(message, Mcp_Name=name)).text
    line = next((line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")), text)
    return json.loads(line)["result"]


async def ended(served: Served, task_id: str) -> Message:
    """The MCP task, once it is no longer at work."""
    with anyio.fail_after(10):
        while (found := await ask(served, "tasks/get", task_id))["status"] == "working":
            pass
    return found

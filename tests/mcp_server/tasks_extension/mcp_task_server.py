"""A server of the extension alone, over memory, and those who talk to it: in memory and over a real socket."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal

import anyio
import httpx2
import uvicorn
from conformance.mcp_memory import Job, MemoryMcpTasks
from mcp import Client
from mcp.client.extension import advertise
from mcp.server.context import ServerMiddleware
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.subscriptions import SubscriptionBus
from mcp_types import (
    INTERNAL_ERROR,
    CallToolRequestParams,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ErrorData,
    Request,
    Result,
    TextContent,
)
from pydantic import ConfigDict
from support.process import META
from support.waiting import until

from runway_mcp.mcp_server.tasks_extension import McpTasksExtension
from runway_mcp.mcp_server.tasks_extension.wire import EXTENSION_ID

Message = dict[str, Any]

QUESTION = ElicitRequest(
    params=ElicitRequestFormParams(message="Name?", requested_schema={"type": "object", "properties": {}})
)
DECLARED: Message = {"extensions": {EXTENSION_ID: {}}}


def done(text: str, *, is_error: bool = False) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text)], is_error=is_error)


def memory() -> MemoryMcpTasks:
    """Jobs that end on command: one that succeeds, one whose tool fails, one that breaks, one that asks."""
    jobs = {
        "succeed": Job(lambda _: done("done")),
        "fail": Job(lambda _: done("failed", is_error=True)),
        "break": Job(lambda _: ErrorData(code=INTERNAL_ERROR, message="broken")),
        "ask": Job(lambda answers: done(str(answers["name"])), seconds=0, questions={"name": QUESTION}),
    }

    def begin(params: CallToolRequestParams) -> Job | None:
        return jobs[params.name]

    return MemoryMcpTasks(dict.fromkeys(jobs, begin))


def server_of(
    jobs: MemoryMcpTasks, bus: SubscriptionBus | Literal[False] | None = None, *inner: ServerMiddleware[Any]
) -> MCPServer[Any]:
    """A server whose tools answer at once where their calls don't become MCP tasks.

    Args:
        jobs: Its MCP tasks.
        bus: Where it tells of changes, or False for no streams at all.
        inner: What stands between the extension's streams and the SDK's.
    """
    extension = McpTasksExtension(lambda _: jobs)
    server = MCPServer[Any](
        "mcp-tasks", extensions=[extension], middleware=[extension.subscriptions, *inner], subscriptions=bus
    )

    async def answer() -> str:
        return "at once"

    async def change(ctx: Context) -> str:
        await ctx.notify_tools_changed()
        return "changed"

    for name in ("succeed", "fail", "break", "ask", "other"):
        server.add_tool(answer, name=name, structured_output=False)
    server.add_tool(change, name="change", structured_output=False)
    return server


class Raw(Result):
    model_config = ConfigDict(extra="allow")


class RawRequest(Request[dict[str, Any], str]):
    """A request of any method; over HTTP the header names its `taskId`."""

    method: str
    params: dict[str, Any]


class Caller:
    def __init__(self, client: Client) -> None:
        self.client = client

    async def ask(self, method: str, **params: Any) -> Message:
        """Send a request and return its result, as it stands on the wire but for the metadata."""
        result = await self.client.session.send_request(RawRequest(method=method, params=params), Raw)
        return result.model_dump(by_alias=True, exclude={"meta"})

    async def begin(self, tool: str = "succeed") -> str:
        return str((await self.ask("tools/call", name=tool, arguments={}))["taskId"])


@asynccontextmanager
async def calling(jobs: MemoryMcpTasks, *, declare: bool = True, **options: Any) -> AsyncGenerator[Caller]:
    extensions = [advertise(EXTENSION_ID)] if declare else []
    with anyio.fail_after(20):
        async with Client(server_of(jobs), extensions=extensions, **options) as client:
            yield Caller(client)


class Stream:
    def __init__(self, lines: AsyncGenerator[str]) -> None:
        self._lines = lines

    async def next(self) -> Message:
        async for line in self._lines:
            if line.startswith("data: "):
                return json.loads(line.removeprefix("data: "))
        raise AssertionError("the stream has ended")


class Http:
    def __init__(self, http: httpx2.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url

    async def ask(self, method: str, *, named: str | None = None, declare: bool = True, **params: Any) -> Message:
        """Send a request, with an `Mcp-Name` header where one is given; return HTTP status and message."""
        body, headers = _request(method, named, params, declare=declare)
        answer = await self._http.post(self._url, json=body, headers=headers)
        return {"status": answer.status_code, **answer.json()}

    async def call(self, tool: str) -> Message:
        return (await self.ask("tools/call", named=tool, name=tool, arguments={}))["result"]

    async def begin(self, tool: str = "succeed") -> str:
        return str((await self.call(tool))["taskId"])

    @asynccontextmanager
    async def listen(self, **notifications: Any) -> AsyncGenerator[Stream]:
        body, headers = _request("subscriptions/listen", None, {"notifications": notifications}, declare=True)
        async with self._http.stream("POST", self._url, json=body, headers=headers) as answer:
            assert answer.headers["content-type"] == "text/event-stream", await answer.aread()
            yield Stream(_lines(answer))


@asynccontextmanager
async def over_http(server: MCPServer[Any]) -> AsyncGenerator[Http]:
    app = server.streamable_http_app(stateless_http=True)
    config = uvicorn.Config(app, ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1)
    running = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener, anyio.fail_after(20):
        serving = asyncio.create_task(running.serve([listener]))
        try:
            await until(lambda: running.started, "uvicorn to start")
            async with httpx2.AsyncClient(trust_env=False) as http:
                yield Http(http, f"http://127.0.0.1:{listener.getsockname()[1]}/mcp")
        finally:
            running.should_exit = True
            with anyio.move_on_after(5, shield=True):
                await serving


async def _lines(answer: httpx2.Response) -> AsyncGenerator[str]:
    async for line in answer.aiter_lines():
        yield line


def _request(method: str, named: str | None, params: Message, *, declare: bool) -> tuple[Message, dict[str, str]]:
    meta = META | {"io.modelcontextprotocol/clientCapabilities": DECLARED if declare else {}}
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {**params, "_meta": meta}}
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": method,
    }
    return body, headers | ({"Mcp-Name": named} if named is not None else {})

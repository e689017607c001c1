"""A transport that answers from a script, and a client of ours over it."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import chain, repeat
from pathlib import Path

import anyio
import httpx2
from mcp_types import CallToolResult, TextContent
from pydantic import JsonValue, SecretStr

from runway_mcp.api.client import RunwayClient
from runway_mcp.api.connection import RunwayAuth, Timeouts
from runway_mcp.api.models import TaskId, parse_task_id
from runway_mcp.files.downloads import CallerFiles
from runway_mcp.files.file_client import open_file_client
from runway_mcp.files.folders import Folders
from runway_mcp.history.records import NO_LIMITS, Limits
from runway_mcp.history.sqlite import History, open_history
from runway_mcp.tasks.background_tasks import open_background_tasks
from runway_mcp.tasks.callers import CallerContext, CallerLedger
from runway_mcp.tasks.operations import TaskOperations
from runway_mcp.tasks.poller import TaskPoller

KEY = "key_0123456789abcdef0123456789abcdef"
ID: TaskId = parse_task_id("08388106-1b46-4f5c-bd46-1c1d7ee86892")

Step = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]
"""What one request meets: a reply, an error on the way, or whatever a function makes of it."""


class Script(httpx2.AsyncBaseTransport):
    """Answers each request with the next step; the last one stays. Records what was asked."""

    def __init__(self, *steps: Step) -> None:
        self.requests: list[httpx2.Request] = []
        self._steps = chain(steps, repeat(steps[-1]))

    @property
    def calls(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.requests]

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.requests]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        step = next(self._steps)
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, httpx2.Response) else step(request)


class Sleeper:
    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


def reply(status: int, body: object = None, **headers: str) -> Callable[[httpx2.Request], httpx2.Response]:
    """A step that answers with a status and a JSON body (or none), anew each time."""
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: httpx2.Response(status, headers={"Content-Type": "application/json", **named}, content=content)


def task(status: str, **fields: JsonValue) -> dict[str, JsonValue]:
    return {"id": ID, "status": status, "createdAt": "2026-11-21T10:00:00.000Z", **fields}


@asynccontextmanager
async def scripted_client(
    script: Script, *, sleep: Sleeper | None = None, timeouts: Timeouts | None = None, key: str = KEY
) -> AsyncGenerator[RunwayClient]:
    """A client whose requests meet `script`, whose waits take no time and whose jitter is nil."""
    auth = RunwayAuth(SecretStr(key), "2024-11-06")
    async with httpx2.AsyncClient(transport=script, base_url="https://api.example", headers=auth.headers()) as http:
        yield RunwayClient(
            lambda: http,
            redact=auth.redact,
            timeouts=timeouts or Timeouts(),
            sleep=sleep or Sleeper(),
            random=lambda: 0.0,
        )


@asynccontextmanager
async def poller_of(client: RunwayClient, *, poll_seconds: float = 5) -> AsyncGenerator[TaskPoller]:
    """A poller over a client, without jitter."""
    async with anyio.create_task_group() as loops:
        yield TaskPoller(client.get_task, loops, poll_seconds=poll_seconds, random=lambda: 0.0)
        loops.cancel_scope.cancel()


@asynccontextmanager
async def context_of(
    client: RunwayClient,
    *,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    history: Path | None = None,
    limits: Limits = NO_LIMITS,
    busy_seconds: float = 5,
) -> AsyncGenerator[CallerContext]:
    """The use cases over a client, without jitter."""
    async with (
        poller_of(client, poll_seconds=0.05) as poller,
        open_background_tasks() as background,
        open_history(history, busy_seconds=busy_seconds) as opened,
        open_file_client() as files,
        anyio.create_task_group() as downloads,
    ):

        async def ledger_history() -> History:
            return opened

        async def no_files() -> CallerFiles:
            return CallerFiles(lambda: Folders(()), files, downloads, takes_roots=False)

        ledger = CallerLedger(ledger_history, ledger_history, account="account", caller="caller", limits=limits)
        tasks = TaskOperations(client, background, poller, sleep=sleep, random=lambda: 0.0)
        yield CallerContext(client, tasks, poller, background, ledger, no_files)


def texts(result: CallToolResult) -> list[str]:
    """Return the text of each block."""
    return [block.text for block in result.content if isinstance(block, TextContent)]

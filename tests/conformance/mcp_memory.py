"""The extension's contract over memory: jobs that take their time by the clock, or end on command.

The conformance fixture and the extension's own tests hold MCP tasks in it. A job needs nothing that
runs in the background: its state follows from when it began and from what was done to it.
"""

import math
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import anyio
from mcp.server.context import HandlerResult
from mcp_types import CallToolRequestParams, CallToolResult, ElicitRequest, ErrorData
from pydantic import JsonValue

from runway_mcp.mcp_server.tasks_extension import UnknownMcpTaskError
from runway_mcp.mcp_server.tasks_extension.wire import McpTask, RunTool

TTL_MS = 600_000
POLL_MS = 100

Answers = Mapping[str, JsonValue]


class JobMcpTask(McpTask):
    """An MCP task in any state, also those that no Runway task has: it waits for its client, or has failed."""

    input_requests: dict[str, dict[str, JsonValue]] | None = None
    error: ErrorData | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A tool call's outcome by the answers to its questions, after so many seconds beside the wait for them."""

    outcome: Callable[[Answers], CallToolResult | ErrorData]
    seconds: float = math.inf
    questions: Mapping[str, ElicitRequest] = field(default_factory=dict[str, ElicitRequest])


class _Held:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.id = str(uuid.uuid4())
        self.created = self.updated = datetime.now(UTC)
        self.due = anyio.current_time() + job.seconds
        self.answers: dict[str, JsonValue] = {}
        self.cancelled = False
        self.changed = anyio.Event()

    @property
    def open_questions(self) -> dict[str, ElicitRequest]:
        return {key: question for key, question in self.job.questions.items() if key not in self.answers}

    def touch(self) -> None:
        self.updated = datetime.now(UTC)
        self.changed.set()
        self.changed = anyio.Event()


class MemoryMcpTasks:
    """MCP tasks in this process; tools are named by what turns a call of theirs into a job, or into None."""

    def __init__(self, tools: Mapping[str, Callable[[CallToolRequestParams], Job | None]]) -> None:
        self._tools = tools
        self._held: dict[str, _Held] = {}
        self.watching = 0

    async def call(self, params: CallToolRequestParams, run: RunTool) -> McpTask | HandlerResult:
        begin = self._tools.get(params.name)
        job = begin(params) if begin else None
        if job is None:
            return await run()
        held = _Held(job)
        self._held[held.id] = held
        return _state(held)

    async def get(self, task_id: str) -> McpTask:
        return _state(self._find(task_id))

    async def update(self, task_id: str, input_responses: Answers) -> None:
        held = self._find(task_id)
        held.answers |= {key: input_responses[key] for key in held.open_questions if key in input_responses}
        held.touch()

    async def cancel(self, task_id: str) -> None:
        held = self._find(task_id)
        if _state(held).status in {"working", "input_required"}:
            held.cancelled = True
            held.touch()

    async def watch(self, task_id: str) -> AsyncGenerator[McpTask]:
        self.watching += 1
        try:
            while True:
                held = self._find(task_id)
                changed = held.changed
                state = _state(held)
                yield state
                if state.status not in {"working", "input_required"}:
                    return
                with anyio.move_on_after(held.due - anyio.current_time()):
                    await changed.wait()
        finally:
            self.watching -= 1

    def finish(self, task_id: str) -> None:
        held = self._find(task_id)
        held.due = -math.inf
        held.touch()

    def forget(self, task_id: str) -> None:
        self._held.pop(task_id).touch()

    def _find(self, task_id: str) -> _Held:
        try:
            return self._held[task_id]
        except KeyError:
            raise UnknownMcpTaskError("There is no such MCP task.") from None


def _state(held: _Held) -> McpTask:
    known: dict[str, Any] = {
        "task_id": held.id,
        "created_at": held.created,
        "last_updated_at": held.updated,
        "ttl_ms": TTL_MS,
        "poll_interval_ms": POLL_MS,
    }
    if held.cancelled:
        return McpTask(**known, status="cancelled")
    if held.open_questions:
        asked = {
            key: question.model_dump(mode="json", by_alias=True, exclude_none=True)
            for key, question in held.open_questions.items()
        }
        return JobMcpTask(**known, status="input_required", input_requests=asked)
    if anyio.current_time() < held.due:
        return McpTask(**known, status="working")
    outcome = held.job.outcome(held.answers)
    if isinstance(outcome, ErrorData):
        return JobMcpTask(**known, status="failed", status_message=outcome.message, error=outcome)
    result = outcome.model_dump(mode="json", by_alias=True, exclude_none=True)
    return McpTask(**known, status="completed", result=result)

"""Runway tasks as MCP tasks.

Runway's own store is durable, so nothing is kept here: an MCP task's id is made of the Runway task's id and of what
it stands for, a start or a wait. Any replica can answer for it, and a restart loses nothing.

A call with a note is answered by the tool itself: an MCP task keeps nothing, and so no note.

Cancelling a start's MCP task cancels the Runway task. Cancelling a wait's changes nothing at Runway: the client stops
following it, and as nothing is kept, its status goes on being the Runway task's.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from mcp.server.context import HandlerResult
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_REQUEST, CallToolRequestParams, CallToolResult
from pydantic import JsonValue

from runway_mcp.api.errors import NotFoundError, RunwayError
from runway_mcp.api.models import InvalidTaskIdError, Task, TaskId, parse_task, parse_task_id
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.arguments import ArgumentsError, Taken
from runway_mcp.mcp_server.messages import GOES_ON, explain, explain_change, explain_read
from runway_mcp.mcp_server.task_messages import describe_task
from runway_mcp.mcp_server.tasks_extension.wire import McpTask, RunTool, UnknownMcpTaskError
from runway_mcp.mcp_server.tools.generation import START_TASK, followed
from runway_mcp.mcp_server.tools.wait import WAIT_FOR_TASK
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.operations import UnclearOutcomeError
from runway_mcp.tasks.poller import POLL_SECONDS, CallerLimitError

Kind = Literal["start", "wait"]
"""What an MCP task stands for; its id begins with it."""
_CANCELLING: dict[Kind, str] = {
    "start": "Cancelling this cancels the Runway task.",
    "wait": "Cancelling this ends the wait only; the Runway task goes on.",
}


@dataclass(frozen=True, slots=True)
class RunwayMcpTasks:
    """The contract over one caller's Runway tasks.

    With `read_only` a wish to cancel is noted, which the protocol allows, and not met. Without `offers_waits` the
    server lacks the tool whose calls become MCP tasks.
    """

    context: CallerContext
    take: Callable[[str, Mapping[str, JsonValue]], Awaitable[Taken]]
    read_only: bool = False
    offers_waits: bool = True
    poll_seconds: float = POLL_SECONDS
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def call(self, params: CallToolRequestParams, run: RunTool) -> McpTask | HandlerResult:
        taken: Taken | None = None
        if params.name in {WAIT_FOR_TASK.name, START_TASK.name}:
            with suppress(ArgumentsError):  # the tool tells it
                taken = await self.take(params.name, params.arguments or {})
        if taken is None or taken.notes or taken.arguments.get("save"):  # the tool itself saves
            return await run()
        if params.name == WAIT_FOR_TASK.name:
            return await self._awaited(taken) or await run()
        return await self._started(run) if taken.arguments.get("wait") is True else await run()

    async def _started(self, run: RunTool) -> McpTask | HandlerResult:
        with followed():
            answer = await run()
        if not isinstance(answer, CallToolResult) or answer.is_error or answer.structured_content is None:
            return answer
        task = parse_task(answer.structured_content, parse_task_id(answer.structured_content["id"]))
        if not task.is_active:
            return answer
        return results.with_notes(answer, [GOES_ON]) if len(answer.content) > 1 else self._mcp_task("start", task)

    async def _awaited(self, taken: Taken) -> McpTask | None:
        match taken.arguments:
            case {"taskId": str(text)} | {"taskIds": [str(text)]} if self.offers_waits:
                pass
            case _:
                return None
        try:
            task = await self.context.tasks.get(parse_task_id(text))
        except (InvalidTaskIdError, RunwayError):
            return None
        return self._mcp_task("wait", task) if task.is_active else None

    async def get(self, task_id: str) -> McpTask:
        with _translated():
            kind, runway_id = _parse(task_id)
            return self._mcp_task(kind, await self.context.tasks.get(runway_id))

    async def update(self, task_id: str, input_responses: Mapping[str, JsonValue]) -> None:  # noqa: ARG002 - a Runway task asks for nothing
        await self.get(task_id)

    async def cancel(self, task_id: str) -> None:
        kind, runway_id = _parse(task_id)
        if kind == "wait" or self.read_only:
            await self.get(task_id)
            return
        with _translated():
            change = await self.context.tasks.cancel(runway_id)
            if change.before is None:
                raise UnknownMcpTaskError(
                    f"Runway has no task {change.task_id}: it is gone, never existed, or belongs to another key's "
                    "organization."
                )

    async def watch(self, task_id: str) -> AsyncGenerator[McpTask]:
        shown: Task | None = None
        kind, runway_id = _parse(task_id)
        with _translated(), self.context.poller.states(runway_id) as states:
            async for state in states:
                if state.unavailable is not None:
                    raise state.unavailable.with_traceback(None)
                if state.task is not None and state.task != shown:
                    shown = state.task
                    yield self._mcp_task(kind, shown)

    def _mcp_task(self, kind: Kind, task: Task) -> McpTask:
        now, status, result, said = self.now(), "working", None, task.status
        if task.is_active:
            said = f"{describe_task(task)}. {_CANCELLING['wait' if self.read_only else kind]}"
        elif task.status == "CANCELLED":
            status = "cancelled"
        else:
            status, result = "completed", _result(task)
        return McpTask(
            task_id=f"{kind}-{task.id}",
            status=status,
            created_at=_created_at(task) or now,
            last_updated_at=now,
            status_message=said,
            poll_interval_ms=round(self.poll_seconds * 1000),
            result=result,
        )


def _parse(task_id: str) -> tuple[Kind, TaskId]:
    kind, _, runway_id = task_id.partition("-")
    if kind not in _CANCELLING:
        raise UnknownMcpTaskError(f"An MCP task's id begins with one of: {', '.join(_CANCELLING)}.")
    with _translated():
        return kind, parse_task_id(runway_id)


def _result(task: Task) -> dict[str, JsonValue]:
    return results.task_result(task).model_dump(mode="json", by_alias=True, exclude_none=True)


def _created_at(task: Task) -> datetime | None:
    text = task.data.get("createdAt")
    try:
        created = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return created if created is not None and created.tzinfo is not None else None


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except (InvalidTaskIdError, NotFoundError) as error:
        raise UnknownMcpTaskError(explain(error)) from error
    except RunwayError as error:
        raise MCPError(INTERNAL_ERROR, explain_read(error)) from error
    except UnclearOutcomeError as error:
        raise MCPError(INTERNAL_ERROR, explain_change(error, reader="tasks/get")) from error
    except CallerLimitError as error:
        raise MCPError(INVALID_REQUEST, explain(error)) from error

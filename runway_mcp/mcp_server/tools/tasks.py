"""The tools that read, cancel and delete a Runway task."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import anyio
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import Field

from runway_mcp.api.errors import RunwayError
from runway_mcp.api.models import InvalidTaskIdError, TaskId, parse_task_id
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.messages import NOTHING_SENT, word
from runway_mcp.mcp_server.tools.task_list import LIST_TASKS
from runway_mcp.mcp_server.tools.toolset import READS, REMOVES, Output, Tool, Toolset
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.operations import Change, StillActiveError, UnclearOutcomeError

MAX_TASKS = 50
"""Tasks of one call."""

TaskIdArgument = Annotated[
    str,
    Field(
        title="Task id",
        description="The UUID that starting the task returned, e.g. 17f20503-6c24-4c16-946b-35dbbce2af2f.",
    ),
]
OneTaskId = Annotated[TaskIdArgument, Field(description="One task's id, a UUID.")]
SeveralTaskIds = Annotated[
    tuple[str, ...],
    Field(title="Task ids", description=f"Instead: up to {MAX_TASKS} tasks' ids."),
]


class TaskCountError(InvalidTaskIdError):
    """A call that names no task, too many, or some in both ways."""


word({TaskCountError: f"Give either taskId, one task's id, or taskIds, a list of 1 to {MAX_TASKS}. {NOTHING_SENT}"})


class TaskOutput(Output):
    """A Runway task, exactly as the API gives it."""

    id: str = Field(description="The task's id.")
    status: str = Field(
        description="PENDING, THROTTLED, RUNNING, SUCCEEDED, FAILED or CANCELLED; the last three are final. "
        "A newer status counts as not finished."
    )


class ChangeOutput(Output):
    """What a call did to a task, or with taskIds to each of them."""

    id: str = Field("", description="The task's id.")
    done: str = Field("", description="What this call did: cancelled, deleted or nothing.")
    status_before: str = Field("", description="The status it was last seen in; absent where it was gone.")
    tasks: list[dict[str, Any]] = Field([], description="With taskIds: for each, these fields, cost, or error.")


async def get_task(taskId: TaskIdArgument, ctx: Context[CallerContext]) -> Annotated[CallToolResult, TaskOutput]:
    """Run `runway_getTask`."""
    try:
        return results.task_result(await _context(ctx).tasks.get(parse_task_id(taskId)))
    except (InvalidTaskIdError, RunwayError) as error:
        return results.read_error(error)


async def cancel_task(
    ctx: Context[CallerContext], taskId: OneTaskId = "", taskIds: SeveralTaskIds = ()
) -> Annotated[CallToolResult, ChangeOutput]:
    """Run `runway_cancelTask`."""
    tasks = _context(ctx).tasks

    async def cancel(task_id: TaskId) -> Change:
        return await tasks.priced(await tasks.cancel(task_id))

    return await _change(cancel, taskId, taskIds)


async def delete_task(
    ctx: Context[CallerContext], taskId: OneTaskId = "", taskIds: SeveralTaskIds = ()
) -> Annotated[CallToolResult, ChangeOutput]:
    """Run `runway_deleteTask`."""
    return await _change(_context(ctx).tasks.delete, taskId, taskIds)


def parse_task_ids(task_id: str, task_ids: Sequence[str]) -> list[TaskId]:
    """Return the tasks that a call names by one id, or by several, each once.

    Raises:
        InvalidTaskIdError: It names none, both ways, too many, or something else.
    """
    if bool(task_id) == bool(task_ids) or len(task_ids) > MAX_TASKS:
        raise TaskCountError
    if task_id:
        return [parse_task_id(task_id)]
    return list(dict.fromkeys(parse_task_id(text, f"taskIds[{index}]") for index, text in enumerate(task_ids)))


async def _change(
    change: Callable[[TaskId], Awaitable[Change]], task_id: str, task_ids: Sequence[str]
) -> CallToolResult:
    try:
        parsed = parse_task_ids(task_id, task_ids)
    except InvalidTaskIdError as error:
        return results.read_error(error)
    changes: dict[str, Change | results.Failure] = {}

    async def run(task: TaskId) -> None:
        try:
            changes[task] = await change(task)
        except (RunwayError, StillActiveError, UnclearOutcomeError) as error:
            changes[task] = error

    async with anyio.create_task_group() as group:
        for task in parsed:
            group.start_soon(run, task)
    if task_ids:
        return results.changes_result({task: changes[task] for task in parsed})
    (result,) = changes.values()
    return results.change_result(result) if isinstance(result, Change) else results.change_error(result)


def _context(ctx: Context[CallerContext]) -> CallerContext:
    return ctx.request_context.lifespan_context


GET_TASK = Tool(
    name="runway_getTask",
    title="Get a Runway task",
    description=(
        "Read a Runway task: status, progress, output URLs, failure and cost. Read-only and free. Returns the API's "
        "task JSON. SUCCEEDED, FAILED and CANCELLED are final; PENDING, THROTTLED (queued) and RUNNING go on by "
        "themselves. Runway updates a task at most every 5 seconds. Output URLs expire within 24-48 h; reading "
        "again returns fresh ones. Of a FAILED task the note says what to do."
    ),
    annotations=READS,
    run=get_task,
    is_viewed=True,
)
CANCEL_TASK = Tool(
    name="runway_cancelTask",
    title="Cancel a Runway task",
    description=(
        "Stop Runway tasks that have not finished, one (taskId) or several (taskIds). Irreversible: the output is "
        "lost, and credits of a RUNNING task are not refunded. A finished task and its output are left alone "
        "(runway_deleteTask removes them), and a task already gone is no error. Only a task that finishes at that "
        "very moment may go with its output. Returns for each what was done (cancelled or nothing), the status "
        "before, and the final cost."
    ),
    annotations=REMOVES,
    run=cancel_task,
)
DELETE_TASK = Tool(
    name="runway_deleteTask",
    title="Delete a Runway task",
    description=(
        "Permanently delete finished Runway tasks and their output files, one (taskId) or several (taskIds). "
        "Irreversible, and refunds nothing: save outputs you need first. A task that has not finished is refused "
        "(runway_cancelTask stops it), and a task already gone is no error. Returns for each what was done (deleted "
        "or nothing), the status before, and the cost."
    ),
    annotations=REMOVES,
    run=delete_task,
)

TASKS = Toolset(
    name="tasks",
    guide=(
        "runway_getTask reads one: status, progress, output URLs, failure, cost. runway_listTasks lists those started "
        "here, with their sum."
    ),
    guide_to_changes=(
        "runway_cancelTask stops a task that has not finished; runway_deleteTask destroys a finished one and its "
        "output. Neither does the other's work, and neither can be undone: call them only when the user asked."
    ),
    tools=(GET_TASK, CANCEL_TASK, DELETE_TASK, LIST_TASKS),
)

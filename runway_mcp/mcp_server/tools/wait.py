"""The tool that waits for tasks, so that no model has to poll."""

from typing import Annotated, Literal, cast

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import BeforeValidator, Field

from runway_mcp.api.errors import RunwayError
from runway_mcp.api.models import InvalidTaskIdError, TaskId, parse_task_id
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.messages import describe_task, explain, progress
from runway_mcp.mcp_server.tools.tasks import TaskOutput
from runway_mcp.mcp_server.tools.toolset import READS, Tool, Toolset
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.poller import CallerLimitError
from runway_mcp.tasks.waiting import Report, Waited

MAX_TASKS = 50


class WaitOutput(TaskOutput):
    """The task waited for, or with several ids `tasks`, in the order asked for."""

    id: object = Field(None, description="The task's id.")  # type: ignore[assignment] - absent with several ids
    status: object = Field(None, description="Its status.")  # type: ignore[assignment] - absent with several ids
    tasks: object = Field(None, description="With several ids: each task, or its id and why it can't be read.")


def _as_sent(given: object) -> object:
    # undoes that the SDK reads a text as JSON; some hosts send a list as text
    return cast("object", given) if isinstance(given, list) else str(given)


async def wait_for_task(
    taskId: Annotated[
        str | list[str],
        Field(title="Task id", description=f"One task's id, or a list of up to {MAX_TASKS}."),
        BeforeValidator(_as_sent),
    ],
    ctx: Context[CallerContext],
    timeoutSeconds: Annotated[
        float,
        Field(
            title="Timeout",
            description="Seconds to wait at most. Many hosts end a call after 60.",
            ge=5,
            le=3600,
            allow_inf_nan=False,
        ),
    ] = 45,
    until: Annotated[
        Literal["all", "any"], Field(title="Until", description="With several ids: wait for all of them, or the first.")
    ] = "all",
) -> Annotated[CallToolResult, WaitOutput]:
    """Run `runway_waitForTask`."""
    context = ctx.request_context.lifespan_context
    try:
        task_ids = _parse(taskId)
        waited = await context.tasks.wait(task_ids, seconds=timeoutSeconds, until=until, report=reporter(ctx))
    except (InvalidTaskIdError, CallerLimitError) as error:
        return results.error_result(explain(error))
    except RunwayError as error:
        return results.read_error(error)
    return results.wait_result(waited) if isinstance(taskId, str) else results.waits_result(waited)


def _parse(given: str | list[str]) -> list[TaskId]:
    texts = [given] if isinstance(given, str) else given
    if not 1 <= len(texts) <= MAX_TASKS:
        raise InvalidTaskIdError(f"taskId must be one id or a list of 1 to {MAX_TASKS}. Nothing was sent to Runway.")
    return [parse_task_id(text) for text in texts]


def reporter(ctx: Context[CallerContext]) -> Report:
    """Return what sends a wait's progress to the host: percent of 100, strictly growing as the protocol demands."""
    last = -1.0

    async def report(waited: Waited) -> None:
        nonlocal last
        states = list(waited.states.values())
        shares = [1.0 if state.is_final else (state.task and progress(state.task)) or 0.0 for state in states]
        last = max(100 * sum(shares) / len(shares), last + 0.001)
        if len(states) == 1:
            text = describe_task(states[0].task) if states[0].task else "not reached yet"
        else:
            text = f"{sum(state.is_final for state in states)} of {len(states)} finished"
        await ctx.report_progress(last, 100, f"{text}, {waited.seconds:.0f} s")

    return report


WAIT_FOR_TASK = Tool(
    name="runway_waitForTask",
    title="Wait for Runway tasks",
    description=(
        "Wait until a Runway task finishes, then return it as runway_getTask does. Use this instead of reading it "
        "repeatedly. Read-only and free; cancelling the call ends the wait, never the task. After timeoutSeconds it "
        "returns the task as it is: call again to keep waiting. A FAILED task is returned as an error, with advice. "
        'A list of ids waits for all of them, or with until "any" for the first, and returns a list in the same '
        "order."
    ),
    annotations=READS,
    run=wait_for_task,
)

WAITING = Toolset(
    name="waiting",
    guide="runway_waitForTask waits until one or several finish: prefer it to repeated reads.",
    tools=(WAIT_FOR_TASK,),
)

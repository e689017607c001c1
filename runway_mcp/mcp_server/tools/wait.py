"""The tool that waits for tasks, so that no model has to poll."""

from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import Field

from runway_mcp.api.errors import RunwayError
from runway_mcp.api.models import InvalidTaskIdError
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.task_messages import describe_task, progress
from runway_mcp.mcp_server.tools.files import NO_ROOTS, SaveArgument, SaveRoots
from runway_mcp.mcp_server.tools.tasks import OneTaskId, SeveralTaskIds, parse_task_ids
from runway_mcp.mcp_server.tools.toolset import READS, Output, Tool, Toolset
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.poller import CallerLimitError
from runway_mcp.tasks.waiting import Report, Waited


class WaitOutput(Output):
    """The task waited for, exactly as the API gives it, or with taskIds `tasks`, in the order asked for."""

    id: str = Field("", description="The task's id.")
    status: str = Field("", description="Its status.")
    tasks: list[dict[str, Any]] = Field([], description="With taskIds: each task, or its id and error.")


async def wait_for_task(  # noqa: PLR0917 - a tool is called by name
    ctx: Context[CallerContext],
    taskId: OneTaskId = "",
    taskIds: SeveralTaskIds = (),
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
        Literal["all", "any"], Field(title="Until", description="With taskIds: wait for all of them, or the first.")
    ] = "all",
    save: SaveArgument = False,
    save_roots: SaveRoots = NO_ROOTS,
) -> Annotated[CallToolResult, WaitOutput]:
    """Run `runway_waitForTask`."""
    context = ctx.request_context.lifespan_context
    try:
        task_ids = parse_task_ids(taskId, taskIds)
        waited = await context.tasks.wait(task_ids, seconds=timeoutSeconds, until=until, report=reporter(ctx))
    except (InvalidTaskIdError, CallerLimitError, RunwayError) as error:
        return results.read_error(error)
    result = results.waits_result(waited, until) if taskIds else results.wait_result(waited)
    if not save:
        return result
    from runway_mcp.mcp_server.tools.file_calls import with_saved  # noqa: PLC0415 - only who saves pays for it

    return await with_saved(result, waited, ctx, save_roots)


def reporter(ctx: Context[CallerContext]) -> Report:
    """Return what sends a wait's progress to the host: percent of 100, strictly growing as the protocol demands."""
    last = -1.0

    async def report(waited: Waited) -> None:
        nonlocal last
        states = list(waited.states.values())
        shares = [1.0 if state.is_final else (state.task and progress(state.task)) or 0.0 for state in states]
        last = round(max(100 * sum(shares) / len(shares), last + 0.001), 3)
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
        "repeatedly. Free; cancelling the call ends the wait, never the task. After timeoutSeconds it "
        "returns the task as it is: call again to keep waiting. taskIds waits for several, all or with until "
        '"any" the first, and returns a list in the same order. Of a FAILED task the note says what to do.'
    ),
    annotations=READS,
    run=wait_for_task,
    is_viewed=True,
)

WAITING = Toolset(
    name="waiting",
    guide="runway_waitForTask waits until one or several finish: prefer it to repeated reads.",
    tools=(WAIT_FOR_TASK,),
)

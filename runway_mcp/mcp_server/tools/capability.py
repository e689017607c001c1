"""The two tools of the published capability "Runway Video Generation API — Tasks", by its names.

They replace ours for hosts that used that capability. Like the API's one DELETE, `cancel-delete-task` cancels an
active task and destroys a finished one.
"""

from typing import Annotated

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult

from runway_mcp.api.errors import RunwayError
from runway_mcp.api.models import InvalidTaskIdError, parse_task_id
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.tools.tasks import ChangeOutput, TaskIdArgument, TaskOutput
from runway_mcp.mcp_server.tools.toolset import READS, REMOVES, Tool, Toolset
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.operations import UnclearOutcomeError


async def retrieve(
    id: TaskIdArgument,  # noqa: A002 - the name that the capability's clients send
    ctx: Context[CallerContext],
) -> Annotated[CallToolResult, TaskOutput]:
    """Run `retrieve-task-status-and-output`."""
    try:
        return results.task_result(await ctx.request_context.lifespan_context.tasks.get(parse_task_id(id, "id")))
    except (InvalidTaskIdError, RunwayError) as error:
        return results.read_error(error)


async def cancel_delete(
    id: TaskIdArgument,  # noqa: A002 - the name that the capability's clients send
    ctx: Context[CallerContext],
) -> Annotated[CallToolResult, ChangeOutput]:
    """Run `cancel-delete-task`."""
    try:
        tasks = ctx.request_context.lifespan_context.tasks
        change = await tasks.priced(await tasks.remove(parse_task_id(id, "id")))
    except InvalidTaskIdError as error:
        return results.read_error(error)
    except (RunwayError, UnclearOutcomeError) as error:
        return results.change_error(error, reader=RETRIEVE.name)
    return results.change_result(change, deleter=CANCEL_DELETE.name)


RETRIEVE = Tool(
    name="retrieve-task-status-and-output",
    title="Retrieve task status and output",
    description=(
        "Read a Runway task: status, progress, output URLs, failure and cost. Read-only and free. Returns the API's "
        "task JSON. Only SUCCEEDED, FAILED and CANCELLED are final. Runway updates a task at most every 5 seconds; "
        "output URLs expire within 24-48 h. Of a FAILED task the note says what to do."
    ),
    annotations=READS,
    run=retrieve,
)
CANCEL_DELETE = Tool(
    name="cancel-delete-task",
    title="Cancel or delete a task",
    description=(
        "Cancel a Runway task that has not finished, or permanently delete a finished one and its output files. "
        "Irreversible: save outputs you need first; credits of a RUNNING task are not refunded. A task that "
        "finishes while it is being cancelled is left alone, and a task already gone is no error. Returns what was "
        "done (cancelled, deleted or nothing), the status before, and the final cost."
    ),
    annotations=REMOVES,
    run=cancel_delete,
)

CAPABILITY = Toolset(
    name="capability",
    guide=f"{RETRIEVE.name} reads one: status, progress, output URLs, failure, cost.",
    guide_to_changes=(
        f"{CANCEL_DELETE.name} cancels a task that has not finished, and destroys a finished one and its output. "
        "Neither can be undone: call it only when the user asked."
    ),
    tools=(RETRIEVE, CANCEL_DELETE),
)

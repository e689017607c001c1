"""The tools that read, cancel and delete a Runway task."""

from typing import Annotated, Literal, cast

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from runway_mcp.api.errors import RunwayError
from runway_mcp.api.models import InvalidTaskIdError, parse_task_id
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.messages import explain
from runway_mcp.mcp_server.tools.toolset import READS, REMOVES, Tool, Toolset
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.operations import StillActiveError, UnclearOutcomeError

TaskIdArgument = Annotated[
    str,
    Field(
        title="Task id",
        description="The id that starting the task returned: a UUID, e.g. 17f20503-6c24-4c16-946b-35dbbce2af2f.",
        json_schema_extra={"format": "uuid"},
    ),
]


def _plain(schema: dict[str, JsonValue]) -> None:
    # titles and nulls as defaults, which pydantic adds, tell a reader nothing
    for part in (schema, *cast("dict[str, dict[str, JsonValue]]", schema["properties"]).values()):
        part.pop("title", None)
        part.pop("default", None)


class Output(BaseModel):
    """The shape of a structured result. Only what every reply holds has a type: the API may grow."""

    model_config = ConfigDict(extra="allow", alias_generator=to_camel, json_schema_extra=_plain)


class TaskOutput(Output):
    """A Runway task, exactly as the API gives it."""

    id: str = Field(description="The task's id.")
    status: str = Field(
        description="PENDING, THROTTLED, RUNNING, SUCCEEDED, FAILED or CANCELLED; the last three are final. "
        "A newer status counts as not finished."
    )
    created_at: object = Field(None, description="When it was submitted, ISO 8601.")
    progress: object = Field(None, description="0 to 1, while RUNNING.")
    output: object = Field(None, description="URLs of the results, when SUCCEEDED; they expire within 24-48 h.")
    failure: object = Field(None, description="Why it FAILED, for people.")
    failure_code: object = Field(None, description="Why it FAILED, for programs: dotted, e.g. SAFETY.INPUT.IMAGE.")
    estimated_cost: object = Field(None, description="{credits} it may cost, until it finishes.")
    cost: object = Field(None, description="{credits} it cost, once finished.")


class ChangeOutput(Output):
    """What a call did to a task."""

    id: str = Field(description="The task's id.")
    done: Literal["cancelled", "deleted", "nothing"] = Field(description="What this call did.")
    status_before: str | None = Field(description="The status it was last seen in; null where it was gone.")
    estimated_cost: object = Field(None, description="{credits} it was estimated at, if it had not finished.")
    cost: object = Field(None, description="{credits} it had cost, if it had finished.")


async def get_task(taskId: TaskIdArgument, ctx: Context[CallerContext]) -> Annotated[CallToolResult, TaskOutput]:
    """Run `runway_getTask`."""
    try:
        return results.task_result(await _context(ctx).tasks.get(parse_task_id(taskId)))
    except InvalidTaskIdError as error:
        return results.error_result(explain(error))
    except RunwayError as error:
        return results.read_error(error)


async def cancel_task(taskId: TaskIdArgument, ctx: Context[CallerContext]) -> Annotated[CallToolResult, ChangeOutput]:
    """Run `runway_cancelTask`."""
    try:
        return results.change_result(await _context(ctx).tasks.cancel(parse_task_id(taskId)))
    except InvalidTaskIdError as error:
        return results.error_result(explain(error))
    except (RunwayError, UnclearOutcomeError) as error:
        return results.change_error(error)


async def delete_task(taskId: TaskIdArgument, ctx: Context[CallerContext]) -> Annotated[CallToolResult, ChangeOutput]:
    """Run `runway_deleteTask`."""
    try:
        return results.change_result(await _context(ctx).tasks.delete(parse_task_id(taskId)))
    except InvalidTaskIdError as error:
        return results.error_result(explain(error))
    except (RunwayError, StillActiveError, UnclearOutcomeError) as error:
        return results.change_error(error)


def _context(ctx: Context[CallerContext]) -> CallerContext:
    return ctx.request_context.lifespan_context


GET_TASK = Tool(
    name="runway_getTask",
    title="Get a Runway task",
    description=(
        "Read a Runway task: status, progress, output URLs, failure and cost. Read-only and free. Returns the API's "
        "task JSON. SUCCEEDED, FAILED and CANCELLED are final; PENDING, THROTTLED (queued) and RUNNING go on by "
        "themselves. Runway updates a task at most every 5 seconds. Output URLs expire within 24-48 h; reading "
        "again returns fresh ones. A FAILED task is a successful read, with advice on its failureCode after the "
        "JSON."
    ),
    annotations=READS,
    run=get_task,
)
CANCEL_TASK = Tool(
    name="runway_cancelTask",
    title="Cancel a Runway task",
    description=(
        "Stop a Runway task that has not finished. Irreversible: its output is lost, and credits of a RUNNING task "
        "are not refunded. A finished task and its output are left alone (runway_deleteTask removes them), and a "
        "task already gone is no error. Only a task that finishes at that very moment may go with its output. "
        "Returns what was done (cancelled or nothing), the status before, and the cost or estimate."
    ),
    annotations=REMOVES,
    run=cancel_task,
)
DELETE_TASK = Tool(
    name="runway_deleteTask",
    title="Delete a Runway task",
    description=(
        "Permanently delete a finished Runway task and its output files. Irreversible, and refunds nothing: save "
        "outputs you need first. A task that has not finished is refused (runway_cancelTask stops it), and a task "
        "already gone is no error. Returns what was done (deleted or nothing), the status before, and the cost."
    ),
    annotations=REMOVES,
    run=delete_task,
)

TASKS = Toolset(
    name="tasks",
    guide="runway_getTask reads one: status, progress, output URLs, failure, cost.",
    guide_to_changes=(
        "runway_cancelTask stops a task that has not finished; runway_deleteTask destroys a finished one and its "
        "output. Neither does the other's work, and neither can be undone: call them only when the user asked."
    ),
    tools=(GET_TASK, CANCEL_TASK, DELETE_TASK),
)

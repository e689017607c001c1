"""The tool that starts a task, and its toolset."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated

import anyio
from mcp.server.mcpserver import Context, Resolve
from mcp_types import CallToolResult, ListRootsResult, ToolAnnotations
from pydantic import Field, JsonValue

from runway_mcp.api.errors import BadRequestError, NotFoundError, RunwayError
from runway_mcp.api.models import TaskId
from runway_mcp.catalogue.validation import Prepared
from runway_mcp.history.records import HistoryError
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.messages import explain
from runway_mcp.mcp_server.start_messages import (
    describe_estimate,
    describe_ready,
    explain_unrecorded,
    explain_unsent,
)
from runway_mcp.mcp_server.tools import confirmation
from runway_mcp.mcp_server.tools.estimate import ESTIMATE_COST
from runway_mcp.mcp_server.tools.files import NO_ROOTS, SaveArgument, SaveRoots
from runway_mcp.mcp_server.tools.task_types import LIST_TASK_TYPES, TypeArgument
from runway_mcp.mcp_server.tools.tasks import TaskOutput
from runway_mcp.mcp_server.tools.toolset import Tool, Toolset
from runway_mcp.mcp_server.tools.wait import reporter
from runway_mcp.spending.named_inputs import NamedInputs
from runway_mcp.spending.start_errors import StartError
from runway_mcp.spending.starter import Started, Starter
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.poller import CallerLimitError

WAIT_SECONDS = 45.0
"""How long a start and its wait take together, below a host's 60 s."""
LATE = "Runway did not answer in time."
_FOLLOWED: ContextVar[bool] = ContextVar("followed", default=False)


async def start_task(  # noqa: PLR0917 - a tool is called by name
    type: TypeArgument,  # noqa: A002, ARG001 - the field's name at Runway; `prepared` reads it
    input: confirmation.InputArgument,  # noqa: A002, ARG001 - what the API calls it; `prepared` reads it
    ctx: Context[CallerContext],
    request: Annotated[Prepared, Resolve(confirmation.prepared)],
    named: Annotated[NamedInputs, Resolve(confirmation.named_inputs)],
    approved: Annotated[float, Resolve(confirmation.approved_credits)],
    wait: Annotated[bool, Field(title="Wait", description="Wait for the result, up to 45 seconds.")] = False,
    allowUnknown: confirmation.UnknownArgument = False,  # noqa: ARG001 - as above
    clientToken: Annotated[
        str,
        Field(
            title="Client token",
            description="Your name for this start. Within 24 hours it starts one task, no matter how often it is sent.",
        ),
    ] = "",
    maxCredits: Annotated[
        float,
        Field(
            title="Max credits",
            ge=0,
            description="The most that this start may cost. Above it, or where no price is known, nothing is sent.",
        ),
    ] = confirmation.NO_LIMIT,
    save: SaveArgument = False,
    save_roots: SaveRoots = NO_ROOTS,
) -> Annotated[CallToolResult, TaskOutput]:
    """Run `runway_startTask`."""
    context = ctx.request_context.lifespan_context
    until = anyio.current_time() + WAIT_SECONDS
    token = clientToken or confirmation.answer_token(ctx)
    try:
        started = await Starter(context).start(
            request,
            client_token=token,
            max_credits=confirmation.limit_of(maxCredits),
            approved_credits=approved,
            make_ready=named.make_ready if named.media else None,
        )
    except (StartError, HistoryError, RunwayError) as error:
        if isinstance(error, BadRequestError):
            await named.forget_earlier_uploads()
        return results.with_notes(results.error_result(explain_unsent(error)), describe_ready(named.ready))
    same = "clientToken" if clientToken else "answer of the user's"
    repeated = f"An earlier call with this {same} started it" if started.is_repeated else ""
    notes = _notes(started, repeated, [*request.understood, *describe_ready(named.ready)])
    try:
        roots = save_roots if save else None
        return await _started_result(ctx, started.task_id, notes, wait=wait or save, until=until, save_roots=roots)
    except (RunwayError, CallerLimitError, TimeoutError) as error:
        if repeated and isinstance(error, NotFoundError):
            return results.error_result(
                f"{explain(error)} {repeated}, and it was cancelled or deleted since. Nothing was sent; another "
                "clientToken starts another task."
            )
        return _unread_result(started, LATE if isinstance(error, TimeoutError) else explain(error), notes)


def _notes(started: Started, repeated: str, notes: list[str]) -> list[str]:
    if repeated:
        notes.append(f"{repeated}: nothing new was bought.")
    if started.unrecorded:
        notes.append(explain_unrecorded(started.unrecorded))
    if not repeated and (notes or not _FOLLOWED.get()):  # a start with a note is not followed in another way
        notes.append(describe_estimate(started.estimate))
    return notes


async def _started_result(
    ctx: Context[CallerContext],
    task_id: TaskId,
    notes: list[str],
    *,
    wait: bool,
    until: float,
    save_roots: ListRootsResult | None,
) -> CallToolResult:
    tasks = ctx.request_context.lifespan_context.tasks
    seconds = max(until - anyio.current_time(), 1)
    if wait and not _FOLLOWED.get():
        waited = await tasks.wait([task_id], seconds=seconds, until="all", report=reporter(ctx))
        result = results.wait_result(waited, *notes)
        if save_roots is None:
            return result
        from runway_mcp.mcp_server.tools.file_calls import with_saved  # noqa: PLC0415 - only who saves pays for it

        return await with_saved(result, waited, ctx, save_roots)
    with anyio.fail_after(seconds):
        return results.task_result(await tasks.get(task_id), *notes)


def _unread_result(started: Started, reason: str, notes: list[str]) -> CallToolResult:
    data: dict[str, JsonValue] = {"id": started.task_id, "status": "PENDING"}
    if started.estimate.basis == "runway":
        data["estimatedCost"] = {"credits": started.estimate.credits}
    return results.json_result(
        data, f"The task was started, but could not be read: {reason} runway_getTask shows its state.", *notes
    )


@contextmanager
def followed() -> Generator[None]:
    """Let a start return at once even with wait: its caller follows the task in another way."""
    before = _FOLLOWED.set(True)
    try:
        yield
    finally:
        _FOLLOWED.reset(before)


START_TASK = Tool(
    name="runway_startTask",
    title="Start a Runway task",
    description=(
        "Start a Runway generation task: video, image or audio. SPENDS CREDITS: start only what the user asked for. "
        "The input is checked before anything is sent; call runway_listTaskTypes for the fields of a type, "
        "runway_estimateCost for the price. A media field also takes task:<id> or task:<id>#2, an output of an earlier "
        "task, and where there is runway_uploadFile a file's path. Where the user names a limit, pass it as "
        "maxCredits. Returns the task with its estimated credits; with wait, the task once it has finished or after 45 "
        "seconds. A start whose reply is lost may be charged: the error says so, and repeating it may buy a second "
        "task. To be able to repeat a start safely, pass a clientToken."
    ),
    annotations=ToolAnnotations(
        read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True
    ),
    run=start_task,
    is_viewed=True,
)

GENERATION = Toolset(
    name="generation",
    guide="runway_listTaskTypes lists what can be started, runway_estimateCost what it costs.",
    guide_to_changes=(
        "runway_startTask starts a task, which spends credits; repeated with the same clientToken it buys nothing new."
    ),
    tools=(LIST_TASK_TYPES, ESTIMATE_COST, START_TASK),
)

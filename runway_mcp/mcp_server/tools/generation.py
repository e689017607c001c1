"""The tools that start a task: what can be started, and starting it.

What a call takes is not told in the tools' own schemas, which every turn pays for, but by
`runway_listTaskTypes`, which is asked when it is needed.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any, cast

import anyio
from mcp.server.mcpserver import Context, Resolve
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from runway_mcp.api.errors import NotFoundError, RunwayError
from runway_mcp.catalogue.validation import Prepared
from runway_mcp.history.records import StoreError
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.task_messages import explain
from runway_mcp.mcp_server.tools.confirmation import NOT_WRITTEN, answer_token, leave, prepared
from runway_mcp.mcp_server.tools.tasks import TaskOutput
from runway_mcp.mcp_server.tools.toolset import OptionalText, Tool, Toolset
from runway_mcp.mcp_server.tools.wait import reporter
from runway_mcp.spending.starter import OverLimitError, Starter, TokenReusedError, UnclearStartError
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.poller import CallerLimitError

if TYPE_CHECKING:
    from runway_mcp.catalogue.lookup import Model, TaskType

WAIT_SECONDS = 45.0
"""How long a start that waits takes with its wait, below a host's 60 s."""
LATE = "Runway did not answer in time."
NO_MODELS = "no models to choose"
MAX_DATA = "A call takes 4 MiB: what is larger goes by URL or runway_uploadFile."
MAX_TOKEN = 200
"""Characters of a client token."""
_FOLLOWED: ContextVar[bool] = ContextVar("followed", default=False)

TypeArgument = Annotated[
    str, Field(title="Task type", description="Such as text_to_video, image_to_video, text_to_image.")
]

ClientToken = Annotated[
    str,
    Field(
        title="Client token",
        description="A name of yours for this start: within 24 hours it starts one task, however often it is sent.",
        min_length=1,
        max_length=MAX_TOKEN,
    ),
]


class TypesOutput(BaseModel):
    """What can be started, or what one type or model takes."""

    model_config = ConfigDict(extra="allow")


async def list_task_types(
    type: OptionalText[Annotated[TypeArgument, Field(description="Shows this type's models and fields.")]] = "",  # noqa: A002 - the field's name at Runway
    model: OptionalText[
        Annotated[str, Field(title="Model", description="Shows this model's schema and an example.")]
    ] = "",
) -> Annotated[CallToolResult, TypesOutput]:
    """Run `runway_listTaskTypes`."""
    from runway_mcp.catalogue import lookup as catalogue  # noqa: PLC0415 - read when first asked for

    types = catalogue.task_types()
    if not type:
        found = {name: kind for name, kind in types.items() if not model or model in kind.models}
        if not found:
            return results.error_result("No task type has such a model. Called without arguments, it lists all models.")
        return results.json_result(
            {name: f"{kind.summary}; {', '.join(_starred(kind)) or NO_MODELS}" for name, kind in found.items()},
            "A * marks the model that is taken where none is named. Call again with a type for its fields.",
        )
    kind = types.get(type)
    if kind is None:
        return results.error_result(f"There is no such task type. There are: {', '.join(types)}.")
    if not model and len(kind.models) > 1:
        fields: dict[str, JsonValue] = {str(name): ", ".join(_fields(one)) for name, one in kind.models.items()}
        return results.json_result(
            {"type": type, "recommended": kind.recommended, "fields": fields},
            "A * marks a required field. Call again with a model for its schema and an example.",
        )
    shown = kind.models.get(model) if model else next(iter(kind.models.values()))
    if shown is None:
        return results.error_result(f"{type} has no such model. It has: {', '.join(_starred(kind)) or NO_MODELS}.")
    notes = [MAX_DATA] if "^data:" in str(shown.schema) else []
    if not shown.documented:
        notes.append("Runway's public documentation lacks it: its fields are known by name alone.")
    return results.json_result({"type": type, "schema": dict(shown.schema), "example": dict(shown.example)}, *notes)


async def start_task(  # noqa: PLR0917 - a tool is called by name
    type: TypeArgument,  # noqa: A002, ARG001 - the field's name at Runway; `prepared` reads it
    input: Annotated[  # noqa: A002, ARG001 - what the API calls it; `prepared` reads it
        dict[str, Any], Field(title="Input", description="The fields of the type and its model.")
    ],
    ctx: Context[CallerContext],
    request: Annotated[Prepared, Resolve(prepared)],
    agreed: Annotated[float, Resolve(leave)],
    wait: Annotated[bool, Field(title="Wait", description="Wait for the result, up to 45 seconds.")] = False,
    allowUnknown: Annotated[  # noqa: ARG001 - `prepared` reads it
        bool, Field(title="Allow unknown", description="Send fields and models that are not known here.")
    ] = False,
    clientToken: OptionalText[ClientToken] = "",
) -> Annotated[CallToolResult, TaskOutput]:
    """Run `runway_startTask`."""
    context = ctx.request_context.lifespan_context
    until = anyio.current_time() + WAIT_SECONDS
    try:
        token = clientToken or answer_token(ctx)
        started = await Starter(context).start(request, client_token=token, leave=agreed)
    except TokenReusedError as error:
        return results.error_result(f"{error} Nothing was sent; take another token for another start.")
    except (OverLimitError, UnclearStartError) as error:
        return results.error_result(str(error))
    except StoreError as error:
        return results.error_result(f"{error} {NOT_WRITTEN}")
    except RunwayError as error:
        return results.error_result(f"{error} Nothing was started, and nothing is charged.")
    same = "clientToken" if clientToken else "answer of the user's"
    notes = [f"An earlier call with this {same} had started it: nothing new was bought."] * started.is_repeated
    notes += [started.trouble] * bool(started.trouble)
    try:
        if wait and not _FOLLOWED.get():
            seconds = max(until - anyio.current_time(), 1)
            waited = await context.tasks.wait([started.task_id], seconds=seconds, until="all", report=reporter(ctx))
            result = results.wait_result(waited)
        else:
            show = results.awaited_result if wait else results.task_result
            with anyio.fail_after(max(until - anyio.current_time(), 1)):
                result = show(await context.tasks.get(started.task_id))
    except (RunwayError, CallerLimitError, TimeoutError) as error:
        if started.is_repeated and isinstance(error, NotFoundError):
            return results.error_result(
                f"{error} An earlier call with this {same} had started it, and it was cancelled or deleted since. "
                "Nothing was sent; another clientToken starts another task."
            )
        data: dict[str, JsonValue] = {"id": started.task_id, "status": "PENDING"}
        if started.credits is not None:
            data["estimatedCost"] = {"credits": started.credits}
        reason = explain(error) if isinstance(error, CallerLimitError) else str(error) or LATE
        result = results.json_result(
            data, f"It was started, but could not be looked at: {reason} Reading it shows how it stands."
        )
    result.content.extend(TextContent(text=note) for note in notes)
    return result


@contextmanager
def followed() -> Generator[None]:
    """Have a start within return at once even where it is to wait: its caller follows the task in another way."""
    before = _FOLLOWED.set(True)
    try:
        yield
    finally:
        _FOLLOWED.reset(before)


def _starred(kind: "TaskType") -> list[str]:
    return [f"{name}*" if name == kind.recommended else name for name in kind.models if name is not None]


def _fields(model: "Model") -> list[str]:
    required = cast("list[str]", model.schema.get("required", []))
    fields = cast("dict[str, object]", model.schema["properties"])
    return [f"{name}*" if name in required else name for name in fields if name != "model"]


LIST_TASK_TYPES = Tool(
    name="runway_listTaskTypes",
    title="List Runway task types",
    description=(
        "What runway_startTask can start. Without arguments: every task type with its models. With a type: its "
        "models' fields. With a model too: its exact schema and a minimal example. Asks nobody, costs nothing."
    ),
    annotations=ToolAnnotations(
        read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
    ),
    run=list_task_types,
)
START_TASK = Tool(
    name="runway_startTask",
    title="Start a Runway task",
    description=(
        "Start a Runway generation task: video, image or audio. SPENDS CREDITS; do so only as the user wished. The "
        "input is checked before anything is sent: ask runway_listTaskTypes for what a type takes. Returns the task "
        "with its estimated credits; with wait, the task once it has finished or 45 seconds are over. A start whose "
        "reply was lost may have been charged: the error says so; don't send it again unasked. Pass a clientToken to "
        "be able to."
    ),
    annotations=ToolAnnotations(
        read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True
    ),
    run=start_task,
)

GENERATION = Toolset(
    name="generation",
    guide="runway_listTaskTypes tells what can be started.",
    guide_to_changes="runway_startTask starts a task, which spends credits.",
    tools=(LIST_TASK_TYPES, START_TASK),
)

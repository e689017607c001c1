"""The tools that start a task: what can be started, and starting it.

What a call takes is not told in the tools' own schemas, which every turn pays for, but by
`runway_listTaskTypes`, which is asked when it is needed.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any, cast

from mcp.server.mcpserver import Context, Resolve
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from runway_mcp.api.errors import RunwayError
from runway_mcp.api.requests import Prepared
from runway_mcp.tasks.service import TaskService, TooManyWaitsError
from runway_mcp.tasks.starting import OverLimitError, Starter, TokenReusedError, UnclearStartError
from runway_mcp.tasks.store import StoreError
from runway_mcp.toolsets import Tool, Toolset, results
from runway_mcp.toolsets.consent import NOT_WRITTEN, leave, prepared
from runway_mcp.toolsets.tasks import TaskOutput
from runway_mcp.toolsets.waiting import reporter

if TYPE_CHECKING:
    from runway_mcp.api.catalogue import Model, TaskType

WAIT_SECONDS = 45.0
"""How long a start that waits does so, below a host's 60 s."""
LONGEST_TOKEN = 200
"""Characters of a client token."""
_FOLLOWED: ContextVar[bool] = ContextVar("followed", default=False)

TypeArgument = Annotated[
    str, Field(title="Task type", description="Such as text_to_video, image_to_video, text_to_image.")
]


class TypesOutput(BaseModel):
    """What can be started, or what one type or model takes."""

    model_config = ConfigDict(extra="allow")


async def list_task_types(
    type: Annotated[TypeArgument | None, Field(description="Shows this type's models and fields.")] = None,  # noqa: A002 - the field's name at Runway
    model: Annotated[str | None, Field(title="Model", description="Shows this model's schema and an example.")] = None,
) -> Annotated[CallToolResult, TypesOutput]:
    """Run `runway_listTaskTypes`."""
    from runway_mcp.api import catalogue  # noqa: PLC0415 - read when first asked for

    types = catalogue.task_types()
    if type is None:
        return results.json_result(
            {
                name: f"{kind.summary}; {', '.join(_starred(kind)) or 'no models to choose'}"
                for name, kind in types.items()
            },
            "A * marks the model that is taken where none is named. Call again with a type for its fields.",
        )
    kind = types.get(type)
    if kind is None:
        return results.error_result(f"There is no such task type. There are: {', '.join(types)}.")
    if model is None and len(kind.models) > 1:
        fields: dict[str, JsonValue] = {str(name): ", ".join(_fields(one)) for name, one in kind.models.items()}
        return results.json_result(
            {"type": type, "recommended": kind.recommended, "fields": fields},
            "A * marks a required field. Call again with a model for its schema and an example.",
        )
    found = kind.models.get(model) or (None if model else next(iter(kind.models.values())))
    if found is None:
        return results.error_result(f"{type} has no such model. It has: {', '.join(map(str, kind.models))}.")
    notes = [] if found.documented else ["Runway's public documentation lacks it: its fields are known by name alone."]
    return results.json_result({"type": type, "schema": dict(found.schema), "example": dict(found.example)}, *notes)


async def start_task(  # noqa: PLR0917 - a tool is called by name
    type: TypeArgument,  # noqa: A002, ARG001 - the field's name at Runway; `prepared` reads it
    input: Annotated[  # noqa: A002, ARG001 - what the API calls it; `prepared` reads it
        dict[str, Any], Field(title="Input", description="The fields of the type and its model.")
    ],
    ctx: Context[TaskService],
    request: Annotated[Prepared, Resolve(prepared)],
    agreed: Annotated[float, Resolve(leave)],
    wait: Annotated[bool, Field(title="Wait", description="Wait for the result, as runway_waitForTask does.")] = False,
    allowUnknown: Annotated[  # noqa: ARG001 - `prepared` reads it
        bool, Field(title="Allow unknown", description="Send fields and models that are not known here.")
    ] = False,
    clientToken: Annotated[
        str | None,
        Field(
            title="Client token",
            description="A name of yours for this start: within 24 hours it starts one task, however often it is sent.",
            min_length=1,
            max_length=LONGEST_TOKEN,
        ),
    ] = None,
) -> Annotated[CallToolResult, TaskOutput]:
    """Run `runway_startTask`."""
    service = ctx.request_context.lifespan_context
    try:
        started = await Starter(service).start(request, client_token=clientToken, leave=agreed)
    except TokenReusedError as error:
        return results.error_result(f"{error} Nothing was sent; take another token for another start.")
    except (OverLimitError, UnclearStartError) as error:
        return results.error_result(str(error))
    except StoreError as error:
        return results.error_result(f"{error} {NOT_WRITTEN}")
    except RunwayError as error:
        return results.error_result(f"{error} Nothing was started, and nothing is charged.")
    notes = ["An earlier call with this clientToken had started it: nothing new was bought."] * started.is_repeated
    try:
        if wait and not _FOLLOWED.get():
            waited = await service.wait([started.task_id], seconds=WAIT_SECONDS, until="all", report=reporter(ctx))
            result = results.wait_result(waited)
        else:
            show = results.awaited_result if wait else results.task_result
            result = show(await service.get(started.task_id))
    except (RunwayError, TooManyWaitsError) as error:
        data: dict[str, JsonValue] = {"id": started.task_id, "status": "PENDING"}
        if started.credits is not None:
            data["estimatedCost"] = {"credits": started.credits}
        result = results.json_result(
            data, f"It was started, but could not be looked at: {error} Follow it with runway_getTask."
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

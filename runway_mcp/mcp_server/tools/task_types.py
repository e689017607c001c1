"""The tool that lists task types.

The fields of each task type are not part of the tools' schemas, which cost the model tokens every turn.
`runway_listTaskTypes` returns them on demand.
"""

from typing import TYPE_CHECKING, Annotated, cast

from mcp_types import CallToolResult, ToolAnnotations
from pydantic import Field, JsonValue

from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.tools.toolset import Output, Tool

if TYPE_CHECKING:
    from runway_mcp.catalogue.lookup import Model, TaskType

NO_MODELS = "no models to choose"
MAX_DATA = "A call takes at most 4 MiB. Pass larger files by URL or with runway_uploadFile."

TypeArgument = Annotated[
    str, Field(title="Task type", description="Such as text_to_video, image_to_video, text_to_image.")
]


class TypesOutput(Output):
    """The task types, or the fields of one type or model."""


async def list_task_types(
    type: Annotated[TypeArgument, Field(description="Show this type's models and fields.")] = "",  # noqa: A002 - the field's name at Runway
    model: Annotated[str, Field(title="Model", description="Show this model's schema and an example.")] = "",
) -> Annotated[CallToolResult, TypesOutput]:
    """Run `runway_listTaskTypes`."""
    from runway_mcp.catalogue import lookup as catalogue  # noqa: PLC0415 - read when first asked for

    types = catalogue.task_types()
    if not type:
        found = {name: kind for name, kind in types.items() if not model or model in kind.models}
        if not found:
            return results.error_result("No task type has such a model. Call without arguments to list all models.")
        return results.json_result(
            {name: f"{kind.summary}; {', '.join(_starred(kind)) or NO_MODELS}" for name, kind in found.items()},
            "A * marks the default model. Call again with a type for its fields.",
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
        notes.append("Runway's public documentation lacks it: only the names of its fields are known.")
    return results.json_result({"type": type, "schema": dict(shown.schema), "example": dict(shown.example)}, *notes)


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
        "List what runway_startTask can start. Without arguments: every task type with its models. With a type: its "
        "models' fields. With a model too: its exact schema and a minimal example. Sends nothing, costs nothing."
    ),
    annotations=ToolAnnotations(
        read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
    ),
    run=list_task_types,
)

"""The tool that lists task types.

The fields of each task type are not part of the tools' schemas, which cost the model tokens every turn.
`runway_listTaskTypes` returns them on demand.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from mcp_types import CallToolResult
from pydantic import Field, JsonValue

from runway_mcp.catalogue import lookup
from runway_mcp.catalogue.outline import outline
from runway_mcp.catalogue.suggestions import likely_choice
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.tools.toolset import LOOKS_UP, Output, Tool

MAX_DATA = "A call takes at most 4 MiB. Pass larger files by URL or with runway_uploadFile."
LEGEND = (
    "* marks a required field; ≤ counts characters, or the entries of a list []. image, video and audio are https://, "
    'runway:// or data: URIs, or task:<id>. A field without values takes those under shared, one "as" a model the same '
    "as there. "
    "Call again with a model for its schema."
)

_KEPT = "The updated one is {} and does not count: the operator can make it anew with runway-mcp catalogue update."


TypeArgument = Annotated[
    str, Field(title="Task type", description="Such as text_to_video, image_to_video, text_to_image.")
]


class TypesOutput(Output):
    """The task types, or what one type or model takes."""

    types: dict[str, str] = Field({}, description="Without a type: what each makes, and its models.")
    type: str = Field("", description="The type asked for.")
    summary: str = Field("", description="What it makes.")
    models: dict[str, str] = Field({}, description="What each model is for and takes.")
    shared: dict[str, str] = Field({}, description="Values of fields that several models take alike.")
    model: str = Field("", description="The model asked for.")
    json_schema: dict[str, Any] = Field({}, alias="schema", description="With a model: the input's JSON Schema.")
    example: dict[str, Any] = Field({}, description="A minimal input.")


async def list_task_types(
    type: Annotated[TypeArgument, Field(description="Show this type's models and fields.")] = "",  # noqa: A002 - the field's name at Runway
    model: Annotated[str, Field(title="Model", description="Show this model's schema and an example.")] = "",
) -> Annotated[CallToolResult, TypesOutput]:
    """Run `runway_listTaskTypes`."""
    types = lookup.task_types()
    if not type:
        return _table({name: kind for name, kind in types.items() if not model or model in kind.models}, model)
    kind = lookup.find_type(type)
    if kind is None:
        labels = ", ".join(one.label for one in types.values())
        hint = _did_you_mean(type, types)
        return results.error_result(f"There is no such task type.{hint} There are: {labels}. {lookup.IMPOSSIBLE}")
    if not model:
        return _type_result(kind)
    shown = kind.models.get(
        None if model == kind.name else model
    )  # a type without models to choose is shown by its own name
    if shown is None:
        others = [name for name, other in types.items() if model in other.models]
        elsewhere = f" It is a model of {', '.join(others)}." if others else _did_you_mean(model, kind.models)
        labels = ", ".join(kind.labels)
        has = f"It has: {labels}." if labels else "It has no models to choose."
        return results.error_result(f"{type} has no such model.{elsewhere} {has}")
    return results.json_result(
        {"type": kind.name, "model": model, "schema": dict(shown.schema), "example": dict(shown.example)},
        *_notes(kind, [shown]),
        *_age(),
    )


def _table(kinds: Mapping[str, lookup.TaskType], model: str) -> CallToolResult:
    if not kinds:
        hint = _did_you_mean(
            model, dict.fromkeys(name for kind in lookup.task_types().values() for name in kind.models)
        )
        return results.error_result(f"No task type has such a model.{hint} Call without arguments to list all models.")
    rows: dict[str, JsonValue] = {
        name: "; ".join(part for part in (kind.summary, ", ".join(kind.labels)) if part) for name, kind in kinds.items()
    }
    return results.json_result(
        {"types": rows}, f"Call again with a type for what its models take. {lookup.IMPOSSIBLE}", *_age()
    )


def _type_result(kind: lookup.TaskType) -> CallToolResult:
    shared, rows = outline(kind)
    data: dict[str, JsonValue] = {"type": kind.name, "summary": kind.summary, "models": dict(rows)}
    if shared:
        data["shared"] = dict(shared)
    default = kind.models[kind.recommended] if kind.recommended in kind.models else next(iter(kind.models.values()))
    data["example"] = dict(default.example)
    return results.json_result(data, LEGEND, *_notes(kind, list(kind.models.values())), *_age())


def _notes(kind: lookup.TaskType, models: list[lookup.Model]) -> list[str]:
    notes = [MAX_DATA] if any("^data:" in str(model.schema) for model in models) else []
    if any(not model.documented for model in models):
        notes.append(f"{lookup.UNDOCUMENTED}: Runway's documentation lacks it; only the names of its fields are known.")
    return notes if kind.output == "image" else [*notes, lookup.IMPOSSIBLE]


def _age() -> list[str]:
    problem = lookup.kept_problem()
    return [f"Catalogue of {lookup.catalogue_day()}.", *([_KEPT.format(problem)] if problem else [])]


def _did_you_mean(given: str, names: Iterable[str | None]) -> str:
    likely = likely_choice(given, [name for name in names if name])
    return f" Did you mean {likely}?" if likely else ""


LIST_TASK_TYPES = Tool(
    name="runway_listTaskTypes",
    title="List Runway task types",
    description=(
        "List what runway_startTask can start. Without arguments: every task type with its models. With a type: what "
        "each of its models is for and takes. With a model too: its exact schema. Sends nothing, costs nothing."
    ),
    annotations=LOOKS_UP,
    run=list_task_types,
)

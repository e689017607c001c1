"""The catalogue's models, and what is made of them."""

from typing import TYPE_CHECKING, Any, cast

from runway_mcp.catalogue.example_inputs import example
from runway_mcp.catalogue.lookup import Model, task_types

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

MODELS = [(kind, model) for kind in task_types().values() for model in kind.models.values()]

_EXCLUDED = {
    "seedance2_5": {"draftTaskId"},
    "gen4.5": {"proresProfile"},
    "aleph2": {"proresProfile"},
    "ruby": {"proresProfile"},
    "ideogram_4_5": {"maskUri", "preciseEdit", "ratio"},
    "bria_fibo_edit_1_5": {"ratio"},
}

NAMES = [f"{kind.name}-{model.name}" for kind, model in MODELS]


def full_input(model: Model) -> "dict[str, JsonValue]":
    definitions = cast("Mapping[str, Any]", model.schema.get("$defs", {}))
    body = example(cast("dict[str, Any]", model.schema), definitions, full=True)
    if "shots" in body:
        body["duration"] = sum(shot["duration"] for shot in body["shots"])
    # of fields that exclude each other, one
    return {name: value for name, value in body.items() if name not in _EXCLUDED.get(str(model.name), ())}

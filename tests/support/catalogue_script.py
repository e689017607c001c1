"""The catalogue's models, and what its script makes of them."""

from typing import TYPE_CHECKING, Any, cast

import update_catalogue

from runway_mcp.catalogue.lookup import Model, task_types

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

MODELS = [(kind, model) for kind in task_types().values() for model in kind.models.values()]

NAMES = [f"{kind.name}-{model.name}" for kind, model in MODELS]


def full_input(model: Model) -> "dict[str, JsonValue]":
    definitions = cast("Mapping[str, Any]", model.schema.get("$defs", {}))
    return update_catalogue.example(cast("dict[str, Any]", model.schema), definitions, full=True)

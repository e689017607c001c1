"""The script that makes the catalogue, as tests call it."""

import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from runway_mcp.catalogue.lookup import Model, task_types

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import JsonValue

_SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "update_catalogue.py"))

main = cast("Callable[[list[str]], int]", _SCRIPT["main"])
"""Its command line: the arguments, the exit code."""

MODELS = [(kind, model) for kind in task_types().values() for model in kind.models.values()]

NAMES = [f"{kind.name}-{model.name}" for kind, model in MODELS]


def full_input(model: Model) -> "dict[str, JsonValue]":
    definitions = cast("Mapping[str, Any]", model.schema.get("$defs", {}))
    return _SCRIPT["example"](model.schema, definitions, full=True)

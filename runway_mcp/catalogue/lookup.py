"""The task types that can be started: their models, and what each takes.

What it says is data: catalogue.json, made from the API's OpenAPI document and the types of Runway's SDK by
scripts/update_catalogue.py, or a newer one that `runway-mcp catalogue update` has kept. It is read when first asked
for. They state no prices.
"""

import json
import logging
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

if TYPE_CHECKING:
    from runway_mcp.catalogue.kept_catalogue import KeptProblem

logger = logging.getLogger(__name__)

UNDOCUMENTED = "(undocumented)"
"""Marks a task type or a model that neither the API's document nor Runway's SDK has."""
IMPOSSIBLE = "Not possible here: joining sound and video, joining or cutting videos, slow motion."
"""What is asked for most often and no task type does."""


@dataclass(frozen=True, slots=True)
class Model:
    """What one model takes for one task type.

    Attributes:
        name: None where the task type lets nobody choose one.
        schema: The body of the request as JSON Schema (2020-12), with its definitions; no object
            in it takes a property that it does not name.
        example: A body with little more than the fields that it demands.
        purpose: What it is for beside what its type says, in a few words; may be empty.
        documented: Whether the API's document or Runway's SDK has it; else its fields are known by name alone.
    """

    name: str | None
    schema: Mapping[str, JsonValue]
    example: Mapping[str, JsonValue]
    purpose: str
    documented: bool


@dataclass(frozen=True, slots=True)
class TaskType:
    """A kind of task.

    Attributes:
        name: The end of its endpoint's path, such as text_to_video or recipes/product_ad.
        summary: What it makes, in a few words.
        output: What it makes: video, image or audio.
        recommended: The model to take where none is named, if there is one.
        models: The models by name; a single one named None where nobody chooses.
    """

    name: str
    endpoint: str
    summary: str
    output: str
    recommended: str | None
    models: Mapping[str | None, Model]

    @property
    def label(self) -> str:
        """The name, marked where no official source has any of the models."""
        is_documented = any(model.documented for model in self.models.values())
        return self.name if is_documented else f"{self.name} {UNDOCUMENTED}"

    @property
    def labels(self) -> list[str]:
        """The models' names, marked as the default or as undocumented; none where nobody chooses."""
        return [f"{name}{self.marks(model)}" for name, model in self.models.items() if name is not None]

    def marks(self, model: Model) -> str:
        """Return what follows a model's name in a list."""
        default = " (default)" if model.name is not None and model.name == self.recommended else ""
        return default if model.documented else f"{default} {UNDOCUMENTED}"


_folders: list[Path] = []  # where a newer one may be kept


def look_in(folder: Path | None) -> None:
    """Say in which folder a newer catalogue may be kept. Nothing is read before the next question."""
    _folders[:] = [] if folder is None else [folder]
    for one in (_catalogue, languages, task_types):
        one.cache_clear()


def catalogue_data() -> Mapping[str, Any]:
    """Return the newest catalogue as it is stored."""
    return _catalogue()[0]


def catalogue_day() -> str:
    """Return the day of the newest catalogue's sources, as YYYY-MM-DD."""
    return catalogue_data()["asOf"]


def kept_problem() -> "KeptProblem | None":
    """Return why the kept catalogue does not count, if there is one that does not."""
    return _catalogue()[1]


@cache
def own_data() -> Mapping[str, Any]:
    """Return the catalogue that comes with the server as it is stored."""
    return json.loads(files("runway_mcp.catalogue").joinpath("catalogue.json").read_bytes())


@cache
def _catalogue() -> "tuple[Mapping[str, Any], KeptProblem | None]":
    own, problem = own_data(), None
    for folder in _folders:
        from runway_mcp.catalogue.kept_catalogue import newer  # noqa: PLC0415 - read when first asked for

        own, problem = newer(own, folder)
        if problem:
            logger.warning("The catalogue kept in %s is %s and does not count.", folder, problem)
    return own, problem


def pattern_words(pattern: str) -> str:
    """Return what a text is that matches a pattern of the schemas."""
    return catalogue_data()["patterns"].get(pattern, f"a text that matches {pattern}")


@cache
def languages() -> Mapping[str, str]:
    """Return the codes of languages by their names, in lower case."""
    return {name: code for code, names in catalogue_data()["languages"].items() for name in names}


@cache
def task_types() -> Mapping[str, TaskType]:
    """Return every task type by its name."""
    return own_task_types() if catalogue_data() is own_data() else _types(catalogue_data())


@cache
def own_task_types() -> Mapping[str, TaskType]:
    """Return the task types of the catalogue that comes with the server, even if a newer one is kept."""
    return _types(own_data())


def _types(catalogue: Mapping[str, Any]) -> Mapping[str, TaskType]:
    return {
        name: TaskType(
            name=name,
            endpoint=entry["endpoint"],
            summary=entry["summary"],
            output=entry["output"],
            recommended=entry["recommended"],
            models={one["name"]: _model(one, catalogue["definitions"]) for one in entry["models"]},
        )
        for name, entry in catalogue["types"].items()
    }


def find_type(name: str) -> TaskType | None:
    """Return the task type of a name, in any spelling; None for no such type."""
    types = task_types()
    return types.get(name) or next((kind for kind in types.values() if same_spelling(kind.name, name)), None)


def same_spelling(name: str, other: str) -> bool:
    """Return whether two names differ in case and separators only."""
    return _bare(name) == _bare(other)


def _bare(name: str) -> str:
    return re.sub(r"[\s_-]", "", unicodedata.normalize("NFKC", name)).casefold()


def input_fields(type_name: str) -> Sequence[str] | None:
    """Return the top-level fields of any model of a task type, the default model's first; None for no such type."""
    kind = find_type(type_name)
    if kind is None:
        return None
    models = sorted(kind.models.values(), key=lambda model: model.name != kind.recommended)
    return list(dict.fromkeys(name for one in models for form in forms(one.schema) for name in form["properties"]))


def forms(schema: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the alternatives of a schema; itself where it has none."""
    return schema.get("anyOf", [schema])


def _model(entry: dict[str, Any], definitions: dict[str, Any]) -> Model:
    schema = entry["schema"]
    text = json.dumps(schema)
    used = {name: definition for name, definition in definitions.items() if f'"#/$defs/{name}"' in text}
    return Model(
        name=entry["name"],
        schema={**schema, "$defs": used} if used else schema,
        example=entry["example"],
        purpose=entry.get("purpose", ""),
        documented=entry.get("documented", True),
    )

"""Takes an input as it was meant, where it can mean one thing only.

Each value that does not fit is read in the forms that people and models write. A value that fits in exactly one form is
taken in it, and a sentence says so. A field's name is taken in another spelling, never in another word.
"""

import json
import unicodedata
from collections.abc import Callable
from typing import cast

from pydantic import JsonValue

from runway_mcp.catalogue.json_schema import Place, Schema, fits
from runway_mcp.catalogue.lookup import same_spelling
from runway_mcp.catalogue.problems import path_of, shown
from runway_mcp.catalogue.suggestions import meanings

NOTHING = frozenset({"", "null", "NULL", "None", "undefined"})
"""What hosts and models write for nothing; "none" can be a choice, such as no sound."""

MAX_BLANK = 1_000
"""Characters of a text that may be invisible altogether."""

_Reading = tuple[JsonValue, list[str]]


def understand(
    value: JsonValue,
    schema: Schema,
    *,
    allow_unknown: bool,
    place: Place = (),
    stand_in: Callable[[str], str | None] | None = None,
) -> tuple[JsonValue, list[str]]:
    """Return a value as its schema takes it, and a sentence for each thing that was written differently.

    `stand_in` returns the URI that stands in for a medium which a text names otherwise.
    """
    return _Reader(schema.get("$defs", {}), stand_in, allow_unknown=allow_unknown).read(value, schema, place)


def is_nothing(value: JsonValue) -> bool:
    """Return whether a value says that its field was left out: null, an empty text, or a word for them."""
    return value is None or (isinstance(value, str) and _visible(value) in NOTHING)


def _visible(text: str) -> str:
    return (
        "".join(sign for sign in text if unicodedata.category(sign) != "Cf").strip() if len(text) < MAX_BLANK else text
    )


class _Reader:
    def __init__(
        self, definitions: Schema, stand_in: Callable[[str], str | None] | None, *, allow_unknown: bool
    ) -> None:
        self._definitions = definitions
        self._stand_in = stand_in
        self._allow_unknown = allow_unknown

    def read(self, value: JsonValue, schema: Schema, place: Place) -> _Reading:
        if "$ref" in schema:
            schema = self._definitions[schema["$ref"].rpartition("/")[2]]
        if not schema:
            match value:  # of any form: only what its URI names is known
                case {"uri": str(text)} if self._stand_in is not None:
                    return {**value, "uri": self._stand_in(text) or text}, []
                case _:
                    return value, []
        taken = self._taken(value, schema, place)
        if not isinstance(value, str) or self._stand_in is None or self._fits(taken[0], schema):
            return taken
        uri = self._stand_in(value)
        if uri is not None and self._fits("x" * len(uri), schema):  # it takes words, which are too long or short
            return taken
        named = taken[0] if uri is None else self._taken(uri, schema, place)[0]
        return (named, []) if self._fits(named, schema) else taken

    def _taken(self, value: JsonValue, schema: Schema, place: Place) -> _Reading:
        notes: list[str] = []
        if "anyOf" in schema and "format" not in schema:
            return self._alternatives(value, schema, place)
        if isinstance(value, dict) and "properties" in schema:
            value, notes = self._object(value, schema, place)
        elif isinstance(value, list) and "items" in schema:
            value, notes = self._items(value, schema, place)
        if self._fits(value, schema):
            return value, notes
        field = next((step for step in reversed(place) if isinstance(step, str)), "")
        found = {json.dumps(one): (one, words) for one, words in meanings(value, schema, field)}
        fitting = [(one, words) for one, words in found.values() if self._fits(one, schema)]
        if not fitting or len({str(one).casefold() for one, _ in fitting}) > 1:
            return value, notes
        meant, words = fitting[0]  # of values that differ in case only, the one that was written comes first
        if isinstance(value, str) and meant == value.strip():
            return meant, notes
        return meant, [*notes, f"Took {path_of(place)} {words} from {shown(value)}."]

    def _fits(self, value: JsonValue, schema: Schema) -> bool:
        return fits(value, {**schema, "$defs": self._definitions})

    def _alternatives(self, value: JsonValue, schema: Schema, place: Place) -> _Reading:
        if not isinstance(value, dict) and self._fits(value, schema):
            if not isinstance(value, list):
                return value, []
            return self.read(value, next(branch for branch in schema["anyOf"] if self._fits(value, branch)), place)
        readings = [(self.read(value, branch, place), branch) for branch in schema["anyOf"]]
        good = {json.dumps(one[0]): one for one, branch in readings if self._fits(one[0], branch)}
        if not good:  # what is wrong is told of the alternative that the constants name
            good = {json.dumps(one[0]): one for one, branch in readings if _is_named(one[0], branch)}
        return next(iter(good.values())) if len(good) == 1 else (value, [])

    def _items(self, value: JsonValue, schema: Schema, place: Place) -> _Reading:
        readings = [
            self.read(item, schema["items"], (*place, index))
            for index, item in enumerate(cast("list[JsonValue]", value))
        ]
        return [item for item, _ in readings], [note for _, notes in readings for note in notes]

    def _object(self, value: JsonValue, schema: Schema, place: Place) -> _Reading:
        given, fields = cast("dict[str, JsonValue]", value), schema["properties"]
        made: dict[str, JsonValue] = {}
        notes: list[str] = []
        for name, item in given.items():
            known = next((one for one in fields if same_spelling(one, name) and one not in given), name)
            if known not in fields or known in made:
                if self._allow_unknown or not is_nothing(item):
                    made[name] = item
                continue
            field: Schema = fields[known]
            if known not in schema.get("required", ()) and is_nothing(item) and item not in field.get("enum", ()):
                continue
            if known != name:
                notes.append(f"Took {path_of((*place, name))} as {known}.")
            if isinstance(item, str) and not _visible(item):
                item = ""  # noqa: PLW2901 - a text without a visible character is none
            made[known], more = self.read(item, field, (*place, known))
            notes += more
        return made, notes


def _is_named(value: JsonValue, schema: Schema) -> bool:
    constants = {name: field["const"] for name, field in schema.get("properties", {}).items() if "const" in field}
    return isinstance(value, dict) and bool(constants) and constants.items() <= {**value}.items()

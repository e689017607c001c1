"""What a start is known by: which are the same, which are likely to cost the same, and what each says."""

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from json import dumps, loads

from pydantic import JsonValue

from runway_mcp.catalogue.field_rules import Lengths
from runway_mcp.catalogue.json_schema import utf16_length
from runway_mcp.catalogue.lookup import task_types
from runway_mcp.catalogue.validation import Prepared
from runway_mcp.history.task_records import PROMPT_CHARACTERS

_TIMED = {"#/$defs/video", "#/$defs/audio"}


def fingerprint(prepared: Prepared) -> str:
    """Return a digest that is equal for equal requests, whatever the order of their fields."""
    return _digest(prepared.endpoint, prepared.body)


def price_key(prepared: Prepared) -> str:
    """Return a digest of what a price can depend on: numbers, switches, choices and how many media there are.

    Videos and sounds count by their length or, where that is not known, by which they are; a text to be spoken by its
    length. Other texts, images and seeds are no part of it.
    """
    kind = task_types().get(prepared.type)
    spoken = _words(prepared.body) if kind is not None and kind.output == "audio" else ""
    return _digest(prepared.endpoint, [_priced(prepared.body, prepared.lengths), utf16_length(spoken)])


def prompt_of(value: JsonValue) -> str:
    """Return the beginning of what an input describes in words, on one line."""
    return " ".join(_words(value)[: 10 * PROMPT_CHARACTERS].split())[:PROMPT_CHARACTERS]


def _words(value: JsonValue) -> str:
    match value:
        case (
            {"promptText": str(text)}
            | {"prompt": str(text)}
            | {"userConcept": str(text)}
            | {"productInfo": str(text)}
            | {"text": str(text)}
        ):
            return text
        case {"input": dict(inner)} | {"speech": dict(inner)}:
            return _words(inner)
        case _:
            return ""


def _digest(endpoint: str, body: JsonValue) -> str:
    same = loads(dumps(body), parse_float=_whole)
    return sha256(dumps([endpoint, same], sort_keys=True).encode()).hexdigest()


def _whole(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number


def _priced(value: JsonValue, lengths: Lengths, field: str = "") -> JsonValue:
    match value:
        case str():
            choices, timed = _priced_fields()
            if field in timed:
                return str(lengths.get(value, value))
            return value if field in choices else ""
        case list():
            return [_priced(item, lengths, field) for item in value]
        case dict():
            return {
                name: _priced(item, lengths, field if name == "uri" else name)
                for name, item in value.items()
                if name != "seed"
            }
        case _:
            return value


@cache
def _priced_fields() -> tuple[frozenset[str], frozenset[str]]:
    """The fields whose texts the catalogue lists one by one, and those with videos and sounds, for any model."""
    models = [dict(model.schema) for kind in task_types().values() for model in kind.models.values()]
    found = [one for model in models for one in _fields(model, "")]
    choices = frozenset(field for field, schema in found if "enum" in schema or "const" in schema)
    return choices, frozenset(field for field, schema in found if schema.get("$ref") in _TIMED)


def _fields(schema: JsonValue, field: str) -> Iterator[tuple[str, dict[str, JsonValue]]]:
    match schema:
        case dict():
            yield field, schema
            for keyword, value in schema.items():
                if keyword == "properties" and isinstance(value, dict):
                    for name, part in value.items():
                        yield from _fields(part, field if name == "uri" else name)
                elif keyword not in {"enum", "const"}:
                    yield from _fields(value, field)
        case list():
            for part in schema:
                yield from _fields(part, field)
        case _:
            pass

"""What a start is known by: which are the same, which are likely to cost the same, and what each says."""

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from json import dumps, loads

from pydantic import JsonValue

from runway_mcp.catalogue.lookup import task_types
from runway_mcp.catalogue.validation import Prepared
from runway_mcp.history.task_records import PROMPT_CHARACTERS


def fingerprint(prepared: Prepared) -> str:
    """Return a digest that is equal for equal requests, whatever the order of their fields."""
    return _digest(prepared.endpoint, prepared.body)


def price_key(prepared: Prepared) -> str:
    """Return a digest of what a price can depend on: numbers, switches, choices and how many media there are.

    Texts, media and seeds are no part of it, whatever they hold.
    """
    return _digest(prepared.endpoint, _priced(prepared.body))


def prompt_of(value: JsonValue) -> str:
    """Return the beginning of what an input describes in words, on one line."""
    match value:
        case (
            {"promptText": str(text)}
            | {"prompt": str(text)}
            | {"userConcept": str(text)}
            | {"productInfo": str(text)}
            | {"text": str(text)}
        ):
            return " ".join(text[: 10 * PROMPT_CHARACTERS].split())[:PROMPT_CHARACTERS]
        case {"input": dict(inner)} | {"speech": dict(inner)}:
            return prompt_of(inner)
        case _:
            return ""


def _digest(endpoint: str, body: JsonValue) -> str:
    same = loads(dumps(body), parse_float=_whole)
    return sha256(dumps([endpoint, same], sort_keys=True).encode()).hexdigest()


def _whole(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number


def _priced(value: JsonValue, field: str = "") -> JsonValue:
    match value:
        case str():
            return value if field in _choice_fields() else ""
        case list():
            return [_priced(item, field) for item in value]
        case dict():
            return {name: _priced(item, name) for name, item in value.items() if name != "seed"}
        case _:
            return value


@cache
def _choice_fields() -> frozenset[str]:
    """The fields whose texts the catalogue lists one by one, for any model."""
    models = (model for kind in task_types().values() for model in kind.models.values())
    return frozenset(field for model in models for field in _choices(dict(model.schema), ""))


def _choices(schema: JsonValue, field: str) -> Iterator[str]:
    match schema:
        case dict():
            if "enum" in schema or "const" in schema:
                yield field
            for keyword, value in schema.items():
                if keyword == "properties" and isinstance(value, dict):
                    for name, part in value.items():
                        yield from _choices(part, name)
                elif keyword not in {"enum", "const"}:
                    yield from _choices(value, field)
        case list():
            for part in schema:
                yield from _choices(part, field)
        case _:
            pass

"""Whether a request's body fits a model's schema: the jsonschema library, and what JSON Schema can't say.

That is: no object has a field that its schema does not name, a text's length counts as the API counts
it (UTF-16 code units), a pattern means what it does in JavaScript, and a URL's host is a domain name.
The library takes a while to import (0.1 s), so it is imported for the first body that is checked.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from pydantic import JsonValue

from runway_mcp.catalogue.media_inputs import has_input_type, is_empty

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

Schema = Mapping[str, Any]
Errors = Iterator["ValidationError"]
Place = tuple[str | int, ...]
"""The way to a value: names of fields, positions in lists."""

UNKNOWN = "unknown"
"""The rule that a field breaks which its object's schema does not name."""

NOT_IN_URLS = re.compile(r"[\s\x00-\x1f\x7f]")
"""White space and control characters."""

SEVERAL_URLS = re.compile(r"[,;|]https?://", re.IGNORECASE)
"""The border between two URLs in one text."""

_DOMAIN = re.compile(r"(?=.{4,254}\Z)(?:\w(?:[\w-]{0,61}\w)?\.)+[^\W\d_](?:[\w-]{0,61}\w)\.?")


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule of a schema, a keyword or `UNKNOWN`, that a value breaks.

    Of an unknown field the value is the object that has it. `alternatives` says what is wrong with each of `anyOf`.
    """

    place: Place
    rule: str
    value: JsonValue
    schema: Schema
    alternatives: Sequence[Sequence["Violation"]] = ()


def violations(value: JsonValue, schema: Schema, *, allow_unknown: bool = False) -> list[Violation]:
    """Return which rules a value breaks of a schema with its definitions."""
    return [_violation(error) for error in _dialect(allow_unknown)(schema).iter_errors(value)]


def fits(value: JsonValue, schema: Schema) -> bool:
    """Return whether a value breaks no rule of a schema."""
    return _dialect(allow_unknown=False)(schema).is_valid(value)


def utf16_length(text: str) -> int:
    """Return a text's length as the API counts it."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def _violation(error: "ValidationError") -> Violation:
    alternatives: dict[str | int, list[Violation]] = {}
    for child in error.context or ():
        alternatives.setdefault(child.relative_schema_path[0], []).append(_violation(child))
    return Violation(
        place=tuple(error.absolute_path),
        rule=str(error.validator),
        value=cast("JsonValue", error.instance),
        schema=cast("Schema", error.schema),
        alternatives=tuple(alternatives.values()),
    )


@cache
def _dialect(allow_unknown: bool) -> "Callable[[Schema], Validator]":
    from jsonschema import Draft202012Validator, FormatChecker, ValidationError, validators  # noqa: PLC0415 - see above

    known = Draft202012Validator.VALIDATORS["properties"]

    def properties(checker: "Validator", fields: Schema, value: JsonValue, schema: Schema) -> Errors:
        yield from known(checker, fields, value, schema)
        if isinstance(value, dict):
            for name in (name for name in value if name not in fields):
                yield ValidationError("", validator=UNKNOWN, path=[name], instance=value, schema=schema)

    def max_length(_checker: "Validator", most: int, value: JsonValue, _schema: Schema) -> Errors:
        if isinstance(value, str) and utf16_length(value) > most:
            yield ValidationError("")

    def pattern(_checker: "Validator", pattern: str, value: JsonValue, _schema: Schema) -> Errors:
        # in Python $ also matches before a last line break, and \d any alphabet's digits
        if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value, re.ASCII):
            yield ValidationError("")

    rules: dict[str, Any] = {"maxLength": max_length, "pattern": pattern}
    if not allow_unknown:
        rules["properties"] = properties
    formats = FormatChecker(formats=())
    formats.checks("uri")(_is_reachable)
    extend = cast("Any", validators).extend
    return partial(extend(Draft202012Validator, rules), format_checker=formats)


def _is_reachable(value: object) -> bool:
    """Whether a URI is an https URL with a domain name (the API refuses addresses), of a media type, or another."""
    if not isinstance(value, str) or not value.startswith("https://"):
        return not isinstance(value, str) or (has_input_type(value) and not is_empty(value))
    try:
        host = urlsplit(value).hostname or ""
    except ValueError:
        return False
    return not (_DOMAIN.fullmatch(host) is None or NOT_IN_URLS.search(value) or SEVERAL_URLS.search(value))

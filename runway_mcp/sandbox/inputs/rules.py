"""Small rules that are put together to say what a request's body may hold.

A rule looks at one value and yields what is wrong with it, as the API words it: its answers are
those of the validator Zod, with the issues' codes and English. Of a value that is right if something
was uploaded before, it yields what that is.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from runway_mcp.sandbox.media import Kind

Path = tuple[str | int, ...]
Issue = dict[str, object]


@dataclass(frozen=True, slots=True)
class Needed:
    """An upload that must be there, and of this kind."""

    kind: Kind
    uri: str
    path: Path


Finding = Issue | Needed
Rule = Callable[[object, Path], Iterator[Finding]]

ANYTHING_COUNTABLE = 2**53 - 1  # the largest whole number that JavaScript counts to

_MISSING = object()
_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (str, "string"),
    (int, "number"),
    (float, "number"),
    (dict, "object"),
    (list, "array"),
    (type(None), "null"),
)


@dataclass(frozen=True, slots=True)
class Maybe:
    """A field that may be left out."""

    rule: Rule


Field = Rule | Maybe


def judge(rule: Rule, value: object, path: Path = ()) -> tuple[list[Issue], list[Needed]]:
    """What is wrong with a value, and the uploads it needs."""
    issues, needed = list[Issue](), list[Needed]()
    for found in rule(value, path):
        if isinstance(found, Needed):
            needed.append(found)
        else:
            issues.append(found)
    return issues, needed


def maybe(rule: Rule) -> Maybe:
    """The field may be left out."""
    return Maybe(rule)


def text(least: int = 0, most: int | None = None, pattern: str = "") -> Rule:
    """A string of so many UTF-16 code units in which the pattern is found."""

    def check(value: object, path: Path) -> Iterator[Issue]:
        if not isinstance(value, str):
            yield _mistyped("string", value, path)
            return
        units = len(value.encode("utf-16-le", "surrogatepass")) // 2
        yield from _limits(units, least, most, path, "string to have {} characters")
        if not re.search(pattern, value):
            yield _issue("invalid_format", path, f"Invalid string: must match pattern /{pattern}/")

    return check


def number(least: float, most: float) -> Rule:
    """A number within limits, both included."""

    def check(value: object, path: Path) -> Iterator[Issue]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield _mistyped("number", value, path)
        else:
            yield from _limits(value, least, most, path, "number to be {}")

    return check


def whole(least: int, most: int) -> Rule:
    """A whole number within limits, both included; 5.0 is one too."""
    within = number(least, most)

    def check(value: object, path: Path) -> Iterator[Finding]:
        if isinstance(value, float) and not value.is_integer():
            yield _mistyped("int", value, path)
        else:
            yield from within(value, path)

    return check


def flag(value: object, path: Path) -> Iterator[Issue]:
    """True or false."""
    if not isinstance(value, bool):
        yield _mistyped("boolean", value, path)


def anything(_value: object, _path: Path) -> Iterator[Issue]:
    """Whatever there is."""
    yield from ()


def choice(*values: str | int) -> Rule:
    """One of these values."""
    options = "|".join(f'"{value}"' if isinstance(value, str) else str(value) for value in values)

    def check(value: object, path: Path) -> Iterator[Issue]:
        if isinstance(value, bool) or value not in values:
            yield _issue("invalid_value", path, f"Invalid option: expected one of {options}", values=list(values))

    return check


def items(rule: Rule, most: int | None = None, *, least: int = 0) -> Rule:
    """An array of so many values, each by the rule."""

    def check(value: object, path: Path) -> Iterator[Finding]:
        if not isinstance(value, list):
            yield _mistyped("array", value, path)
            return
        values = cast("list[object]", value)
        yield from _limits(len(values), least, most, path, "array to have {} items")
        for index, one in enumerate(values):
            yield from rule(one, (*path, index))

    return check


def either(*rules: Rule) -> Rule:
    """A value by at least one of the rules."""

    def check(value: object, path: Path) -> Iterator[Finding]:
        found = [judge(rule, value, path) for rule in rules]
        if all(issues for issues, _ in found):
            yield _issue("invalid_union", path, "Invalid input", errors=[issues for issues, _ in found])
        for issues, needed in found:
            if not issues:
                yield from needed

    return check


def upload(kind: Kind) -> Rule:
    """The URI of an upload of this kind."""
    form = text(13, 5000, "^runway://")

    def check(value: object, path: Path) -> Iterator[Finding]:
        issues = list(form(value, path))
        yield from issues or [Needed(kind, cast("str", value), path)]

    return check


def loose(**fields: Field) -> Rule:
    """An object with these fields; whatever else it holds is not looked at."""
    return _object(fields, closed=False)


def strict(**fields: Field) -> Rule:
    """An object with these fields and no other."""
    return _object(fields, closed=True)


def tagged(tag: str, variants: Mapping[str, Rule]) -> Rule:
    """An object whose field ``tag`` names the rule for all its other fields."""

    def check(value: object, path: Path) -> Iterator[Finding]:
        if not isinstance(value, dict):
            yield _mistyped("object", value, path)
            return
        fields = dict(cast("dict[str, object]", value))
        name = fields.pop(tag, _MISSING)
        if not isinstance(name, str):
            yield _mistyped("string", name, (*path, tag))
        if isinstance(name, str) and name in variants:
            yield from variants[name](fields, path)
        else:
            message, note = "Invalid input", "No matching discriminator"
            yield _issue("invalid_union", (*path, tag), message, errors=[], note=note, discriminator=tag)

    return check


def _object(fields: Mapping[str, Field], *, closed: bool) -> Rule:
    def check(value: object, path: Path) -> Iterator[Finding]:
        if not isinstance(value, dict):
            yield _mistyped("object", value, path)
            return
        given = cast("dict[str, object]", value)
        for name, field in fields.items():
            rule = field.rule if isinstance(field, Maybe) else field
            if name in given or rule is field:
                yield from rule(given.get(name, _MISSING), (*path, name))
        if closed and (unknown := [name for name in given if name not in fields]):
            named = ", ".join(f'"{name}"' for name in unknown)
            yield _issue("unrecognized_keys", path, f"Unrecognized keys: {named}", keys=unknown)

    return check


def _limits(size: float, least: float, most: float | None, path: Path, what: str) -> Iterator[Issue]:
    if size < least:
        yield _issue("too_small", path, f"Too small: expected {what.format(f'>={least}')}", minimum=least)
    if most is not None and size > most:
        yield _issue("too_big", path, f"Too big: expected {what.format(f'<={most}')}", maximum=most)


def _mistyped(expected: str, value: object, path: Path) -> Issue:
    received = next((name for kind, name in _NAMES if isinstance(value, kind)), "undefined")
    message = f"Invalid input: expected {expected}, received {received}"
    return _issue("invalid_type", path, message, expected=expected)


def _issue(code: str, path: Path, message: str, **more: object) -> Issue:
    return {"code": code, "path": list(path), "message": message, **more}

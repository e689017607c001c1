"""Words what is wrong with an input: the field, the given value, what is allowed and what was likely meant.

Each field gets one sentence. If every alternative is wrong, the one that was likely meant is described. These are the
only words about inputs: what is allowed stands in the schemas, so they are made beside them.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue

from runway_mcp.api.errors import quote
from runway_mcp.catalogue.json_schema import (
    NOT_IN_URLS,
    UNKNOWN,
    Place,
    Schema,
    Violation,
    fits,
    utf16_length,
    violations,
)
from runway_mcp.catalogue.suggestions import likely_choice, likely_name, likely_value

MAX_SHOWN = 40
"""Characters of the given value that a sentence shows."""

MAX_LISTED = 100
"""Characters that a list of allowed values takes."""

UPLOAD_FIRST = "a file on disk has to be uploaded first"
"""The hint for a path in place of a URL."""

_ON_DISK = re.compile(r"[/~]|\.{1,2}[/\\]|file:|[a-z]:[/\\]", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z]\w{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A value that its schema refuses."""

    place: Place
    schema: Schema
    value: JsonValue


@dataclass(frozen=True, slots=True)
class _Missing:
    """A field that has to be there."""

    place: Place
    schema: Schema


@dataclass(frozen=True, slots=True)
class _Unknown:
    """A field that its object's schema does not name, and those it names that are absent, required ones first."""

    place: Place
    absent: Sequence[str]


_Fault = _Wrong | _Missing | _Unknown


def describe(body: JsonValue, schema: Schema, *, allow_unknown: bool) -> Iterator[str]:
    """Yield one sentence for each wrong field of a body.

    Args:
        body: A body that holds nothing but JSON.
        schema: The model's schema, with its definitions.
        allow_unknown: Whether fields may be there that the schema does not name.
    """
    found = violations(body, schema, allow_unknown=allow_unknown)
    faults = [fault for violation in found for fault in _faults(violation)]
    named: set[Place] = set()
    # the unknown ones first: what one of them stands for is not called missing as well
    for fault in sorted(faults, key=lambda fault: not isinstance(fault, _Unknown)):
        if fault.place in named:
            continue
        named.add(fault.place)
        path = path_of(fault.place)
        if isinstance(fault, _Unknown):
            likely = likely_name(str(fault.place[-1]), fault.absent)
            named |= {(*fault.place[:-1], likely)} if likely else set()
            hint = f"did you mean {likely}?" if likely else f"still possible: {listed(fault.absent) or 'nothing'}."
            yield f"{path} is no field here; {hint}"
        else:
            yield f"{path}{_sentence(fault, schema.get('$defs', {}))}"


def path_of(place: Place) -> str:
    """Return a place as in JavaScript: references[0].uri."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{_name(step)}" for step in place)
    return "".join(steps).removeprefix(".") or "input"


def shown(value: JsonValue) -> str:
    """Return the given value, short and harmless."""
    match value:
        case str():
            length = f" ({utf16_length(value)} characters)" if len(value) > MAX_SHOWN else ""
            around = "" if value == value.strip() else " with white space around it"
            return f"{quote(value, MAX_SHOWN)}{length}{around}"
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "an object"
        case _:
            return json.dumps(value)


def listed(values: Iterable[JsonValue], *, room: int = MAX_LISTED) -> str:
    """Return values in a row, cut to `room` characters."""
    texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
    row = ", ".join(texts)
    return row if len(row) <= room else f"{row[:room].rpartition(', ')[0]}... ({len(texts)} in all)"


def _name(step: str) -> str:
    return step if _PLAIN.fullmatch(step) else quote(step, MAX_SHOWN)


def _faults(violation: Violation) -> Iterator[_Fault]:
    schema, place, value = violation.schema, violation.place, violation.value
    if violation.rule == "anyOf" and "format" not in schema:
        yield from _faults_of_alternatives(violation)
    elif violation.rule in (UNKNOWN, "required") and isinstance(value, dict):
        absent = [name for name in schema["properties"] if name not in value]
        required = [name for name in absent if name in schema.get("required", ())]
        if violation.rule == UNKNOWN:
            yield _Unknown(place, list(dict.fromkeys([*required, *absent])))
        else:
            yield from (_Missing((*place, name), schema["properties"][name]) for name in required)
    else:
        yield _Wrong(place, schema, value)


def _faults_of_alternatives(violation: Violation) -> Iterator[_Fault]:
    # the alternative that was meant: the first of the value's form and constants
    depth = len(violation.place)
    tags: list[Violation] = []
    meant: list[Sequence[Violation]] = []
    for alternative in violation.alternatives:
        own_tags = [one for one in alternative if one.rule == "const" and len(one.place) == depth + 1]
        is_form = not any(one.rule == "type" and len(one.place) == depth for one in alternative)
        tags += own_tags
        if is_form and not own_tags:
            meant.append(alternative)
    faults: list[_Fault] = [_Wrong(violation.place, violation.schema, violation.value)]
    if meant:
        faults = [fault for one in min(meant, key=len) for fault in _faults(one)]
    elif tags:
        faults = [_Wrong(tags[0].place, tags[0].schema, tags[0].value)]
    for fault in faults:
        if isinstance(fault, _Unknown) or "const" not in fault.schema or len(fault.place) > depth + 1:
            yield fault
            continue
        # the constant that tells the alternatives apart may be that of any of them
        fields = (one.get("properties", {}).get(fault.place[-1], {}) for one in violation.schema["anyOf"])
        yield replace(fault, schema={"enum": [field["const"] for field in fields if "const" in field]})


def _sentence(fault: _Wrong | _Missing, definitions: Schema) -> str:
    allowed = _allowed(fault.schema, definitions)
    if isinstance(fault, _Missing):
        return f" is missing; it must be {allowed}."
    value, schema = fault.value, fault.schema
    if isinstance(value, str) and "format" in schema and value.startswith("https://") and NOT_IN_URLS.search(value):
        return (
            f": {shown(value)} is not allowed; a URL holds no white space or control character, a space is %20 in it."
        )
    choices = [choice for choice in schema.get("enum", [schema.get("const")]) if isinstance(choice, str)]
    if isinstance(value, str) and choices:
        likely = likely_choice(value, choices)
    else:
        whole = {**schema, "$defs": definitions}
        likely = likely_value(value, lambda other: fits(other, whole))
    end = f"; did you mean {likely}?" if likely else "."
    if isinstance(value, str) and "format" in schema and _ON_DISK.match(value):
        end = f"; {UPLOAD_FIRST}."
    return f": {shown(value)} is not allowed; it must be {allowed}{end}"


def _allowed(schema: Schema, definitions: Schema) -> str:
    # follows "it must be"
    match schema:
        case {"$ref": reference}:
            allowed = _allowed(definitions[reference.rpartition("/")[2]], definitions)
        case {"format": "uri", "anyOf": forms}:
            starts = [(form["pattern"][1:], form["maxLength"]) for form in forms]
            allowed = " or ".join(
                f"{start}…{' with a domain name' if start == 'https://' else ''} (at most {most} characters)"
                for start, most in starts
            )
        case {"anyOf": branches}:
            allowed = " or ".join(dict.fromkeys(_allowed(branch, definitions) for branch in branches))
        case {"const": value}:
            allowed = listed([value])
        case {"enum": values}:
            allowed = f"one of {listed(values)}"
        case _:
            allowed = _allowed_of_type(schema)
    return allowed


def _allowed_of_type(schema: Schema) -> str:
    match schema:
        case {"type": "boolean"}:
            allowed = "true or false"
        case {"type": "integer"}:
            allowed = "a whole number" + _limits(schema, "minimum", "maximum", " from")
        case {"type": "number"}:
            allowed = "a number" + _limits(schema, "minimum", "maximum", " from")
        case {"type": "string", "pattern": pattern}:
            allowed = f"a text that matches {pattern}"
        case {"type": "string"}:
            allowed = "a text" + _limits(schema, "minLength", "maxLength", " of length")
        case {"type": "array"}:
            allowed = "a list" + _limits(schema, "minItems", "maxItems", " of length")
        case _:
            allowed = f"an object with {listed(schema.get('required') or schema['properties'])}"
    return allowed


def _limits(schema: Schema, least: str, most: str, link: str) -> str:
    match schema:
        case {"exclusiveMinimum": bound}:
            return f" over {bound}"
        case {**limits} if most in limits:
            low, high = limits.get(least, 0), limits[most]
            return f"{link} {low}" if low == high else f"{link} {low} to {high}"
        case _:
            return f"{link} {schema[least]} up" if least in schema else ""

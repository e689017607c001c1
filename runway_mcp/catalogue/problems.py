"""Words what is wrong with an input: the field, the given value, what is allowed and what was likely meant.

Each field gets one sentence. If every alternative is wrong, the one that was likely meant is described. These are the
only words about inputs: what is allowed stands in the schemas, so they are made beside them.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import cast

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
from runway_mcp.catalogue.media_inputs import hint
from runway_mcp.catalogue.suggestions import likely_choice, likely_name, likely_value

MAX_SHOWN = 40
"""Characters of the given value that a sentence shows."""

MAX_LISTED = 100
"""Characters that a list of allowed values takes."""

_PLAIN = re.compile(r"[A-Za-z]\w{0,39}", re.ASCII)


def describe(body: JsonValue, schema: Schema, *, allow_unknown: bool) -> Iterator[str]:
    """Yield one sentence for each wrong field of a body; `allow_unknown` lets those pass that `schema` lacks."""
    found = violations(body, schema, allow_unknown=allow_unknown)
    faults = [fault for violation in found for fault in _faults(violation)]
    named: set[Place] = set()
    # the unknown ones first: what one of them stands for is not called missing as well
    for fault in sorted(faults, key=lambda fault: fault.rule != UNKNOWN):
        if fault.place in named:
            continue
        named.add(fault.place)
        path = path_of(fault.place)
        if fault.rule != UNKNOWN:
            yield f"{path}{_sentence(fault, schema.get('$defs', {}))}"
            continue
        absent = _absent(fault)
        likely = likely_name(str(fault.place[-1]), absent)
        named |= {(*fault.place[:-1], likely)} if likely else set()
        hint = f"did you mean {likely}?" if likely else f"still possible: {listed(absent) or 'nothing'}."
        yield f"{path} is no field here; {hint}"


def path_of(place: Place) -> str:
    """Return a place as in JavaScript: references[0].uri."""
    path = ""
    for step in place:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += "." + (step if _PLAIN.fullmatch(step) else quote(step, MAX_SHOWN))
    return path.removeprefix(".") or "input"


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


def _faults(violation: Violation) -> Iterator[Violation]:
    # what to tell of: one of the alternatives, and each missing field at its own place
    schema = violation.schema
    if violation.rule == "anyOf" and "format" not in schema:
        yield from _faults_of_alternatives(violation)
    elif violation.rule == "required":
        for name in _absent(violation):
            if name in schema["required"]:
                yield Violation((*violation.place, name), "required", None, schema["properties"][name])
    else:
        yield violation


def _absent(violation: Violation) -> list[str]:
    # required ones first
    value, schema = cast("dict[str, JsonValue]", violation.value), violation.schema
    required = schema.get("required", ())
    return sorted((name for name in schema["properties"] if name not in value), key=lambda name: name not in required)


def _faults_of_alternatives(violation: Violation) -> Iterator[Violation]:
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
    faults = [violation]
    if meant:
        faults = [fault for one in min(meant, key=len) for fault in _faults(one)]
    elif tags:
        faults = [tags[0]]
    for fault in faults:
        if fault.rule != UNKNOWN and "const" in fault.schema and len(fault.place) <= depth + 1:
            # the constant that tells the alternatives apart may be that of any of them
            fields = (one.get("properties", {}).get(fault.place[-1], {}) for one in violation.schema["anyOf"])
            yield replace(fault, schema={"enum": [field["const"] for field in fields if "const" in field]})
        else:
            yield fault


def _sentence(fault: Violation, definitions: Schema) -> str:
    allowed = _allowed(fault.schema, definitions)
    if fault.rule == "required":
        return f" is missing; it must be {allowed}."
    value, schema = fault.value, fault.schema
    if isinstance(value, str) and "format" in schema and value.startswith("https://") and NOT_IN_URLS.search(value):
        allowed = "a URL holds no white space or control character, a space is %20 in it."
        return f": {shown(value)} is not allowed; {allowed}"
    choices = [choice for choice in schema.get("enum", [schema.get("const")]) if isinstance(choice, str)]
    if isinstance(value, str) and choices:
        likely = likely_choice(value, choices)
    else:
        whole = {**schema, "$defs": definitions}
        likely = likely_value(value, lambda other: fits(other, whole))
    end = f"; did you mean {likely}?" if likely else "."
    if isinstance(value, str) and "format" in schema and (told := hint(value)):
        end = f"; {told}."
    return f": {shown(value)} is not allowed; it must be {allowed}{end}"


def _allowed(schema: Schema, definitions: Schema) -> str:
    # follows "it must be"
    match schema:
        case {"$ref": reference}:
            return _allowed(definitions[reference.rpartition("/")[2]], definitions)
        case {"format": "uri", "anyOf": forms}:
            starts = [(form["pattern"][1:], form["maxLength"]) for form in forms]
            return " or ".join(
                f"{start}…{' with a domain name' if start == 'https://' else ''} (at most {most} characters)"
                for start, most in starts
            )
        case {"anyOf": branches}:
            return " or ".join(dict.fromkeys(_allowed(branch, definitions) for branch in branches))
        case {"const": value}:
            return listed([value])
        case {"enum": values}:
            return f"one of {listed(values)}"
        case _:
            return _allowed_of_type(schema)


def _allowed_of_type(schema: Schema) -> str:
    match schema:
        case {"type": "boolean"}:
            return "true or false"
        case {"type": "integer" | "number" as kind}:
            number = "a whole number" if kind == "integer" else "a number"
            return number + _limits(schema, "minimum", "maximum", " from")
        case {"type": "string", "pattern": pattern}:
            return f"a text that matches {pattern}"
        case {"type": "string"}:
            return "a text" + _limits(schema, "minLength", "maxLength", " of length")
        case {"type": "array"}:
            return "a list" + _limits(schema, "minItems", "maxItems", " of length")
        case _:
            return f"an object with {listed(schema.get('required') or schema['properties'])}"


def _limits(schema: Schema, least: str, most: str, link: str) -> str:
    if "exclusiveMinimum" in schema:
        return f" over {schema['exclusiveMinimum']}"
    if most in schema:
        low, high = schema.get(least, 0), schema[most]
        return f"{link} {low}" if low == high else f"{link} {low} to {high}"
    return f"{link} {schema[least]} up" if least in schema else ""

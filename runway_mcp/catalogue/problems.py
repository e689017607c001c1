"""Words what is wrong with an input: the field, the given value, what is allowed and what was likely meant.

Each field gets one sentence. If every alternative is wrong, the one that was likely meant is described. These are the
only words about inputs: what is allowed stands in the schemas, so they are made beside them.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import cast

from pydantic import JsonValue

from runway_mcp.api.errors import quote
from runway_mcp.catalogue.json_schema import (
    NOT_IN_URLS,
    SEVERAL_URLS,
    UNKNOWN,
    Place,
    Schema,
    Violation,
    fits,
    utf16_length,
    violations,
)
from runway_mcp.catalogue.lookup import forms, pattern_words
from runway_mcp.catalogue.media_inputs import has_input_type, hint, is_empty
from runway_mcp.catalogue.suggestions import likely_choice, likely_name, meanings, same_shape

MAX_SHOWN = 40
"""Characters of the given value that a sentence shows."""

MAX_LISTED = 100
"""Characters that a list of allowed values takes."""

_BROKEN = {
    "minLength": "is too short",
    "maxLength": "is too long",
    "minItems": "is too short",
    "maxItems": "is too long",
    "minimum": "is too small",
    "exclusiveMinimum": "is too small",
    "maximum": "is too large",
    "pattern": "has another form",
}
_PLAIN = re.compile(r"[A-Za-z]\w{0,39}", re.ASCII)


def describe(
    body: JsonValue, schema: Schema, *, allow_unknown: bool, others: Mapping[str, Schema] = MappingProxyType({})
) -> Iterator[str]:
    """Yield one sentence for each wrong field of a body.

    `allow_unknown` lets fields pass that `schema` lacks. `others` are the schemas of other models, by name.
    """
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
            sentence = _sentence(fault, schema.get("$defs", {}))
            takers = [name for name, other in others.items() if _takes(other, fault)]
            yield f"{path}{sentence}{f' Allowed by {listed(takers)}.' if takers else ''}"
            continue
        absent = _absent(fault)
        likely = likely_name(str(fault.place[-1]), [*absent, *fault.schema["properties"]])
        named |= {(*fault.place[:-1], likely)} if likely else set()
        hint = f"still possible: {listed(absent) or 'nothing'}."
        if likely and likely not in absent:
            hint = f"{likely} is given already."
        elif likely:
            value = cast("dict[str, JsonValue]", fault.value)[str(fault.place[-1])]
            hint = f"did you mean {_name_and_value(likely, value, fault.schema['properties'][likely], schema)}"
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
            return f"{quote(value, MAX_SHOWN)}{length}"
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
    if all(branch.keys().isdisjoint({"properties", "items", "$ref"}) for branch in violation.schema["anyOf"]):
        limits = (one for one in violation.alternatives if all(fault.rule in _BROKEN for fault in one))
        yield from next(limits, [violation])
        return
    depth = len(violation.place)
    tags: list[Violation] = []
    meant: list[Sequence[Violation]] = []
    for alternative in violation.alternatives:
        own_tags = [one for one in alternative if one.rule == "const" and len(one.place) == depth + 1]
        is_form = not any(one.rule == "type" and len(one.place) == depth for one in alternative)
        tags += own_tags
        if is_form and not own_tags:
            meant.append(alternative)
    faults = [fault for one in min(meant, key=len) for fault in _faults(one)] if meant else tags[:1] or [violation]
    for fault in faults:
        if fault.rule != UNKNOWN and "const" in fault.schema and len(fault.place) <= depth + 1:
            # the constant that tells the alternatives apart may be that of any of them
            fields = (one.get("properties", {}).get(fault.place[-1], {}) for one in violation.schema["anyOf"])
            yield replace(fault, schema={"enum": [field["const"] for field in fields if "const" in field]})
        else:
            yield fault


def _takes(schema: Schema, fault: Violation) -> bool:
    field = schema.get("properties", {}).get(fault.place[-1])
    is_limit = fault.rule in {"maxLength", "maximum", "maxItems"} and len(fault.place) == 1
    return is_limit and field is not None and fits(fault.value, {**field, "$defs": schema.get("$defs", {})})


def _name_and_value(name: str, value: JsonValue, field: Schema, schema: Schema) -> str:
    whole = {**field, "$defs": schema.get("$defs", {})}
    if fits(value, whole):
        return f"{name}?"
    several = _several(value, field)
    meant = dict.fromkeys(words for one, words in meanings(value, field, name) if fits(one, whole))
    if len(meant) == 1:
        return f"{name}: {next(iter(meant))}?"
    return f"{name}? It must be {f'one of {listed(several)}' if several else _allowed(field, schema.get('$defs', {}))}."


def _several(value: JsonValue, schema: Schema) -> list[str]:
    # the sizes of one shape, of which only the caller can choose
    if not isinstance(value, str) or "enum" not in schema:
        return []
    found = same_shape(value.strip().lower(), [choice for choice in schema["enum"] if isinstance(choice, str)])
    return found if len(found) > 1 else []


def _sentence(fault: Violation, definitions: Schema) -> str:
    allowed = _allowed(fault.schema, definitions)
    if fault.rule == "required":
        return f" is missing; it must be {allowed}."
    value, schema = fault.value, fault.schema
    if isinstance(value, str) and "format" in schema and value.startswith("https://") and NOT_IN_URLS.search(value):
        return (
            f": {shown(value)} is not allowed; a URL holds no white space or control character, a space is %20 in it."
        )
    if several := _several(value, schema):
        return f": {shown(value)} is not allowed; it fits several: name one of {listed(several)}."
    choices = [choice for choice in schema.get("enum", [schema.get("const")]) if isinstance(choice, str)]
    likely = None
    if isinstance(value, str):
        likely = likely_choice(value, choices) if choices else _likely_form(value, {**schema, "$defs": definitions})
    end = f"; did you mean {likely}?" if likely else "."
    if isinstance(value, str) and "format" in schema and (told := hint(value)):
        end = f"; {told}."
    return f": {shown(value)} {_broken(fault)}; it must be {allowed}{end}"


def _likely_form(value: str, schema: Schema) -> str | None:
    if value.lower().startswith("http://") and fits(f"https{value[4:]}", schema):
        return "https://…"
    for form in forms(schema):
        fields = form.get("properties", {})
        constants = {name: field["const"] for name, field in fields.items() if "const" in field}
        for name in form.get("required", ()):
            choices = fields[name].get("enum", ())
            meant = {**constants, name: next((one for one in choices if str(one).lower() == value.lower()), value)}
            if name not in constants and fits(meant, {**form, "$defs": schema["$defs"]}):
                return json.dumps(meant, ensure_ascii=False)
    return None


def _broken(fault: Violation) -> str:
    # follows the value
    length = utf16_length(fault.value) if isinstance(fault.value, str) else None
    if isinstance(fault.value, str) and "format" in fault.schema:
        return _broken_uri(fault.value, fault.schema, fault.rule)
    broken = "is empty" if length == 0 and fault.rule == "minLength" else _BROKEN.get(fault.rule, "is not allowed")
    is_counted = fault.rule in {"minLength", "maxLength"} and length and length <= MAX_SHOWN
    return f"{broken} ({length} characters)" if is_counted else broken


def _broken_uri(value: str, schema: Schema, rule: str) -> str:
    starts = tuple(form["pattern"][1:] for form in schema.get("anyOf", ()))
    if starts and not value.startswith(starts):
        return "begins otherwise"
    if rule == "anyOf":
        return "is too long"
    if not has_input_type(value):
        return "is of a type that Runway does not take"
    if is_empty(value):
        return "holds no data"
    return "holds several URLs" if SEVERAL_URLS.search(value) else "has no domain name that the API accepts"


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
            return pattern_words(pattern) + _limits(schema, "minLength", "maxLength", ", of length")
        case {"type": "string"}:
            return "a text" + _limits(schema, "minLength", "maxLength", " of length")
        case {"type": "array"}:
            return "a list" + _limits(schema, "minItems", "maxItems", " of length")
        case _:
            return f"an object {_object(schema)}"


def _object(schema: Schema) -> str:
    # its constants spelled out: {"type": "custom", "id": …}
    fields = schema["properties"]
    shown_fields = {name: fields[name] for name in schema.get("required") or fields}
    parts = (
        f'"{name}": {json.dumps(field["const"]) if "const" in field else "…"}' for name, field in shown_fields.items()
    )
    return f"{{{', '.join(parts)}}}"


def _limits(schema: Schema, least: str, most: str, link: str) -> str:
    if "exclusiveMinimum" in schema:
        return f" over {schema['exclusiveMinimum']}"
    if most in schema:
        low, high = schema.get(least, 0), schema[most]
        return f"{link} {low}" if low == high else f"{link} {low} to {high}"
    return f"{link} {schema[least]} up" if least in schema else ""

"""Two sources' schemas of the same thing as one."""

from collections.abc import Mapping, Sequence
from typing import Any

Schema = dict[str, Any]

_LIMITS = {
    "string": {"minLength", "maxLength", "pattern"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "array": {"minItems", "maxItems"},
}


def merged(base: Schema, newer: Schema) -> Schema:
    """Return all that either source allows; what only `base` says, such as its limits, is kept."""
    if not base or not newer:
        return base
    if "anyOf" in base or "anyOf" in newer:
        branches = [*_branches(base)]
        for one in _branches(newer):
            place = next((index for index, branch in enumerate(branches) if _is_alike(branch, one)), len(branches))
            branches[place : place + 1] = [merged(branches[place], one) if place < len(branches) else one]
        return {**(base if "anyOf" in base else {}), "anyOf": branches} if branches[1:] else branches[0]
    values = [*_values(newer), *(value for value in _values(base) if value not in _values(newer))]
    if values[1:]:
        return {**{key: value for key, value in base.items() if key != "const"}, "enum": values}
    if "properties" in base and "properties" in newer:
        own, others = base["properties"], newer["properties"]
        fields = {name: merged(field, others.get(name, {})) for name, field in own.items()}
        added = {name: field for name, field in others.items() if name not in own}
        required = dict.fromkeys([*base.get("required", ()), *newer["required"]])
        return {
            **base,
            "required": [name for name in required if name in newer["required"]],
            "properties": fields | added,
        }
    if "items" in base and "items" in newer:
        return {**base, "items": merged(base["items"], newer["items"])}
    return base


def limited(schema: Schema, limits: Mapping[str, Any], *, fill: bool) -> Schema:
    """Return a schema with the limits that suit its type, or the types of its alternatives.

    They replace its own, or only add to them where they `fill` gaps.
    """
    if "anyOf" in schema:
        return {**schema, "anyOf": [limited(one, limits, fill=fill) for one in schema["anyOf"]]}
    suitable = _LIMITS.get(schema.get("type", ""), set()) - (schema.keys() if fill else set())
    return {**schema, **{key: value for key, value in limits.items() if key in suitable}}


def _branches(schema: Schema) -> Sequence[Schema]:
    return schema.get("anyOf", [schema])


def _values(schema: Schema) -> Sequence[Any]:
    return schema.get("enum", [schema["const"]] if "const" in schema else [])


def _is_alike(one: Schema, other: Schema) -> bool:
    if _values(one) or _values(other):
        return bool(_values(one) and _values(other))
    if "properties" in one and "properties" in other:
        shared = one["properties"].keys() & other["properties"].keys()
        pairs = [(_values(one["properties"][name]), _values(other["properties"][name])) for name in shared]
        tags = [bool(set(first) & set(second)) for first, second in pairs if first and second]
        return all(tags) if tags else set(one["required"]) == set(other["required"])
    kinds = ["string" if "$ref" in schema else schema.get("type") for schema in (one, other)]
    return kinds[0] == kinds[1]

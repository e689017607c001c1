"""Two sources' schemas of the same thing as one."""

from collections.abc import Sequence
from typing import Any

Schema = dict[str, Any]

_NOT_LIMITS = {"const", "enum", "$ref", "properties", "required", "items", "anyOf"}


def merged(base: Schema, newer: Schema, *, exact: bool = False) -> Schema:
    """Return all that either source allows; what only `base` says, such as limits, is kept.

    What `base` has keeps its own words, or none.

    Args:
        base: The one source.
        newer: The other, which decides what is required.
        exact: Whether its types and limits count, as a document's do. The types of an SDK are coarser.
    """
    words = {"description": base["description"]} if "description" in base else {}
    base, newer = ({key: value for key, value in one.items() if key != "description"} for one in (base, newer))
    return _merged(base, newer, exact=exact) | words


def _merged(base: Schema, newer: Schema, *, exact: bool) -> Schema:
    if not base or not newer:
        return newer if exact else base
    if "anyOf" in base or "anyOf" in newer:
        branches = [*_branches(base)]
        for one in _branches(newer):
            place = next((index for index, branch in enumerate(branches) if _is_alike(branch, one)), len(branches))
            branches[place : place + 1] = [merged(branches[place], one, exact=exact) if place < len(branches) else one]
        return {**(base if "anyOf" in base else {}), "anyOf": branches} if branches[1:] else branches[0]
    known, given = _values(base), _values(newer)
    if (known and (given or not exact)) or given:
        values = known if set(given) <= set(known) else [*given, *(value for value in known if value not in given)]
        if values[1:]:
            rest = {**base, **newer} if exact else base
            return {**{key: value for key, value in rest.items() if key not in {"const", "type"}}, "enum": values}
    if "properties" in base and "properties" in newer:
        own, others = base["properties"], newer["properties"]
        fields = {name: merged(one, others[name], exact=exact) if name in others else one for name, one in own.items()}
        required = dict.fromkeys([*base.get("required", ()), *newer.get("required", ())])
        return {
            **base,
            "required": [name for name in required if name in newer.get("required", ())],
            "properties": fields | {name: one for name, one in others.items() if name not in own},
        }
    if "items" in base and "items" in newer:
        return {**base, **(newer if exact else {}), "items": merged(base["items"], newer["items"], exact=exact)}
    return _limits_merged(base, newer) if exact else base


def _limits_merged(base: Schema, newer: Schema) -> Schema:
    same = base if base.get("type") == newer.get("type") else {}
    return {**{key: value for key, value in same.items() if key not in _NOT_LIMITS}, **newer}


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
        return all(tags) if tags else set(one.get("required", ())) == set(other.get("required", ()))
    kinds = ["string" if "$ref" in schema else schema.get("type") for schema in (one, other)]
    return kinds[0] == kinds[1]

"""Limits that the types of Runway's SDK omit."""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

_LIMITS = {
    "string": {"minLength", "maxLength", "pattern"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "array": {"minItems", "maxItems"},
}


def limited(schema: Schema, limits: Mapping[str, Any], *, fill: bool) -> Schema:
    """Return a schema with the limits that suit its type, or the types of its alternatives.

    They replace its own, or only add to them where they `fill` gaps.
    """
    if "anyOf" in schema:
        return {**schema, "anyOf": [limited(one, limits, fill=fill) for one in schema["anyOf"]]}
    suitable = _LIMITS.get(schema.get("type", ""), set()) - (schema.keys() if fill else set())
    return {**schema, **{key: value for key, value in limits.items() if key in suitable}}

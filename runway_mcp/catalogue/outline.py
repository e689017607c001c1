"""What a type's models take, in a line each: names, limits and choices, and a * for a required field."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from runway_mcp.catalogue.json_schema import Schema
from runway_mcp.catalogue.lookup import Model, TaskType, forms, pattern_words

MIN_SHARED = 32
"""Characters of a field's values that are told once where models share them."""

MAX_CHOICES = 20
"""Choices of a field that are all told; of more the first half as many are, and the number of all."""


def outline(kind: TaskType) -> tuple[dict[str, str], dict[str, str]]:
    """Return what several models take alike, by field, and what each is for and takes, by model.

    A field of a model that is told without values takes those told for all. Other long values that models share are
    told for the first, and for the others "as" it.
    """
    fields = {model.name or kind.name: _fields(model) for model in kind.models.values()}
    counts = Counter((name, values) for one in fields.values() for name, _, values in one)
    shared: dict[str, str] = {}
    for (name, values), count in counts.most_common():
        if count > 1 and len(values) >= MIN_SHARED:
            shared.setdefault(name, values)
    rows: dict[str, str] = {}
    first: dict[tuple[str, str], str] = {}
    for model in kind.models.values():
        name = model.name or kind.name
        words = f"{kind.marks(model)} {model.purpose}".strip()
        takes: list[str] = []
        for field, mark, values in fields[name]:
            teller = first.setdefault((field, values), name)
            told = f"as {teller}" if teller != name and len(values) >= MIN_SHARED else values
            takes.append(f"{field}{mark}" if shared.get(field) == values else f"{field}{mark} {told}".rstrip())
        rows[name] = f"{words}: {', '.join(takes)}" if words else ", ".join(takes)
    return {name: shared[name] for name in sorted(shared)}, rows


def _fields(model: Model) -> Sequence[tuple[str, str, str]]:
    definitions: Mapping[str, Any] = dict(model.schema).get("$defs", {})  # pyright: ignore[reportAssignmentType] - JSON
    found: dict[str, tuple[str, str, str]] = {}
    alternatives = forms(model.schema)
    for form in alternatives:
        for name, field in form["properties"].items():
            if name != "model" and not field.get("deprecated"):
                is_required = all(name in one.get("required", ()) for one in alternatives)
                values = _values(field, definitions)
                if name in found and found[name][2] != values:
                    values = f"{found[name][2]}|{values}"
                found[name] = (name, "*" if is_required else "", values)
    return sorted(found.values(), key=lambda one: one[1] != "*")


def _values(schema: Schema, definitions: Mapping[str, Any]) -> str:
    default = schema.get("default")
    values = _allowed(schema, definitions)
    return values if default is None else f"{values} (default {str(default).lower()})"


def _allowed(schema: Schema, definitions: Mapping[str, Any]) -> str:
    match schema:
        case {"$ref": reference}:
            name = reference.rpartition("/")[2]
            definition = definitions[name]
            text = _values(definition, definitions) if "properties" in definition else name
        case {"anyOf": branches}:
            text = " or ".join(dict.fromkeys(_values(branch, definitions) or "any" for branch in branches))
        case {"const": value}:
            text = str(value)
        case {"enum": values}:
            more = len(values) > MAX_CHOICES
            text = "|".join(str(value) for value in (values[: MAX_CHOICES // 2] if more else values))
            text += f"... ({len(values)} in all)" if more else ""
        case {"type": "array", "items": items}:
            text = f"[] {_range(schema, 'minItems', 'maxItems')} {_values(items, definitions)}"
        case {"properties": fields}:
            required = schema.get("required", ())
            marked = (f"{name}{'*' if name in required else ''}" for name in fields)
            inner = (
                f"{name} {_values(field, definitions)}" for name, field in zip(marked, fields.values(), strict=True)
            )
            text = f"{{{', '.join(inner)}}}"
        case _:
            text = _allowed_of_type(schema)
    return " ".join(text.split())


def _allowed_of_type(schema: Schema) -> str:
    if schema.get("type") == "boolean":
        return "true|false"
    if schema.get("type") != "string":
        return _range(schema, "minimum", "maximum")
    length = _range(schema, "minLength", "maxLength")
    if length and length[0] != "≤":
        length += " characters"
    return f"{length} {pattern_words(schema['pattern'])}" if "pattern" in schema else length


def _range(schema: Schema, least: str, most: str) -> str:
    low, high = schema.get(least), schema.get(most)
    if "exclusiveMinimum" in schema:
        return f"> {schema['exclusiveMinimum']}"
    if high is None:
        return f"≥ {low}" if low is not None and least == "minimum" else ""
    if low is None or (low <= 1 and least != "minimum"):
        return str(high) if low == high else f"≤ {high}"
    return f"{low} to {high}" if low < 0 else f"{low}-{high}"

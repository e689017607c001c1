"""Rules between the fields of an input, which a schema can't say: field_rules.toml."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import JsonValue

Body = Mapping[str, JsonValue]
Conditions = Mapping[str, str | list[JsonValue]]

_NAMED = re.compile(r"(?<![\w@.])@([a-z][a-z0-9_]{2,15})\b", re.ASCII | re.IGNORECASE)


def broken_rules(type_name: str, model: str | None, body: Body) -> Iterator[str]:
    """Yield a sentence for each rule that a body breaks; it fits the model's schema."""
    key = f"{type_name}/{model or ''}"
    for rule in _rules():
        is_meant = any(fnmatchcase(key, pattern) for pattern in rule["for"])
        if is_meant and _meets(body, rule.get("when", {})) and not _is_kept(rule, body):
            yield rule["says"]


def doubts(body: Body, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for what may be meant otherwise: a name in the prompt that no reference has."""
    items = schema.get("properties", {}).get("referenceImages", {}).get("items", {})
    if "tag" in items.get("properties", {}):
        tags = {str(entry.get("tag")) for entry in _entries(body, "referenceImages")}
        for name in dict.fromkeys(_NAMED.findall(str(body.get("promptText", "")))):
            if name not in tags:
                yield f"promptText names @{name}, but no reference has that tag: it counts as plain text."


@cache
def _rules() -> Sequence[Mapping[str, Any]]:
    return tomllib.loads(files("runway_mcp.catalogue").joinpath("field_rules.toml").read_text("utf-8"))["rules"]


def _is_kept(rule: Mapping[str, Any], body: Body) -> bool:  # noqa: PLR0911 - a kind of rule, a return
    match rule:
        case {"then": conditions}:
            return _meets(body, conditions)
        case {"only": names}:
            return body.keys() <= set(names)
        case {"any": names}:
            return any(_value(body, name) for name in names)
        case {"count": {"lists": paths, "most": most, **rest}}:
            found = sum(len(list(_entries(body, path, rest.get("where", {})))) for path in paths)
            return rest.get("least", 0) <= found <= most
        case {"with": {"list": path, "where": conditions, "other": others}}:
            return not any(_entries(body, path, conditions)) or any(_entries(body, path, others))
        case {"alike": {"list": path, "field": field}}:
            return len({field in entry for entry in _entries(body, path)}) <= 1
        case {"unique": {"list": path, "field": field}}:
            values = [entry[field] for entry in _entries(body, path) if field in entry]
            return len(set(map(str, values))) == len(values)
        case _:
            return _sums_up(rule["sum"], body)


def _sums_up(rule: Mapping[str, Any], body: Body) -> bool:
    total = sum(float(str(entry[rule["field"]])) for entry in _entries(body, rule["list"]))
    if "total" in rule:
        wanted = _value(body, rule["total"])
        return total == (rule["default"] if wanted is None else wanted)
    return rule["least"] <= total <= rule["most"]


def _meets(body: Body, conditions: Conditions) -> bool:
    for path, allowed in conditions.items():
        value = _value(body, path)
        if isinstance(allowed, str):
            is_met = (value is None) is (allowed == "absent")
        else:
            is_met = ("absent" if value is None else value) in allowed
        if not is_met:
            return False
    return True


def _value(body: Body, path: str) -> JsonValue:
    value: JsonValue = dict(body)
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _entries(body: Body, path: str, conditions: Conditions | None = None) -> Iterator[Body]:
    """Yield the objects in a list that meet conditions; a text in place of a list is its only entry's URI."""
    value = _value(body, path)
    for entry in value if isinstance(value, list) else [] if value is None else [value]:
        found: Body = entry if isinstance(entry, dict) else {"uri": entry}
        if _meets(found, conditions or {}):
            yield found

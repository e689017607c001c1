"""Rules between the fields of an input, and for measured media, which a schema can't say: field_rules.toml."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import JsonValue

Body = Mapping[str, JsonValue]
Conditions = Mapping[str, str | list[JsonValue]]
Lengths = Mapping[str, Decimal]
"""The seconds of media that were measured, by the URIs that an input has for them."""

TOLERANCE = Decimal("0.5")
"""Seconds by which a file may seem too long or too short: its last frame may be filled up."""

_SIZE = re.compile(r"(\d{1,5}):(\d{1,5})")
_NAMED = re.compile(r"(?<![\w@.])@([a-z][a-z0-9_]{2,15})\b", re.ASCII | re.IGNORECASE)


def broken_rules(type_name: str, model: str | None, body: Body, *, allow_unknown: bool = False) -> Iterator[str]:
    """Yield a sentence for each rule that a body breaks; it fits the model's schema.

    `allow_unknown` lets pass the entries of lists that have fields or values of a newer API.
    """
    for rule in _rules_for(type_name, model, "rules"):
        entry = rule.get("has")
        is_meant = _meets(body, rule.get("when", {})) and (
            entry is None or any(_entries(body, entry["list"], entry["where"]))
        )
        if is_meant and not _is_kept(rule, body) and not (allow_unknown and "each" in rule):
            yield rule["says"]


def _rules_for(type_name: str, model: str | None, section: str) -> Iterator[Mapping[str, Any]]:
    """Yield the rules of a section of field_rules.toml that are for a model."""
    key = f"{type_name}/{model or ''}"
    return (rule for rule in _table()[section] if any(fnmatchcase(key, pattern) for pattern in rule["for"]))


def seconds_of(value: JsonValue, lengths: Lengths) -> list[Decimal | None]:
    """Return the seconds of each medium that a field holds; None for one that was not measured."""
    found: list[Decimal | None] = []
    for medium in value if isinstance(value, list) else [value] if value else []:
        texts = medium.values() if isinstance(medium, dict) else [medium]
        found.append(next((lengths[text] for text in texts if isinstance(text, str) and text in lengths), None))
    return found


def broken_limits(type_name: str, model: str | None, body: Body, lengths: Lengths) -> Iterator[str]:
    """Yield a sentence for each limit of a model that the measured media break."""
    for rule in _rules_for(type_name, model, "lengths"):
        seconds = [one for field in rule["of"] for one in seconds_of(body.get(field), lengths)]
        known = [one for one in seconds if one is not None]
        sums = known if rule.get("each") else [sum(known, Decimal(0))][: len(known)]
        least = _latest_keyframe(body) if "keyframes" in rule else rule.get("least", 0)
        wrong = [one for one in sums if one + TOLERANCE < least or one - TOLERANCE > rule.get("most", one)]
        if wrong:
            yield f"{rule['says']}; measured: {wrong[0]:.1f} s."


def doubts(body: Body, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for what may be meant otherwise: a name in the prompt that no reference has."""
    fields = schema.get("properties", {})
    if "tag" in fields.get("referenceImages", {}).get("items", {}).get("properties", {}):
        names = {str(entry.get("tag")) for entry in _entries(body, "referenceImages")}
    elif "referenceAudios" in fields:
        names = {f"Audio{number}" for number, _ in enumerate(_entries(body, "referenceAudios"), 1)}
    else:
        return
    for name in dict.fromkeys(_NAMED.findall(str(body.get("promptText", "")))):
        if name not in names:
            yield f"promptText names @{name}, but no reference has that name: it counts as plain text."


@cache
def _table() -> Mapping[str, Sequence[Mapping[str, Any]]]:
    return tomllib.loads(files("runway_mcp.catalogue").joinpath("field_rules.toml").read_text("utf-8"))


def _is_kept(rule: Mapping[str, Any], body: Body) -> bool:  # noqa: PLR0911 - a kind of rule, a return
    match rule:
        case {"then": conditions}:
            return _meets(body, conditions)
        case {"only": names}:
            return body.keys() <= set(names)
        case {"any": names}:
            return any(_value(body, name) for name in names)
        case {"count": {"lists": paths, **rest}}:
            found = sum(len(list(_entries(body, path, rest.get("where", {})))) for path in paths)
            return rest.get("least", 0) <= found <= rest.get("most", found)
        case {"each": {"list": path, "fields": names, "must": conditions}}:
            entries = _value(body, path)
            return not isinstance(entries, list) or all(
                isinstance(one, dict) and one.keys() <= set(names) and _meets(one, conditions) for one in entries
            )
        case {"window": path}:
            return all(_is_inside(entry) for entry in _entries(body, path, {"range": "given"}))
        case {"pixels": {"field": name, "least": least, "most": most}}:
            size = _SIZE.fullmatch(str(body.get(name)))
            return size is None or least <= int(size[1]) * int(size[2]) <= most
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


def _is_inside(keyframe: Body) -> bool:
    start, end = (float(str(_value(keyframe, f"range.{name}_seconds"))) for name in ("start", "end"))
    return start < end and start <= float(str(keyframe.get("seconds", start))) <= end


def _meets(body: Body, conditions: Conditions) -> bool:
    for path, allowed in conditions.items():
        value = _value(body, path)
        match allowed:
            case "given" | "absent":
                is_met = (value is None) is (allowed == "absent")
            case str():
                is_met = isinstance(value, str) and value.startswith(("https://", "runway://", f"data:{allowed}/"))
            case _:
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


def _latest_keyframe(body: Body) -> Decimal:
    keyframes: Any = body.get("keyframes", [])
    moments = [one.get("range", {}).get("start_seconds", 0) for one in keyframes]
    return max(Decimal(str(one)) for one in [0, *moments, *(one.get("seconds", 0) for one in keyframes)])

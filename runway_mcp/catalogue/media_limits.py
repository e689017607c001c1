"""How long the media of an input last, as far as they were measured, and whether a model takes them so."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from pydantic import JsonValue

from runway_mcp.catalogue.field_rules import rules_for

Lengths = Mapping[str, Decimal]
"""The seconds of media that were measured, by the URIs that an input has for them."""

TOLERANCE = Decimal("0.5")
"""Seconds by which a file may seem too long or too short: its last frame may be filled up."""


def seconds_of(value: JsonValue, lengths: Lengths) -> list[Decimal | None]:
    """Return the seconds of each medium that a field holds; None for one that was not measured."""
    found: list[Decimal | None] = []
    for medium in value if isinstance(value, list) else [value] if value else []:
        texts = medium.values() if isinstance(medium, dict) else [medium]
        found.append(next((lengths[text] for text in texts if isinstance(text, str) and text in lengths), None))
    return found


def broken_limits(type_name: str, model: str | None, body: Mapping[str, JsonValue], lengths: Lengths) -> Iterator[str]:
    """Yield a sentence for each limit of a model that the measured media break."""
    for rule in rules_for(type_name, model, "lengths"):
        seconds = [one for field in rule["of"] for one in seconds_of(body.get(field), lengths)]
        known = [one for one in seconds if one is not None]
        sums = known if rule.get("each") else [sum(known, Decimal(0))][: len(known)]
        least = _latest_keyframe(body) if "keyframes" in rule else rule.get("least", 0)
        wrong = [one for one in sums if one + TOLERANCE < least or one - TOLERANCE > rule.get("most", one)]
        if wrong:
            yield f"{rule['says']}; measured: {wrong[0]:.1f} s."


def _latest_keyframe(body: Mapping[str, JsonValue]) -> Decimal:
    keyframes: Any = body.get("keyframes", [])
    moments = [one.get("range", {}).get("start_seconds", 0) for one in keyframes]
    return max(Decimal(str(one)) for one in [0, *moments, *(one.get("seconds", 0) for one in keyframes)])

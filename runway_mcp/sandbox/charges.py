"""What the sandbox charges: prices.toml, which says how its rows are read.

No input file is fetched: what was not uploaded here counts as one second long, which the sandbox's own outputs are.
"""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, cast

Row = Mapping[str, Any]
Settings = Mapping[str, Any]
Lengths = Mapping[str, Decimal]
"""Seconds of the uploads, by URI."""
NO_LENGTHS: Lengths = MappingProxyType({})

_COUNTS = ("outputCount", "numVariants")
_MAX_OUTPUTS = 10
_MAX_SECONDS = 3600  # of a field that no rule limits
_PIXELS = (("360p", 0.25), ("480p", 0.5), ("720p", 1.2), ("768p", 1.2), ("1k", 1.6), ("1080p", 2.5), ("2k", 7))


def charge(row: Row, body: Settings, lengths: Lengths = NO_LENGTHS) -> int | None:
    """Return the credits that a valid request may be charged with; None where the row has no price for it."""
    terms = row["terms"]
    settings = {**row.get("default", {})}
    for condition, defaults in row.get("default_with", {}).items():
        field, _, wanted = condition.partition(":")
        is_met = body.get(field) == wanted if wanted else body.get(field)
        settings.update(defaults if is_met else {})
    settings.update(body)
    priced = {str(name) for term in terms for name in term.get("when", {})}
    if "tier" in priced and (tier := _tier(row, settings)):
        settings["tier"] = tier
    credit = _dearest(row, settings, priced, lengths)
    return None if credit is None else math.ceil(max(credit, Decimal(row.get("minimum", 0))))


def count_outputs(settings: Settings) -> int:
    """Return how many files a valid request makes."""
    asked = next((settings[name] for name in _COUNTS if name in settings), 1)
    return min(max(1, int(asked)), _MAX_OUTPUTS) if isinstance(asked, int | float) else 1


def _dearest(row: Row, settings: Settings, priced: set[str], lengths: Lengths) -> Decimal | None:
    for name in sorted(priced):
        values = [value for term in row["terms"] for value in term.get("when", {}).get(name, ())]
        if name not in settings:
            found = [_dearest(row, {**settings, name: value}, priced, lengths) for value in values]
            return max((one for one in found if one is not None), default=None)
        if settings[name] not in [*values, row.get("default", {}).get(name)]:
            return None
    applying = [
        term
        for term in row["terms"]
        if all(settings[name] in values for name, values in cast("Settings", term.get("when", {})).items())
    ]
    return sum((_term(term, row, settings, lengths) for term in applying), Decimal(0)) if applying else None


def _term(term: Row, row: Row, settings: Settings, lengths: Lengths) -> Decimal:
    seconds: list[Decimal] = []
    for field in term.get("of", ()):
        given = settings.get(field)
        media = cast("list[object]", given if isinstance(given, list) else [given] if given else [])
        seconds += [_seconds(medium, lengths) for medium in media]
    duration = settings.get("duration")
    count = {
        "task": 1,
        "second": min(max(duration, 0), _MAX_SECONDS) if isinstance(duration, int | float) else row.get("longest", 0),
        "output": count_outputs(settings),
        "character": len(str(settings.get("promptText"))),
        "input": len(seconds),
        "input second": sum(seconds),
        "input output": len(seconds) * count_outputs(settings),
    }[term["per"]]
    units = Decimal(str(count)) / term.get("every", 1)
    return Decimal(str(term["rate"])) * (math.ceil(units) if "every" in term else units)


def _seconds(medium: object, lengths: Lengths) -> Decimal:
    texts = cast("Settings", medium).values() if isinstance(medium, dict) else [medium]
    return next((lengths[text] for text in texts if isinstance(text, str) and text in lengths), Decimal(1))


def _tier(row: Row, settings: Settings) -> str | None:
    asked = str(settings.get("resolution", settings.get("ratio", ""))).lower().removeprefix("auto_")
    if re.fullmatch(r"\d+[pk]", asked):
        return asked
    named = [tier for tier, ratios in row.get("sizes", {}).items() if asked in ratios]
    width, _, height = asked.partition(":")
    if named or not height.isdecimal() or int(height) < 100:  # noqa: PLR2004 - 16:9 is a shape only
        return named[0] if named else None
    known = {value for term in row["terms"] for value in term.get("when", {}).get("tier", ())}
    megapixels = int(width) * int(height) / 1e6
    return next((tier for tier, most in _PIXELS if tier in known and megapixels <= most), "4k")

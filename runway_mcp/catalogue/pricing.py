"""What a start costs by the price table, prices.toml, which says how its rows are read.

The table is a copy of what Runway publishes, so it can be out of date. Each price carries its date.
"""

import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from itertools import product
from typing import Any

from pydantic import JsonValue

from runway_mcp.catalogue.field_rules import Lengths, seconds_of
from runway_mcp.catalogue.json_schema import fits, utf16_length
from runway_mcp.catalogue.lookup import own_task_types, task_types
from runway_mcp.catalogue.validation import Prepared

Row = Mapping[str, Any]
Settings = Mapping[str, JsonValue]

TIERS = {
    "360p": 250_000,
    "480p": 500_000,
    "720p": 1_200_000,
    "768p": 1_200_000,
    "1k": 1_600_000,
    "1080p": 2_500_000,
    "2k": 7_000_000,
    "4k": 20_000_000,
}
"""The most pixels that a resolution of this name has."""
_SIZE = re.compile(r"(\d{3,5}):(\d{3,5})", re.ASCII)  # 16:9 is a shape only
_COUNTS = ("outputCount", "numVariants")


@dataclass(frozen=True, slots=True)
class ListPrice:
    """A price of the table.

    Attributes:
        credits: The credits of the task, rounded up.
        at_least: Whether it can be more, because it goes by the length or size of an input or output.
        as_of: The day for which the source states it, as YYYY-MM-DD.
        assumed: What the input leaves out and the price depends on: its dearest value was taken.
    """

    credits: int
    at_least: bool
    as_of: str
    assumed: tuple[str, ...] = ()


def list_price(prepared: Prepared) -> ListPrice | None:
    """Return the price of a start by the table; None where it has none."""
    table = _table()
    name = prepared.model or prepared.type.rpartition("/")[2]
    row = table["prices"].get(f"{prepared.type}/{name}", table["prices"].get(name))
    if row and "like" in row:
        row = {**table["prices"][row["like"]], **row}
    settings = None if row is None or not _is_made_for(prepared) else _settings(row, prepared)
    if row is None or settings is None:
        return None
    sums: list[Decimal] = []
    at_least = False
    for chosen in _choices(row, settings):
        terms = [
            term
            for term in row["terms"]
            if all(chosen[name] in values for name, values in term.get("when", {}).items())
        ]
        units = [_units(term, row, chosen, prepared.lengths) for term in terms]
        if not terms or None in units:
            return None
        at_least |= any("open" in term for term in terms) or any(
            None in _media(term, settings, prepared.lengths) for term in terms if term["per"] == "input second"
        )
        sums.append(sum((term["rate"] * count for term, count in zip(terms, units, strict=True) if count), Decimal(0)))
    paid = [math.ceil(max(one, Decimal(row.get("minimum", 0)))) for one in sums]
    assumed = [name for name in _conditions(row) if name not in settings] if min(paid) < max(paid) else []
    if not isinstance(settings.get("duration"), int | float) and any(term["per"] == "second" for term in row["terms"]):
        assumed.append("duration")
    as_of = table["sources"][row["source"]]["date"]
    return ListPrice(max(paid), at_least, as_of, tuple("resolution" if name == "tier" else name for name in assumed))


def _is_made_for(prepared: Prepared) -> bool:
    """Return whether the table knows all that the input holds: it is made for the catalogue that comes with it."""
    if prepared.has_unknown or task_types() is own_task_types():
        return not prepared.has_unknown
    kind = own_task_types().get(prepared.type)
    model = None if kind is None else kind.models.get(prepared.model)
    return model is not None and fits(prepared.body, model.schema)


@cache
def _table() -> Mapping[str, Any]:
    text = files("runway_mcp.catalogue").joinpath("prices.toml").read_text("utf-8")
    return tomllib.loads(text, parse_float=Decimal)


def _conditions(row: Row) -> dict[str, list[JsonValue]]:
    """Return the fields that the price depends on, each with the values that have a price."""
    found: dict[str, list[JsonValue]] = {}
    for term in row["terms"]:
        for name, values in term.get("when", {}).items():
            found.setdefault(name, []).extend(values)
    return found


def _settings(row: Row, prepared: Prepared) -> Settings | None:
    """Return what the input and the defaults say; None where a value of it has no price."""
    kind = task_types().get(prepared.type)
    model = None if kind is None else kind.models.get(prepared.model)
    fields: Any = {} if model is None else model.schema.get("properties", {})
    settings: dict[str, Any] = {name: field["default"] for name, field in fields.items() if "default" in field}
    settings |= row.get("default", {})
    for condition, defaults in row.get("default_with", {}).items():
        field, _, value = condition.partition(":")
        given = prepared.body.get(field)
        settings |= defaults if given and (not value or given == value) else {}
    settings |= prepared.body
    conditions = _conditions(row)
    if "tier" in conditions and (tier := _tier(row, settings, conditions["tier"])):
        settings["tier"] = tier
    for name, values in conditions.items():
        if name in settings and settings[name] not in (*values, row.get("default", {}).get(name)):
            return None
    return settings


def _tier(row: Row, settings: Settings, tiers: Sequence[JsonValue]) -> str:
    """Return the resolution that the settings ask for; an empty text where they do not say."""
    given = settings.get("resolution", settings.get("ratio"))
    text = given.lower().removeprefix("auto_") if isinstance(given, str) else ""
    if text in TIERS:
        return text
    for tier, ratios in row.get("sizes", {}).items():
        if text in ratios:
            return tier
    size = _SIZE.fullmatch(text)
    if size is None:
        return ""
    pixels = int(size[1]) * int(size[2])
    return next((tier for tier, most in TIERS.items() if tier in tiers and pixels <= most), "larger")


def _choices(row: Row, settings: Settings) -> Iterator[Settings]:
    """Yield the settings with each combination of values that are left open."""
    unknown = {name: values for name, values in _conditions(row).items() if name not in settings}
    for values in product(*unknown.values()):
        yield {**settings, **dict(zip(unknown, values, strict=True))}


def _units(term: Row, row: Row, settings: Settings, lengths: Lengths) -> Decimal | int | None:
    units: Decimal | int | None
    match term["per"]:
        case "second":
            given = settings.get("duration")
            seconds = given if isinstance(given, int | float) else row.get("longest")
            units = None if seconds is None or seconds <= 0 else Decimal(str(seconds))
        case "output":
            units = _outputs(settings)
        case "character":
            units = utf16_length(str(settings.get("promptText", "")))
        case "input output":
            outputs = _outputs(settings)
            units = outputs and len(_media(term, settings, lengths)) * outputs
        case "input":
            units = len(_media(term, settings, lengths))
        case "input second":  # a medium of unknown length has a second or more
            units = sum((Decimal(1) if one is None else one for one in _media(term, settings, lengths)), Decimal(0))
        case _:
            units = 1
    every: int | None = term.get("every")
    return units if units is None or every is None else math.ceil(Decimal(units) / every)


def _media(term: Row, settings: Settings, lengths: Lengths) -> list[Decimal | None]:
    return [one for field in term["of"] for one in seconds_of(_given(field, settings), lengths)]


def _given(field: str, settings: Settings) -> JsonValue:
    name, _, kind = field.partition(":")
    given = settings.get(name)
    if not kind:
        return given
    entries = given if isinstance(given, list) else []
    return [one for one in entries if not (isinstance(one, dict) and "position" in one)]


def _outputs(settings: Settings) -> int | None:
    given = next((settings[name] for name in _COUNTS if name in settings), 1)
    return int(given) if isinstance(given, int | float) and given >= 1 else None

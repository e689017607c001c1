"""What a start is going to cost, as far as that is known before it, and what would cost less."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import JsonValue

from runway_mcp.catalogue.lookup import task_types
from runway_mcp.catalogue.pricing import ListPrice, list_price
from runway_mcp.catalogue.validation import InvalidRequestError, Prepared, prepare
from runway_mcp.history.records import Snapshot

Basis = Literal["runway", "history", "table", "alike", "unknown"]
"""Who tells a price, the most trusted first: Runway's reply, an earlier start of the very same by this caller, the
price table, an earlier start with the same settings, or nobody."""

MAX_CHEAPER = 3
_SAME_SHAPE = 0.03


@dataclass(frozen=True, slots=True)
class Estimate:
    """A price, and who tells it.

    Attributes:
        credits: None where the basis is unknown.
        listed: The table's price, where the basis is the table.
    """

    credits: float | None
    basis: Basis
    listed: ListPrice | None = None

    @property
    def at_least(self) -> bool:
        return self.listed is not None and self.listed.at_least


UNKNOWN = Estimate(None, "unknown")


@dataclass(frozen=True, slots=True)
class CheaperWay:
    """A start that makes nearly the same: the fields of the input to change, and its price."""

    change: dict[str, JsonValue]
    price: ListPrice


def estimate_of(price: ListPrice | None, snapshot: Snapshot | None = None) -> Estimate:
    """Return the most trusted price that is known before a start."""
    if snapshot is not None and snapshot.same is not None:
        return Estimate(snapshot.same, "history")
    if price is not None:
        return Estimate(price.credits, "table", price)
    if snapshot is not None and snapshot.similar is not None:
        return Estimate(snapshot.similar, "alike")
    return UNKNOWN


def cheaper_ways(prepared: Prepared, than: float | None) -> list[CheaperWay]:
    """Return up to three starts that the table has for less `than` so many credits, the cheapest first.

    Another model of the type that takes the same input, a lower quality, or a lower resolution of the same shape. Of
    qualities and resolutions at one price there is one.
    """
    price = list_price(prepared)
    if price is None or than is None:
        return []
    found: dict[tuple[JsonValue, ...], CheaperWay] = {}
    models = task_types()[prepared.type].models.items()
    others: list[dict[str, JsonValue]] = [
        {"model": name} for name, model in models if name != prepared.model and model.documented
    ]
    for change in [*others, *_lower_values(prepared)]:
        try:
            other = prepare(prepared.type, {**prepared.body, **change}).with_lengths(prepared.lengths)
        except InvalidRequestError:
            continue
        its = None if other.understood else list_price(other)
        if its is not None and its.at_least == price.at_least and its.credits < min(than, price.credits):
            found.setdefault((*change, change.get("model"), its.credits), CheaperWay(change, its))
    return sorted(found.values(), key=lambda way: way.price.credits)[:MAX_CHEAPER]


def _lower_values(prepared: Prepared) -> Iterator[dict[str, JsonValue]]:
    model = task_types()[prepared.type].models.get(prepared.model)
    fields: Any = {} if model is None else model.schema.get("properties", {})
    for field in ("quality", "resolution", "ratio"):
        for value in reversed(fields.get(field, {}).get("enum", ())):  # of those at one price the largest
            if value != value.lower() and value.lower() in fields[field]["enum"]:
                continue  # the old spelling of a value
            if field != "ratio" or _is_same_shape(value, prepared.body.get("ratio")):
                yield {field: value}


def _is_same_shape(ratio: str, other: JsonValue) -> bool:
    one, two = _shape(ratio), _shape(other)
    return ratio != other and (one is None) == (two is None) and abs((one or 1) / (two or 1) - 1) < _SAME_SHAPE


def _shape(ratio: JsonValue) -> float | None:
    width, _, height = str(ratio).partition(":")
    return int(width) / int(height) if width.isdecimal() and height.isdecimal() else None


def of_reply(credits_: float | None, price: ListPrice | None) -> Estimate:
    """Return the estimate of a started task: Runway's, or the table's where its reply has none."""
    return estimate_of(price) if credits_ is None else Estimate(credits_, "runway")

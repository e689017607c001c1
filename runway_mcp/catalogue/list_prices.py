"""What a start costs at most by the price list, prices.json: for starts whose real price nobody has told."""

import json
import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from runway_mcp.catalogue.lookup import task_types
from runway_mcp.catalogue.validation import Prepared

_COUNTS = ("outputCount", "numVariants")


def highest_price(prepared: Prepared) -> float | None:
    """Return the credits that a start costs at most.

    None where the list has no price for it, or the price goes by the length of a medium, which is not known here.
    """
    price = _prices().get(prepared.model or prepared.type.rpartition("/")[2])
    if price is None:
        return None
    match price["per"]:
        case "second":
            units = _seconds(prepared)
        case "image":
            units = max(1, *(_given(prepared, name) or 0 for name in _COUNTS))
        case "character":
            text = prepared.body.get("promptText")
            units = len(text) if isinstance(text, str) else None
        case _:  # a flat figure stands for a price by the length of an input
            units = None
    rates: list[float] = [price["rate"], *(one["rate"] for one in price.get("rates", ()))]
    return None if units is None else float(math.ceil(max(rates) * units))


@cache
def _prices() -> Mapping[str, Any]:
    return json.loads(files("runway_mcp.catalogue").joinpath("prices.json").read_bytes())["models"]


def _seconds(prepared: Prepared) -> float | None:
    given = _given(prepared, "duration")
    if given is not None:
        return given
    field = _field(prepared, "duration")
    longest = field.get("maximum", max(field.get("enum", [0])))
    return longest or None


def _given(prepared: Prepared, name: str) -> float | None:
    value = prepared.body.get(name, _field(prepared, name).get("default"))
    return value if isinstance(value, int | float) else None


def _field(prepared: Prepared, name: str) -> Mapping[str, Any]:
    model = task_types()[prepared.type].models.get(prepared.model)
    fields: Any = model.schema.get("properties", {}) if model else {}
    return fields.get(name, {})

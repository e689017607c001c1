"""What a request costs, in credits: the price list's rules applied to the request's fields.

A price has a unit (`per`) and a `rate`. Of `rates`, the first whose fields all have one of the values in
`when` takes its place. `usual` is the number of seconds where a request states none.
An input file is never fetched, so its length costs nothing.
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Price = Mapping[str, Any]
Settings = Mapping[str, object]

_USUAL_SECONDS = 5
_MAX_SECONDS = 3600  # of a field that no rule limits
_MAX_OUTPUTS = 10
_COUNTS = ("outputCount", "numVariants")


def credits_for(price: Price, settings: Settings) -> int:
    """Return the credits that a valid request may be charged with."""
    rate = next((one["rate"] for one in price.get("rates", ()) if _applies(one["when"], settings)), price["rate"])
    match price["per"]:
        case "second":
            units = _number(settings.get("duration"), price.get("usual", _USUAL_SECONDS), _MAX_SECONDS)
        case "image":
            units = count_outputs(settings)
        case "character":
            units = len(str(settings["promptText"]))
        case _:
            units = 1
    return math.ceil(Decimal(str(rate)) * Decimal(str(units)))


def count_outputs(settings: Settings) -> int:
    """Return how many files a valid request makes."""
    asked = next((settings[name] for name in _COUNTS if name in settings), None)
    return max(1, int(_number(asked, 1, _MAX_OUTPUTS)))


def _applies(when: Mapping[str, list[object]], settings: Settings) -> bool:
    return all(settings.get(field) in values for field, values in when.items())


def _number(value: object, usual: float, most: float) -> float:
    return min(max(value, 0), most) if isinstance(value, int | float) else usual

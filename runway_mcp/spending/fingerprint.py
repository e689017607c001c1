"""Which starts are the same, and which are alike: likely to cost the same."""

import re
from hashlib import sha256
from json import dumps, loads

from pydantic import JsonValue

from runway_mcp.catalogue.validation import Prepared

_CHOICE = re.compile(r"[\w.:-]{1,40}")


def fingerprint(prepared: Prepared) -> str:
    """Return a digest that the same requests have, whatever the order of their fields."""
    return _digest(prepared.endpoint, prepared.body)


def settings(prepared: Prepared) -> str:
    """Return a digest of what a price can go by: numbers, switches, choices, how many; not texts, media or seeds."""
    return _digest(prepared.endpoint, _priced(prepared.body))


def _digest(endpoint: str, body: JsonValue) -> str:
    same = loads(dumps(body), parse_float=_whole)
    return sha256(dumps([endpoint, same], sort_keys=True).encode()).hexdigest()


def _whole(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number


def _priced(value: JsonValue) -> JsonValue:
    match value:
        case str():
            return value if _CHOICE.fullmatch(value) else ""
        case list():
            return [_priced(item) for item in value]
        case dict():
            return {name: _priced(item) for name, item in value.items() if name != "seed"}
        case _:
            return value

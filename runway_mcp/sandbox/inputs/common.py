"""Fields that many endpoints share."""

from runway_mcp.sandbox.inputs.rules import (
    ANYTHING_COUNTABLE,
    Rule,
    choice,
    either,
    items,
    loose,
    maybe,
    number,
    strict,
    text,
    upload,
    whole,
)
from runway_mcp.sandbox.media import Kind

_MIB = 1024 * 1024


def _file(kind: Kind, most: int) -> Rule:
    """A file by URL, as an upload or as a data URI of at most so many characters."""
    return either(text(13, 2048, "^https://"), upload(kind), text(13, most, f"^data:{kind}/"))


IMAGE, VIDEO, AUDIO = _file("image", 5 * _MIB), _file("video", 16 * _MIB), _file("audio", 16 * _MIB)

SEED = whole(0, 2**32 - 1)
MODERATION = strict(publicFigureThreshold=maybe(choice("auto", "low")))
UUID = text(pattern=r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}\Z")

_RANGE = strict(start_seconds=whole(0, ANYTHING_COUNTABLE), end_seconds=whole(1, ANYTHING_COUNTABLE))
_KEYFRAME = either(
    strict(uri=IMAGE, seconds=number(0, 30), range=maybe(_RANGE)),
    strict(uri=IMAGE, at=number(0, 1), range=maybe(_RANGE)),
)

SPEAKERS = choice(
    *("Maya", "Arjun", "Serene", "Bernard", "Billy", "Mark", "Clint", "Mabel", "Chad", "Leslie", "Eleanor", "Elias"),
    *("Elliot", "Grungle", "Brodie", "Sandra", "Kirk", "Kylie", "Lara", "Lisa", "Malachi", "Marlene", "Martin"),
    *("Miriam", "Monster", "Paula", "Pip", "Rusty", "Ragnar", "Xylar", "Maggie", "Jack", "Katie", "Noah", "James"),
    *("Rina", "Ella", "Mariah", "Frank", "Claudia", "Niki", "Vincent", "Kendrick", "Myrna", "Tom", "Wanda"),
    *("Benjamin", "Kiana", "Rachel"),
)


def keyframes(least: int) -> Rule:
    """At least so many and at most five images, each at a time in the video."""
    return items(_KEYFRAME, 5, least=least)


def references(file: Rule, most: int) -> Rule:
    """Up to so many files, each an object with nothing but its ``uri``."""
    return items(strict(uri=file), most)


def typed(kind: str, file: Rule, most: int, *, closed: bool = False) -> Rule:
    """Up to so many files, each an object with its ``type`` and ``uri``."""
    make = strict if closed else loose
    return items(make(type=choice(kind), uri=file), most)

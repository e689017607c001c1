"""Suggests what was meant: the known field, value or form that a wrong one is closest to."""

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from pydantic import JsonValue

from runway_mcp.api.models import plain

_Size = tuple[float, float]

_MAX_LENGTH = 60
"""Characters of an input that are compared; no known name or value is longer."""

_MIN_SIMILARITY = 0.6
_MIN_PART = len("lang")

_SAME_SHAPE = 0.15
"""The difference of two ratios' logarithms within one shape: 1.78 and 1.67 are one, 1.78 and 2.33 are two."""

_ROUNDED = 0.03
"""The difference that comes from rounding pixels to multiples of 16 or 32."""

_MIN_PIXELS = 100
"""The shortest side of a size in pixels; 16:9 is a shape only."""

_RATIO = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)\s*[:x\N{MULTIPLICATION SIGN}*/]\s*(\d{1,5}(?:\.\d{1,3})?)")
_SHAPES = {"landscape": "16:9", "horizontal": "16:9", "portrait": "9:16", "vertical": "9:16", "square": "1:1"}
_NUMBER = re.compile(r"(-?\d{1,9}(?:\.\d{1,3})?)\s*[a-z%]{0,7}")
_SWITCHES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

_ALIASES = {
    **dict.fromkeys(("text", "description", "script"), "prompt"),
    **dict.fromkeys(("aspect", "aspectratio", "dimensions", "resolution", "size"), "ratio"),
    **dict.fromkeys(("length", "seconds"), "duration"),
    **dict.fromkeys(("count", "n"), "outputcount"),
    "language": "lang",
    "sound": "audio",
}
"""Names of other services for the same field, in the form of `_bare`."""


def likely_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` stands for; of equally likely ones the earlier."""
    bare = _bare(name)
    names: dict[str, str] = {}
    for one in known:
        names.setdefault(_bare(one), one)
    if bare == "model" and bare not in names:
        return None  # it is part of nothing but, by its letters, of a mode
    for wanted in (bare, _ALIASES.get(bare, bare)):
        if wanted in names:
            return names[wanted]
        parts = [one for one in names if min(len(one), len(wanted)) >= _MIN_PART and (one in wanted or wanted in one)]
        if parts:
            return names[max(parts, key=lambda one: min(len(one), len(wanted)))]
    near = difflib.get_close_matches(bare, names, n=1, cutoff=_MIN_SIMILARITY)
    return names[near[0]] if near else None


def likely_choice(given: str, choices: Sequence[str]) -> str | None:
    """Return the allowed value that `given` stands for."""
    given = given[:_MAX_LENGTH].strip().lower()
    wanted = _size(_SHAPES.get(given, given))
    sizes = {choice: size for choice in choices if (size := _size(choice))}
    return _same_shape(wanted, sizes) if wanted and sizes else _alike(given, choices)


def likely_value(given: JsonValue, fits: Callable[[JsonValue], bool]) -> str | None:
    """Return the number, switch or form that `given` stands for and that fits, as one would write it."""
    attempts: list[tuple[JsonValue, str]] = []
    if isinstance(given, str):
        short = given[:_MAX_LENGTH].strip().lower()
        if number := _NUMBER.fullmatch(short):
            value = float(number[1])
            attempts.append((int(value) if value.is_integer() else value, plain(value)))
        if (switch := _SWITCHES.get(short)) is not None:
            attempts.append((switch, str(switch).lower()))
        if given.lower().startswith("http://"):
            attempts.append((f"https{given[4:]}", "https://…"))
        attempts.append(({"uri": given}, '{"uri": …}'))
        attempts.append(([{"uri": given}], '[{"uri": …}]'))
    if isinstance(given, list) and len(given) == 1:
        attempts.append((given[0], "its entry without the list"))
    attempts.append(([given], "a list of it"))
    return next((text for value, text in attempts if fits(value)), None)


def _bare(name: str) -> str:
    # lower case, without signs and without an ending that says "URL"
    bare = re.sub(r"[^a-z0-9]", "", name[:_MAX_LENGTH].lower())
    return re.sub(r"(?<=.)ur[il]s?$", "", bare)


def _alike(given: str, choices: Sequence[str]) -> str | None:
    by_sign = {re.sub(r"[\s_-]", "", choice.lower()): choice for choice in choices}
    near = difflib.get_close_matches(re.sub(r"[\s_-]", "", given), by_sign, n=1, cutoff=_MIN_SIMILARITY)
    return by_sign[near[0]] if near else None


def _same_shape(wanted: _Size, sizes: Mapping[str, _Size]) -> str | None:
    def difference(choice: str) -> tuple[float, float]:
        (width, height), (wide, high) = sizes[choice], wanted
        shape = abs(math.log(width / height) - math.log(wide / high))
        if min(wanted) < _MIN_PIXELS:
            return (shape, 0)
        return (shape if shape > _ROUNDED else 0, abs(math.log(width * height) - math.log(wide * high)))

    best = min(sizes, key=difference)
    return best if difference(best)[0] <= _SAME_SHAPE else None


def _size(text: str) -> _Size | None:
    found = _RATIO.fullmatch(text)
    size = (float(found[1]), float(found[2])) if found else None
    return size if size and min(size) > 0 else None

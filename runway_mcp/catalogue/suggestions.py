"""What was likely meant: the field, the value or the form that a wrong one comes close to."""

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from pydantic import JsonValue

from runway_mcp.api.models import plain

_Size = tuple[float, float]

_LONGEST = 60
"""Characters of what was given that are looked at: no name and no value is longer."""

_LIKENESS = 0.6

_SAME_SHAPE = 0.15
"""By how much two ratios' logarithms may differ: 1.78 and 1.67 are one shape, 1.78 and 2.33 are two."""

_ROUNDED = 0.03
"""By how much they differ where pixels were rounded to multiples of 16 or 32."""

_FEWEST_PIXELS = 100
"""Of a size's sides; 16:9 is a shape alone."""

_RATIO = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)\s*[:x\N{MULTIPLICATION SIGN}*/]\s*(\d{1,5}(?:\.\d{1,3})?)")
_SHAPES = {"landscape": "16:9", "horizontal": "16:9", "portrait": "9:16", "vertical": "9:16", "square": "1:1"}
_NUMBER = re.compile(r"(-?\d{1,9}(?:\.\d{1,3})?)\s*[a-z%]{0,7}")
_SWITCHES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

_ALIASES = {
    "text": "prompt",
    "description": "prompt",
    "script": "prompt",
    "aspect": "ratio",
    "aspectratio": "ratio",
    "dimensions": "ratio",
    "resolution": "ratio",
    "size": "ratio",
    "length": "duration",
    "seconds": "duration",
    "language": "lang",
    "sound": "audio",
    "count": "outputcount",
    "n": "outputcount",
}
"""Names that other services use for the same thing, both written as `_bare` leaves them."""


def likely_name(name: str, known: Iterable[str]) -> str | None:
    """Return which of the known names another one stands for, the earlier the likelier."""
    bare = _bare(name)
    if bare == "model":
        return None  # it is part of nothing but, by its letters, of a mode
    names: dict[str, str] = {}
    for one in known:
        names.setdefault(_bare(one), one)
    for wanted in (bare, _ALIASES.get(bare, bare)):
        if wanted in names:
            return names[wanted]
        if parts := [one for one in names if _is_part(one, wanted)]:
            return names[parts[0]]
    near = difflib.get_close_matches(bare, names, n=1, cutoff=_LIKENESS)
    return names[near[0]] if near else None


def likely_choice(given: str, choices: Sequence[str]) -> str | None:
    """Return which of the values that are allowed another one stands for."""
    given = given[:_LONGEST].strip().lower()
    wanted = _size(_SHAPES.get(given, given))
    sizes = {choice: size for choice in choices if (size := _size(choice))}
    return _same_shape(wanted, sizes) if wanted and sizes else _alike(given, choices)


def likely_value(given: JsonValue, fits: Callable[[JsonValue], bool]) -> str | None:
    """Return, as it would be written, the number, switch or form that a value stands for and that fits."""
    attempts: list[tuple[JsonValue, str]] = []
    if isinstance(given, str):
        short = given[:_LONGEST].strip().lower()
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
    """Return a name in lower case, without signs and without the ending that says that it is a URL."""
    bare = re.sub(r"[^a-z0-9]", "", name[:_LONGEST].lower())
    return re.sub(r"(?<=.)ur[il]s?$", "", bare)


def _is_part(one: str, other: str) -> bool:
    shorter, longer = sorted((one, other), key=len)
    return len(shorter) >= len("lang") and shorter in longer


def _alike(given: str, choices: Sequence[str]) -> str | None:
    by_sign = {re.sub(r"[\s_-]", "", choice.lower()): choice for choice in choices}
    near = difflib.get_close_matches(re.sub(r"[\s_-]", "", given), by_sign, n=1, cutoff=_LIKENESS)
    return by_sign[near[0]] if near else None


def _same_shape(wanted: _Size, sizes: Mapping[str, _Size]) -> str | None:
    """Return the ratio of the same shape; of several the one nearest in size, then the first."""

    def difference(choice: str) -> tuple[float, float]:
        (width, height), (wide, high) = sizes[choice], wanted
        shape = abs(math.log(width / height) - math.log(wide / high))
        if min(wanted) < _FEWEST_PIXELS:
            return (shape, 0)
        return (shape if shape > _ROUNDED else 0, abs(math.log(width * height) - math.log(wide * high)))

    best = min(sizes, key=difference)
    return best if difference(best)[0] <= _SAME_SHAPE else None


def _size(text: str) -> _Size | None:
    found = _RATIO.fullmatch(text)
    size = (float(found[1]), float(found[2])) if found else None
    return size if size and min(size) > 0 else None

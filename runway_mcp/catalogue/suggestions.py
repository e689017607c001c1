"""Suggests what was meant: the known field, value or form that a wrong one is closest to."""

import difflib
import json
import math
import operator
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import JsonValue

from runway_mcp.api.errors import quote
from runway_mcp.api.models import plain
from runway_mcp.catalogue.lookup import languages, same_spelling

Meaning = tuple[JsonValue, str]
_Size = tuple[float, float]

_MAX_LENGTH = 60
"""Characters of an input that are compared; no known name or value is longer."""

_MIN_SIMILARITY = 0.65
_MIN_PART = len("lang")

_SAME_SHAPE = 0.15
"""The difference of two ratios' logarithms within one shape: 1.78 and 1.67 are one, 1.78 and 2.33 are two."""

_ROUNDED = 0.03
"""The difference that comes from rounding pixels to multiples of 16 or 32."""

_MIN_PIXELS = 100
"""The shortest side of a size in pixels; 16:9 is a shape only."""

_RATIO = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)\s*[:x\N{MULTIPLICATION SIGN}*/]\s*(\d{1,5}(?:\.\d{1,3})?)")
_SHAPES = {"landscape": "16:9", "horizontal": "16:9", "portrait": "9:16", "vertical": "9:16", "square": "1:1"}
_ORIENTATIONS: Mapping[str, Callable[[float, float], bool]] = {
    **dict.fromkeys(("landscape", "horizontal"), operator.gt),
    **dict.fromkeys(("portrait", "vertical"), operator.lt),
    "square": operator.eq,
}
_QUOTES = "\"'`<>\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"
_NUMBER = re.compile(r"([+-]?\d{1,10}(?:\.\d{1,6})?)[\s-]*(s|secs?|seconds?)?", re.ASCII)
_IN_SECONDS = re.compile(r"duration|second|length", re.IGNORECASE)
_SWITCHES = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}

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


def meanings(given: JsonValue, schema: Mapping[str, Any], field: str) -> Iterator[Meaning]:
    """Yield what `given` can mean as a value of `field`, fitting or not, and each as one would write it."""
    choices: list[JsonValue] = schema.get("enum", [schema.get("const")])
    uri = ""
    match given:
        case str():
            text = _cleaned(given)
            yield from _meanings_of_text(text, [one for one in choices if isinstance(one, str)], field)
            uri = text
        case int() if not isinstance(given, bool):
            if str(given) in choices:
                yield str(given), f'"{given}"'
            if given in {0, 1}:
                yield bool(given), str(bool(given)).lower()
        case [only]:
            yield only, "as the only entry"
        case {"uri": str(only), **rest} | {"url": str(only), **rest} if not rest:
            uri = only
            yield uri, "as the URI"
        case _:
            pass
    if uri:
        yield {"uri": uri}, '{"uri": …}'
    if schema.get("items") and not isinstance(given, list):  # a list that takes anything says nothing of its entries
        yield [given], "as a list of one"
        if uri:
            yield [{"uri": uri}], '[{"uri": …}]'


def _cleaned(given: str) -> str:
    """Return a text without quotes around it, its signs in their usual form and its scheme in small letters."""
    is_word = len(given) <= _MAX_LENGTH and "No" not in map(unicodedata.category, given)  # 1² is not 12
    text = unicodedata.normalize("NFKC", given) if is_word else given
    text = text.strip().strip(_QUOTES).strip()
    scheme = re.match("(https|runway|data):", text, re.IGNORECASE)
    return scheme[0].lower() + text[scheme.end() :] if scheme else text


def _meanings_of_text(text: str, choices: Sequence[str], field: str) -> Iterator[Meaning]:
    yield text, quote(text, _MAX_LENGTH)
    if len(text) <= _MAX_LENGTH:
        yield from _meanings_of_word(text.casefold(), choices, field)
    if text.startswith(("{", "[")):
        with suppress(ValueError, RecursionError):
            yield json.loads(text), "from its JSON text"


def _meanings_of_word(short: str, choices: Sequence[str], field: str) -> Iterator[Meaning]:
    same = [choice for choice in choices if same_spelling(choice, short)]
    yield from ((choice, choice) for choice in [*same, *same_shape(short, choices)])
    if "lang" in field.lower():
        yield from ((code, code) for code in language_codes(short))
    if ratio := _RATIO.fullmatch(short):
        yield f"{ratio[1]}:{ratio[2]}", f"{ratio[1]}:{ratio[2]}"
    if (number := _NUMBER.fullmatch(short)) and (number[2] is None or _IN_SECONDS.search(field)):
        value = float(number[1])
        yield int(value) if value.is_integer() else value, plain(value)
    if short in _SWITCHES:
        yield _SWITCHES[short], str(_SWITCHES[short]).lower()


def same_shape(given: str, choices: Sequence[str]) -> list[str]:
    """Return the allowed sizes that have a given aspect or orientation, or are of a given size in pixels."""
    sizes = {choice: size for choice in choices if (size := _size(choice))}
    if given in _ORIENTATIONS:
        return [choice for choice, (width, height) in sizes.items() if _ORIENTATIONS[given](width, height)]
    wanted = _size(given)
    if wanted is None:
        return []
    if min(wanted) >= _MIN_PIXELS:
        return [choice for choice, size in sizes.items() if size == wanted]
    return [choice for choice, size in sizes.items() if abs(_shape(size) - _shape(wanted)) <= _ROUNDED]


def language_codes(name: str) -> Sequence[str]:
    """Return the code of a language that is given by its name, and of a language with its region."""
    short = name.strip().casefold().replace("_", "-")
    if short in languages():
        return [languages()[short]]
    base = short.partition("-")[0]
    return [base] if re.fullmatch("[a-z]{2,3}-[a-z0-9]{2,4}", short) else []


def _shape(size: _Size) -> float:
    return math.log(size[0] / size[1])


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
        shape = abs(_shape(sizes[choice]) - _shape(wanted))
        if min(wanted) < _MIN_PIXELS:
            return (shape, 0)
        return (shape if shape > _ROUNDED else 0, abs(math.log(math.prod(sizes[choice]) / math.prod(wanted))))

    best = min(sizes, key=difference)
    return best if difference(best)[0] <= _SAME_SHAPE else None


def _size(text: str) -> _Size | None:
    found = _RATIO.fullmatch(text)
    size = (float(found[1]), float(found[2])) if found else None
    return size if size and min(size) > 0 else None

"""Inputs to begin with, others with something changed in them, and what is wrong with an input."""

import copy
from typing import Any

import pytest
from hypothesis import strategies as st
from pydantic import JsonValue

from runway_mcp.catalogue.validation import InvalidRequestError, prepare

IMAGE = "https://example.com/image.jpg"
CLIP = "https://example.com/video.mp4"
TEXT_TO_VIDEO: dict[str, JsonValue] = {"promptText": "A kite", "ratio": "1280:720", "duration": 5}
IMAGE_TO_VIDEO: dict[str, JsonValue] = {**TEXT_TO_VIDEO, "promptImage": IMAGE}

_URIS = (
    *(
        "https://example.com/a.jpg",
        "http://example.com/a.jpg",
        "https://127.0.0.1/a.jpg",
        "https://a.b",
        "https://a.bc",
    ),
    *("runway://1234567", "data:image/png;base64,AAAA", "data:video/mp4;base64,AAAA", "https://["),
    "https://" + "a" * 2050,
)
_TEXTS = (
    *("", "16:9", "1280:720", "5s", "5", "true", "auto", "first", "video", "image"),
    *("\N{GRINNING FACE}" * 600, "a" * 1001),
)
_NUMBERS = (-1, 0, 1, 4, 5, 5.0, 5.5, 10, 11, 2**32, 1e308, 2**53 - 1)

JSON: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, True, False, *_NUMBERS, *_URIS, *_TEXTS]) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["uri", "type", "tag", "x"]), inner),
    max_leaves=4,
)

_NAMES = ("prompt", "image", "prompt_text", "aspectRatio", "uri", "position", "model", "type", "x\n", "")


def _keys(value: Any) -> list[Any]:
    match value:
        case {**fields}:
            return list(fields)
        case [*items]:
            return list(range(len(items)))
        case _:
            return []


@st.composite
def changed(draw: st.DrawFn, value: JsonValue) -> Any:
    """A copy of an input in which one to three things are other, gone or new."""
    whole: Any = [copy.deepcopy(value)]
    for _ in range(draw(st.integers(1, 3))):
        inside: Any = whole
        key: Any = 0
        while draw(st.integers(0, 3)) and (keys := _keys(inside[key])):
            inside = inside[key]
            key = draw(st.sampled_from(keys))
        change = draw(st.sampled_from(["other", "gone", "new"]))
        if change == "gone" and inside is not whole:
            del inside[key]
        elif change == "new" and isinstance(inside, dict):
            inside[draw(st.sampled_from(_NAMES))] = draw(JSON)
        else:
            inside[key] = draw(JSON)
    return whole[0]


def problems(kind: str, given: dict[str, JsonValue], *, allow_unknown: bool = False) -> tuple[str, ...]:
    """What is wrong with an input, told in under 1 KB."""
    with pytest.raises(InvalidRequestError) as caught:
        prepare(kind, given, allow_unknown=allow_unknown)
    assert str(caught.value).startswith("Nothing was sent to Runway.\n")
    assert len(str(caught.value).encode()) < 1024
    return caught.value.problems

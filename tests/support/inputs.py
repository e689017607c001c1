"""Inputs to begin with, and what is wrong with others."""

import pytest
from pydantic import JsonValue

from runway_mcp.catalogue.validation import InvalidRequestError, prepare

IMAGE = "https://example.com/image.jpg"
CLIP = "https://example.com/video.mp4"
TEXT_TO_VIDEO: dict[str, JsonValue] = {"promptText": "A kite", "ratio": "1280:720", "duration": 5}
IMAGE_TO_VIDEO: dict[str, JsonValue] = {**TEXT_TO_VIDEO, "promptImage": IMAGE}


def problems(kind: str, given: dict[str, JsonValue], *, allow_unknown: bool = False) -> tuple[str, ...]:
    """What is wrong with an input, told in under 1 KB."""
    with pytest.raises(InvalidRequestError) as caught:
        prepare(kind, given, allow_unknown=allow_unknown)
    assert str(caught.value).startswith("Nothing was sent to Runway.\n")
    assert len(str(caught.value).encode()) < 1024
    return caught.value.problems

"""Which starts are the same, and which are likely to cost the same."""

from decimal import Decimal

import pytest
from pydantic import JsonValue

from runway_mcp.catalogue.lookup import task_types
from runway_mcp.catalogue.validation import Prepared, prepare
from runway_mcp.spending.fingerprint import fingerprint, price_key

INPUT: dict[str, JsonValue] = {"promptText": "a cat", "ratio": "1280:720", "duration": 5}
TEXTS = {"promptText", "negativePrompt", "text", "prompt", "productInfo", "userConcept", "tag"}


def video(**changes: JsonValue) -> Prepared:
    return prepare("text_to_video", INPUT | changes)


def pictures(*names: str) -> Prepared:
    references: list[JsonValue] = [{"uri": f"https://pictures.example/{name}.png"} for name in names]
    return Prepared("text_to_image", "/v1/text_to_image", "gen4_image", {"referenceImages": references})


def film(name: str, seconds: str = "") -> Prepared:
    uri = f"https://films.example/{name}.mp4"
    made = prepare("video_upscale", {"model": "upscale_v1", "videoUri": uri})
    return made.with_lengths({uri: Decimal(seconds)}) if seconds else made


def speech(text: str) -> Prepared:
    return Prepared("text_to_speech", "/v1/text_to_speech", "eleven_v4", {"promptText": text})


def reworded(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: "x" * len(str(part)) if name in TEXTS else reworded(part) for name, part in value.items()}
    return [reworded(part) for part in value] if isinstance(value, list) else value


def test_the_same_request_is_the_same_however_it_is_written() -> None:
    """JSON knows no order of fields, and no difference between 5 and 5.0."""
    other = prepare("text_to_video", dict(reversed((INPUT | {"duration": 5.0}).items())))
    assert fingerprint(video()) == fingerprint(other)
    assert fingerprint(video()) != fingerprint(video(promptText="a dog"))
    assert fingerprint(video()) != fingerprint(Prepared("x", "/v1/another", None, video().body))


@pytest.mark.parametrize(
    ("one", "other", "is_similar"),
    [
        (video(), video(promptText="a dog"), True),
        (video(), video(promptText="dog"), True),
        (video(), video(promptText="1280:720"), True),
        (video(), video(seed=7), True),
        (video(), video(duration=8), False),
        (video(), video(ratio="720:1280"), False),
        (pictures("a"), pictures("b"), True),
        (pictures("a"), pictures("a", "b"), False),
        (film("a"), film("b"), False),
        (film("a", seconds="5"), film("b", seconds="5"), True),
        (film("a", seconds="5"), film("a", seconds="9"), False),
        (speech("Hello"), speech("Howdy"), True),
        (speech("Hello"), speech("Hello, all of you"), False),
    ],
)
def test_a_price_goes_by_numbers_choices_lengths_and_how_many_media_there_are(
    one: Prepared, other: Prepared, is_similar: bool
) -> None:
    """Not by the words of a text, not even of one word, nor by the seed."""
    assert (price_key(one) == price_key(other)) is is_similar


@pytest.mark.parametrize("kind", list(task_types()))
def test_no_models_price_goes_by_the_words_of_a_text(kind: str) -> None:
    for name, model in task_types()[kind].models.items():
        body = dict(model.example)
        other = reworded(body)
        assert isinstance(other, dict)
        one, another = (Prepared(kind, f"/v1/{kind}", name, each) for each in (body, other))
        assert price_key(one) == price_key(another)

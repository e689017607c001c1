"""Media that an input names otherwise than by a URI, for every model."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runway_mcp.catalogue.lookup import task_types
from runway_mcp.catalogue.named_media import filled, prepare_named, texts
from runway_mcp.catalogue.validation import InvalidRequestError, prepare

ID = "08388106-1b46-4f5c-bd46-1c1d7ee86892"
EXAMPLES = [(kind.name, model) for kind in task_types().values() for model in kind.models.values()]


@pytest.mark.parametrize(("kind", "model"), EXAMPLES, ids=lambda value: str(getattr(value, "name", value)))
def test_each_medium_of_each_model_may_be_named(kind: str, model: Any) -> None:
    example: Any = dict(model.example)
    uris = [text for _, text in texts(example) if text.startswith("https://")]
    for name, takes_paths in ((f"task:{ID}#2", False), ("films/a kite", True)):
        given_, media = prepare_named(kind, filled(example, dict.fromkeys(uris, name)), takes_paths=takes_paths)
        assert len(media) == len(uris)
        assert all(medium.kinds and medium.text == name and medium.place for medium in media)
        same = prepare(kind, filled(example, dict.fromkeys(uris, "https://example.com/a")))
        assert filled(given_.body, {medium.stand_in: "https://example.com/a" for medium in media}) == same.body
        assert given_.understood == same.understood


WORDS = ("task:", ID, ID.upper(), "#", "2", "0", " ", "kite.png", "/", "C:\\", "file:///", "https://", "runway://", '"')


@given(st.lists(st.sampled_from(WORDS), max_size=6).map("".join), st.booleans())
def test_a_text_is_a_uri_or_a_name_or_refused(text: str, takes_paths: bool) -> None:
    wanted: dict[str, Any] = {"promptImage": text, "promptText": "a kite", "ratio": "1280:720", "duration": 5}
    try:
        prepared, media = prepare_named("image_to_video", wanted, takes_paths=takes_paths)
    except InvalidRequestError:
        return
    image = str(prepared.body["promptImage"])
    assert image.startswith(("https://", "runway://", "data:"))
    if media:
        (medium,) = media
        assert (medium.stand_in, medium.place, medium.kinds) == (image, "promptImage", ("image",))
        assert (medium.task_id == ID) is ("task/" in image)
        assert takes_paths or medium.task_id == ID
        assert not text.strip(' "').lower().startswith(("https:", "runway:"))
    else:
        assert image in text

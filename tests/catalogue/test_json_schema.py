"""What no JSON Schema says of an input: its URIs and the length of its texts."""

import pytest
from pydantic import JsonValue
from support.inputs import CLIP, IMAGE_TO_VIDEO, TEXT_TO_VIDEO, problems

from runway_mcp.catalogue.validation import prepare


@pytest.mark.parametrize(
    "uri",
    [
        *("https://example.com/a.jpg", "https://bucket.s3.eu-west-1.amazonaws.com/a%20b.jpg?x=1#f", "https://a.bc"),
        *("https://xn--bcher-kva.example/a.jpg", "https://example.com:8443/a.jpg", "https://my_bucket.example.com/"),
        *("https://example.com./a.jpg", "https://_files.example.com/a.jpg", "https://a_.example.c0m/a.jpg"),
        *("runway://AAAAAAAAAAAA", "data:image/png;base64,AAAA", "https://example.com/" + "a" * 2028),
    ],
)
def test_a_uri_that_the_api_can_fetch_is_accepted(uri: str) -> None:
    uri = uri.ljust(13, "/")
    assert prepare("image_to_video", {**IMAGE_TO_VIDEO, "promptImage": uri}).body["promptImage"] == uri


@pytest.mark.parametrize(
    "uri",
    [
        *("http://example.com/a.jpg", "HTTPS://example.com/a.jpg", "ftp://example.com/a.jpg", "/me/a.jpg", "image.jpg"),
        *("https://127.0.0.1/a.jpg", "https://127.1/a.jpg", "https://0x7f000001/a.jpg", "https://0x7f.0x1/a.jpg"),
        *("https://127.0.0.1./a.jpg", "https://localhost./a.jpg", "https://./a.jpg", "https://example.com../a.jpg"),
        *("https://[::1]/a.jpg", "https://[::1/a.jpg", "https://localhost/a.jpg", "https:///a.jpg", "https://a..com/a"),
        *("https://example.com/a b.jpg", "https://example.com\n/a.jpg", "https://-a.com/a.jpg", "https://2130706433/"),
        *("data:text/html,AAAA", "runway://a", "https://a.com/" + "a" * 2035, "data:image/png," + "A" * 5_242_866),
    ],
)
def test_a_uri_that_the_api_would_refuse_is_refused(uri: str) -> None:
    (problem,) = problems("image_to_video", {**IMAGE_TO_VIDEO, "promptImage": uri})
    assert problem.startswith("promptImage: ")


@pytest.mark.parametrize("end", ["\n", "\r", "\u2028", "\N{ARABIC-INDIC DIGIT ONE}"])
@pytest.mark.parametrize(
    ("kind", "given", "field", "value"),
    [
        ("generate/image", {"input": {"promptText": "A kite"}}, "configId", "mine"),
        ("video_to_video", {"model": "gen4_aleph", "promptVideo": CLIP}, "ratio", "16:9"),
    ],
)
def test_a_pattern_means_what_it_means_in_javascript(
    kind: str, given: dict[str, JsonValue], field: str, value: str, end: str
) -> None:
    prepare(kind, {**given, field: value})
    (problem,) = problems(kind, {**given, field: value + end})
    assert problem.startswith(f"{field}: ")


def test_a_text_is_as_long_as_the_api_counts() -> None:
    prepare("text_to_video", {**TEXT_TO_VIDEO, "promptText": "\N{GRINNING FACE}" * 500})
    (problem,) = problems("text_to_video", {**TEXT_TO_VIDEO, "promptText": "\N{GRINNING FACE}" * 501})
    assert "(1002 characters)" in problem

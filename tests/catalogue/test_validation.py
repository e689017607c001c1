"""What is refused before it is sent, and in which words."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue
from support.catalogue_script import MODELS, full_input
from support.inputs import CLIP, IMAGE, IMAGE_TO_VIDEO, JSON, TEXT_TO_VIDEO, changed, problems

from runway_mcp.catalogue.lookup import IMPOSSIBLE, Model, TaskType
from runway_mcp.catalogue.understanding import is_nothing
from runway_mcp.catalogue.validation import InvalidRequestError, prepare


def test_the_recommended_model_is_put_into_a_copy() -> None:
    given_input = dict(TEXT_TO_VIDEO)
    prepared = prepare("text_to_video", given_input)
    assert prepared.body == {"model": "gen4.5", **TEXT_TO_VIDEO}
    assert given_input == TEXT_TO_VIDEO
    assert (prepared.type, prepared.endpoint, prepared.model) == ("text_to_video", "/v1/text_to_video", "gen4.5")
    frames: list[JsonValue] = [{"uri": IMAGE, "position": "first"}]
    prepared = prepare("image_to_video", {**IMAGE_TO_VIDEO, "promptImage": frames})
    frames.clear()
    assert prepared.body["promptImage"] == [{"uri": IMAGE, "position": "first"}]


@pytest.mark.parametrize(
    ("kind", "end"),
    [
        ("text2-video", "did you mean text_to_video?"),
        ("Texts To Video", "did you mean text_to_video?"),
        ("textoimage", "did you mean text_to_image?"),
        ("product_ad", "did you mean recipes/product_ad?"),
        ("video upscaling", "did you mean video_upscale?"),
        ("symphony", "lip_sync (undocumented), frame_interpolation (undocumented)."),
    ],
)
def test_a_task_type_in_another_spelling_is_recognised(kind: str, end: str) -> None:
    (problem,) = problems(kind, {})
    assert problem.startswith(f'type: "{kind}" is not known; it must be one of text_to_video, image_to_video')
    assert problem.endswith(f"{end} {IMPOSSIBLE}")


@pytest.mark.parametrize(
    ("kind", "model", "end"),
    [
        ("text_to_video", "gen4_turbo", "grok_imagine_1_5_lite, kling_4."),
        ("text_to_video", "gen45", "did you mean gen4.5?"),
        ("text_to_video", "Veo 3.1 fast", "did you mean veo3.1_fast?"),
        ("text_to_speech", "eleven-v3", "did you mean eleven_v3?"),
        ("text_to_speech", 3, "it must be one of seed_audio, eleven_multilingual_v2, eleven_v3 (default), eleven_v4."),
    ],
)
def test_a_model_that_a_type_lacks_is_refused(kind: str, model: JsonValue, end: str) -> None:
    (problem,) = problems(kind, {"model": model})
    assert problem.startswith("model: ")
    assert f" is no model of {kind}; it must be one of " in problem
    assert problem.endswith(end)


def test_a_model_is_named_only_where_there_is_a_choice() -> None:
    assert problems("lip_sync", {}) == (
        "model is missing; it must be one of gen4 (undocumented), gen4_turbo (undocumented).",
    )
    assert problems("recipes/ad_localization", {"model": "x"})[0].startswith("model is no field here; still possible: ")
    first, *_ = problems("recipes/multi_shot_video", {"mode": "auto", "model": "x"})
    assert first == "model is no field here; still possible: prompt, version, firstFrame, ratio, duration, audio."


def test_at_most_five_problems_are_told_in_little_room() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        prepare("text_to_video", {f"unknown{number}": number for number in range(30)})
    assert len(caught.value.problems) == 5
    assert str(caught.value).endswith("\nProblems not shown: 28.")
    wide: dict[str, JsonValue] = {"\N{GRINNING FACE}" * (50 + number): 1 for number in range(9)}
    assert 0 < len(problems("text_to_video", wide)) < 5


@pytest.mark.parametrize(
    ("given_input", "problem"),
    [
        ([], "input: a list of 0 is not allowed; it must be an object."),
        ("text", 'input: "text" is not allowed; it must be an object.'),
        ({"a": math.nan}, "a is a number that JSON or the API can't hold."),
        ({"a": [{"b": -math.inf}]}, "a[0].b is a number that JSON or the API can't hold."),
        ({"a": 10**5000}, "a is a number that JSON or the API can't hold."),
        ({"a": 2.0**53}, "a is a number that JSON or the API can't hold."),
        (json.loads('{"a": ' + "[" * 33 + "]" * 33 + "}"), "input is nested over 32 deep or holds over 1000 values."),
        ({"a": [0] * 1_001}, "input is nested over 32 deep or holds over 1000 values."),
        ({"a": ["a" * 1024**2] * 33}, "input holds over 32 MiB of text."),
    ],
    ids=range(9),
)
def test_what_is_not_decent_json_is_refused(given_input: Any, problem: str) -> None:
    assert problems("text_to_video", given_input, allow_unknown=True) == (problem,)


def test_unknown_fields_and_models_are_sent_where_that_is_allowed() -> None:
    new: JsonValue = {"a": [1]}
    given_input = {**TEXT_TO_VIDEO, "newField": new, "contentModeration": new}
    first, second = problems("text_to_video", given_input)
    assert first.startswith("contentModeration.a is no field here")
    assert second.startswith("newField is no field here")
    prepared = prepare("text_to_video", given_input, allow_unknown=True)
    assert prepared.body == {"model": "gen4.5", **given_input}
    assert problems("text_to_video", {**TEXT_TO_VIDEO, "new": 1, "duration": 1}, allow_unknown=True) == (
        "duration: 1 is too small; it must be a whole number from 2 to 10.",
    )
    prepared = prepare("text_to_video", {"model": "gen9", "wings": 2}, allow_unknown=True)
    assert (prepared.model, prepared.body) == ("gen9", {"model": "gen9", "wings": 2})


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
        *("http://example.com/a.jpg", "ftp://example.com/a.jpg", "/me/a.jpg", "image.jpg"),
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
    if end.isspace():  # what stands around a value is no part of it
        assert prepare(kind, {**given, field: value + end}).body[field] == value
    (problem,) = problems(kind, {**given, field: f"{value}{end}{value}"})
    assert problem.startswith(f"{field}: ")


def test_a_text_is_as_long_as_the_api_counts() -> None:
    prepare("text_to_video", {**TEXT_TO_VIDEO, "promptText": "\N{GRINNING FACE}" * 500})
    (problem,) = problems("text_to_video", {**TEXT_TO_VIDEO, "promptText": "\N{GRINNING FACE}" * 501})
    assert "(1002 characters)" in problem


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(MODELS), st.data(), st.booleans())
def test_no_input_breaks_the_check(one: tuple[TaskType, Model], data: st.DataObject, allow_unknown: bool) -> None:
    kind, model = one
    given_input = data.draw(changed(full_input(model)) | JSON)
    try:
        prepared = prepare(kind.name, given_input, allow_unknown=allow_unknown)
    except InvalidRequestError:
        told = problems(kind.name, given_input, allow_unknown=allow_unknown)
        assert told
        assert all(text.isprintable() for text in told)
    else:
        named: dict[str, Any] = {"model": prepared.model} if prepared.model else {}
        if not prepared.understood:
            left_out = {name for name, value in given_input.items() if name not in prepared.body and is_nothing(value)}
            assert prepared.body.keys() | left_out == {**named, **given_input}.keys()
        assert json.loads(json.dumps(prepared.body)) == prepared.body

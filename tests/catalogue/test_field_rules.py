"""Rules between fields: each is checked before anything is sent, and named."""

import tomllib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.catalogue_script import MODELS, full_input
from support.inputs import CLIP, IMAGE, problems

from runway_mcp.catalogue.validation import InvalidRequestError, prepare

RULES: list[dict[str, Any]] = tomllib.loads(
    files("runway_mcp.catalogue").joinpath("field_rules.toml").read_text("utf-8")
)["rules"]

_GEN = {"model": "gen4.5", "promptText": "A", "ratio": "1280:720", "duration": 5}
_EDIT = {"model": "seedance2_5", "promptVideo": CLIP, "promptText": "A"}
_AD = {"version": "2026-06", "mode": "custom"}
_IDEOGRAM = {"model": "ideogram_4_5", "promptText": "A"}
_GROK = {"model": "grok_imagine_1_5", "promptText": "A"}
_KLING = {"model": "klingO3_pro", "promptText": "A", "ratio": "1920:1080"}
_PICTURE = {"uri": IMAGE}
_FIRST, _LAST = ({"uri": IMAGE, "position": position} for position in ("first", "last"))
_SOUND = {"type": "audio", "uri": "https://example.com/a.mp3"}
_RANGE = {"start_seconds": 0, "end_seconds": 2}


def _shots(*seconds: int) -> list[dict[str, Any]]:
    return [{"prompt": "A kite", "duration": one} for one in seconds]


def _routed(**fields: Any) -> dict[str, Any]:
    return {"configId": "mine", "input": {"promptText": "A", **fields}}


def _flash(subject: str, count: int) -> dict[str, Any]:
    images = [{"uri": IMAGE, "subject": subject}] * count
    return {"model": "gemini_image3_pro", "promptText": "A", "ratio": "1024:1024", "referenceImages": images}


def _tagged(*tags: str) -> dict[str, Any]:
    images = [{"uri": IMAGE, "tag": tag} for tag in tags]
    return {"model": "gpt_image_2", "promptText": "A", "ratio": "auto", "referenceImages": [*images, _PICTURE]}


def _told(kind: str, body: dict[str, Any]) -> Sequence[str]:
    try:
        prepare(kind, body)
    except InvalidRequestError as error:
        return error.problems
    return ()


BROKEN_AND_KEPT: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("text_to_video", {**_GEN, "proresProfile": "422"}, {**_GEN, "proresProfile": "422", "outputFormat": "prores"}),
    (
        "text_to_video",
        {**_GEN, "proresProfile": "422 LT", "outputFormat": "hdr_prores"},
        {**_GEN, "outputFormat": "hdr_prores"},
    ),
    (
        "video_to_video",
        {"model": "aleph2", "videoUri": CLIP, "proresProfile": "422", "outputFormat": "mp4"},
        {"model": "aleph2", "videoUri": CLIP, "proresProfile": "422", "outputFormat": "prores"},
    ),
    (
        "video_to_hdr",
        {"model": "ruby", "videoUri": CLIP, "proresProfile": "422"},
        {"model": "ruby", "videoUri": CLIP, "proresProfile": "422", "outputFormat": "hdr_prores"},
    ),
    (
        "text_to_video",
        {"model": "seedance2_5", "promptText": "A", "draft": True, "outputFormat": "mov"},
        {"model": "seedance2_5", "promptText": "A", "draft": False, "outputFormat": "mov"},
    ),
    (
        "text_to_video",
        {"model": "seedance2_5", "promptText": "A", "draftTaskId": "a"},
        {"model": "seedance2_5", "draftTaskId": "a"},
    ),
    ("video_to_video", {"model": "seedance2_5", "promptVideo": CLIP, "mode": "extend"}, {**_EDIT, "mode": "extend"}),
    (
        "video_to_video",
        {**_EDIT, "mode": "extend", "ratio": "1280:720"},
        {**_EDIT, "mode": "reference", "ratio": "1280:720", "duration": 5},
    ),
    ("video_to_video", {**_EDIT, "mode": "extend", "duration": 5}, {**_EDIT, "duration": 5}),
    ("video_to_video", {**_EDIT, "mode": "edit"}, {**_EDIT, "mode": "edit", "duration": "auto"}),
    (
        "text_to_video",
        {"model": "hailuo3", "promptText": "A", "ratio": "adaptive"},
        {"model": "hailuo3", "promptText": "A", "ratio": "adaptive", "references": [_PICTURE]},
    ),
    (
        "text_to_video",
        {**_GROK, "referenceAudio": [_SOUND]},
        {**_GROK, "referenceAudio": [_SOUND], "references": [_PICTURE]},
    ),
    (
        "text_to_video",
        {**_GROK, "references": [_PICTURE], "resolution": "1080p"},
        {**_GROK, "references": [_PICTURE], "resolution": "720p"},
    ),
    (
        "text_to_image",
        {"model": "grok_imagine_image_2", "promptText": "A", "ratio": "1024:1024", "edit": True},
        {"model": "grok_imagine_image_2", "promptText": "A", "ratio": "1024:1024", "edit": False},
    ),
    (
        "text_to_image",
        {**_IDEOGRAM, "preciseEdit": True},
        {**_IDEOGRAM, "preciseEdit": True, "referenceImages": [_PICTURE]},
    ),
    ("text_to_image", {**_IDEOGRAM, "quality": "very_low"}, {**_IDEOGRAM, "quality": "low"}),
    (
        "text_to_image",
        {**_IDEOGRAM, "preciseEdit": True, "ratio": "2048:2048", "referenceImages": [_PICTURE]},
        {**_IDEOGRAM, "ratio": "2048:2048", "referenceImages": [_PICTURE]},
    ),
    ("text_to_image", {**_IDEOGRAM, "maskUri": IMAGE, "ratio": "auto"}, {**_IDEOGRAM, "maskUri": IMAGE}),
    (
        "text_to_image",
        {**_IDEOGRAM, "ratio": "1280:720", "referenceImages": [_PICTURE]},
        {**_IDEOGRAM, "ratio": "1024:576", "referenceImages": [_PICTURE]},
    ),
    ("text_to_image", {**_IDEOGRAM, "ratio": "1024:576"}, {**_IDEOGRAM, "ratio": "1280:720"}),
    (
        "text_to_image",
        {"model": "bria_fibo_edit_1_5", "promptText": "A", "ratio": "1024:1024", "referenceImages": [_PICTURE]},
        {"model": "bria_fibo_edit_1_5", "promptText": "A", "ratio": "1024:1024", "referenceImages": [_PICTURE] * 2},
    ),
    (
        "text_to_video",
        {"model": "klingO3_pro", "ratio": "1920:1080", "providerSettings": {"shotType": "intelligence"}},
        {**_KLING, "providerSettings": {"shotType": "intelligence"}},
    ),
    (
        "text_to_video",
        {**_KLING, "providerSettings": {"multiPrompt": _shots(8, 8)}},
        {**_KLING, "providerSettings": {"multiPrompt": _shots(8, 7)}},
    ),
    ("recipes/multi_shot_video", {**_AD, "shots": _shots(3, 3, 3)}, {**_AD, "shots": _shots(3, 3, 4)}),
    (
        "recipes/multi_shot_video",
        {**_AD, "shots": _shots(3, 3, 4), "duration": 5},
        {**_AD, "shots": _shots(1, 1, 3), "duration": 5},
    ),
    *(
        (
            "image_to_video",
            {"model": "veo3.1", "ratio": "1280:720", "promptImage": images},
            {"model": "veo3.1", "ratio": "1280:720", "promptImage": [_FIRST, _LAST]},
        )
        for images in ([_FIRST, _FIRST], [_FIRST, _LAST, _LAST][1:], [_LAST])
    ),
    (
        "image_to_video",
        {"model": "wan3", "promptText": "A", "promptImage": [_FIRST, _PICTURE]},
        {"model": "wan3", "promptText": "A", "promptImage": [_PICTURE, _PICTURE]},
    ),
    (
        "image_to_video",
        {"model": "kling_4", "promptImage": IMAGE, "references": [_PICTURE] * 10},
        {"model": "kling_4", "promptImage": IMAGE, "references": [_PICTURE] * 9},
    ),
    (
        "video_to_video",
        {
            "model": "aleph2",
            "videoUri": CLIP,
            "keyframes": [{"uri": IMAGE, "at": 0.1, "range": _RANGE}, {"uri": IMAGE, "at": 0.2}],
        },
        {"model": "aleph2", "videoUri": CLIP, "keyframes": [{"uri": IMAGE, "at": 0.1}, {"uri": IMAGE, "at": 0.2}]},
    ),
    (
        "generate/video",
        _routed(keyframes=[{"uri": IMAGE, "at": 0.1, "range": _RANGE}, {"uri": IMAGE, "at": 0.2}]),
        _routed(keyframes=[{"uri": IMAGE, "at": 0.1, "range": _RANGE}]),
    ),
    *(
        (
            "generate/video",
            _routed(**{field: [{"uri": uri, "role": role}] * 2}),
            _routed(**{field: [{"uri": uri, "role": "reference"}] * 2}),
        )
        for field, uri, role in (
            ("referenceImages", IMAGE, "first"),
            ("referenceImages", IMAGE, "last"),
            ("referenceVideos", CLIP, "source"),
        )
    ),
    ("text_to_image", _tagged("kite", "kite"), _tagged("kite", "sea")),
    ("text_to_image", _flash("human", 6), _flash("human", 5)),
    ("text_to_image", _flash("object", 10), _flash("object", 9)),
]


@pytest.mark.parametrize(("kind", "broken", "kept"), BROKEN_AND_KEPT)
def test_what_breaks_a_rule_is_refused_with_the_rule(kind: str, broken: dict[str, Any], kept: dict[str, Any]) -> None:
    told = problems(kind, broken)
    assert told
    assert {*told} <= {rule["says"] for rule in RULES}
    assert prepare(kind, kept).body == kept


def test_every_rule_is_broken_by_one_of_these_inputs() -> None:
    told = {one for kind, broken, _ in BROKEN_AND_KEPT for one in problems(kind, broken)}
    audio: dict[str, Any] = {"model": "hailuo3", "promptText": "A", "referenceAudio": [_SOUND]}
    assert prepare("text_to_video", audio)
    # the schema demands promptText of hailuo3 already
    untold = {rule["says"] for rule in RULES} - told
    assert untold == {"promptText is missing; referenceAudio demands it."}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["says"])
def test_a_rule_is_for_models_that_have_its_fields(rule: dict[str, Any]) -> None:
    keys = {f"{kind.name}/{model.name or ''}": str(model.schema) for kind, model in MODELS}
    for pattern in rule["for"]:
        schemas = [schema for key, schema in keys.items() if fnmatchcase(key, pattern)]
        for path in rule.get("when", {}):
            assert any(f"'{path.rpartition('.')[2]}'" in schema for schema in schemas), pattern
        assert schemas


@given(st.integers(0, len(MODELS) - 1), st.integers(0, 2**30))
def test_fewer_fields_break_no_rule_but_by_name(number: int, left_out: int) -> None:
    kind, model = MODELS[number]
    fields = enumerate(full_input(model).items())
    body = {name: value for place, (name, value) in fields if name == "model" or not left_out >> place & 1}
    known = {rule["says"] for rule in RULES}
    assert all(" missing" in told or told in known for told in _told(kind.name, body))


@given(st.lists(st.integers(1, 15), min_size=3, max_size=5), st.sampled_from([5, 10, 15, None]))
def test_shots_are_accepted_exactly_where_they_add_up(seconds: list[int], duration: int | None) -> None:
    body = {**_AD, "shots": _shots(*seconds)} | ({} if duration is None else {"duration": duration})
    assert (not _told("recipes/multi_shot_video", body)) == (sum(seconds) == (duration or 10))


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("@kite over @sea", ["sea"]),
        ("@kite", []),
        ("@Kite", ["Kite"]),
        ("mail me@example.com, @ab and @@sea", []),
        ("(@sea), @sea!", ["sea"]),
    ],
)
def test_a_name_in_the_prompt_that_no_reference_has_is_told(prompt: str, named: list[str]) -> None:
    """It is sent all the same, for it may be meant literally."""
    body: dict[str, Any] = {
        "promptText": prompt,
        "ratio": "1280:720",
        "referenceImages": [{"uri": IMAGE, "tag": "kite"}],
    }
    notes = prepare("text_to_image", body).understood
    assert [note.partition("@")[2].partition(",")[0] for note in notes] == named
    assert not prepare("text_to_video", {**_GEN, "promptText": prompt}).understood

"""Rules between fields: each is checked before anything is sent, and named."""

import re
import tomllib
from collections.abc import Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.catalogue_script import MODELS, full_input
from support.inputs import CLIP, IMAGE, problems

from runway_mcp.catalogue.validation import InvalidRequestError, prepare

TABLE: dict[str, list[dict[str, Any]]] = tomllib.loads(
    files("runway_mcp.catalogue").joinpath("field_rules.toml").read_text("utf-8")
)
RULES, LIMITS = TABLE["rules"], TABLE["lengths"]

_GEN = {"model": "gen4.5", "promptText": "A", "ratio": "1280:720", "duration": 5}
_EDIT = {"model": "seedance2_5", "promptVideo": CLIP, "promptText": "A"}
_AD = {"version": "2026-06", "mode": "custom"}
_IDEOGRAM = {"model": "ideogram_4_5", "promptText": "A"}
_GROK = {"model": "grok_imagine_1_5", "promptText": "A"}
_KLING = {"model": "klingO3_pro", "promptText": "A", "ratio": "1920:1080"}
_PICTURE = {"uri": IMAGE}
_FIRST, _LAST = ({"uri": IMAGE, "position": position} for position in ("first", "last"))
_SOUND = {"type": "audio", "uri": "https://example.com/a.mp3"}


_SOURCE = {"referenceVideos": [{"uri": CLIP, "role": "source"}]}
_FRAMES = {"model": "hailuo3", "promptText": "A"}
_SEEDREAM = {"model": "seedream5_lite", "promptText": "A"}


def _range(start: int, end: int) -> dict[str, int]:
    return {"start_seconds": start, "end_seconds": end}


def _keyframe(seconds: float, *window: int) -> dict[str, Any]:
    return {"uri": IMAGE, "seconds": seconds, **({"range": _range(*window)} if window else {})}


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
            "keyframes": [{"uri": IMAGE, "at": 0.1, "range": _range(0, 2)}, {"uri": IMAGE, "at": 0.2}],
        },
        {"model": "aleph2", "videoUri": CLIP, "keyframes": [{"uri": IMAGE, "at": 0.1}, {"uri": IMAGE, "at": 0.2}]},
    ),
    (
        "generate/video",
        _routed(keyframes=[{"uri": IMAGE, "at": 0.1, "range": _range(0, 2)}, {"uri": IMAGE, "at": 0.2}], **_SOURCE),
        _routed(keyframes=[{"uri": IMAGE, "at": 0.1, "range": _range(0, 2)}], **_SOURCE),
    ),
    *(
        ("generate/video", _routed(keyframes=[_keyframe(1)], **reference), _routed(keyframes=[_keyframe(1)], **_SOURCE))
        for reference in ({}, {"referenceVideos": [{"uri": CLIP, "role": "reference"}]})
    ),
    *(
        ("generate/video", _routed(keyframes=[wrong], **_SOURCE), _routed(keyframes=[_keyframe(2, 1, 2)], **_SOURCE))
        for wrong in (_keyframe(0.5, 1, 2), _keyframe(2.5, 1, 2))
    ),
    *(
        (
            "video_to_video",
            {"model": "aleph2", "videoUri": CLIP, "keyframes": [_keyframe(1, 1, 2), wrong]},
            {"model": "aleph2", "videoUri": CLIP, "keyframes": [_keyframe(1, 1, 2), _keyframe(2.5, 2, 3)]},
        )
        for wrong in (_keyframe(3.5, 2, 3), _keyframe(2, 2, 2), {"uri": IMAGE, "at": 1, "range": _range(3, 2)})
    ),
    *(
        ("image_to_video", {**_FRAMES, "promptImage": [wrong]}, {**_FRAMES, "promptImage": [_LAST, _FIRST]})
        for wrong in (
            *(IMAGE, 7, {}, {"uri": 7}, {"uri": "http://example.com/a.png"}, {"uri": "data:video/mp4;base64,AAAA"}),
            *({"uri": IMAGE, "position": "middle"}, {"uri": IMAGE, "postion": "first"}, {"position": "first"}),
        )
    ),
    *(
        ("image_to_video", {**_FRAMES, "promptImage": images}, {**_FRAMES, "promptImage": [_PICTURE] * 9})
        for images in ([_FIRST, _FIRST], [_LAST, _LAST], [_FIRST, _PICTURE])
    ),
    *(
        (
            "image_to_video",
            {"model": model, "promptText": "A", "promptImage": [frame], "ratio": "1280:720"},
            {"model": model, "promptText": "A", "promptImage": [other], "ratio": ratio},
        )
        for model, frame, other, ratio in (
            ("wan3", _FIRST, _FIRST, "auto_480p"),
            ("wan3_prime", _LAST, _PICTURE, "1280:720"),
        )
    ),
    *(
        ("text_to_image", {**_SEEDREAM, "ratio": wrong}, {**_SEEDREAM, "ratio": right})
        for wrong, right in (("1919:1920", "1920:1920"), ("4097:4096", "4096:4096"), ("100:9999", "1000:16000"))
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


def test_a_sound_is_named_by_its_number() -> None:
    body: dict[str, Any] = {"model": "seed_audio", "promptText": "@Audio1, then @Audio3"}
    body["referenceAudios"] = ["https://example.com/a.mp3"] * 2
    [note] = prepare("sound_effect", body).understood
    assert note == "promptText names @Audio3, but no reference has that name: it counts as plain text."


def test_a_newer_form_of_an_entry_may_be_sent_where_unknown_fields_may() -> None:
    """A rule between known fields holds all the same."""
    body: dict[str, Any] = {**_FRAMES, "promptImage": [{"uri": IMAGE, "position": "middle", "weight": 2}]}
    assert prepare("image_to_video", body, allow_unknown=True).body == body
    body["promptImage"] = [_FIRST, _FIRST]
    with pytest.raises(InvalidRequestError, match="at most one image at position first"):
        prepare("image_to_video", body, allow_unknown=True)


_SOUNDS = [{"type": "audio", "uri": f"runway://sound-{number}"} for number in (1, 2)]
_VIDEOS = [{"type": "video", "uri": f"runway://video-{number}"} for number in (1, 2)]
_ACTED = {"character": _PICTURE | {"type": "image"}, "reference": _VIDEOS[0]}
_SWAPPED = {
    "version": "2026-06",
    "originalProductImage": _PICTURE,
    "newProductImages": [_PICTURE],
    "referenceVideo": {"uri": "runway://video-1"},
}
_EDITED = {"model": "aleph2", "videoUri": "runway://video-1"}
_SEVERAL = {"model": "seedance2", "promptVideo": CLIP, "referenceVideos": _VIDEOS}
_HEARD = {"model": "wan3", "promptText": "A", "referenceAudio": _SOUNDS}
_SUNG = {**_GROK, "references": [_PICTURE], "referenceAudio": _SOUNDS}
_OMNI = {"model": "gemini_omni_flash", "promptText": "A", "videoUri": "runway://video-1"}


def _lasting(**seconds: float) -> dict[str, Decimal]:
    return {f"runway://{name.replace('_', '-')}": Decimal(str(one)) for name, one in seconds.items()}


@pytest.mark.parametrize(
    ("kind", "body", "kept", "broken", "told"),
    [
        ("video_to_video", _EDITED, _lasting(video_1=30.4), _lasting(video_1=31), "videoUri must last at most 30 s"),
        ("video_to_video", _OMNI, _lasting(video_1=10), _lasting(video_1=11), "at most 10 seconds; measured: 11.0 s."),
        ("character_performance", _ACTED, _lasting(video_1=2.6), _lasting(video_1=2), "reference must last 3 to 30 s"),
        ("character_performance", _ACTED, _lasting(video_1=30), _lasting(video_1=40), "reference must last 3 to 30 s"),
        ("recipes/product_swap", _SWAPPED, _lasting(video_1=1.5), _lasting(video_1=1), "must last 1.8 to 15 seconds"),
        (
            "text_to_video",
            _SUNG,
            _lasting(sound_1=14, sound_2=3),
            _lasting(sound_1=14, sound_2=1),
            "referenceAudio: each must last 3 to 15 seconds; measured: 1.0 s.",
        ),
        (
            "video_to_video",
            _SEVERAL,
            _lasting(video_1=9, video_2=6),
            _lasting(video_1=9, video_2=7),
            "The videos must last at most 15 seconds together; measured: 16.0 s.",
        ),
        ("text_to_video", _HEARD, _lasting(sound_1=15), _lasting(sound_1=8, sound_2=9), "at most 15 seconds together"),
        *(
            (
                "video_to_video",
                {**_EDITED, "keyframes": [keyframe, {"uri": IMAGE, "at": 1, "range": _range(0, 1)}]},
                _lasting(video_1=6),
                _lasting(video_1=5),
                "keyframes must lie within videoUri; measured: 5.0 s.",
            )
            for keyframe in (_keyframe(6, 5, 7), {"uri": IMAGE, "at": 1, "range": _range(6, 9)})
        ),
    ],
)
def test_a_measured_medium_must_last_as_the_model_takes_it(
    kind: str, body: dict[str, Any], kept: dict[str, Decimal], broken: dict[str, Decimal], told: str
) -> None:
    """What was not measured is let pass, and so is half a second: the last frame of a file may be filled up."""
    prepared = prepare(kind, body)
    for lengths in ({}, kept):
        assert prepared.with_lengths(lengths).lengths == lengths
    with pytest.raises(InvalidRequestError, match=re.escape(told)):
        prepared.with_lengths(broken)


@pytest.mark.parametrize("rule", LIMITS, ids=lambda rule: rule["says"])
def test_a_limit_is_for_models_that_have_its_fields(rule: dict[str, Any]) -> None:
    for pattern in rule["for"]:
        schemas = [str(one.schema) for kind, one in MODELS if fnmatchcase(f"{kind.name}/{one.name or ''}", pattern)]
        assert any(f"'{field}'" in schema for schema in schemas for field in rule["of"]), pattern
        assert rule.keys() >= {"most"} or rule["keyframes"]

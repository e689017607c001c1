"""What is taken as it was meant, and what is not, because it can mean more than one thing."""

import copy
import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from pydantic import JsonValue
from support.catalogue_script import MODELS, NAMES, full_input
from support.inputs import CLIP, IMAGE, IMAGE_TO_VIDEO, TEXT_TO_VIDEO, problems

from runway_mcp.catalogue.json_schema import Place
from runway_mcp.catalogue.lookup import Model, TaskType, forms
from runway_mcp.catalogue.validation import prepare

SOUND = "https://example.com/audio.mp3"
DUBBING: dict[str, JsonValue] = {"audioUri": SOUND, "targetLang": "es"}
AD: dict[str, JsonValue] = {"version": "2026-06", "referenceImage": {"uri": IMAGE}, "targetLanguage": "es"}
PICTURE: dict[str, JsonValue] = {"promptText": "A kite", "ratio": "1920:1080"}
VEO: dict[str, JsonValue] = {"model": "veo3.1", "promptText": "A kite", "ratio": "1280:720"}
PRORES: dict[str, JsonValue] = {**TEXT_TO_VIDEO, "outputFormat": "prores"}
SEEDANCE: dict[str, JsonValue] = {"model": "seedance2", "promptText": "A kite"}
HAILUO: dict[str, JsonValue] = {"model": "hailuo3", "promptText": "A kite"}
EFFECT: dict[str, JsonValue] = {"model": "seed_audio", "promptText": "A kite"}


@pytest.mark.parametrize(
    ("kind", "given", "field", "value", "meant", "note"),
    [
        *(
            ("text_to_video", TEXT_TO_VIDEO, "duration", value, 5, "Took duration 5 from ")
            for value in ("5", "5s", "5 seconds", "5 sec", " 5 ", "5.0", "'5'", "\N{FULLWIDTH DIGIT FIVE}")
        ),
        ("text_to_video", TEXT_TO_VIDEO, "duration", [5], 5, "Took duration as the only entry from a list of 1."),
        ("text_to_video", VEO, "duration", "8s", 8, 'Took duration 8 from "8s".'),
        ("text_to_video", SEEDANCE, "duration", "5s", 5, 'Took duration 5 from "5s".'),
        ("text_to_video", SEEDANCE, "duration", "Auto", "auto", 'Took duration auto from "Auto".'),
        ("text_to_video", HAILUO, "resolution", "2K ", "2K", ""),
        ("text_to_video", HAILUO, "resolution", "768-p", "768p", 'Took resolution 768p from "768-p".'),
        *(
            ("text_to_video", VEO, "audio", value, True, "Took audio true from ")
            for value in ("true", "Yes", "on", "TRUE")
        ),
        *(
            ("text_to_video", TEXT_TO_VIDEO, "ratio", value, "720:1280", "Took ratio 720:1280 from ")
            for value in ("9:16", "9/16", "9x16", "vertical", "Portrait", "720x1280", "720\N{MULTIPLICATION SIGN}1280")
        ),
        ("image_to_video", IMAGE_TO_VIDEO, "ratio", "4:3", "1104:832", 'Took ratio 1104:832 from "4:3".'),
        ("image_to_video", IMAGE_TO_VIDEO, "ratio", "square", "960:960", 'Took ratio 960:960 from "square".'),
        ("text_to_video", {"model": "hailuo3", "promptText": "A"}, "ratio", "16x9", "16:9", "Took ratio 16:9 from "),
        ("video_to_video", {"model": "gen4_aleph", "promptVideo": CLIP}, "ratio", "16x9", "16:9", "Took ratio 16:9 "),
        ("text_to_video", TEXT_TO_VIDEO, "outputFormat", "MP4", "mp4", 'Took outputFormat mp4 from "MP4".'),
        ("text_to_video", TEXT_TO_VIDEO, "outputFormat", "PNG Sequence", "png_sequence", "Took outputFormat png_s"),
        ("text_to_video", PRORES, "proresProfile", 422, "422", 'Took proresProfile "422" from 422.'),
        ("text_to_video", PRORES, "proresProfile", "4444\n", "4444", ""),
        ("text_to_image", PICTURE, "referenceImages", IMAGE, [{"uri": IMAGE}], 'Took referenceImages [{"uri": …}] '),
        ("text_to_image", PICTURE, "referenceImages", [IMAGE], [{"uri": IMAGE}], 'Took referenceImages[0] {"uri": …}'),
        ("text_to_image", PICTURE, "referenceImages", {"uri": IMAGE}, [{"uri": IMAGE}], "Took referenceImages "),
        ("text_to_image", PICTURE, "referenceImages", [{"url": IMAGE}], [{"uri": IMAGE}], "Took referenceImages[0] "),
        ("text_to_image", PICTURE, "referenceImages", f'[{{"uri": "{IMAGE}"}}]', [{"uri": IMAGE}], "Took reference"),
        ("sound_effect", EFFECT, "referenceAudios", SOUND, [SOUND], "Took referenceAudios as a list of one from "),
        ("sound_effect", EFFECT, "sampleRate", "44100", 44100, "Took sampleRate 44100 from "),
        *(
            ("image_to_video", IMAGE_TO_VIDEO, "promptImage", value, IMAGE, "Took promptImage ")
            for value in ([IMAGE], {"uri": IMAGE}, {"url": IMAGE}, f"`{IMAGE}`", f"H{IMAGE[1:]}")
        ),
        ("image_to_video", IMAGE_TO_VIDEO, "promptImage", f" {IMAGE}\n", IMAGE, ""),
        ("text_to_video", TEXT_TO_VIDEO, "model", " gen4.5\n", "gen4.5", ""),
        ("text_to_video", VEO, "audio", "none", None, ""),
        ("text_to_video", TEXT_TO_VIDEO, "duration", "\N{SUPERSCRIPT FIVE}", None, ""),
        *(
            ("voice_dubbing", DUBBING, "targetLang", value, "pl", "Took targetLang pl from ")
            for value in ("Polish", "polski", "pl-PL", "pl_PL", "POL", "PL")
        ),
        ("voice_dubbing", DUBBING, "targetLang", "Brazilian-ish", None, ""),
        ("voice_dubbing", DUBBING, "targetLang", "zh-TW", None, ""),
        ("recipes/ad_localization", AD, "targetLanguage", "zh-TW", "zh-Hant", "Took targetLanguage zh-Hant from "),
        ("recipes/ad_localization", AD, "targetLanguage", "Chinese", "zh", "Took targetLanguage zh from "),
        ("image_to_video", IMAGE_TO_VIDEO, "promptImage", f"{IMAGE},{IMAGE}", None, ""),
        ("text_to_video", TEXT_TO_VIDEO, "duration", "5 minutes", None, ""),
        ("text_to_video", TEXT_TO_VIDEO, "ratio", "1920x1080", None, ""),
        ("text_to_video", VEO, "ratio", "16:9", None, ""),
        ("image_to_video", IMAGE_TO_VIDEO, "ratio", "vertical", None, ""),
        ("text_to_video", {"model": "hailuo3", "promptText": "A"}, "ratio", "1280:720", None, ""),
        ("text_to_video", TEXT_TO_VIDEO, "model", "Gen4.5", None, ""),
        ("image_to_video", {"model": "seedance2"}, "promptImage", {"uri": IMAGE}, None, ""),
        ("text_to_video", TEXT_TO_VIDEO, "promptText", 5, None, ""),
        *(
            ("image_to_video", {"model": "hailuo3", "promptText": "A"}, "promptImage", value, None, "")
            for value in (5, "kite.png", {"a": 1}, [IMAGE] * 10)
        ),
    ],
)  # fmt: skip
def test_what_can_mean_one_thing_only_is_taken(  # noqa: PLR0917 - a row of the table
    kind: str, given: dict[str, JsonValue], field: str, value: JsonValue, meant: JsonValue, note: str
) -> None:
    changed = {**given, field: value}
    if meant is None:
        assert problems(kind, changed)[0].startswith(f"{field}: ")
        return
    prepared = prepare(kind, changed)
    assert prepared.body[field] == meant
    assert type(prepared.body[field]) is type(meant)
    assert not note or any(one.startswith(note) for one in prepared.understood)
    assert changed[field] == value


def test_what_fits_is_sent_as_it_is_and_nothing_is_said() -> None:
    for kind, model in MODELS:
        given = full_input(model)
        assert prepare(kind.name, given).understood == ()
    assert prepare("text_to_video", {**TEXT_TO_VIDEO, "duration": 5.0}).body["duration"] == 5


@pytest.mark.parametrize("name", ["prompt_text", "PromptText", "prompt-text", "PROMPT TEXT", "prompttext"])
def test_a_field_in_another_spelling_is_taken(name: str) -> None:
    given = {**TEXT_TO_VIDEO, name: TEXT_TO_VIDEO["promptText"]}
    del given["promptText"]
    prepared = prepare("text_to_video", given)
    assert prepared.body["promptText"] == "A kite"
    assert prepared.understood[0].endswith(" as promptText.")
    assert problems("text_to_video", {**TEXT_TO_VIDEO, name: "x"}) == (
        f"{name if name.isidentifier() else json.dumps(name)} is no field here; promptText is given already.",
    )


def test_the_models_field_is_known_in_any_case_and_its_name_in_one() -> None:
    prepared = prepare("text_to_video", {**TEXT_TO_VIDEO, "Model": "happyhorse_1_0"})
    assert (prepared.model, prepared.understood) == ("happyhorse_1_0", ("Took Model as model.",))
    assert problems("text_to_video", {**TEXT_TO_VIDEO, "Model": "happyhorse_1_0", "model": "gen4.5"})[0].startswith(
        "Model is"
    )


@pytest.mark.parametrize("nothing", [None, "", " ", "null", "None", "undefined", "NULL"])
def test_null_in_any_word_means_left_out(nothing: JsonValue) -> None:
    given: dict[str, JsonValue] = {
        **TEXT_TO_VIDEO, "model": nothing, "seed": nothing, "contentModeration": {"publicFigureThreshold": nothing},
        "lastFrame": nothing,
    }  # fmt: skip
    prepared = prepare("text_to_video", given)
    assert prepared.body == {"model": "gen4.5", **TEXT_TO_VIDEO, "contentModeration": {}}
    assert prepared.understood == ()
    assert prepare("text_to_video", given, allow_unknown=True).body["lastFrame"] == nothing
    assert problems("text_to_video", {**TEXT_TO_VIDEO, "duration": nothing})[0].startswith("duration: ")


def test_alternatives_are_read_by_their_constants() -> None:
    shots: list[JsonValue] = [{"prompt": "A kite", "duration": "5s"}] * 3
    given: dict[str, JsonValue] = {"mode": "Custom", "Shots": shots, "version": "2026-06", "duration": "15"}
    prepared = prepare("recipes/multi_shot_video", given)
    assert prepared.body["shots"] == [{"prompt": "A kite", "duration": 5}] * 3
    assert 'Took shots[2].duration 5 from "5s".' in prepared.understood
    assert problems("recipes/multi_shot_video", {**given, "version": "1999"}) == (
        'version: "1999" is not allowed; it must be one of 2026-06, unsafe-latest.',
    )


@pytest.mark.parametrize("half", [chr(0xD83D), chr(0xDE00)])
def test_half_a_character_is_replaced(half: str) -> None:
    prepared = prepare("text_to_video", {**TEXT_TO_VIDEO, "promptText": f"a{half}b"})
    assert prepared.body["promptText"] == "a\N{REPLACEMENT CHARACTER}b"
    assert prepared.understood == ("Replaced half a character in promptText.",)
    whole = prepare("text_to_video", {**TEXT_TO_VIDEO, "promptText": "\ud83d\ude00"})
    assert whole.body["promptText"] == "\N{GRINNING FACE}"
    assert problems("text_to_video", {**TEXT_TO_VIDEO, half: 1})[0].startswith('"')


def _places(schema: dict[str, Any], definitions: dict[str, Any], place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Each place of a full input with its schema."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    yield place, schema
    if "anyOf" in schema and "format" not in schema:
        yield from _places(schema["anyOf"][-1], definitions, place)
    for name, field in cast("dict[str, dict[str, Any]]", schema.get("properties", {})).items():
        yield from _places(field, definitions, (*place, name))
    if "items" in schema:
        yield from _places(schema["items"], definitions, (*place, 0))


def _broken(schema: dict[str, Any]) -> Iterator[tuple[JsonValue, str]]:  # noqa: C901 - each rule once
    """Values that break one rule of a schema, and how the error names it."""
    if "enum" in schema or "const" in schema:
        yield "?!", "it must be "
    if "minimum" in schema:
        yield schema["minimum"] - 1, "is too small"
    if "exclusiveMinimum" in schema:
        yield schema["exclusiveMinimum"] - 1, "is too small"
    if "maximum" in schema:
        yield schema["maximum"] + 1, "is too large"
    if schema.get("minLength", 0) > 1 and "format" not in schema:
        yield "a" * (schema["minLength"] - 1), "is too short"
    if "maxLength" in schema:
        yield "a" * (schema["maxLength"] + 1), "is too long"
    if "pattern" in schema:
        yield "!!!", "has another form"
    if "maxItems" in schema:
        yield [None] * (schema["maxItems"] + 1), "is too long"
    if schema.get("minItems", 0):
        yield [], "is too short"
    if schema.get("type") in {"string", "integer", "number", "boolean"}:
        yield {"a": 1}, "it must be "
    if schema.get("type") == "boolean":
        yield "perhaps", "it must be true or false"
    if "format" in schema:
        yield "ftp://example.com/a", "begins otherwise; it must be https://"
        yield "https://127.0.0.1/a", "has no domain name"


@pytest.mark.parametrize(("kind", "model"), MODELS, ids=NAMES)
def test_an_error_names_the_field_the_value_and_the_rule(kind: TaskType, model: Model) -> None:
    definitions = cast("dict[str, Any]", model.schema.get("$defs", {}))
    for place, schema in _places(dict(forms(model.schema)[-1]), definitions):
        if not place or place[-1] == "model":
            continue
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")
        for value, rule in _broken(schema):
            given: Any = copy.deepcopy(full_input(model))
            inside = given
            for step in place[:-1]:
                inside = inside[step]
            inside[place[-1]] = inside[place[-1]][:1] * len(value) if isinstance(value, list) else value
            told = [one for one in problems(kind.name, given) if one.startswith((f"{path}: ", f"{path}["))]
            assert told, (place, value)
            assert any(rule in one for one in told), (rule, told)
            shown = json.dumps(value)[:30] if isinstance(value, str | int | float) else ""
            assert any(shown.rstrip('"') in one for one in told)


def test_a_text_without_a_visible_character_is_none() -> None:
    blank = "\N{ZERO WIDTH SPACE}\N{WORD JOINER} "
    assert problems("text_to_video", {**TEXT_TO_VIDEO, "promptText": blank})[0].startswith("promptText")

"""The catalogue of task types: whole, consistent, small, and made by its script."""

import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator
from support.catalogue_script import MODELS, NAMES, full_input
from update_catalogue import main

from runway_mcp.catalogue.lookup import Model, TaskType, input_fields, task_types
from runway_mcp.catalogue.validation import prepare

EVERY_MODEL = pytest.mark.parametrize(("kind", "model"), MODELS, ids=NAMES)


def test_every_task_type_is_there() -> None:
    assert set(task_types()) == {
        *("text_to_video", "image_to_video", "video_to_video", "text_to_image", "image_upscale", "video_upscale"),
        *("character_performance", "sound_effect", "text_to_speech", "speech_to_speech", "voice_dubbing"),
        *("voice_isolation", "avatar_videos", "generate/video", "generate/image", "generate/audio"),
        *("recipes/ad_localization", "recipes/marketing_stock_image", "recipes/product_ad", "recipes/product_swap"),
        *("recipes/product_campaign_image", "recipes/multi_shot_video", "recipes/product_ugc"),
        *("video_to_audio", "video_to_hdr", "lip_sync", "frame_interpolation"),
    }


def test_what_no_official_source_has_comes_last() -> None:
    marks = [any(model.documented for model in kind.models.values()) for kind in task_types().values()]
    assert marks == sorted(marks, reverse=True)
    for kind in task_types().values():
        marks = [model.documented for model in kind.models.values()]
        assert marks == sorted(marks, reverse=True)


@pytest.mark.parametrize("kind", task_types().values(), ids=lambda kind: kind.name)
def test_a_task_type_says_what_it_makes_where_and_by_which_model(kind: TaskType) -> None:
    assert kind.endpoint == f"/v1/{kind.name}"
    assert 0 < len(kind.summary) <= 60
    assert kind.recommended is None or kind.recommended in kind.models
    assert kind.models


def test_a_model_is_recommended_wherever_the_document_names_one() -> None:
    without = [kind.name for kind in task_types().values() if kind.recommended is None and None not in kind.models]
    assert without == ["lip_sync"]


def test_what_the_api_does_not_document_or_deprecates_is_marked() -> None:
    marked = {(kind.name, model.name) for kind, model in MODELS if not model.documented}
    assert marked == {
        ("image_to_video", "gen4"),
        ("image_to_video", "gen4_aleph"),
        ("video_to_video", "gen4_aleph"),
        ("lip_sync", "gen4"),
        ("lip_sync", "gen4_turbo"),
        ("video_upscale", "upscale_v1"),
        ("frame_interpolation", "frame_interpolation_v1"),
        ("sound_effect", "sound_effect_v1"),
    }
    properties = cast("dict[str, Any]", task_types()["video_to_video"].models["aleph2"].schema["properties"])
    assert [name for name, field in properties.items() if field.get("deprecated")] == ["ratio"]


@EVERY_MODEL
def test_a_models_schema_is_small_and_means_the_same_in_python(kind: TaskType, model: Model) -> None:
    Draft202012Validator.check_schema(dict(model.schema))
    assert (model.name in kind.models) == (
        model.name is None or f'{{"const": "{model.name}"}}' in json.dumps(model.schema)
    )
    for pattern in re.findall(r'"pattern": "(.*?)"', json.dumps([kind.endpoint, model.schema])):
        assert "$" not in pattern[:-1]
    described = json.dumps([kind.summary, model.schema, model.example], separators=(",", ":"), ensure_ascii=False)
    assert len(described) < 800 * 4  # 800 tokens of four characters


@EVERY_MODEL
def test_an_example_is_a_valid_input(kind: TaskType, model: Model) -> None:
    for example in (dict(model.example), full_input(model)):
        prepared = prepare(kind.name, example)
        assert (prepared.endpoint, prepared.model, prepared.body) == (kind.endpoint, model.name, example)


def test_the_fields_of_a_type_are_those_of_all_its_models() -> None:
    assert set(input_fields("text_to_speech") or ()) > {"model", "promptText", "voice", "pitchRate", "stability"}
    assert set(input_fields("recipes/multi_shot_video") or ()) > {"mode", "prompt", "shots"}
    assert input_fields("symphony") is None


def test_the_file_is_small() -> None:
    text = files("runway_mcp.catalogue").joinpath("catalogue.json").read_text(encoding="utf-8")
    assert len(text) < 200_000
    assert max(map(len, text.splitlines())) < 800


def test_nothing_is_loaded_before_it_is_needed() -> None:
    program = """if True:
        import sys
        from runway_mcp.catalogue import lookup as catalogue, validation as requests
        assert catalogue.task_types.cache_info().currsize == 0
        assert "jsonschema" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def _document(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"type": "object", "properties": properties, **more}
    request, created = (
        {"content": {"application/json": {"schema": schema}}}
        for schema in (body, {"properties": {"id": {"description": "The task's id"}}})
    )
    post = {"requestBody": request, "responses": {"200": created}}
    return {"openapi": "3.1.0", "paths": {"/v1/text_to_video": {"post": post}, "/v1/uploads": {"post": {}}}}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (_document({"newThing": {"type": "string"}}), "No words for text_to_video/: newThing."),
        (
            _document({"seed": {"type": "integer", "multipleOf": 2}}),
            '"multipleOf" in text_to_video/ seed',
        ),
        (
            _document({"id": {"type": "string", "pattern": "^kite$"}}),
            "No words for the pattern .*kite",
        ),
        (_document({}, additionalProperties=True), 'Not known here: "additionalProperties"'),
        ({"openapi": "3.1.0", "paths": {}}, "no endpoint that starts a task"),
        ([], "no OpenAPI document"),
    ],
)
def test_a_document_that_the_script_does_not_understand_ends_it(document: object, words: str, tmp_path: Path) -> None:
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document))
    with pytest.raises(SystemExit, match=words):
        main(["--check", str(path)])

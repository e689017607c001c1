"""The catalogue against the types of Runway's SDK."""

import json
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
import update_catalogue
from catalogue_limits import limited
from pydantic import TypeAdapter
from runwayml._utils import maybe_transform
from support.catalogue_script import MODELS, NAMES, full_input
from support.sources import SDK, catalogue_models, document_models, facts, sdk_models

from runway_mcp.catalogue.lookup import Model, TaskType
from runway_mcp.catalogue.schema_merge import merged

KNOWN: Mapping[str, Any] = json.loads(update_catalogue.CATALOGUE.read_bytes())
WORDS = update_catalogue.WORDS.read_text("utf-8")


@cache
def _adapter(path: str) -> TypeAdapter[Any]:
    return TypeAdapter(SDK[path].params)


def _snake(value: Any) -> Any:
    def bare(one: dict[str, Any]) -> dict[str, Any]:
        return {re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name): field for name, field in one.items()}

    return json.loads(json.dumps(value), object_hook=bare)


def _made(known: Mapping[str, Any]) -> Any:
    return json.loads(update_catalogue.Catalogue(None, known, update_catalogue.Words(tomllib.loads(WORDS))).render())


def test_the_catalogue_lacks_no_fact_of_its_sources() -> None:
    known = facts(catalogue_models())
    for models in (sdk_models(), document_models()):
        assert not sorted(facts(models) - known)


def test_the_catalogue_is_what_the_sdk_makes_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert update_catalogue.main(["--check"]) == 0
    assert not capsys.readouterr().out


def test_what_only_the_sdk_has_is_added() -> None:
    older = json.loads(json.dumps(KNOWN))
    del older["types"]["video_to_hdr"]
    models = older["types"]["text_to_video"]["models"]
    models[:] = [one for one in models if one["name"] != "kling_4"]
    by_name = {one["name"]: one for one in models}
    by_name["gen4.5"]["schema"]["properties"]["outputFormat"]["enum"] = ["mp4", "prores", "png_sequence"]
    del by_name["veo3.1"]["schema"]["properties"]["seed"]
    for name in ("gen4.5", "veo3.1"):
        del by_name[name]["beyond"]
    assert _made(older) == KNOWN


@pytest.mark.parametrize(
    ("table", "name", "complaint"),
    [
        ("fields", "kite", "No field for the words of kite."),
        ("limits", "kite", "No field for the limits of kite."),
        ("models", "kite", "No model for the words of kite."),
        ("summaries", "kite", "No task type for the summary of kite."),
    ],
)
def test_words_of_nothing_are_named(table: str, name: str, complaint: str) -> None:
    words = tomllib.loads(WORDS)
    words[table][name] = {} if table == "limits" else "A kite"
    with pytest.raises(SystemExit, match=complaint):
        update_catalogue.Catalogue(None, KNOWN, update_catalogue.Words(words))


@pytest.mark.parametrize(
    ("table", "name", "complaint"),
    [
        ("fields", "thinkingLevel", "No words for text_to_image/nano_banana_2.1: thinkingLevel."),
        ("models", "ruby", "No words for video_to_hdr/ruby."),
        ("summaries", "video_to_hdr", "No summary of video_to_hdr."),
    ],
)
def test_a_new_thing_without_words_is_named(table: str, name: str, complaint: str) -> None:
    words = tomllib.loads(WORDS)
    del words[table][name]
    with pytest.raises(SystemExit, match=complaint):
        update_catalogue.Catalogue(None, KNOWN, update_catalogue.Words(words))


@pytest.mark.parametrize(
    ("kind", "model"),
    [pytest.param(*one, id=name) for one, name in zip(MODELS, NAMES, strict=True) if one[1].documented],
)
def test_the_sdk_accepts_the_examples_by_its_types(kind: TaskType, model: Model) -> None:
    start = SDK[kind.endpoint]
    for body in (dict(model.example), full_input(model)):
        snake = _snake(body)
        adapter = _adapter(kind.endpoint)
        # a name that the type lacks is dropped, one that it calls otherwise is not sent as it was
        assert json.loads(adapter.dump_json(adapter.validate_python(snake))) == snake
        assert maybe_transform(snake, start.params) == body


@pytest.mark.parametrize(
    ("base", "newer", "both"),
    [
        ({"enum": ["a", "b"]}, {"enum": ["b", "c"]}, {"enum": ["b", "c", "a"]}),
        ({"const": 1}, {"enum": [1, 2]}, {"enum": [1, 2]}),
        ({"type": "integer", "maximum": 9}, {"type": "integer"}, {"type": "integer", "maximum": 9}),
        (
            {"type": "integer", "maximum": 9},
            {"anyOf": [{"const": "auto"}, {"type": "integer"}]},
            {"anyOf": [{"type": "integer", "maximum": 9}, {"const": "auto"}]},
        ),
        (
            {"enum": ["a"]},
            {"anyOf": [{"type": "string"}, {"const": "b"}]},
            {"anyOf": [{"enum": ["b", "a"]}, {"type": "string"}]},
        ),
        ({"$ref": "#/$defs/image"}, {"type": "string"}, {"$ref": "#/$defs/image"}),
        ({}, {"type": "string"}, {}),
        (
            {"type": "array", "maxItems": 3, "items": {"const": "a"}},
            {"type": "array", "items": {"const": "b"}},
            {"type": "array", "maxItems": 3, "items": {"enum": ["b", "a"]}},
        ),
    ],
)
def test_two_sources_allow_what_either_allows(base: Any, newer: Any, both: Any) -> None:
    assert merged(base, newer) == both
    assert merged(both, newer) == both


def test_limits_go_to_the_alternative_that_they_suit() -> None:
    auto = {"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]}
    assert limited(auto, {"minimum": 2, "maximum": 3}, fill=True)["anyOf"][0] == {**auto["anyOf"][0], "maximum": 3}
    assert limited(auto, {"minimum": 2}, fill=False)["anyOf"] == [{"type": "integer", "minimum": 2}, {"const": "auto"}]
    assert limited(auto, {"maxLength": 3}, fill=False) == auto

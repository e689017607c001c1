"""The catalogue against the API's own document, and what it lets through; collected only where that is found."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import JsonValue
from support.catalogue_script import MODELS, full_input
from support.described import DOCUMENT
from support.inputs import changed
from support.sources import document_models, newer_fields, older_input
from update_catalogue import main

from runway_mcp.catalogue.lookup import Model, TaskType
from runway_mcp.catalogue.validation import InvalidRequestError, prepare

_PATHS: dict[str, Any] = json.loads(DOCUMENT.read_bytes())["paths"]
_DOCUMENTED = [(kind, model) for kind, model in MODELS if model.name in document_models().get(kind.endpoint, {})]


def _body(kind: TaskType) -> dict[str, Any]:
    return _PATHS[kind.endpoint]["post"]["requestBody"]["content"]["application/json"]["schema"]


def _is_valid(kind: TaskType, model: Model, body: Mapping[str, JsonValue]) -> bool:
    older = older_input(kind.endpoint, model.name, body)
    return cast("Any", Draft202012Validator(_body(kind))).is_valid(older)


def test_few_fields_are_newer_than_the_document() -> None:
    """Else the tests that leave them out would judge little."""
    newer = {name for kind, model in _DOCUMENTED for name in newer_fields(kind.endpoint, model.name)}
    assert newer <= {
        *("seed", "duration", "ratio", "resolution", "outputFormat", "mode", "background", "draft", "draftTaskId"),
    }


def test_the_catalogue_is_what_the_document_makes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", str(DOCUMENT)]) == 0
    assert not capsys.readouterr().out


def test_a_difference_is_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "openapi.json"
    path.write_text(re.sub(r'"maximum": ?4294967295', '"maximum": 7', DOCUMENT.read_text("utf-8")), "utf-8")
    assert main(["--check", str(path)]) == 1
    assert '+       "seed": {"type": "integer", "minimum": 0, "maximum": 7' in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "model"), _DOCUMENTED)
def test_the_document_accepts_the_examples(kind: TaskType, model: Model) -> None:
    for example in (dict(model.example), full_input(model)):
        assert _is_valid(kind, model, prepare(kind.name, example).body)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(_DOCUMENTED), st.data())
def test_what_is_accepted_the_document_accepts(one: tuple[TaskType, Model], data: st.DataObject) -> None:
    kind, model = one
    given_input = data.draw(changed(full_input(model)))
    try:
        prepared = prepare(kind.name, given_input)
    except InvalidRequestError:
        return
    assert _is_valid(kind, model, prepared.body)


def _descriptions(text: str) -> set[str]:
    found: set[str] = set()

    def collect(value: dict[str, Any]) -> dict[str, Any]:
        if isinstance(words := value.get("description"), str) and len(words.split()) > 2:
            found.add(" ".join(words.lower().rstrip(".").split()))
        return value

    json.loads(text, object_hook=collect)
    return found


def test_the_words_are_our_own() -> None:
    """The document's prose is not ours to ship."""
    ours = _descriptions(json.dumps([model.schema for _, model in MODELS]))
    assert ours
    assert not ours & _descriptions(DOCUMENT.read_text(encoding="utf-8"))

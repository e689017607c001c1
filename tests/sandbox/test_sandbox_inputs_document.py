"""A create request is valid to the sandbox exactly where it is valid by the API's own document.

Collected only where that is found. Each field of each model is tried with values at every limit and
beyond it, with everything that the document allows anywhere, and with fields of other models.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator
from sandbox_candidates import JUNK, LARGE, Schema, Vocabulary, example
from sandbox_document import DOCUMENT

from runway_mcp.sandbox.catalogue import ENDPOINTS
from runway_mcp.sandbox.inputs.rules import judge

_PATHS: dict[str, Any] = json.loads(DOCUMENT.read_bytes())["paths"]
_BODIES: dict[str, Schema] = {
    path: _PATHS[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    for path, endpoint in ENDPOINTS.items()
    if endpoint.documented
}
_PROSE = {"description", "example", "title"}  # no field of a request has such a name
_WORDS = Vocabulary(*_BODIES.values())


_VARIANTS: dict[str, tuple[str, Schema]] = {
    f"{path} {number}": (path, variant)
    for path, schema in _BODIES.items()
    for number, variant in enumerate(schema.get("oneOf", [schema]))
}
_each_variant = pytest.mark.parametrize(("path", "variant"), _VARIANTS.values(), ids=_VARIANTS)


def _tag(path: str) -> str:
    """The field that tells an endpoint's variants apart; empty where there is one only."""
    return str(_BODIES[path].get("discriminator", {}).get("propertyName", ""))


def _allows(schema: Schema, value: Any) -> bool:
    return Draft202012Validator(schema).is_valid(value)  # pyright: ignore[reportUnknownMemberType]  # jsonschema is half typed


@_each_variant
def test_a_body_is_valid_where_the_document_says_so(path: str, variant: Schema) -> None:
    """Smallest and fullest, with each field left out, and with each name that is another's."""
    rule = ENDPOINTS[path].rule
    for body in (example(variant), example(variant, full=True)):
        assert _allows(_BODIES[path], body)
        assert not judge(rule, body)[0]
        for name in body:
            rest = {key: value for key, value in body.items() if key != name}
            assert bool(judge(rule, rest)[0]) == (name in variant["required"])
        for name in _WORDS.names - variant["properties"].keys():
            issues, _ = judge(rule, {**body, name: None})
            closed = variant.get("additionalProperties") is False
            assert [issue.get("keys") for issue in issues] == ([[name]] if closed else [])


@_each_variant
def test_a_field_is_valid_where_the_document_says_so(path: str, variant: Schema) -> None:
    """Whatever it holds; what is refused is told with the field's name first in its path."""
    rule, base = ENDPOINTS[path].rule, example(variant)
    seen: set[bool] = set()
    for name in variant["properties"].keys() - {_tag(path)}:
        for value, allowed in _cases(_key(variant["properties"][name])):
            issues, _ = judge(rule, {**base, name: value})
            assert (not issues) == allowed, (name, value, issues)
            assert all(cast("list[object]", issue["path"])[0] == name for issue in issues)
            seen.add(allowed)
    assert seen == {True, False}


def _key(schema: Schema) -> str:
    """What a schema says, without what it tells a reader."""
    bare = json.loads(json.dumps(schema), object_hook=lambda part: {k: v for k, v in part.items() if k not in _PROSE})
    return json.dumps(bare, sort_keys=True)


@cache
def _cases(key: str) -> list[tuple[object, bool]]:
    """Values for a field, and whether the document allows them."""
    schema = json.loads(key)
    return [(value, _allows(schema, value)) for value in _WORDS.candidates(schema)]


@pytest.mark.parametrize(
    ("path", "field"), [("image_upscale", "imageUri"), ("video_upscale", "videoUri"), ("voice_isolation", "audioUri")]
)
def test_a_data_uri_is_as_long_as_the_document_says(path: str, field: str) -> None:
    """To the character; the document has one limit for each kind of file."""
    path = f"/v1/{path}"
    variant: Schema = _BODIES[path]["oneOf"][0]
    *_, inline = variant["properties"][field]["anyOf"]
    kind, longest = inline["pattern"].removesuffix("\\/.*").removeprefix("^"), inline["maxLength"]
    assert {most for pattern, most in _limits(_BODIES) if kind in pattern and most > LARGE} == {longest}
    for size in (longest, longest + 1):
        body = {**example(variant), field: f"{kind}/".ljust(size, "x")}
        assert bool(judge(ENDPOINTS[path].rule, body)[0]) == (size > longest)


def _limits(part: object) -> Iterator[tuple[str, int]]:
    """The pattern and longest length of every text in a document."""
    if isinstance(part, dict):
        node = cast("dict[str, object]", part)
        if "maxLength" in node:
            yield str(node.get("pattern", "")), int(str(node["maxLength"]))
        part = list(node.values())
    if isinstance(part, list):
        for one in cast("list[object]", part):
            yield from _limits(one)


@pytest.mark.parametrize("path", _BODIES)
def test_a_variant_that_is_none_of_the_documents_is_refused(path: str) -> None:
    """Every model and mode of another endpoint, every other value, and what is no object."""
    schema, rule, tag = _BODIES[path], ENDPOINTS[path].rule, _tag(path)
    for body in JUNK:
        assert bool(judge(rule, body)[0]) != _allows(schema, body)
    if tag:
        known = {variant["properties"][tag]["const"] for variant in schema["oneOf"]}
        for value in (_WORDS.values - known) | {None, 5, True}:
            issues, _ = judge(rule, {**example(schema), tag: value})
            assert {str(issue["path"]) for issue in issues} == {f"['{tag}']"}

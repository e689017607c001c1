"""A create request is valid to the sandbox exactly where it is valid by the API's own document.

Each field of each model is tried with values at every limit and
beyond it, with everything that the document allows anywhere, and with fields of other models.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator
from support.described import DOCUMENT
from support.sources import newer_fields, sdk_models

from runway_mcp.sandbox.endpoints import Endpoint, load_endpoints, read_data

Schema = dict[str, Any]

JUNK: tuple[Any, ...] = (None, True, 0, -1, 1, 5.0, 1.5, "", "x", "https://a", "ftp://example.com/a", [], {}, [[]])
LARGE = 100_000
"""Texts of so many characters are not among the candidates."""

_PREFIXES: Mapping[str, str] = {
    "^https:\\/\\/.*": "https://",
    "^runway:\\/\\/.*": "runway://",
    "^data:image\\/.*": "data:image/",
    "^data:video\\/.*": "data:video/",
    "^data:audio\\/.*": "data:audio/",
    "^[a-z][a-z0-9_]+$": "tag_1",
    "^[a-z][a-z0-9_-]{0,63}$": "slug",
}
_UUID = "11111111-1111-4111-8111-111111111111"
_NO_TAGS = ("Tag", "1tag", "_tag", "ta-g", "x" * 65, _UUID[:-1], _UUID.replace("4111", "1111"), f"{_UUID}0")


class Vocabulary:
    """What a document says anywhere: the names of its fields and the values it allows."""

    def __init__(self, *schemas: Schema) -> None:
        self.names: set[str] = {"unknown"}
        self.values: set[str | int] = set()
        for schema in schemas:
            self._read(schema)

    def _read(self, schema: Schema) -> None:
        self.names |= set(schema.get("properties", {}))
        self.values |= {*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ())}
        for part in _parts(schema):
            self._read(part)

    def candidates(self, schema: Schema) -> Iterator[object]:
        """Values for a schema, some that it allows and some that it does not."""
        yield from JUNK
        for variant in schema.get("oneOf", schema.get("anyOf", ())):
            yield from self.candidates(variant)
        if "enum" in schema or "const" in schema:
            yield from self.values
        elif schema.get("type") == "string":
            yield from self._strings(schema)
        elif schema.get("type") in {"integer", "number"}:
            low: float = schema["minimum"] if "minimum" in schema else schema["exclusiveMinimum"]
            high: float = schema.get("maximum", low + 100)
            yield from (low - 1, low, low + 0.5, low + 1, high - 1, high, high + 1, float(low), (low + high) // 2)
        elif schema.get("type") == "array":
            yield from self._arrays(schema)
        elif schema.get("type") == "object" and "properties" in schema:
            yield from self.objects(schema)

    def objects(self, schema: Schema) -> Iterator[Schema]:
        fields: Mapping[str, Schema] = schema["properties"]
        base = example(schema, full=True)
        yield from (base, *({key: value for key, value in base.items() if key != name} for name in base))
        yield from ({**base, name: None} for name in self.names - fields.keys())
        for name, field in fields.items():
            yield from ({**example(schema), name: value} for value in self.candidates(field))

    def _strings(self, schema: Schema) -> Iterator[str]:
        start = _PREFIXES.get(schema.get("pattern", ""), "")
        for limit in {schema.get("minLength", 0), schema.get("maxLength", 5)}:
            if limit < LARGE:
                yield from (start.ljust(size, "x") for size in (limit - 1, limit, limit + 1) if size > 0)
        yield from (_UUID, f"{start}\ud83d", f" {start}xxxxxxxxxxxx")
        yield from _NO_TAGS

    def _arrays(self, schema: Schema) -> Iterator[list[object]]:
        one = example(schema["items"], full=True)
        least, most = schema.get("minItems", 0), schema.get("maxItems", 40)
        yield from ([one] * size for size in (least - 1, least, least + 1, most, most + 1) if size >= 0)
        yield from ([one] * max(0, least - 1) + [value] for value in self.candidates(schema["items"]))


def example(schema: Schema, *, full: bool = False) -> Any:
    """A valid value, with all that may be left out or nothing of it."""
    if variants := schema.get("oneOf", schema.get("anyOf")):
        return example(variants[0], full=full)
    if "const" in schema or "enum" in schema:
        return schema.get("const", *schema.get("enum", ())[:1])
    kind = schema.get("type")
    if kind == "object":
        wanted = schema["properties"] if full else schema.get("required", ())
        return {name: example(schema["properties"][name], full=full) for name in wanted}
    if kind == "array":
        return [example(schema["items"], full=full)] * max(schema.get("minItems", 0), int(full))
    start = _UUID if schema.get("format") == "uuid" else _PREFIXES.get(schema.get("pattern", ""), "")
    text = start.ljust(schema.get("minLength", 1), "x")
    plain: dict[object, Any] = {"string": text, "boolean": True, None: {}}
    return plain.get(kind, schema.get("minimum", 1))


def _parts(schema: Schema) -> Iterator[Schema]:
    yield from schema.get("properties", {}).values()
    yield from (*schema.get("oneOf", ()), *schema.get("anyOf", ()))
    if "items" in schema:
        yield schema["items"]


_PATHS: dict[str, Any] = json.loads(DOCUMENT.read_bytes())["paths"]
_ENDPOINTS = load_endpoints(read_data("catalogue.json"), read_data("prices.toml"))
_DOCUMENTED = {
    path: endpoint
    for path, endpoint in _ENDPOINTS.items()
    if path in _PATHS and any(model.documented for model in endpoint.models.values())
}
_PROSE = {"description", "example", "title"}  # no field of a request has such a name
_NO_LIMIT = 2**53 - 1  # the data leaves out this limit, which no request comes near


def _uniform(schema: Schema) -> Schema:
    """A variant whose inner objects take unknown fields where it does itself, as the data has it."""
    closed = {"additionalProperties": False} if schema.get("additionalProperties") is False else {}

    def equal(part: Schema) -> Schema:
        bare = {key: value for key, value in part.items() if key not in {"additionalProperties", *_PROSE}}
        bare = {key: value for key, value in bare.items() if value != _NO_LIMIT}
        return bare | closed if isinstance(bare.get("properties"), dict) else bare

    return json.loads(json.dumps(schema), object_hook=equal)


def _body(path: str) -> Schema:
    body = _PATHS[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return body | {"oneOf": [_uniform(one) for one in body["oneOf"]]} if "oneOf" in body else _uniform(body)


_BODIES: dict[str, Schema] = {path: _body(path) for path in _DOCUMENTED}
_WORDS = Vocabulary(*_BODIES.values())
_VARIANTS: dict[str, tuple[str, Schema]] = {
    f"{path} {number}": (path, variant)
    for path, schema in _BODIES.items()
    for number, variant in enumerate(schema.get("oneOf", [schema]))
}
_each_variant = pytest.mark.parametrize(("path", "variant"), _VARIANTS.values(), ids=_VARIANTS)


def _tag(path: str) -> str:
    return str(_BODIES[path].get("discriminator", {}).get("propertyName", ""))


def _newer(path: str, variant: Schema) -> frozenset[str]:
    """Fields of which the SDK, the newer source, knows more than the document."""
    return newer_fields(path, variant["properties"].get("model", {}).get("const"))


def _allows(schema: Schema, value: Any) -> bool:
    return Draft202012Validator(schema).is_valid(value)  # pyright: ignore[reportUnknownMemberType]  # jsonschema is half typed


@cache
def _cases(schema: str) -> list[tuple[object, bool]]:
    field = json.loads(schema)
    validator = cast("Any", Draft202012Validator(field))
    return [(value, validator.is_valid(value)) for value in _WORDS.candidates(field)]


def _answers_with_a_task(operation: dict[str, Any]) -> bool:
    created = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return "task" in created.get("properties", {}).get("id", {}).get("description", "").lower()


def test_the_sandbox_creates_what_the_document_creates() -> None:
    posts = {path: methods["post"] for path, methods in _PATHS.items() if "post" in methods}
    assert {path for path, operation in posts.items() if _answers_with_a_task(operation)} == _DOCUMENTED.keys()


@pytest.mark.parametrize("path", _DOCUMENTED)
def test_an_endpoint_takes_the_models_of_the_document(path: str) -> None:
    named = {one["properties"].get("model", {}).get("const") for one in _BODIES[path].get("oneOf", [_BODIES[path]])}
    documented = {name for name, model in _DOCUMENTED[path].models.items() if model.documented}
    assert documented == named | sdk_models()[path].keys()


@_each_variant
def test_a_body_is_valid_where_the_document_says_so(path: str, variant: Schema) -> None:
    endpoint = _ENDPOINTS[path]
    for body in (example(variant), example(variant, full=True)):
        assert _allows(_BODIES[path], body)
        assert not _issues(endpoint, body)
        for name in body:
            rest = {key: value for key, value in body.items() if key != name}
            assert bool(endpoint.check(rest)) == (name in variant["required"])
        closed = variant.get("additionalProperties") is False
        for name in _WORDS.names - variant["properties"].keys() - _newer(path, variant):
            issues = endpoint.check({**body, name: None})
            assert [issue.get("keys") for issue in issues] == ([[name]] if closed else [])


@_each_variant
def test_a_field_is_valid_where_the_document_says_so(path: str, variant: Schema) -> None:
    endpoint, base = _ENDPOINTS[path], example(variant)
    seen: set[bool] = set()
    for name in variant["properties"].keys() - {_tag(path)}:
        for value, allowed in _cases(json.dumps(variant["properties"][name])):
            issues = _issues(endpoint, {**base, name: value})
            assert (not issues) == allowed or (not issues and name in _newer(path, variant)), (name, value, issues)
            assert all(cast("list[object]", issue["path"])[0] == name for issue in issues)
            seen.add(allowed)
    assert seen == {True, False}


@pytest.mark.parametrize(
    ("path", "field"), [("image_upscale", "imageUri"), ("video_upscale", "videoUri"), ("voice_isolation", "audioUri")]
)
def test_a_data_uri_is_as_long_as_the_document_says(path: str, field: str) -> None:
    path = f"/v1/{path}"
    variant: Schema = _BODIES[path]["oneOf"][0]
    *_, inline = variant["properties"][field]["anyOf"]
    kind, longest = inline["pattern"].removesuffix("\\/.*").removeprefix("^"), inline["maxLength"]
    for size in (longest, longest + 1):
        body = {**example(variant), field: f"{kind}/".ljust(size, "x")}
        assert bool(_ENDPOINTS[path].check(body)) == (size > longest)


@pytest.mark.parametrize("path", _BODIES)
def test_a_variant_that_is_none_of_the_documents_is_refused(path: str) -> None:
    schema, endpoint, tag = _BODIES[path], _ENDPOINTS[path], _tag(path)
    for body in JUNK:
        assert bool(endpoint.check(body)) != _allows(schema, body)
    if tag:
        known = {variant["properties"][tag]["const"] for variant in schema["oneOf"]}
        known |= endpoint.models.keys()
        for value in (_WORDS.values - known) | {None, 5, True}:
            issues = endpoint.check({**example(schema), tag: value})
            assert {str(issue["path"]) for issue in issues} == {f"['{tag}']"}


def _issues(endpoint: Endpoint, body: object) -> list[Any]:
    """What is wrong with a body, but for uploads that are not there, of which the document says nothing."""
    return [issue for issue in endpoint.check(body) if "no such upload" not in str(issue["message"])]

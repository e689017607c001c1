"""What the catalogue's sources say, fact by fact: Runway's OpenAPI document and the types of its SDK."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from sdk_types import Start, starts
from support.described import DOCUMENT
from update_catalogue import WORDS

from runway_mcp.catalogue.lookup import task_types

Fact = tuple[str, ...]
"""Where it holds, and what: a field, that it is required, a value or a limit."""
Models = Mapping[str | None, dict[str, Any]]

_LIMITS = ("minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength", "minItems", "maxItems")
_NO_LIMIT = 2**53 - 1  # the data leaves out this limit, which no request comes near

SDK: Mapping[str, Start] = {start.path: start for start in starts(tomllib.loads(WORDS.read_text("utf-8"))["media"])}
"""What starts a task, by path."""


@cache
def document_models() -> Mapping[str, Models]:
    """Return the schemas of the document by endpoint and model; none where the document is not at hand."""
    if not DOCUMENT.is_file():
        return {}
    found: dict[str, Models] = {}
    paths: Mapping[str, Any] = json.loads(DOCUMENT.read_bytes())["paths"]
    for path in SDK.keys() & paths.keys():
        body = paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        models = {one["properties"].get("model", {}).get("const"): one for one in body.get("oneOf", [body])}
        found[path] = {None: body} if None in models else models
    return found


@cache
def catalogue_models() -> Mapping[str, Models]:
    return {
        kind.endpoint: {name: dict(model.schema) for name, model in kind.models.items()}
        for kind in task_types().values()
    }


def sdk_models() -> Mapping[str, Models]:
    return {path: start.schemas for path, start in SDK.items()}


def facts(models: Mapping[str, Models]) -> set[Fact]:
    return {
        (f"{path.removeprefix('/v1/')}/{name or ''}", *fact)
        for path, one in models.items()
        for name, schema in one.items()
        for fact in _facts(schema, "", schema.get("$defs", {}))
    }


@cache
def newer_fields(path: str, model: str | None) -> frozenset[str]:
    """Return the top-level fields of a model of which the catalogue knows more than the document."""
    document, catalogue = (
        facts({path: {model: models[path][model]}}) for models in (document_models(), catalogue_models())
    )
    return frozenset(place.partition(".")[0].removesuffix("[]") for _, place, *_ in catalogue - document)


def older_input(path: str, model: str | None, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return an input without the fields that newer sources than the document have, or have more of."""
    schema = document_models()[path][model]
    newer = newer_fields(path, model)
    demanded = {name: schema["properties"][name]["enum"][0] for name in newer & {*schema.get("required", ())}}
    return {name: value for name, value in body.items() if name not in newer} | demanded


def _facts(schema: dict[str, Any], place: str, definitions: Mapping[str, dict[str, Any]]) -> Iterator[Fact]:
    if "$ref" in schema:
        schema = definitions.get(schema["$ref"].rpartition("/")[2], {})
    for name, field in schema.get("properties", {}).items():
        inner = f"{place}.{name}".removeprefix(".")
        yield (inner, "is a field")
        yield from _facts(field, inner, definitions)
    yield from ((f"{place}.{name}".removeprefix("."), "is required") for name in schema.get("required", ()))
    for value in schema.get("enum", [schema["const"]] if "const" in schema else []):
        yield (place, f"takes {value!r}")
    if "type" in schema and not schema.keys() & {"enum", "const"}:
        yield (place, f"takes any {schema['type']}")
    yield from (
        (place, f"has the {key} {schema[key]}")
        for key in _LIMITS
        if schema.get(key, _NO_LIMIT) != _NO_LIMIT and ("properties" not in schema)
    )
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _facts(one, place, definitions)
    if "items" in schema:
        yield from _facts(schema["items"], place + "[]", definitions)

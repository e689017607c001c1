"""An OpenAPI document that says what the catalogue has from Runway's, which is not ours to ship."""

from collections.abc import Mapping
from typing import Any, cast

from runway_mcp.catalogue.lookup import catalogue_data

Schema = dict[str, Any]
Models = dict[str, Schema]
"""The bodies of a task type by model; the only one is named "" where nobody chooses."""

REPLY: Schema = {"id": {"type": "string", "description": "The ID of the task that was created."}, "estimatedCost": {}}


def document(known_types: Schema | None = None, **changed: Models) -> Schema:
    """Return the document, with other models of the types in `changed`; of all types where none are given."""
    data = catalogue_data()
    known = {
        kind: {
            one["name"] or "": _written(one["schema"], data["definitions"], is_open=one.get("open", False))
            for one in entry["models"]
            if one.get("documented", True) and one.get("source") != "sdk"
        }
        for kind, entry in (known_types or data["types"]).items()
    }
    starts = {f"/v1/{kind}": _start(models) for kind, models in {**known, **changed}.items() if models}
    return {
        "openapi": "3.1.0",
        "info": {"title": "An API", "version": "1"},
        "paths": {"/v1/uploads": {"post": _operation({"type": "object"}, {"uploadUrl": {}})}, **starts},
    }


def models_of(kind: str) -> Models:
    """Return the bodies of the models that the document has of a type, to be changed."""
    data = catalogue_data()
    post = document({kind: data["types"][kind]})["paths"][f"/v1/{kind}"]["post"]
    body = post["requestBody"]["content"]["application/json"]["schema"]
    return {one["properties"]["model"]["const"]: one for one in body["oneOf"]}


def model(name: str, fields: Mapping[str, Any], *required: str, **more: Any) -> Schema:
    """Return the body of a model."""
    properties = {**fields, "model": {"type": "string", "const": name}}
    return {
        "title": name,
        "type": "object",
        "properties": properties,
        "required": [*required, "model"],
        "additionalProperties": False,
        **more,
    }


def _start(models: Models) -> Schema:
    bodies = list(models.values())
    return {"post": _operation(bodies[0] if "" in models else {"oneOf": bodies, "discriminator": {}}, REPLY)}


def _operation(body: Schema, fields: Schema) -> Schema:
    request, reply = ({"content": {"application/json": {"schema": one}}} for one in (body, {"properties": fields}))
    return {"summary": "Start it", "requestBody": request, "responses": {"200": reply}}


def _written(value: Any, definitions: Mapping[str, Schema], *, is_open: bool) -> Any:
    """Return a schema of the catalogue as the document writes it."""
    if isinstance(value, list):
        return [_written(one, definitions, is_open=is_open) for one in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    schema = cast("Schema", value)
    if isinstance(reference := schema.get("$ref"), str):
        definition = definitions[reference.rpartition("/")[2]]
        if "properties" in definition:
            return _written(definition, definitions, is_open=False)
        least = definition["minLength"]
        forms = [
            {"type": "string", "minLength": least, **one, "pattern": one["pattern"].replace("/", "\\/") + ".*"}
            for one in definition["anyOf"]
        ]
        return {"anyOf": forms}
    made = {key: _written(one, definitions, is_open=False) for key, one in schema.items()}
    if "anyOf" in made and all("properties" in one for one in made["anyOf"]):
        made["oneOf"] = made.pop("anyOf")
    if isinstance(made.get("properties"), dict) and not is_open:
        made["additionalProperties"] = False
    values: list[Any] = made.get("enum", [made["const"]] if "const" in made else [])
    if values and "type" not in made:
        made["type"] = "string" if isinstance(values[0], str) else "number"
    return made

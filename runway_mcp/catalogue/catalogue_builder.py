"""A newer catalogue: the known one, and what an OpenAPI document has beyond it.

Our words, the facts of Runway's SDK and undocumented models stay. Fields and values are added. Where both have a limit
of a field, the document's counts. The new models' words are the document's own.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from runway_mcp.catalogue.example_inputs import example
from runway_mcp.catalogue.json_schema import fits
from runway_mcp.catalogue.openapi_reader import DocumentError, Reading, Schema, Source, read_document
from runway_mcp.catalogue.schema_merge import merged

SDK = "sdk"
"""The source of a model that Runway's SDK has and the document lacks."""

_NESTED = {"enum", "const", "required", "properties", "anyOf", "items", "description"}
_OUTPUTS = {"video": "video|animat", "image": "image|picture|photo|svg", "audio": "audio|sound|speech|voice|music"}

MAX_LACKING = 3
"""What is named, of a model, that a document lacks."""


@dataclass(frozen=True, slots=True)
class Update:
    """A newer catalogue, and a line for each change and for each kind of thing that could not be taken over."""

    catalogue: Mapping[str, Any]
    changes: list[str]
    left_out: list[str]


def build_update(known: Mapping[str, Any], document: object, day: str) -> Update:
    """Return the catalogue of a day, YYYY-MM-DD, made of the known one and an OpenAPI document.

    Raises:
        DocumentError: It is none, nothing in it starts a task, or it lacks what the known one has from a document.
    """
    reading = read_document(document)
    if missing := list(_missing(known, reading)):
        raise DocumentError(f"it lacks what is known today: {', '.join(missing)}")
    updated = {
        **known,
        "asOf": day,
        "definitions": {**known["definitions"], **reading.definitions},
        "types": _types(known, reading),
    }
    left_out = [
        f"{what} in {', '.join(places[:3])}{f' and {len(places) - 3} more' if places[3:] else ''}"
        for what, places in reading.left_out.items()
    ]
    return Update(updated, list(_changes(known, updated)), left_out)


def only_model(models: list[Schema]) -> str | None:
    """Return the name of the only documented model, or of the only one if none is documented."""
    sure = [model for model in models if model.get("documented", True)] or models
    return sure[0]["name"] if len(sure) == 1 else None


def _missing(known: Mapping[str, Any], reading: Reading) -> Iterator[str]:
    for kind, entry in known["types"].items():
        names = {one["name"] for one in entry["models"] if one.get("documented", True) and one.get("source") != SDK}
        if names and kind not in reading.endpoints:
            yield f"the type {kind}"
        elif names:
            found = reading.endpoints[kind].models
            yield from sorted(f"{kind}/{name or ''}" for name in names - found.keys())
            for model in entry["models"]:
                if model["name"] in names & found.keys():
                    told = facts(found[model["name"]].schema)
                    lacking = sorted(facts(model["schema"]) - {*model.get("beyond", ())} - told)
                    lacks = [fact for fact in lacking if _is_closed(fact, told)][:MAX_LACKING]
                    yield from (f"{kind}/{model['name'] or ''} {fact}" for fact in lacks)


def _types(known: Mapping[str, Any], reading: Reading) -> Schema:
    types = {
        kind: {**entry, "models": _models(known, reading, kind, entry["models"])}
        for kind, entry in known["types"].items()
    }
    for kind, endpoint in reading.endpoints.items():
        if kind not in types:
            models = _models(known, reading, kind, [])
            texts = (kind.rpartition("_to_")[2], kind, endpoint.words)
            said = (medium for text in texts for medium, one in _OUTPUTS.items() if re.search(one, text.lower()))
            types[kind] = {
                "summary": endpoint.words,
                "endpoint": f"/v1/{kind}",
                "recommended": only_model(models),
                "output": next(said, "video"),
                "reply": endpoint.reply,
                "models": models,
            }
    # what no official source has comes last
    return dict(sorted(types.items(), key=lambda one: not any(map(_is_documented, one[1]["models"]))))


def _models(known: Mapping[str, Any], reading: Reading, kind: str, entries: list[Schema]) -> list[Schema]:
    found = reading.endpoints[kind].models if kind in reading.endpoints else {}
    made = {one["name"]: one for one in entries}
    for name, source in found.items():
        made[name] = _entry(known["definitions"], reading.definitions, source, made.get(name) or {"name": name})
    return sorted(made.values(), key=lambda one: not _is_documented(one))


def _is_documented(entry: Schema) -> bool:
    return entry.get("documented", True)


def _entry(known: Mapping[str, Schema], read: Mapping[str, Schema], source: Source, entry: Schema) -> Schema:
    shared = {f"#/$defs/{name}": one for name, one in known.items() if "properties" in one}

    def expand(schema: Schema) -> Schema:
        reference = schema.get("$ref")
        return shared.get(reference, schema) if isinstance(reference, str) else schema

    def share(schema: Schema) -> Schema:
        if schema.get("required") == []:
            del schema["required"]
        return next(({"$ref": reference} for reference, one in shared.items() if one == schema), schema)

    schema = source.schema
    if "schema" in entry and _is_documented(entry):
        schema = merged(_mapped(entry["schema"], expand), schema, exact=True)
    schema = _mapped(schema, share)
    definitions = {**known, **read}
    body = example(schema, definitions)
    if not fits(body, {**schema, "$defs": definitions}):
        body = {key: value for key, value in body.items() if key == "model"}  # a pattern, which no example is made for
    marks = {key: entry[key] for key in ("name", "purpose") if key in entry}
    if beyond := sorted(facts(schema) - facts(source.schema)):
        marks["beyond"] = beyond
    if entry["name"] is not None:
        marks.setdefault("purpose", source.words)
    return {**marks, **({"open": True} if source.is_open else {}), "schema": schema, "example": body}


def _mapped(value: Any, change: Callable[[Schema], Schema]) -> Any:
    """Return a copy of a JSON value in which each object was changed, the inner ones first."""
    if isinstance(value, list):
        return [_mapped(one, change) for one in cast("list[Any]", value)]
    if isinstance(value, dict):
        return change({key: _mapped(one, change) for key, one in cast("Schema", value).items()})
    return value


def facts(schema: Schema) -> set[str]:
    """Return the fields that a model's schema names, and the values that it lists for them."""
    places = _facts_of(schema, "")
    return {f"{place} {fact}".strip() for place, fact in places if fact.startswith("takes ") or not fact} - {""}


def _is_closed(fact: str, told: set[str]) -> bool:
    """Return whether a document that does not tell a fact denies it: it lists other values, or other fields."""
    place, takes, _ = fact.partition(" takes ")
    owner = place.rpartition(".")[0]
    if takes or owner:
        return any(one.startswith(f"{place} takes " if takes else f"{owner}.") for one in told)
    return not place.endswith("[]")


def _changes(known: Mapping[str, Any], updated: Mapping[str, Any]) -> Iterator[str]:
    old, new = _facts(known), _facts(updated)
    yield from (f"+ {kind}: new task type" for kind in updated["types"] if kind not in known["types"])
    for place in {**new, **old}:
        owner, facts = place.partition(" ")[0], new.get(place, {})
        added = [fact for fact in facts if fact not in old.get(place, {})]
        removed = [fact for fact in old.get(place, {}) if fact not in facts]
        if place == owner and place not in old:
            names = [one.removeprefix(f"{place} ") for one in new if re.fullmatch(rf"{re.escape(place)} [^.\[]+", one)]
            marked = (f"{name}{'*' * (f'{name} is required' in facts)}" for name in names if name != "model")
            yield f"+ {place}: new model, takes {', '.join(marked) or 'nothing'}"
        elif owner in old:
            yield from [f"+ {place}: {', '.join(added)}"] if added or place not in old else []
            yield from [f"- {place}: {', '.join(removed)}"] if removed else []


def _facts(catalogue: Mapping[str, Any]) -> dict[str, dict[str, None]]:
    """Return what a catalogue says of each place, but words."""
    found: dict[str, dict[str, None]] = {}
    schemas = dict[str, Schema](catalogue["definitions"])
    for kind, entry in catalogue["types"].items():
        for model in entry["models"]:
            source = model.get("source", "document") if _is_documented(model) else "none"
            schemas[f"{kind}/{model['name'] or ''}"] = {**model["schema"], "source": source}
    for name, schema in schemas.items():
        for place, fact in _facts_of(schema, name):
            found.setdefault(place, {}).update({fact: None} if fact else {})
    return found


def _facts_of(schema: Schema, place: str) -> Iterator[tuple[str, str]]:
    yield place, ""
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    yield from ((place, f"takes {json.dumps(value)}") for value in values)
    yield from ((place, f"{name} is required") for name in schema.get("required", ()))
    yield from ((place, f"{key} {json.dumps(value)}") for key, value in schema.items() if key not in _NESTED)
    for name, one in schema.get("properties", {}).items():
        yield from _facts_of(one, f"{place}{'.' if ' ' in place else ' '}{name}")
    for one in schema.get("anyOf", ()):
        yield from _facts_of(one, place)
    if "items" in schema:
        yield from _facts_of(schema["items"], f"{place}[]")

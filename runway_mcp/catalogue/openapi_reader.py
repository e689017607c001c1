"""What starts a task by an OpenAPI document, as lean JSON Schema.

The document is upstream text. A name of an odd form is left out, and words are cut short. A rule that can't be checked
is left out too, so that more is accepted. `Reading.left_out` says what and where.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any, cast

from jsonschema import Draft202012Validator

from runway_mcp.api.errors import quote

Schema = dict[str, Any]
"""A JSON Schema, or another JSON object."""

MAX_WORDS = 120
"""Characters of the document's words for one thing."""
MAX_DEPTH = 12
MAX_SCHEMAS = 20_000
"""References may multiply a document's schemas."""

_KEPT = (
    *("deprecated", "type", "const", "enum", "default", "pattern"),
    *("minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength", "minItems", "maxItems"),
)
_STRUCTURES = ("properties", "items", "anyOf", "oneOf")
_DROPPED = {
    *("$schema", "title", "description", "example", "examples", "discriminator", "format", "nullable"),
    *("readOnly", "writeOnly", "externalDocs", "$comment", "contentMediaType", "contentEncoding"),
}
_REPEATED_GROUP = re.compile(r"\)[*+?{]")
_UNBOUNDED = re.compile(r"[*+]|,\}")
_NO_LIMIT = 2**53 - 1  # as far as the API's own numbers go
_PATH = re.compile(r"/v1/([a-z0-9_-]{1,40}(?:/[a-z0-9_-]{1,40}){0,2})")
_NAME = re.compile(r"[\w.:+-]{1,64}", re.ASCII)
_MEDIUM = re.compile(r"\^data:(image|video|audio)/")
_VALUES = Draft202012Validator(
    {  # the first comes with the library
        "$ref": "https://json-schema.org/draft/2020-12/meta/validation",
        "properties": {"deprecated": {"type": "boolean"}},
    },
    format_checker=Draft202012Validator.FORMAT_CHECKER,
)


class DocumentError(Exception):
    """A document that no catalogue can be made of. The message says why."""


@dataclass(slots=True)
class Source:
    """What one model of a task type takes; `is_open` where the API takes fields that it does not name."""

    schema: Schema
    is_open: bool = False
    words: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint that starts a task: the document's words for it, its reply's fields, and its models by name.

    The only model is named None where nobody chooses.
    """

    words: str
    reply: list[str]
    models: dict[str | None, Source]


@dataclass(frozen=True, slots=True)
class Reading:
    """Endpoints by task type, the definitions that their schemas refer to, and where what was left out."""

    endpoints: dict[str, Endpoint] = field(default_factory=dict[str, Endpoint])
    definitions: dict[str, Schema] = field(default_factory=dict[str, Schema])
    left_out: dict[str, list[str]] = field(default_factory=dict[str, list[str]])


def read_document(document: object) -> Reading:
    """Return what starts a task by an OpenAPI document.

    Raises:
        DocumentError: It is none, or nothing in it starts a task.
    """
    whole = _dict(document)
    if not isinstance(whole.get("openapi"), str) or not isinstance(whole.get("paths"), dict):
        raise DocumentError("it is no OpenAPI document of version 3")
    reader = _Reader(whole)
    reader.read()
    if not reader.found.endpoints:
        raise DocumentError("it has no endpoint that starts a task")
    return reader.found


def words_of(text: object) -> str:
    """Return the first sentence of upstream text as a quoted line, or as many whole words of it as fit."""
    line = quote(str(text), 10 * MAX_WORDS)[1:-1] if isinstance(text, str) else ""
    sentence = re.split(r"(?<=[.!?]) ", line, maxsplit=1)[0]
    if len(sentence) > MAX_WORDS:
        sentence = sentence[:MAX_WORDS].rpartition(" ")[0] + " …"
    return sentence and f'"{sentence}"'


class _Reader:
    def __init__(self, document: Schema) -> None:
        self._document = document
        self._count = 0
        self.found = Reading()

    def read(self) -> None:
        for path, operations in self._document["paths"].items():
            post = self._at(operations, "post")
            reply = self._at(post, "responses", "200", "content", "application/json", "schema", "properties")
            body = self._at(post, "requestBody", "content", "application/json", "schema")
            if not body or "task" not in str(self._at(reply, "id").get("description")).lower():
                continue
            if (name := _PATH.fullmatch(path)) is None:
                self._leave_out("the odd name of an endpoint", "paths")
            elif models := self._models(body, name[1]):
                fields = [one for one in reply if _NAME.fullmatch(one)]
                self.found.endpoints[name[1]] = Endpoint(words_of(post.get("summary")), fields, models)

    def _models(self, body: Schema, kind: str) -> dict[str | None, Source]:
        named: dict[Any, Schema] = {}
        for one in self._branches(body) or [body]:
            tag = self._at(one, "properties", "model")
            for name in _list(tag.get("enum")) or [tag.get("const")]:
                named[str(name)] = {**one, "properties": {**_dict(one.get("properties")), "model": {"const": name}}}
                if not isinstance(name, str):
                    return self._model(None, body, kind)
        return {key: one for name, schema in named.items() for key, one in self._model(name, schema, kind).items()}

    def _model(self, name: str | None, body: Schema, kind: str) -> dict[str | None, Source]:
        place = f"{kind}/{name or ''}"
        if name is not None and not _NAME.fullmatch(name):
            return self._leave_out("the odd name of a model", kind)
        schema = self._lean(body, place)
        if not all("properties" in form for form in schema.get("anyOf", [schema])):
            return self._leave_out("a body without named fields", place)
        is_open = any(form.get("additionalProperties") is not False for form in self._branches(body) or [body])
        return {name: Source(schema, is_open, words_of(body.get("description")))}

    def _lean(self, given: object, place: str, depth: int = 0) -> Schema:
        """Return a schema without what neither checks a value nor helps a reader."""
        schema = self._at(given)
        if len(types := [one for one in _list(schema.get("type")) if one != "null"]) == 1:
            schema = {**schema, "type": types[0]}
        self._count += 1
        if self._count > MAX_SCHEMAS:
            raise DocumentError(f"it holds more than {MAX_SCHEMAS} schemas")
        branches = self._branches(schema)
        strange = self._strange(schema, branches)
        for key in strange:
            self._leave_out(quote(key, 40), place)
        if depth > MAX_DEPTH:
            lean = self._leave_out(f"what is over {MAX_DEPTH} deep", place)
        elif branches and all("pattern" in branch for branch in branches):
            lean = self._medium(branches, place)
        elif strange and depth and not schema.keys().isdisjoint(_STRUCTURES):
            lean = self._keywords({"type": schema.get("type")}, place)  # what else it takes is not known
        else:
            lean = self._keywords(schema, place) | self._structure(schema, branches, place, depth + 1)
            if "const" in lean or "enum" in lean:
                lean.pop("type", None)
            if len(lean.get("anyOf", ())) == 1:
                lean = lean["anyOf"][0]
        return lean

    def _strange(self, schema: Schema, branches: list[Schema]) -> list[str]:
        known = {*_KEPT, *_STRUCTURES, *_DROPPED, "required", "additionalProperties"}
        strange = [key for key in schema if key not in known and not key.startswith("x-")]
        strange += ["additionalProperties"] if schema.get("additionalProperties", False) is not False else []
        both = ("properties" in schema) + ("items" in schema) + bool(branches) > 1
        return [*strange, "several structures"] if both else strange

    def _structure(self, schema: Schema, branches: list[Schema], place: str, depth: int) -> Schema:
        if "properties" in schema:
            fields: Schema = {}
            for name, one in sorted(_dict(schema["properties"]).items(), key=lambda one: one[0] != "model"):
                if not _NAME.fullmatch(name):
                    self._leave_out("the odd name of a field", place)
                    continue
                lean = self._lean(one, f"{place}{'.' if ' ' in place else ' '}{name}", depth)
                words = words_of(self._at(one).get("description"))
                needs_none = "const" in lean or ("$ref" in lean and name.endswith("uri"))
                fields[name] = lean if needs_none or not words else {**lean, "description": words}
            required = _list(schema.get("required"))
            return {"required": [name for name in fields if name in required], "properties": fields}
        if "items" in schema:
            return {"items": self._lean(schema["items"], f"{place}[]", depth)}
        # alternatives differ in a constant or in their type, so that one at most fits
        return {"anyOf": [self._lean(branch, place, depth) for branch in branches]} if branches else {}

    def _keywords(self, schema: Schema, place: str) -> Schema:
        lean: Schema = {}
        for key in _KEPT:
            value: Any = schema.get(key)
            if isinstance(value, list):  # of types, the alternatives have one each
                value = [one for one in _list(schema[key]) if one is not None and key == "enum"] or None
            if value is None or value in ("", _NO_LIMIT):
                continue
            if _is_sound(key, value):
                lean[key] = value
            else:
                self._leave_out(f'a value of "{key}"', place)
        return lean

    def _branches(self, schema: Schema) -> list[Schema]:
        """Return the alternatives of a schema but null; none where there is one form."""
        types = [one for one in _list(schema.get("type")) if one != "null"]
        given = schema.get("anyOf") or schema.get("oneOf") or [{**schema, "type": one} for one in types]
        branches = [self._at(one) for one in _list(given)]
        return [one for one in branches if one.get("type") != "null"]

    def _medium(self, branches: list[Schema], place: str) -> Schema:
        """Return a reference to the shared definition of a medium's URI, which takes what any of its places takes."""
        limits = {
            str(one["pattern"]).replace("\\/", "/").removesuffix(".*"): self._keywords(one, place) for one in branches
        }
        media = [found[1] for pattern in limits if (found := _MEDIUM.match(pattern))]
        if not media or any("pattern" not in one for one in limits.values()):
            self._leave_out("several patterns of one text", place)
            return {"type": "string"}
        known = self.found.definitions.get(media[0], {"minLength": math.inf, "anyOf": []})
        most: dict[str, float] = {one["pattern"]: one.get("maxLength", math.inf) for one in known["anyOf"]}
        for pattern, one in limits.items():
            most[pattern] = max(one.get("maxLength", math.inf), most.get(pattern, 0))
        self.found.definitions[media[0]] = {
            "type": "string",
            "format": "uri",
            "minLength": min(known["minLength"], *(one.get("minLength", 0) for one in limits.values())),
            "anyOf": [
                {"pattern": pattern} | ({} if limit == math.inf else {"maxLength": limit})
                for pattern, limit in most.items()
            ],
        }
        return {"$ref": f"#/$defs/{media[0]}"}

    def _at(self, value: object, *keys: str) -> Schema:
        """Return the object that is reached by keys, with references followed; an empty one where there is none."""
        found = self._followed(value)
        for key in keys:
            found = self._followed(found.get(key))
        return found

    def _followed(self, value: object) -> Schema:
        found = _dict(value)
        for _ in range(MAX_DEPTH):
            if not isinstance(reference := found.get("$ref"), str):
                return found
            target = self._document
            for part in reference.removeprefix("#/").split("/"):
                target = _dict(target.get(part.replace("~1", "/").replace("~0", "~")))
            if not target:
                break
            found = {**target, **{key: one for key, one in found.items() if key != "$ref"}}
        return found

    def _leave_out(self, what: str, place: str) -> dict[Any, Any]:
        self.found.left_out.setdefault(what, []).append(place)
        return {}


def _dict(value: object) -> Schema:
    return cast("Schema", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _is_sound(key: str, value: Any) -> bool:
    """Return whether a keyword's value is one that JSON Schema allows and that a line can show."""
    for one in _list(value) if key == "enum" else [value]:
        is_line = isinstance(one, str) and one.isprintable() and len(one) <= MAX_WORDS
        if not is_line and not isinstance(one, int | float):
            return False
    is_valid: bool = cast("Any", _VALUES).is_valid({key: value})
    if not is_valid or key != "pattern":
        return is_valid
    return not _REPEATED_GROUP.search(value) and len(_UNBOUNDED.findall(value)) <= 1  # others might take for ever

"""What starts a task by an OpenAPI document, as lean JSON Schema.

Only what Runway's own document holds is read: no references, and one type for each schema. The document is upstream
text. A name of an odd form is left out, and words are cut short. A field with a rule that can't be checked takes any
value of its type. `Reading.left_out` says what and where.
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
"""Levels of nesting that are read."""

_KEPT = (
    *("deprecated", "type", "const", "enum", "default", "pattern"),
    *("minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength", "minItems", "maxItems"),
)
_STRUCTURES = ("properties", "items", "anyOf", "oneOf")
_DROPPED = ("$schema", "title", "description", "example", "discriminator", "format")
_KNOWN = {*_KEPT, *_STRUCTURES, *_DROPPED, "required", "additionalProperties"}
_TYPES = ("string", "integer", "number", "boolean", "array", "object")
_REPEATED_GROUP = re.compile(r"\)[*+?{]")
_UNBOUNDED = re.compile(r"[*+]|,\}")
_NO_LIMIT = 2**53 - 1  # as far as the API's own numbers go
_PATH = re.compile(r"/v1/([a-z0-9_-]{1,40}(?:/[a-z0-9_-]{1,40}){0,2})")
_NAME = re.compile(r"[\w.:+-]{1,64}", re.ASCII)
_MEDIUM = re.compile(r"\^data:(image|video|audio)/")
_VALUES = Draft202012Validator(
    {  # the first comes with the library
        "$ref": "https://json-schema.org/draft/2020-12/meta/validation",
        "properties": {"deprecated": {"type": "boolean"}, "type": {"type": "string"}},
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
    whole = _in(document)
    if not isinstance(whole.get("openapi"), str) or not isinstance(whole.get("paths"), dict):
        raise DocumentError("it is no OpenAPI document of version 3")
    reader = _Reader()
    for path, operations in whole["paths"].items():
        reader.read(path, _in(operations, "post"))
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
    def __init__(self) -> None:
        self.found = Reading()

    def read(self, path: str, post: Schema) -> None:
        reply = _in(post, "responses", "200", "content", "application/json", "schema", "properties")
        body = _in(post, "requestBody", "content", "application/json", "schema")
        if not body or "task" not in str(_in(reply, "id").get("description")).lower():
            return
        if (name := _PATH.fullmatch(path)) is None:
            self._leave_out("the odd name of an endpoint", "paths")
        elif models := self._models(body, name[1]):
            fields = [one for one in reply if _NAME.fullmatch(one)]
            self.found.endpoints[name[1]] = Endpoint(words_of(post.get("summary")), fields, models)

    def _models(self, body: Schema, kind: str) -> dict[str | None, Source]:
        models: dict[str | None, Source] = {}
        for one in _branches(body) or [body]:
            tag = _in(one, "properties", "model")
            for name in _list(tag.get("enum")) or [tag.get("const")]:
                if not isinstance(name, str):
                    return self._model(None, body, kind)
                named = {**one, "properties": {**_in(one, "properties"), "model": {"const": name}}}
                models |= self._model(name, named, kind)
        return models

    def _model(self, name: str | None, body: Schema, kind: str) -> dict[str | None, Source]:
        place = f"{kind}/{name or ''}"
        if name is not None and not _NAME.fullmatch(name):
            return self._leave_out("the odd name of a model", kind)
        schema = self._lean(body, place)
        if not all("properties" in form for form in schema.get("anyOf", [schema])):
            return self._leave_out("a body without named fields", place)
        is_open = any(form.get("additionalProperties") is not False for form in _branches(body) or [body])
        return {name: Source(schema, is_open, words_of(body.get("description")))}

    def _lean(self, given: object, place: str, depth: int = 0) -> Schema:
        """Return a schema without what neither checks a value nor helps a reader; any value fits what is strange."""
        schema = _in(given)
        branches = _branches(schema)
        if strange := _strange(schema, branches, depth):
            self._leave_out(strange, place)
            if depth:
                return {"type": kind} if (kind := schema.get("type")) in _TYPES else {}
        kept = () if strange else _KEPT
        lean = {key: schema[key] for key in kept if key in schema and schema[key] not in ("", _NO_LIMIT)}
        if "const" in lean or "enum" in lean:
            lean.pop("type", None)
        if "properties" in schema:
            return lean | self._object(schema, place, depth)
        if "items" in schema:
            return lean | {"items": self._lean(schema["items"], f"{place}[]", depth + 1)}
        # alternatives differ in a constant or in their type, so that one at most fits
        forms = [self._lean(branch, place, depth + 1) for branch in branches]
        if forms and all("pattern" in form for form in forms):
            return self._medium(forms, place)
        return forms[0] if len(forms) == 1 else lean | ({"anyOf": forms} if forms else {})

    def _object(self, schema: Schema, place: str, depth: int) -> Schema:
        fields: Schema = {}
        for name, one in sorted(_in(schema, "properties").items(), key=lambda one: one[0] != "model"):
            if not _NAME.fullmatch(name):
                self._leave_out("the odd name of a field", place)
                continue
            lean = self._lean(one, f"{place}{'.' if ' ' in place else ' '}{name}", depth + 1)
            words = words_of(_in(one).get("description"))
            needs_none = "const" in lean or ("$ref" in lean and name.endswith("uri"))
            fields[name] = lean if needs_none or not words else {**lean, "description": words}
        required = _list(schema.get("required"))
        return {"required": [name for name in fields if name in required], "properties": fields}

    def _medium(self, forms: list[Schema], place: str) -> Schema:
        """Return a reference to the shared definition of a medium's URI, which takes what any of its places takes."""
        limits = {one["pattern"].replace("\\/", "/").removesuffix(".*"): one for one in forms}
        media = [found[1] for pattern in limits if (found := _MEDIUM.match(pattern))]
        if not media:
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

    def _leave_out(self, what: str, place: str) -> dict[Any, Any]:
        self.found.left_out.setdefault(what, []).append(place)
        return {}


def _in(value: object, *keys: str) -> Schema:
    """Return the object that is reached by keys; an empty one where there is none."""
    for key in keys:
        value = cast("Schema", value).get(key) if isinstance(value, dict) else None
    return cast("Schema", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _branches(schema: Schema) -> list[Schema]:
    branches = map(_in, _list(schema.get("anyOf") or schema.get("oneOf")))
    return [one for one in branches if one.get("type") != "null"]


def _strange(schema: Schema, branches: list[Schema], depth: int) -> str:
    """Return what in a schema can't be checked; empty where all can be."""
    if depth > MAX_DEPTH:
        return f"what is over {MAX_DEPTH} deep"
    for key, value in schema.items():
        if key not in _KNOWN and not key.startswith("x-"):
            return quote(key, 40)
        if key in _KEPT and not _is_sound(key, value):
            return f'a value of "{key}"'
    if schema.get("additionalProperties", False) is not False:
        return '"additionalProperties"'
    return "several structures" if ("properties" in schema) + ("items" in schema) + bool(branches) > 1 else ""


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

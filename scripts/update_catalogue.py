"""Makes the catalogue of task types from the API's OpenAPI document and the types of Runway's SDK, or checks it.

    uv run python scripts/update_catalogue.py [OPENAPI_FILE]          writes runway_mcp/catalogue/catalogue.json
    uv run python scripts/update_catalogue.py --check [OPENAPI_FILE]  exits 1 and shows what differs

Without a document the catalogue is kept and what the installed SDK has beyond it is added. Names and figures are
theirs; words, and limits that the SDK omits, are ours (catalogue_words.toml). What the script can't place, be it a
keyword of the schemas, a field without words or words without a field, ends it with a sentence.
"""

import argparse
import difflib
import json
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from catalogue_limits import limited
from sdk_types import starts

from runway_mcp.catalogue.catalogue_builder import SDK, facts, only_model
from runway_mcp.catalogue.example_inputs import example
from runway_mcp.catalogue.openapi_reader import DocumentError, Schema, Source, read_document
from runway_mcp.catalogue.schema_merge import merged

ROOT = Path(__file__).parents[1]
CATALOGUE = ROOT / "runway_mcp" / "catalogue" / "catalogue.json"
WORDS = Path(__file__).with_name("catalogue_words.toml")

_SHARED = {"range"}  # fields that stand more than once in one schema

_USUAL_REPLY = ["id", "estimatedCost"]

_LINE = 118


class Words:
    """Our words, which differ by where they are said; it knows what was asked for and what was not found."""

    def __init__(self, words: Mapping[str, Any]) -> None:
        self.summaries: dict[str, str] = words["summaries"]
        self.recommended: dict[str, str] = words["recommended"]
        self.outputs = {kind: medium for medium, kinds in words["outputs"].items() for kind in kinds}
        self.undocumented: dict[str, dict[str, list[str]]] = words["undocumented"]
        self.undocumented_fields: dict[str, Schema] = words["undocumented_fields"]
        self.patterns: dict[str, str] = words["patterns"]
        self.languages: dict[str, list[str]] = words["languages"]
        self.files = {name: file for file, names in words["files"].items() for name in names}
        self.media: dict[str, str] = words["media"]
        self._limits: dict[str, Schema] = words["limits"]
        self._fields: dict[str, str] = words["fields"]
        self._models: dict[str, str] = words["models"]
        self._used: set[str] = set()
        self._missing: list[str] = []

    def of(self, kind: str, model: str | None, path: str) -> str:
        """Return what the field at `path` means to a model of a task type."""
        for key in _keys(kind, model, path):
            if key in self._fields:
                self._used.add(key)
                return self._fields[key]
        self._missing.append(f"{kind}/{model or ''}: {path}")
        return ""

    def limited(self, field: Schema, kind: str, model: str | None, path: str) -> Schema:
        """Return a field with the limits that the SDK omits: a model's own win, those of all fill gaps."""
        for key in _keys(kind, model, path):
            if key in self._limits:
                self._used.add(f"limits {key}")
                return limited(field, self._limits[key], fill=":" not in key)
        return field

    def check_pattern(self, pattern: str, kind: str, model: str | None, path: str) -> None:
        """Note a pattern that has no words."""
        if pattern not in self.patterns:
            self._missing.append(f"the pattern {pattern} of {kind}/{model or ''}: {path}")

    def purpose(self, kind: str, model: str) -> str:
        """Return what a model of a task type is for."""
        for key in (f"{kind}/{model}", model):
            if key in self._models:
                self._used.add(f"model {key}")
                return self._models[key]
        self._missing.append(f"{kind}/{model}")
        return ""

    def complaints(self, kinds: Iterable[str]) -> list[str]:
        """Return what is there without need, and what is needed without being there."""
        return [
            *(f"No words for {place}." for place in self._missing),
            *(f"No model for the words of {key}." for key in sorted(self._models) if f"model {key}" not in self._used),
            *(f"No field for the words of {key}." for key in sorted(self._fields.keys() - self._used)),
            *(
                f"No field for the limits of {key}."
                for key in sorted(self._limits)
                if f"limits {key}" not in self._used
            ),
            *(f"No summary of {kind}." for kind in sorted(set(kinds) - self.summaries.keys())),
            *(f"No medium of what {kind} makes." for kind in sorted(set(kinds) - self.outputs.keys())),
            *(f"No task type for the summary of {kind}." for kind in sorted(self.summaries.keys() - set(kinds))),
        ]


class Catalogue:
    """The catalogue in the making: shared definitions, and the task types by name."""

    def __init__(self, document: Mapping[str, Any] | None, known: Mapping[str, Any], words: Words) -> None:
        self._words = words
        self._definitions: dict[str, Schema] = {}
        self._sources: dict[str, dict[str | None, Source]] = {}
        self._replies: dict[str, list[str]] = {}
        self._from_sdk: set[tuple[str, str | None]] = set()
        self._told: dict[tuple[str, str | None], set[str]] = {}
        self._as_of = max(known.get("asOf", ""), _sdk_day())
        if document is None:
            self._keep(known)
        else:
            self._read(document)
        self._add_sdk()
        self._types = {
            kind: [self._entry(kind, name, source) for name, source in models.items()]
            for kind, models in self._sources.items()
        }
        for kind, source in words.undocumented.items():
            models = [self._undocumented(kind, name, source["fields"]) for name in source["models"]]
            self._types.setdefault(kind, []).extend(models)
        if complaints := words.complaints(self._types):
            sys.exit("\n".join(complaints))

    def render(self) -> str:
        """Return the catalogue as JSON with a line for each thing of a line's length."""
        types = {
            kind: {
                "summary": self._words.summaries[kind],
                "endpoint": f"/v1/{kind}",
                "recommended": self._words.recommended.get(kind, only_model(models)),
                "output": self._words.outputs[kind],
                "reply": self._replies.get(kind, _USUAL_REPLY),
                "models": models,
            }
            for kind in self._words.summaries
            for models in [self._types[kind]]
        }
        words = {"patterns": self._words.patterns, "languages": self._words.languages, "files": self._words.files}
        return _rendered({"asOf": self._as_of, "definitions": self._definitions, **words, "types": types}) + "\n"

    def _keep(self, known: Mapping[str, Any]) -> None:
        own = {name: without_words(one) for name, one in known["definitions"].items()}
        self._definitions = {name: one for name, one in own.items() if name not in _SHARED}
        shared = {name: one for name, one in own.items() if name in _SHARED}
        for kind, entry in known["types"].items():
            models = [one for one in entry["models"] if one.get("documented", True)]
            self._replies[kind] = entry["reply"]
            self._from_sdk |= {(kind, one["name"]) for one in models if one.get("source") == SDK}
            self._told |= {(kind, one["name"]): facts(one["schema"]) - {*one.get("beyond", ())} for one in models}
            if models:
                self._sources[kind] = {
                    one["name"]: Source(without_words(one["schema"], shared), one.get("open", False)) for one in models
                }

    def _read(self, document: object) -> None:
        try:
            reading = read_document(document)
        except DocumentError as error:
            sys.exit(f"The document can't be used: {error}.")
        if reading.left_out:
            sys.exit("\n".join(f"Not known here: {what} in {', '.join(at)}" for what, at in reading.left_out.items()))
        self._definitions = reading.definitions
        for kind, endpoint in reading.endpoints.items():
            self._replies[kind] = endpoint.reply
            self._told |= {(kind, name): facts(one.schema) for name, one in endpoint.models.items()}
            self._sources[kind] = {
                name: Source(without_words(one.schema), one.is_open) for name, one in endpoint.models.items()
            }

    def _add_sdk(self) -> None:
        for start in starts(self._words.media):
            kind = start.path.removeprefix("/v1/")
            self._replies.setdefault(kind, start.reply)
            models = self._sources.setdefault(kind, {})
            for name, schema in start.schemas.items():
                if name in models:
                    models[name].schema = merged(models[name].schema, schema)
                else:
                    models[name] = Source(schema)
                    self._from_sdk.add((kind, name))

    def _entry(self, kind: str, name: str | None, source: Source, *, documented: bool = True) -> Schema:
        schema = self._described(source.schema, kind, name)
        marks: Schema = {**({} if documented else {"documented": False}), **({"open": True} if source.is_open else {})}
        if (kind, name) in self._from_sdk:
            marks["source"] = SDK
        elif beyond := sorted(facts(schema) - self._told.get((kind, name), facts(schema))):
            marks["beyond"] = beyond  # what the SDK has and the document lacks
        if documented and name is not None:
            marks["purpose"] = self._words.purpose(kind, name)
        return {"name": name, **marks, "schema": schema, "example": example(schema, self._definitions)}

    def _undocumented(self, kind: str, name: str, fields: list[str]) -> Schema:
        properties = {field: self._words.undocumented_fields[field] for field in _names(fields)}
        required = ["model", *_names(field for field in fields if field.endswith("*"))]
        schema = {"type": "object", "required": required, "properties": {"model": {"const": name}, **properties}}
        return self._entry(kind, name, Source(schema, is_open=True), documented=False)

    def _described(self, schema: Schema, kind: str, model: str | None, path: str = "") -> Schema:
        """Return a schema with our words and limits."""
        made = {**schema}
        if "pattern" in made:
            self._words.check_pattern(made["pattern"], kind, model, path)
        if "properties" in made:
            required = made.pop("required", [])
            properties: Schema = made.pop("properties")
            if required:
                made["required"] = sorted(required, key=lambda name: name != "model")
            made["properties"] = {
                name: self._described_field(field, kind, model, f"{path}.{name}".removeprefix("."))
                for name, field in sorted(properties.items(), key=lambda item: item[0] != "model")
            }
        if "items" in made:
            made["items"] = self._described(made["items"], kind, model, path + "[]")
        if "anyOf" in made:
            made["anyOf"] = [self._described(one, kind, model, path) for one in made["anyOf"]]
        return made

    def _described_field(self, field: Schema, kind: str, model: str | None, path: str) -> Schema:
        schema = self._described(self._words.limited(field, kind, model, path), kind, model, path)
        if "const" in schema or ("$ref" in schema and path.endswith("uri")):
            return schema
        words = self._words.of(kind, model, path)
        described = {**schema, "description": words} if words else schema
        name = path.rpartition(".")[2]
        return self._share(name, described) if name in _SHARED else described

    def _share(self, name: str, definition: Schema) -> Schema:
        if self._definitions.setdefault(name, definition) != definition:
            sys.exit(f"There is more than one form of {name}: {self._definitions[name]} and {definition}")
        return {"$ref": f"#/$defs/{name}"}


def without_words(schema: Any, shared: Mapping[str, Schema] | None = None) -> Any:
    """Return a schema of the catalogue as its sources have it: without descriptions and `shared` definitions."""
    if isinstance(schema, list):
        return [without_words(one, shared) for one in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    made = cast("Schema", schema)
    name = str(made.get("$ref", "")).rpartition("/")[2]
    if shared and name in shared:
        return shared[name]
    return {
        key: without_words(value, shared)
        for key, value in made.items()
        if key != "description" or not isinstance(value, str)
    }


def _sdk_day() -> str:
    """Return the day on which the SDK of the lock file was released."""
    packages: list[Schema] = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]
    return next(one["sdist"]["upload-time"][:10] for one in packages if one["name"] == "runwayml")


def _keys(kind: str, model: str | None, path: str) -> Sequence[str]:
    """Return what our words of a field may stand under, the most particular first."""
    own = [] if model is None else [f"{kind}/{model}:{path}", f"{model}:{path}"]
    return *own, f"{kind}:{path}", path, path.rpartition(".")[2]


def _names(fields: Iterable[str]) -> list[str]:
    return [field.rstrip("*") for field in fields]


def _rendered(value: Any, indent: str = "") -> str:
    line = json.dumps(value, ensure_ascii=False)
    simple = isinstance(value, list) and not any(isinstance(item, list | dict) for item in cast("list[Any]", value))
    if simple or not isinstance(value, list | dict) or len(indent) + len(line) <= _LINE:
        return line
    inner = f"\n{indent} "
    if isinstance(value, dict):
        fields = cast("Schema", value).items()
        parts = ",".join(f"{inner}{json.dumps(key)}: {_rendered(item, indent + ' ')}" for key, item in fields)
        return f"{{{parts}\n{indent}}}"
    return f"[{','.join(inner + _rendered(item, indent + ' ') for item in cast('list[Any]', value))}\n{indent}]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the catalogue, or compare it; return the exit code."""
    parser = argparse.ArgumentParser(description="Makes or checks the catalogue of task types.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the catalogue would change")
    parser.add_argument("document", type=Path, nargs="?", metavar="OPENAPI_FILE")
    options = parser.parse_args(arguments)
    words = Words(tomllib.loads(WORDS.read_text(encoding="utf-8")))
    document = json.loads(options.document.read_bytes()) if options.document else None
    found = CATALOGUE.read_text(encoding="utf-8")
    made = Catalogue(document, json.loads(found), words).render()
    if not options.check:
        CATALOGUE.write_text(made, encoding="utf-8", newline="\n")
        return 0
    lines = difflib.unified_diff(found.splitlines(), made.splitlines(), "catalogue.json", "sources", n=1, lineterm="")
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return int(found != made)


if __name__ == "__main__":
    sys.exit(main())

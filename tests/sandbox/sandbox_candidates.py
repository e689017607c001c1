"""Values at each limit of a JSON Schema and just beyond it, valid or not; which they are the schema itself tells."""

from collections.abc import Iterator, Mapping
from typing import Any

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

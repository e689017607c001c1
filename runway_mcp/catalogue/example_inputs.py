"""Inputs that a schema of the catalogue accepts."""

import math
from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

_MEDIA = {
    "image": "https://example.com/image.jpg",
    "video": "https://example.com/video.mp4",
    "audio": "https://example.com/audio.mp3",
}
_ID = "17f20503-6c24-4c16-946b-35dbbce2af2f"
_TEXTS = {"tag": "kite", "languageCode": "en", "configId": "my-config", "avatarId": _ID, "id": _ID, "ratio": "1280:720"}
_TEXT = "A red kite over the sea"
_NUMBERS = {"duration": 5}
_LIKED = ("1280:720", "1920:1088", "16:9", "1024:1024", "es")


def example(schema: Schema, definitions: Mapping[str, Schema], *, name: str = "", full: bool = False) -> Any:  # noqa: PLR0911 - a form of schema, a return
    """Return a value that a schema of the catalogue accepts for the field `name`.

    It has all optional fields where it is `full`; else those required, or the first where none is.
    """
    match schema:
        case {"const": value} | {"default": value}:
            return value
        case {"enum": values}:
            return next((value for value in _LIKED if value in values), values[0])
        case {"$ref": reference}:
            target = reference.rpartition("/")[2]
            return _MEDIA.get(target) or example(definitions[target], definitions, full=full)
        case {"anyOf": branches}:
            # beside values of a list a free text stands for rare ones
            wanted = [one for one in branches if one.get("type") != "string"] if full else branches
            return example(wanted[-1 if full else 0], definitions, name=name, full=full)
        case {"type": "object", "properties": fields}:
            own = [key for key in fields if key != "model"]
            required = [key for key in own if key in schema.get("required", [])]
            wanted = {"model", *(own if full else required or own[:1])}
            return {
                key: example(field, definitions, name=key, full=full) for key, field in fields.items() if key in wanted
            }
        case {"type": "array", "items": items}:
            return [example(items, definitions, full=full)] * schema.get("minItems", 1)
        case {"type": "string"}:
            text = _TEXTS.get(name, _TEXT)
            return (text + "." * (schema.get("minLength", 0) - len(text)))[: schema.get("maxLength")]
        case {"type": "boolean" | "array" | "object" as kind}:
            empty: Mapping[str, Any] = {"boolean": True, "array": [], "object": {}}
            return empty[kind]
        case {"type": "integer" | "number"}:
            least = math.ceil(schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1))
            return min(max(_NUMBERS.get(name, least), least), schema.get("maximum", math.inf))
        case _:
            # an item whose form the document leaves open
            return {"uri": _MEDIA["image"]}

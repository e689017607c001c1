"""The fields of a start as words of a command line: `duration=5`, `promptText=-`, `contentModeration.level=low`."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from runway_mcp.catalogue.json_schema import fits
from runway_mcp.catalogue.lookup import find_type
from runway_mcp.catalogue.named_media import texts
from runway_mcp.config.options import UsageError

STDIN = "-"
MAX_NESTING = 8


def read_fields(type_name: str, words: Sequence[str], input_file: str = "") -> dict[str, JsonValue]:
    """Return the input of a start: the object in a JSON file (`-` for stdin), then the words `field=value` over it.

    A value is text where its field takes that text, else JSON if it is JSON. `-` stands for the text on stdin. Dots
    lead into objects.

    Raises:
        UsageError: A word or the file can't be used. The message repeats no value.
    """
    given = [word.partition("=")[::2] for word in words]
    if len({name for name, _ in given}) < len(given):
        raise UsageError('a field is given twice; a list is given as JSON, such as \'["one", "two"]\'')
    if [input_file, *(value for _, value in given)].count(STDIN) > 1:
        raise UsageError("stdin (-) can be read once: for one field, or for --input")
    fields = _from_file(input_file) if input_file else {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not all(steps := name.split(".")) or len(steps) > MAX_NESTING:
            raise UsageError("a field is given as name=value, such as ratio=1280:720")
        place = fields
        for step in steps[:-1]:
            inner = place.setdefault(step, {})
            if not isinstance(inner, dict):
                raise UsageError("the part of a field's name before a dot must name an object")
            place = inner
        place[steps[-1]] = _value(type_name, fields.get("model"), steps, value)
    return fields


def local_folders(fields: Mapping[str, JsonValue]) -> list[Path]:
    """Return the folders of the files on this machine that an input names."""
    files = [text for _, text in texts(dict(fields)) if os.path.isfile(text)]  # noqa: PTH113 - Path.is_file raises on what no path can be
    return list(dict.fromkeys(Path(file).absolute().parent for file in files))


def schemas(type_name: str, model: JsonValue = None) -> list[Mapping[str, Any]]:
    """Return the schemas that an input of a type may have: of the model, or of all where it is not known."""
    kind = find_type(type_name) if type_name else None
    models = list(kind.models.values()) if kind else []
    return [one.schema for one in models if one.name == model] or [one.schema for one in models]


def _value(type_name: str, model: JsonValue, steps: list[str], text: str) -> JsonValue:
    if text == STDIN:
        return _stdin().rstrip("\r\n")
    for schema in schemas(type_name, model):
        part = schema.get("properties", {}).get(steps[0])
        if part is not None and len(steps) == 1 and fits(text, {**part, "$defs": schema.get("$defs", {})}):
            return text
    if os.path.isfile(path := os.path.expanduser(text)):  # noqa: PTH111, PTH113 - Path's own raise what no path can be
        return os.path.abspath(path)  # noqa: PTH100 - as the user wrote it, with its links
    with suppress(ValueError, RecursionError):
        return json.loads(text, parse_constant=_refuse)
    return text


def _stdin() -> str:
    try:
        text = sys.stdin.read()
        text.encode()  # some encodings read bytes that are no text as half characters
    except UnicodeError:
        raise UsageError("stdin is not text in this system's encoding") from None
    return text


def _from_file(name: str) -> dict[str, JsonValue]:
    try:
        content = _stdin() if name == STDIN else Path(name).read_text(encoding="utf-8-sig")
        found: JsonValue = json.loads(content, parse_constant=_refuse)
    except OSError as error:
        raise UsageError(f"--input: the file can't be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UsageError("--input: the file is no JSON") from None
    if not isinstance(found, dict):
        raise UsageError("--input: the file must hold a JSON object, the input's fields")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are no JSON

"""Media that an input names otherwise than by a URI: outputs of earlier tasks, and files on this machine's disk.

A `runway://` URI stands in for each until the start is sent. With it the input is checked, priced and recognized.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, cast

from pydantic import JsonValue

from runway_mcp.api.models import InvalidTaskIdError, TaskId, parse_task_id
from runway_mcp.catalogue.json_schema import Place, Schema, violations
from runway_mcp.catalogue.lookup import task_types
from runway_mcp.catalogue.problems import path_of
from runway_mcp.catalogue.validation import Prepared, prepare

UPLOADED = "runway://"

_MAX_PATH = 3500
_TASK = re.compile(r"task:(?://)?\s*([0-9a-f-]+)\s*(?:#\s*0*([1-9]\d{0,2}))?", re.ASCII | re.IGNORECASE)
_NO_PATH = re.compile(
    r"(?!file:)[a-z][a-z0-9+.-]+://|(https?|runway|data|task|attachment|blob|cid|sandbox):|\{", re.IGNORECASE
)
_AROUND = "\ufeff\u200b \t\r\n\"'`<>\u2018\u2019\u201c\u201d"
_SAMPLES = {
    "image": "data:image/png;base64,AAAA",
    "video": "data:video/mp4;base64,AAAA",
    "audio": "data:audio/wav;base64,AAAA",
}
"""A URI of each kind of medium that only fields for that kind take."""


@dataclass(frozen=True, slots=True)
class NamedMedium:
    """A medium that an input names.

    Attributes:
        text: How the input names it.
        stand_in: The URI in its place.
        task_id: The earlier task whose output it is; None for a file.
        output: Its number among that task's outputs, from 1.
        place: Where the input names it, such as promptImage[0].uri.
        kinds: What may stand there: image, video or audio; none where that is not known.
    """

    text: str
    stand_in: str
    task_id: TaskId | None = None
    output: int = 1
    place: str = ""
    kinds: tuple[str, ...] = ()


def prepare_named(
    type: str,  # noqa: A002 - the tool's own name
    input: JsonValue,  # noqa: A002 - as above
    *,
    allow_unknown: bool = False,
    takes_paths: bool = False,
) -> tuple[Prepared, tuple[NamedMedium, ...]]:
    """Return the request as `prepare` does, and the media that it names; with `takes_paths` those on disk, too.

    Raises:
        InvalidRequestError: See `prepare`.
    """
    named: dict[str, NamedMedium] = {}

    def stand_in(text: str) -> str | None:
        medium = _read(text, takes_paths=takes_paths)
        return medium and named.setdefault(medium.stand_in, medium).stand_in

    prepared = prepare(type, input, allow_unknown=allow_unknown, stand_in=stand_in)
    return prepared, tuple(
        replace(named[text], place=path_of(place), kinds=_kinds(prepared, place))
        for place, text in texts(prepared.body)
        if text in named
    )


def filled(value: JsonValue, replaced: Mapping[str, str]) -> JsonValue:
    """Return a value in which each text that is a key of `replaced` became its value."""
    match value:
        case str():
            return replaced.get(value, value)
        case list():
            return [filled(item, replaced) for item in value]
        case dict():
            return {name: filled(item, replaced) for name, item in value.items()}
        case _:
            return value


def texts(value: JsonValue, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Yield every text within a value, and its place."""
    match value:
        case str():
            yield place, value
        case list():
            for index, item in enumerate(value):
                yield from texts(item, (*place, index))
        case dict():
            for name, item in value.items():
                yield from texts(item, (*place, name))
        case _:
            pass


def stand_in_of_file(digest: str) -> str:
    """Return the URI that stands in for a file, by a digest of its path or of its content."""
    return f"{UPLOADED}file/{digest}"


def _read(text: str, *, takes_paths: bool) -> NamedMedium | None:
    bare = text.strip(_AROUND)
    if found := _TASK.fullmatch(bare):
        try:
            task_id, output = parse_task_id(found[1]), int(found[2] or 1)
        except InvalidTaskIdError:
            return None
        return NamedMedium(bare, f"{UPLOADED}task/{task_id}/{output}", task_id, output)
    if not takes_paths or not 0 < len(bare) <= len(text) <= _MAX_PATH or _NO_PATH.match(bare):
        return None
    return NamedMedium(text, stand_in_of_file(sha256(text.encode()).hexdigest()))


def _kinds(prepared: Prepared, place: Place) -> tuple[str, ...]:
    schema = cast("Schema", task_types()[prepared.type].models[prepared.model].schema)
    bodies = {kind: _with(prepared.body, place, sample) for kind, sample in _SAMPLES.items()}
    return tuple(kind for kind, body in bodies.items() if not violations(body, schema, allow_unknown=True))


def _with(value: JsonValue, place: Place, text: str) -> JsonValue:
    if not place:
        return text
    step, *rest = place
    copy: Any = dict(value) if isinstance(value, dict) else list(cast("list[JsonValue]", value))
    copy[step] = _with(copy[step], tuple(rest), text)
    return copy

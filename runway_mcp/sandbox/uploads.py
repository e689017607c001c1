"""Files handed in ahead of a create: slots in the storage, and the ``runway://`` URIs of what was put there.

A slot is nothing but its signed form fields, so none is remembered. Of a file no more is kept than
what a create asks about it: of which kind it is, and until when it may be used.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast
from urllib.parse import urlencode
from uuid import uuid4

from runway_mcp.sandbox import links
from runway_mcp.sandbox.inputs.rules import Finding, Issue, Needed, Path, choice, loose, text
from runway_mcp.sandbox.media import Kind

SLOT_LIFETIME = 3600.0  # seconds of clock time
FILE_LIFETIME = 86_400.0  # seconds of clock time, from the upload on

_CONTENT_TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".jpg": "image/jpeg",
        ".jpeg": "image/jpeg",
        ".png": "image/png",
        ".webp": "image/webp",
        ".mp4": "video/mp4",
        ".mov": "video/quicktime",
        ".mkv": "video/x-matroska",
        ".ogv": "video/ogg",
        ".webm": "video/webm",
        ".aac": "audio/aac",
        ".flac": "audio/flac",
        ".m4a": "audio/mp4",
        ".mp3": "audio/mpeg",
        ".ogg": "audio/ogg",
        ".wav": "audio/wav",
    }
)
_UNSIGNED = ("policy", "metadata")  # the signature itself, and what Runway's SDK may add to any form

_long_enough = text(3, 255)


def _filename(value: object, path: Path) -> Iterator[Finding]:
    """A name whose extension is that of a medium."""
    yield from _long_enough(value, path)
    if isinstance(value, str) and _extension(value) not in _CONTENT_TYPES:
        message = f"Invalid extension: expected one of {'|'.join(_CONTENT_TYPES)}"
        yield {"code": "custom", "path": list(path), "message": message}


RULE = loose(filename=_filename, type=choice("ephemeral"))
"""What the body of a request for a slot must keep."""


@dataclass(frozen=True, slots=True)
class _File:
    kind: Kind
    expires: float


class Uploads:
    """What was uploaded, and the right to upload.

    Args:
        key: What slots are signed with.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._files: dict[str, _File] = {}

    def reserve(self, filename: str, now: float) -> tuple[dict[str, str], str]:
        """The form fields that open the storage to one file for an hour, and the URI that it will have."""
        token = str(uuid4())
        fields = {"Content-Type": _CONTENT_TYPES[_extension(filename)], "key": token}
        policy = links.sign(self._key, urlencode(sorted(fields.items())), now, SLOT_LIFETIME)
        return {**fields, "policy": policy}, f"runway://{token}"

    def admits(self, form: Sequence[tuple[str, str]], now: float) -> bool:
        """Whether a form has the fields of a slot as they were given, and the slot has not expired."""
        signed = sorted(field for field in form if field[0] not in _UNSIGNED)
        return links.opens(self._key, dict(form).get("policy", ""), urlencode(signed), now)

    def keep(self, form: Sequence[tuple[str, str]], now: float) -> None:
        """Take the file of a form that was admitted."""
        fields = dict(form)
        kind = cast("Kind", fields["Content-Type"].partition("/")[0])
        self._files[f"runway://{fields['key']}"] = _File(kind, now + FILE_LIFETIME)

    def check(self, needed: Iterable[Needed], now: float) -> list[Issue]:
        """What is wrong with the uploads that a request names; of several kinds for one field any will do."""
        kinds = defaultdict[tuple[Path, str], list[Kind]](list)
        for one in needed:
            kinds[one.path, one.uri].append(one.kind)
        return [
            {"code": "custom", "path": list(path), "message": problem}
            for (path, uri), wanted in kinds.items()
            if (problem := self._problem(uri, wanted, now))
        ]

    def _problem(self, uri: str, wanted: Sequence[Kind], now: float) -> str:
        file = self._files.get(uri)
        if file is None or now >= file.expires:
            return "There is no such upload, or it has expired."
        return "" if file.kind in wanted else f"The upload is of kind {file.kind}: expected {' or '.join(wanted)}."


def _extension(filename: str) -> str:
    _, dot, rest = filename.rpartition(".")
    return f"{dot}{rest}".lower()

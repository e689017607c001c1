"""Files uploaded ahead of a create: slots in the storage, and the `runway://` URIs of what was put there.

The storage takes a form as Amazon S3 takes one that was signed beforehand: it knows no API key and
answers in XML. Of a file no more is kept than its kind, its length and its expiry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast
from urllib.parse import urlencode
from uuid import uuid4

from anyio import to_thread
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from runway_mcp.media_length import media_seconds
from runway_mcp.sandbox.body_issues import Issue, Schema, find_issues
from runway_mcp.sandbox.output_files import Kind, admits, sign

_SMALLEST, _LARGEST = 512, 200 * 1024 * 1024  # bytes of a file
_SLOT_LIFETIME = 3600.0  # seconds of clock time
_FILE_LIFETIME = 86_400.0  # seconds of clock time, from the upload on
_FORM = 64 * 1024  # bytes that a form may hold beside the file
_CONTENT_TYPES: Mapping[str, str] = {
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
_UNSIGNED = ("policy", "metadata")  # the signature itself, and what Runway's SDK may add to any form
_REQUEST: Schema = {
    "type": "object",
    "required": ["filename", "type"],
    "properties": {"filename": {"type": "string", "minLength": 3, "maxLength": 255}, "type": {"enum": ["ephemeral"]}},
}


@dataclass(frozen=True, slots=True)
class Upload:
    """What is kept of a file: `seconds` are its length, `expires` is in UNIX seconds."""

    kind: Kind
    seconds: Decimal | None
    expires: float


def check_slot_request(body: object) -> list[Issue]:
    """Return what is wrong with the body of a request for a slot."""
    issues = find_issues(body, _REQUEST)
    if not issues and _extension(cast("dict[str, str]", body)["filename"]) not in _CONTENT_TYPES:
        message = f"Invalid extension: expected one of {'|'.join(_CONTENT_TYPES)}"
        return [{"code": "custom", "path": ["filename"], "message": message}]
    return issues


class UploadSlots:
    """What was uploaded, and the right to upload.

    A slot is nothing but its form fields, signed with a key, so none is remembered.
    """

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.files: dict[str, Upload] = {}

    def reserve(self, filename: str, now: float) -> tuple[dict[str, str], str]:
        """Return the form fields that open the storage to one file for an hour, and the file's URI."""
        token = str(uuid4())
        fields = {"Content-Type": _CONTENT_TYPES[_extension(filename)], "key": token}
        policy = sign(self.key, urlencode(sorted(fields.items())), now + _SLOT_LIFETIME)
        return {**fields, "policy": policy}, f"runway://{token}"

    def kinds(self, now: float) -> Mapping[str, Kind]:
        """Return the kinds of the files that have not expired, by URI."""
        return {uri: file.kind for uri, file in self.files.items() if now < file.expires}

    def lengths(self, now: float) -> Mapping[str, Decimal]:
        """Return the seconds of the files that have not expired and say how long they last, by URI."""
        files = {uri: file.seconds for uri, file in self.files.items() if now < file.expires}
        return {uri: seconds for uri, seconds in files.items() if seconds is not None}

    async def store(self, request: Request, now: float) -> Response:
        """Take the file of a form: a slot's fields, unchanged, and then `file`."""
        if "Authorization" in request.headers:
            return _refuse("InvalidArgument", "Only one auth mechanism is allowed, and the form holds one.")
        length = request.headers.get("Content-Length")
        if length is None:
            return _refuse("MissingContentLength", "The header Content-Length is required.", status=411)
        if int(length) > _LARGEST + _FORM:
            return _refuse("EntityTooLarge", f"The file is larger than {_LARGEST} bytes.")
        try:
            async with request.form(max_files=1, max_fields=20, max_part_size=_FORM) as form:
                return await self._take(form.multi_items(), now)
        except HTTPException:
            return _refuse("MalformedPOSTRequest", "The body is not well-formed multipart/form-data.")
        except ClientDisconnect:
            return _refuse("RequestTimeout", "The connection was closed before the form was whole.")

    async def _take(self, items: Sequence[tuple[str, UploadFile | str]], now: float) -> Response:
        fields = {name: value for name, value in items if isinstance(value, str)}
        name, file = items[-1] if items else ("", "")
        if name != "file" or isinstance(file, str):
            return _refuse("InvalidArgument", "The form must end with the file, in a field named file.")
        signed = urlencode(sorted(field for field in fields.items() if field[0] not in _UNSIGNED))
        if not admits(self.key, fields.get("policy", ""), signed, now):
            return _refuse("AccessDenied", "Invalid according to Policy, or the policy has expired.", status=403)
        if (file.size or 0) < _SMALLEST:
            return _refuse("EntityTooSmall", f"The file is smaller than {_SMALLEST} bytes.")
        kind = cast("Kind", fields["Content-Type"].partition("/")[0])
        seconds = await to_thread.run_sync(media_seconds, file.file)
        self.files[f"runway://{fields['key']}"] = Upload(kind, seconds, now + _FILE_LIFETIME)
        return Response(status_code=204)


def _extension(filename: str) -> str:
    _, dot, rest = filename.rpartition(".")
    return f"{dot}{rest}".lower()


def _refuse(code: str, message: str, *, status: int = 400) -> Response:
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Response(f'<?xml version="1.0" encoding="UTF-8"?>\n{error}', status, media_type="application/xml")

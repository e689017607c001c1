"""The place that files are uploaded to: it takes a form as Amazon S3 takes one that was signed beforehand.

It knows no API key and answers in XML. A file goes through a temporary one on the disk while its
form is read, and is gone afterwards.
"""

import hashlib
from collections.abc import Sequence

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from runway_mcp.sandbox.uploads import Uploads

SMALLEST, LARGEST = 512, 200 * 1024 * 1024  # bytes of a file

_FORM = 64 * 1024  # bytes that a form may hold beside the file
_FIELDS = 20
_CHUNK = 1024 * 1024


async def store(uploads: Uploads, request: Request, now: float) -> Response:
    """Take the file of a form, or say why not.

    The form's fields are a slot's, unchanged, and the last one, ``file``, is the file.
    """
    if "Authorization" in request.headers:
        return _refuse("InvalidArgument", "Only one auth mechanism is allowed, and the form holds one.")
    length = request.headers.get("Content-Length")
    if length is None:
        return _refuse("MissingContentLength", "The header Content-Length is required.", status=411)
    if int(length) > LARGEST + _FORM:
        return _too_large()
    try:
        async with request.form(max_files=1, max_fields=_FIELDS, max_part_size=_FORM) as form:
            return await _take(uploads, form.multi_items(), now)
    except (HTTPException, UnicodeError):
        return _refuse("MalformedPOSTRequest", "The body is not well-formed multipart/form-data.")
    except ClientDisconnect:
        return _refuse("RequestTimeout", "The connection was closed before the form was whole.")


async def _take(uploads: Uploads, items: Sequence[tuple[str, UploadFile | str]], now: float) -> Response:
    form = [(name, value) for name, value in items if isinstance(value, str)]
    name, file = items[-1] if items else ("", "")
    if name != "file" or isinstance(file, str):
        return _refuse("InvalidArgument", "The form must end with the file, in a field named file.")
    if not uploads.admits(form, now):
        return _refuse("AccessDenied", "Invalid according to Policy, or the policy has expired.", status=403)
    size = file.size or 0
    if size > LARGEST:
        return _too_large()
    if size < SMALLEST:
        return _refuse("EntityTooSmall", f"The file is smaller than {SMALLEST} bytes.")
    digest = hashlib.md5(usedforsecurity=False)
    while chunk := await file.read(_CHUNK):
        digest.update(chunk)
    uploads.keep(form, now)
    return Response(status_code=204, headers={"ETag": f'"{digest.hexdigest()}"'})


def _too_large() -> Response:
    return _refuse("EntityTooLarge", f"The file is larger than {LARGEST} bytes.")


def _refuse(code: str, message: str, *, status: int = 400) -> Response:
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Response(f'<?xml version="1.0" encoding="UTF-8"?>\n{error}', status, media_type="application/xml")

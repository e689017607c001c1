"""Parts of a file on request (RFC 9110, section 14), so that a download that broke off can go on."""

import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response

from runway_mcp.sandbox import replies

_FORM = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))", re.IGNORECASE)


def ranged(request: Request, content: bytes, content_type: str) -> Response:
    """Answer a GET or HEAD with the content, or with the one range of it that is asked for.

    A request for several ranges, or for one of other content by ``If-Range``, gets all of it.
    """
    size, etag = len(content), f'"{hashlib.sha256(content).hexdigest()}"'
    headers = {"Accept-Ranges": "bytes", "ETag": etag}
    asked = None
    if request.method == "GET" and request.headers.get("If-Range", etag) == etag:
        asked = _read(request.headers.get("Range", ""), size)
    if asked is None:
        headers["Content-Length"] = str(size)
        return Response(b"" if request.method == "HEAD" else content, media_type=content_type, headers=headers)
    if not asked:
        refusal = replies.error(416, f"The file has {size} bytes, and none in this range.")
        refusal.headers["Content-Range"] = f"bytes */{size}"
        return refusal
    headers["Content-Range"] = f"bytes {asked.start}-{asked.stop - 1}/{size}"
    return Response(content[asked.start : asked.stop], 206, media_type=content_type, headers=headers)


def _read(header: str, size: int) -> range | None:
    """The places of the bytes that are asked for, of which there may be none; None where all are."""
    if not (found := _FORM.fullmatch(header)):
        return None
    first, last, suffix = found.groups()
    if suffix:
        return range(max(0, size - int(suffix)), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)

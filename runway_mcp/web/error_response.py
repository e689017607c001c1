"""Error responses over HTTP, in the form of Runway's own API.

Runway's SDKs repeat a request by themselves after 408, 409, 429 and 5xx, unless the response forbids it.
"""

import math
from collections.abc import Sequence
from typing import TypedDict

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

NO_STORE = {"Cache-Control": "no-store"}


class Issue(TypedDict, total=False):
    """One thing that is wrong with a request: where in it, and what."""

    code: str
    path: Sequence[str]
    message: str


def error_response(
    status: int, error: str, *, issues: Sequence[Issue] = (), retry: bool = False, retry_after: float | None = None
) -> JSONResponse:
    """Return the response to a request that failed.

    `error` says what happened and whether anything was changed. With `retry` a program may repeat the request by
    itself, after `retry_after` seconds.
    """
    headers = NO_STORE | ({} if retry else {"X-Should-Retry": "false"})
    if retry_after is not None:
        headers["Retry-After"] = str(math.ceil(retry_after))
    body: dict[str, object] = {"error": error}
    if issues:
        body["issues"] = issues
    return JSONResponse(body, status, headers)


def not_served(_request: Request, reason: Exception) -> Response:
    """Return the response to a request that no route takes."""
    assert isinstance(reason, HTTPException)  # noqa: S101 - it handles no other
    return JSONResponse({"error": f"{reason.detail}."}, reason.status_code, reason.headers)

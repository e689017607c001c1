"""What a request over REST that brings nothing is answered with: the API's own error object.

Runway's SDKs repeat by themselves what was answered with 408, 409, 429 or 5xx, unless the answer
forbids it.
"""

import math
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

NO_STORE = {"Cache-Control": "no-store"}
NO_RETRY = {"X-Should-Retry": "false"}


def optional(schema: dict[str, Any]) -> None:
    """Say nothing of a default in a field's schema: where there is no value, there is no field."""
    schema.pop("default", None)


class Issue(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(frozen=True, extra="allow", title="Issue")

    path: Sequence[str] = Field(description="Where in the request.")
    message: str = Field(description="What is wrong there.")


class Refusal(BaseModel):
    """Why a request brought nothing."""

    model_config = ConfigDict(frozen=True, extra="allow", title="Refusal")

    error: str = Field(description="What happened, and whether anything was changed; or OAuth's code of it.")
    error_description: str | SkipJsonSchema[None] = Field(
        default=None, description="Where the error is one of OAuth's: what it means.", json_schema_extra=optional
    )
    issues: Sequence[Issue] | SkipJsonSchema[None] = Field(
        default=None, description="With 400: what is wrong with the request.", json_schema_extra=optional
    )


def refused(
    status: int,
    error: str,
    *,
    issues: Sequence[Issue] = (),
    retry: bool = False,
    retry_after: float | None = None,
) -> JSONResponse:
    """Return the answer to a request that brought nothing.

    Args:
        status: The HTTP status.
        error: What happened, and whether anything was changed.
        issues: What is wrong with the request.
        retry: Whether a program may repeat the request by itself.
        retry_after: Seconds that it should wait before that.
    """
    headers = NO_STORE | ({} if retry else NO_RETRY)
    if retry_after is not None:
        headers["Retry-After"] = str(math.ceil(retry_after))
    refusal = Refusal(error=error, issues=issues or None)
    return JSONResponse(refusal.model_dump(exclude_none=True), status, headers)


def unserved(_request: Request, reason: Exception) -> Response:
    """Return the answer to a request for which there is no route, or not with its method."""
    assert isinstance(reason, HTTPException)  # noqa: S101 - it handles no other
    return JSONResponse({"error": f"{reason.detail}."}, reason.status_code, reason.headers)

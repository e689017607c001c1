"""A reply of the Runway API, or the lack of one, turned into a typed error or a whole body.

Only here are the HTTP library's errors, and a status with its body, translated. No text of either is repeated
unbounded.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

import anyio
import httpx2
from pydantic import JsonValue

from runway_mcp.api.errors import (
    AuthenticationError,
    BadRequestError,
    Issue,
    NetworkFailure,
    NotFoundError,
    RateLimitedError,
    ReplyProblem,
    RunwayError,
    UnavailableError,
    UnexpectedReplyError,
    UnreachableError,
    quote,
)
from runway_mcp.api.models import parse_json
from runway_mcp.api.retry import parse_retry_after

MAX_BODY = 4 * 1024 * 1024
"""Bytes of a reply, after decompression, that are read before it is refused."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply: its status, headers and decompressed body, and what takes the API key out of its texts."""

    status: int
    headers: httpx2.Headers
    body: bytes
    redact: Callable[[str], str]

    def json(self) -> JsonValue:
        """Return the body as JSON, or None where it is none."""
        try:
            return parse_json(self.body, self.redact)
        except ValueError:
            return None

    def unexpected(
        self, problem: ReplyProblem, detail: str = "", *, may_have_taken_effect: bool = False
    ) -> UnexpectedReplyError:
        """Return the error for a reply that is not what the API promises."""
        return UnexpectedReplyError(
            problem=problem,
            status=self.status,
            content_type=quote(self.redact(self.headers.get("Content-Type", "no content type")), 60),
            detail=detail,
            may_have_taken_effect=may_have_taken_effect,
        )


async def fetch(
    pool: httpx2.AsyncClient,
    method: str,
    url: str,
    sent: Mapping[str, JsonValue] | None,
    *,
    timeout: float,
    redact: Callable[[str], str],
) -> Reply:
    """Send one request, with `sent` as JSON where there is any, and return the whole of a reply that is a success.

    Raises:
        RunwayError: There was none within so many seconds.
    """
    with typed_errors(timeout), anyio.fail_after(timeout):
        async with pool.stream(method, url, json=sent) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BODY:
                    raise UnexpectedReplyError(
                        problem="too_large", status=response.status_code, may_have_taken_effect=True
                    )
    reply = Reply(response.status_code, response.headers, bytes(body), redact)
    if not response.is_success:
        raise error_for(reply, may_repeat=method != "POST")
    return reply


@contextmanager
def typed_errors(timeout: float) -> Generator[None]:
    """Turn every error of the layers below into one of ours.

    They are not chained: their text may hold what upstream said, and a traceback would show it.
    """
    try:
        yield
    except RunwayError:
        raise
    except TimeoutError:
        raise UnreachableError(failure="no_reply", timeout=timeout) from None
    except httpx2.DecodingError:
        raise UnexpectedReplyError(problem="undecodable", may_have_taken_effect=True) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, httpx2.CookieConflict, OSError) as error:
        failure = _failure(error)
        raise UnreachableError(
            failure=failure, quoted=quote(str(error)) if failure == "not_connected" else ""
        ) from None


def _failure(error: Exception) -> NetworkFailure:
    match error:
        case httpx2.ConnectTimeout():
            return "connect_timeout"
        case httpx2.ConnectError() | httpx2.ProxyError():
            return "not_connected"
        case httpx2.PoolTimeout():
            return "pool_timeout"
        case httpx2.TimeoutException():
            return "no_reply"
        case httpx2.UnsupportedProtocol() | httpx2.InvalidURL() | httpx2.LocalProtocolError():
            return "unusable_url"
        case _:
            return "connection_lost"


def error_for(reply: Reply, *, may_repeat: bool) -> RunwayError:
    """Return the error that a reply's status stands for; all but 2xx come here.

    Args:
        reply: The reply.
        may_repeat: Whether the request may be sent again though it may have been applied: only then is a wait that
            the reply asks for part of the error.
    """
    status = reply.status
    body = reply.json()
    is_from_the_api = not reply.body or isinstance(body, dict)
    said = body.get("error") if isinstance(body, dict) else None
    quoted = quote(said) if isinstance(said, str) else ""
    retry_after = parse_retry_after(reply.headers.get("Retry-After"), datetime.now(UTC))
    match status:
        case 401 | 403 if is_from_the_api:
            return AuthenticationError(status=status, quoted=quoted)
        case 404 if is_from_the_api:
            return NotFoundError(status=status)
        case 429:
            return RateLimitedError(status=status, quoted=quoted, retry_after=retry_after)
        case _ if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return UnavailableError(
                status=status,
                quoted=quoted,
                may_have_taken_effect=True,
                retry_after=retry_after if may_repeat else None,
            )
        case _ if status >= HTTPStatus.BAD_REQUEST and is_from_the_api:
            return BadRequestError(status=status, quoted=quoted, issues=list(_issues(body)))
        case _:
            return reply.unexpected("redirect" if httpx2.codes.is_redirect(status) else "foreign")


def _issues(body: JsonValue) -> Iterator[Issue]:
    entries = body.get("issues") if isinstance(body, dict) else None
    for entry in entries[:5] if isinstance(entries, list) else ():
        match entry:
            case {"path": [*path], "message": str(message)}:
                yield Issue(path=quote(".".join(map(str, path)), 80), message=quote(message))
            case _:
                pass

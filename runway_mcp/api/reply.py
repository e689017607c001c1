"""A reply of the Runway API, or the lack of one, turned into what it means.

Two translations stand here and nowhere else: from the HTTP library's errors to ours, and
from a status with its body to ours. No text of either is repeated unbounded.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

import anyio
import httpx2
from pydantic import JsonValue

from runway_mcp.api.errors import (
    AuthenticationError,
    BadRequestError,
    Issue,
    NotFoundError,
    RateLimitedError,
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

_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply: its status, headers and decompressed body, and what takes the API key out of its texts."""

    status: int
    headers: httpx2.Headers
    body: bytes
    redact: Callable[[str], str]

    def json(self) -> JsonValue:
        """The body as JSON, or None where it is none; for error bodies, whose form is no promise."""
        try:
            return parse_json(self.body, self.redact)
        except ValueError:
            return None

    @property
    def is_from_the_api(self) -> bool:
        """Whether the body is the API's error object, or empty, and not somebody else's page."""
        return not self.body or isinstance(self.json(), dict)

    @property
    def content_type(self) -> str:
        """What the body claims to be, as a bounded quotation."""
        return quote(self.redact(self.headers.get("Content-Type", "no content type")), 60)


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

    A POST waits all of `timeout` for it: it can't be sent again for a reply that was only slow.

    Raises:
        RunwayError: There was none within so many seconds.
    """
    limits = pool.timeout
    if method == "POST":
        limits = httpx2.Timeout(timeout, connect=limits.connect, pool=limits.pool)
    with typed_errors(timeout):
        with anyio.fail_after(timeout):
            async with pool.stream(method, url, json=sent, timeout=limits) as response:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_BODY:
                        raise UnexpectedReplyError(
                            f"Runway's reply is over {MAX_BODY // 1024**2} MiB and was not read on.",
                            status=response.status_code,
                            may_have_taken_effect=True,
                        )
    reply = Reply(response.status_code, response.headers, bytes(body), redact)
    if not response.is_success:
        raise_for(reply, may_repeat=method != "POST")
    return reply


def foreign(reply: Reply, note: str = "", *, may_have_taken_effect: bool = True) -> UnexpectedReplyError:
    """The error for a reply that is not Runway's; what was asked may have been done, unless its status refuses it."""
    return UnexpectedReplyError(
        f"The reply is not Runway's ({reply.status}, {reply.content_type}): a proxy or a wrong base URL "
        f"answered in its place.{note}",
        status=reply.status,
        may_have_taken_effect=may_have_taken_effect,
    )


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
        raise UnreachableError(
            f"Runway sent no whole reply within {timeout:.0f} s.", may_have_taken_effect=True
        ) from None
    except httpx2.DecodingError:
        raise UnexpectedReplyError("Runway's reply could not be decompressed.", may_have_taken_effect=True) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, httpx2.CookieConflict, OSError) as error:
        may_have_taken_effect = not isinstance(error, _NOT_SENT)
        raise UnreachableError(_describe(error), may_have_taken_effect=may_have_taken_effect) from None


def _describe(error: Exception) -> str:
    """What happened on the way, in our words; only what the operating system says is quoted."""
    match error:
        case httpx2.ConnectTimeout():
            return "Runway could not be reached: the connection was not made in time."
        case httpx2.ConnectError() | httpx2.ProxyError():
            return f"Runway could not be reached: {quote(str(error))}."
        case httpx2.PoolTimeout():
            return "The request was not sent: too many others are under way."
        case httpx2.TimeoutException():
            return "Runway sent no whole reply in time."
        case httpx2.UnsupportedProtocol() | httpx2.InvalidURL() | httpx2.LocalProtocolError():
            return "The request could not be sent: the base URL or the proxy setting is not usable."
        case _:
            return "The connection broke before Runway's whole reply had come."


def raise_for(reply: Reply, *, may_repeat: bool) -> NoReturn:
    """Raise the error that stands for a reply's status; all but 2xx come here.

    Args:
        reply: The reply.
        may_repeat: Whether the request may be sent again though it may have been applied: only then is a wait that
            the reply asks for part of the error.
    """
    status = reply.status
    said = _said(reply)
    retry_after = parse_retry_after(reply.headers.get("Retry-After"), datetime.now(UTC))
    wait = "" if retry_after is None else f" It asks to wait {retry_after:.0f} s."
    match status:
        case 401 | 403 if reply.is_from_the_api:
            raise AuthenticationError(
                f"Runway does not accept the API key ({status}{said}). Check RUNWAYML_API_SECRET; keys are made at "
                "https://dev.runwayml.com/.",
                status=status,
            )
        case 404 if reply.is_from_the_api:
            raise NotFoundError(
                "Runway has no such task: it was cancelled or deleted, never existed, or belongs to another key's "
                "organization.",
                status=404,
            )
        case 429:
            raise RateLimitedError(
                f"Runway limits the requests or the day's generations (429{said}).{wait}",
                status=429,
                retry_after=retry_after,
            )
        case _ if status == 408 or status >= 500:  # noqa: PLR2004 - HTTP's request time-out and server errors
            raise UnavailableError(
                f"Runway is unavailable ({status}{said}).{wait if may_repeat else ''}",
                status=status,
                may_have_taken_effect=True,
                retry_after=retry_after,
            )
        case _ if status >= 400 and reply.is_from_the_api:  # noqa: PLR2004 - HTTP's client errors
            issues = _issues(reply.json())
            listed = "".join(f" {issue}." for issue in issues)
            raise BadRequestError(f"Runway refuses the request ({status}{said}).{listed}", status=status, issues=issues)
        case _:
            raise foreign(reply, " Redirects are not followed.", may_have_taken_effect=False)


def _said(reply: Reply) -> str:
    """The `error` of the API's error body as a bounded quotation; empty for any other body."""
    match reply.json():
        case {"error": str(text)}:
            return f": {quote(text)}"
        case _:
            return ""


def _issues(body: JsonValue) -> list[Issue]:
    match body:
        case {"issues": [*entries]}:
            return [
                Issue(path=quote(".".join(map(str, path)), 80), message=quote(message))
                for entry in entries[:5]
                for path, message in _issue_parts(entry)
            ]
        case _:
            return []


def _issue_parts(entry: JsonValue) -> Iterator[tuple[list[JsonValue], str]]:
    match entry:
        case {"path": [*path], "message": str(message)}:
            yield path, message
        case _:
            return

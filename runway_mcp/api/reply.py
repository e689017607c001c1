"""A reply of the Runway API, or the lack of one, turned into a typed error or a whole body.

Only here are the HTTP library's errors, and a status with its body, translated. No text of either is repeated
unbounded.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TypeVar

import anyio
import httpx2
from pydantic import JsonValue

from runway_mcp.api import errors
from runway_mcp.api.errors import RunwayError, quote
from runway_mcp.api.models import parse_json
from runway_mcp.api.retry import parse_retry_after

MAX_BODY = 4 * 1024 * 1024
"""Bytes of a reply, after decompression, that are read before it is refused."""

_Parsed = TypeVar("_Parsed")
_NOT_SERVED = {501, 505, 511}
"""Failures with which the request was certainly not acted upon: 511 is a network's that asks for a login."""

_ABOUT_THE_ACCOUNT = re.compile(
    r"suspen|billing|payment|unpaid|overdue|past due|invoice|subscription|credit balance"
    r"|(enough|insufficient|out of|no|remaining|more) credits|credits? (exhausted|depleted|used up)"
    r"|\bquota\b|insufficient|(your|current) plan|trial (has )?(ended|expired)|(spending|credit) limit"
    r"|\b(account|organi[sz]ation|workspace|team)\b.{0,40}\b(banned|blocked|closed|deactivated|disabled|frozen|locked)",
    re.IGNORECASE,
)


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

    def parse(self, parser: Callable[[JsonValue], _Parsed], *, may_have_taken_effect: bool = False) -> _Parsed:
        """Return what `parser` makes of the body; its `ValueError` becomes an `UnexpectedReplyError`.

        A page in HTML is a network's own, whose request never left it.
        """
        try:
            return parser(parse_json(self.body, self.redact))
        except ValueError as error:
            is_page = self.headers.get("Content-Type", "").strip().lower().startswith("text/html")
            effect = may_have_taken_effect and not is_page
            raise self.unexpected("malformed", str(error), may_have_taken_effect=effect) from None

    def unexpected(
        self, problem: errors.ReplyProblem, detail: str = "", *, may_have_taken_effect: bool = False
    ) -> errors.UnexpectedReplyError:
        """Return the error for a reply that is not what the API promises."""
        return errors.UnexpectedReplyError(
            problem=problem,
            status=self.status,
            content_type=quote(self.redact(self.headers.get("Content-Type", "no content type")), 60),
            detail=detail,
            may_have_taken_effect=may_have_taken_effect,
        )


async def fetch(
    pool: httpx2.AsyncClient,
    method: str,
    path: str,
    sent: Mapping[str, JsonValue] | None,
    *,
    timeout: float,
    redact: Callable[[str], str],
) -> Reply:
    """Send one request, with `sent` as JSON where there is any, and return the whole of a reply that is a success.

    Raises:
        RunwayError: There was none within so many seconds.
    """
    try:
        with anyio.fail_after(timeout):
            async with pool.stream(method, path, json=sent) as response:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_BODY:
                        status = response.status_code
                        raise errors.UnexpectedReplyError(
                            problem="too_large", status=status, may_have_taken_effect=True
                        )
    # not chained: their text may hold what upstream said, and a traceback would show it
    except TimeoutError:
        raise errors.UnreachableError(failure="no_reply", timeout=timeout) from None
    except httpx2.DecodingError:
        raise errors.UnexpectedReplyError(problem="undecodable", may_have_taken_effect=True) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, httpx2.CookieConflict, OSError) as error:
        failure = _failure(error)
        quoted = quote(str(error)) if failure == "not_connected" else ""
        raise errors.UnreachableError(failure=failure, quoted=quoted) from None
    reply = Reply(response.status_code, response.headers, bytes(body), redact)
    if not response.is_success:
        raise _error_for(reply, may_repeat=method != "POST")
    return reply


def _failure(error: Exception) -> errors.NetworkFailure:
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


def _error_for(reply: Reply, *, may_repeat: bool) -> RunwayError:
    # where the request may not be sent again after it may have taken effect, a wait that is asked for is no matter
    status = reply.status
    body = reply.json()
    is_from_the_api = not reply.body or isinstance(body, dict)
    said = body.get("error") if isinstance(body, dict) else None
    quoted = quote(said) if isinstance(said, str) else ""
    retry_after = parse_retry_after(reply.headers.get("Retry-After"), datetime.now(UTC))
    is_about_the_account = status == HTTPStatus.PAYMENT_REQUIRED or _ABOUT_THE_ACCOUNT.search(quoted)
    match status:
        case 400 | 401 | 402 | 403 if is_from_the_api and (is_about_the_account or status in {401, 403}):
            kind = errors.AccountError if is_about_the_account else errors.AuthenticationError
            return kind(status=status, quoted=quoted)
        case 404 if is_from_the_api:
            return errors.NotFoundError(status=status)
        case 429:
            return errors.RateLimitedError(status=status, quoted=quoted, retry_after=retry_after)
        case _ if status == HTTPStatus.REQUEST_TIMEOUT or (
            status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in _NOT_SERVED
        ):
            return errors.UnavailableError(
                status=status,
                quoted=quoted,
                may_have_taken_effect=True,
                retry_after=retry_after if may_repeat else None,
            )
        case _ if status >= HTTPStatus.BAD_REQUEST and is_from_the_api:
            return errors.BadRequestError(status=status, quoted=quoted, issues=list(_issues(body)))
        case _:
            return reply.unexpected("redirect" if httpx2.codes.is_redirect(status) else "foreign")


def _issues(body: JsonValue) -> Iterator[errors.Issue]:
    entries = body.get("issues") if isinstance(body, dict) else None
    for entry in entries[:5] if isinstance(entries, list) else ():
        match entry:
            case {"path": [*path], "message": str(message)}:
                yield errors.Issue(path=quote(".".join(map(str, path)), 80), message=quote(message))
            case _:
                pass

"""The limits on concurrent requests, of one caller and of all, so that none takes all there is."""

from collections import Counter
from collections.abc import Hashable
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from runway_mcp.observability.request_record import RequestRecord
from runway_mcp.tasks.callers import ANONYMOUS
from runway_mcp.web.error_response import error_response

if TYPE_CHECKING:
    from runway_mcp.tasks.replica_counts import ReplicaCounts

MAX_REQUESTS = 750
"""Requests of all callers in flight."""


def sender_of(scope: Scope) -> Hashable:
    """Return what a request is counted by: its caller's identity, or its address if its caller is unknown."""
    caller = RequestRecord.from_scope(scope).caller
    return (scope["client"] or ("",))[0] if caller is ANONYMOUS else caller.identity


class RequestLimit:
    """Answers 429 to a caller with too many requests in flight, and 503 where all callers together have too many.

    A stream counts for as long as it is open. What a caller has on other replicas counts as far as it is known.

    Requests without a valid access token are counted by address. Otherwise one stranger could keep all others
    from learning how to get a token.
    """

    def __init__(self, app: ASGIApp, max_concurrent: int, counts: "ReplicaCounts | None" = None) -> None:
        self._app, self._max_concurrent, self._counts = app, max_concurrent, counts
        self._in_flight: Counter[Hashable] = Counter()
        if counts is not None:
            counts.here["requests"] = lambda: self._in_flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        who = sender_of(scope)
        elsewhere = self._counts.elsewhere("requests", who) if self._counts else 0
        if self._in_flight[who] + elsewhere >= self._max_concurrent:
            message = (
                f"{self._max_concurrent} requests of yours are under way, as many as one caller may have. This one was "
                "not handled, and nothing was changed: repeat it when another has ended."
            )
            await error_response(429, message, retry=True, retry_after=1)(scope, receive, send)
            return
        if self._in_flight.total() >= MAX_REQUESTS:
            message = f"This server has {MAX_REQUESTS} requests in flight and no room for more. Nothing was changed."
            await error_response(503, message, retry=True, retry_after=1)(scope, receive, send)
            return
        self._in_flight[who] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_flight[who] -= 1
            if not self._in_flight[who]:
                del self._in_flight[who]

"""Graceful shutdown: requests in flight get a complete response, and new ones are sent elsewhere.

Uvicorn alone would refuse connections at once, wait without telling anybody why, and then cancel requests from
outside. That breaks responses off and logs a traceback for each.
"""

from collections.abc import Callable

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runway_mcp.web.error_response import error_response

GRACE_SECONDS = 1.0
"""How long requests may go on after a stop signal, or after the last change has ended."""
MAX_SECONDS = 6.5
"""How long they may go on in total."""
LAST_SECONDS = 1.5
"""How long changes may go on after that; one DELETE with its whole deadline fits in."""
IN_FLIGHT_KEY = "runway.in_flight"

_TICK_SECONDS = 0.02

_turned_away = error_response(
    503, "The server is stopping. This request was not handled, and nothing was changed.", retry=True, retry_after=1
)
_cut_off = error_response(
    503, "The server is stopping. This request was cut off: before a change is repeated, see how the task stands."
)
for _answer in (_turned_away, _cut_off):
    _answer.headers["Connection"] = "close"


class GracefulShutdown:
    """The shutdown of a server.

    Args:
        changes: Returns how many changes are running, with or without a caller.

    Attributes:
        ends: Functions that end waits and streams. Called repeatedly while requests are in flight.
    """

    def __init__(
        self,
        *,
        changes: Callable[[], int] = lambda: 0,
        grace_seconds: float = GRACE_SECONDS,
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        self.has_begun = False
        self.ends: list[Callable[[], object]] = []
        self._changes = changes
        self._grace_seconds = grace_seconds
        self._max_seconds = max_seconds
        self._in_flight: set[InFlightRequest] = set()

    def guard(self, app: ASGIApp) -> ASGIApp:
        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
            elif self.has_begun:
                await _turned_away(scope, receive, send)
            else:
                request = scope[IN_FLIGHT_KEY] = InFlightRequest(scope["method"], send)
                self._in_flight.add(request)
                try:
                    await request.run(app, scope, receive)
                finally:
                    self._in_flight.discard(request)

        return guarded

    async def finish(self) -> None:
        """Return when no request is in flight, or when the time is up; each request gets a complete response."""
        self.has_begun = True
        started = now = anyio.current_time()
        until = started + self._grace_seconds
        while (self._in_flight or self._changes()) and now < until:
            for end in self.ends:
                end()
            await anyio.sleep(_TICK_SECONDS)
            now = anyio.current_time()
            if self._changes():
                until = min(now + self._grace_seconds, started + self._max_seconds)
        for request in self._in_flight:
            request.cut_off()


class InFlightRequest:
    """A request that can be ended at any time with a complete response."""

    def __init__(self, method: str, send: Send) -> None:
        self._method = method
        self._send = send
        self._cancel_scope = anyio.CancelScope()
        self._has_begun = False
        self._has_ended = False

    def cut_off(self) -> None:
        """Cancel the request. The client gets a 503, or the end of a response that has begun."""
        self._cancel_scope.cancel()

    async def run(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        with self._cancel_scope:
            await app(scope, receive, self._observe)
        if self._cancel_scope.cancelled_caught and not self._has_begun:
            answer = _turned_away if self._method in {"GET", "HEAD"} else _cut_off
            await answer(scope, receive, self._send)
        elif self._cancel_scope.cancelled_caught and not self._has_ended:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _observe(self, message: Message) -> None:
        await self._send(message)
        self._has_begun = True
        self._has_ended = message["type"] == "http.response.body" and not message.get("more_body", False)

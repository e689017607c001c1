"""The end of serving, in order: what is under way is answered, and what comes then is told to go elsewhere.

Uvicorn would refuse connections at once, wait without telling anybody why, and then cancel requests from
outside, which breaks responses off and logs a traceback for each.
"""

from collections.abc import Callable

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runway_mcp.web.error_response import refused

GRACE_SECONDS = 1.0
"""How long requests may go on after a stop signal, or after the last change has ended."""
MAX_SECONDS = 6.5
"""How long they may at all."""
LAST_SECONDS = 1.5
"""How long changes may then go on; one DELETE with its whole deadline fits in."""

_TICK_SECONDS = 0.02

_turned_away = refused(
    503, "The server is stopping. This request was not handled, and nothing was changed.", retry=True, retry_after=1
)
_cut_off = refused(
    503, "The server is stopping. This request was cut off: before a change is repeated, see how the task stands."
)
for _answer in (_turned_away, _cut_off):
    _answer.headers["Connection"] = "close"


class GracefulShutdown:
    """How serving ends.

    Attributes:
        has_begun: Whether it is ending.
    """

    def __init__(
        self,
        *,
        end: Callable[[], object] | None = None,
        changes: Callable[[], int] = lambda: 0,
        grace_seconds: float = GRACE_SECONDS,
        longest_seconds: float = MAX_SECONDS,
    ) -> None:
        """Take what belongs to the end.

        Args:
            end: Has waits and streams come to their end now. Called again and again while any goes on.
            changes: How many changes are under way, with a caller or without.
            grace_seconds: In place of `GRACE_SECONDS`.
            longest_seconds: In place of `MAX_SECONDS`.
        """
        self.has_begun = False
        self._ends = [end] if end else []
        self._changes = changes
        self._grace_seconds = grace_seconds
        self._longest_seconds = longest_seconds
        self._requests: set[_Request] = set()

    def also(self, end: Callable[[], object]) -> None:
        """Have this called at the end too."""
        self._ends.append(end)

    def guard(self, app: ASGIApp) -> ASGIApp:
        """Return `app` with its requests' end in our hands."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
            elif self.has_begun:
                await _turned_away(scope, receive, send)
            else:
                request = _Request(scope["method"], send)
                self._requests.add(request)
                try:
                    await request.run(app, scope, receive)
                finally:
                    self._requests.discard(request)

        return guarded

    async def finish(self) -> None:
        """Return once no request is under way, or as few as could be ended in time; each gets a whole response."""
        self.has_begun = True
        started = now = anyio.current_time()
        until = started + self._grace_seconds
        while (self._requests or self._changes()) and now < until:
            for end in self._ends:
                end()
            for request in self._requests:
                if request.is_stream:
                    request.cut_off()
            await anyio.sleep(_TICK_SECONDS)
            now = anyio.current_time()
            if self._changes():
                until = min(now + self._grace_seconds, started + self._longest_seconds)
        for request in self._requests:
            request.cut_off()


class _Request:
    """One request under way, which can be ended with a whole response."""

    def __init__(self, method: str, send: Send) -> None:
        self._method = method
        self._send = send
        self._scope = anyio.CancelScope()
        self._has_begun = False
        self._has_ended = False

    @property
    def is_stream(self) -> bool:
        """Whether it has no end of its own: the stream that a GET opens."""
        return self._method == "GET" and self._has_begun and not self._has_ended

    def cut_off(self) -> None:
        self._scope.cancel()

    async def run(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        with self._scope:
            await app(scope, receive, self._observe)
        if self._scope.cancelled_caught and not self._has_begun:
            answer = _turned_away if self._method in {"GET", "HEAD"} else _cut_off
            await answer(scope, receive, self._send)
        elif self._scope.cancelled_caught and not self._has_ended:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _observe(self, message: Message) -> None:
        await self._send(message)
        self._has_begun = True
        self._has_ended = message["type"] == "http.response.body" and not message.get("more_body", False)

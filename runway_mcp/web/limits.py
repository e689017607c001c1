"""How much one caller may ask for at once, so that none takes all there is."""

from collections import Counter
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from runway_mcp.calls import Call

if TYPE_CHECKING:
    from collections.abc import Hashable


class RequestLimit:
    """Answers 429 to a caller who has too many requests under way."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._under_way: Counter[Hashable] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        who = Call.within(scope).caller.identity
        if self._under_way[who] >= self._most:
            message = f"{self._most} requests of yours are under way; this one was not handled, and changed nothing."
            await JSONResponse({"error": message}, 429, {"Retry-After": "1"})(scope, receive, send)
            return
        self._under_way[who] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way[who] -= 1
            if not self._under_way[who]:
                del self._under_way[who]

"""How much one caller may ask for at once, so that none takes all there is."""

from collections import Counter
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from runway_mcp.observability.request_record import RequestRecord
from runway_mcp.tasks.callers import ANONYMOUS
from runway_mcp.web.error_response import refused

if TYPE_CHECKING:
    from collections.abc import Hashable


class RequestLimit:
    """Answers 429 to a caller who has too many requests under way; a stream is one for as long as it is open.

    Strangers, who showed no access token where one is asked for, are told apart by their address: else
    one of them could keep the others from learning how to get a token.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._under_way: Counter[Hashable] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        who = _who(scope)
        if self._under_way[who] >= self._most:
            message = (
                f"{self._most} requests of yours are under way, as many as one caller may have. This one was not "
                "handled, and nothing was changed: repeat it when another has ended."
            )
            await refused(429, message, retry=True, retry_after=1)(scope, receive, send)
            return
        self._under_way[who] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way[who] -= 1
            if not self._under_way[who]:
                del self._under_way[who]


def _who(scope: Scope) -> "Hashable":
    caller = RequestRecord.from_scope(scope).caller
    return (scope["client"] or ("",))[0] if caller is ANONYMOUS else caller.identity

"""One record for each request over HTTP: it names the request, and is told of at its end."""

from collections.abc import Callable, Sequence
from secrets import token_hex
from time import perf_counter

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runway_mcp.calls import SCOPE_KEY, Call
from runway_mcp.tasks.callers import Caller

Tell = Callable[[Call, int, float], None]
"""Hears of a request at its end: its record, the status of the answer, and the seconds that it took."""


class Recorded:
    """Makes each request's record, answers with its id, and tells of it at its end."""

    def __init__(self, app: ASGIApp, caller: Caller, tell: Sequence[Tell]) -> None:
        self._app = app
        self._caller = caller
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = scope[SCOPE_KEY] = Call(id=token_hex(8), caller=self._caller)
        started = perf_counter()
        status = 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = call.id
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            for tell in self._tell:
                tell(call, status, perf_counter() - started)

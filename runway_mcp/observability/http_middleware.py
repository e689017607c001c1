"""Makes one record for each request over HTTP, and reports it at its end."""

from collections.abc import Sequence
from itertools import count
from secrets import token_hex

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runway_mcp.observability.request_record import OTHER, SCOPE_KEY, OnRequestEnd, RequestRecord, in_flight
from runway_mcp.tasks.callers import Caller

VERBS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class HttpRequestMiddleware:
    """Makes each request's record, answers with its id, and reports it at its end."""

    def __init__(self, app: ASGIApp, caller: Caller, on_request_end: Sequence[OnRequestEnd]) -> None:
        self._app = app
        self._caller = caller
        self._on_request_end = on_request_end
        self._process = token_hex(4)
        self._numbers = count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = scope[SCOPE_KEY] = RequestRecord(id=f"{self._process}{next(self._numbers):08x}", caller=self._caller)

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = record.id
            await send(message)

        with in_flight(record, self._on_request_end):
            try:
                await self._app(scope, receive, note)
            except Exception:
                record.status = record.status or 500
                raise
            finally:
                if not record.method:
                    _name(record, scope)


def _name(record: RequestRecord, scope: Scope) -> None:
    verb = scope["method"] if scope["method"] in VERBS else OTHER
    if "endpoint" in scope and not scope.get("path_params"):
        record.method = f"{verb} {scope['path']}"
    else:
        record.method, record.requested = verb, scope["path"]

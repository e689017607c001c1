"""Deadlines for clients that begin a request and never end it, or never read its answer: uvicorn sets none."""

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from runway_mcp.observability.request_record import RequestRecord
from runway_mcp.tasks.callers import ANONYMOUS
from runway_mcp.web.error_response import refused

HEADER_SECONDS = 20.0
READING_SECONDS = 20.0
BODY_SECONDS = 20.0
LEAST_READ = 16 * 1024
"""Bytes of what is ready for it that a client has to read in `READING_SECONDS`."""
MAX_BODY = 4 * 1024 * 1024
"""Bytes of a request's body."""

_too_large = refused(413, f"The request's body is over {MAX_BODY // 1024**2} MiB; nothing was done.")
_stalled = refused(408, "The request's body did not come in time; nothing was done.", retry=True)
_stalled.headers["Connection"] = "close"


class DeadlineProtocol(H11Protocol):
    """Ends a connection on which no whole request head comes in time, or on which the client does not read."""

    header_seconds = HEADER_SECONDS
    reading_seconds = READING_SECONDS
    _head: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _unread = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for the first request."""
        super().connection_made(transport)
        # Whatever the system does not take at once counts as unread: also the last bytes before a close.
        transport.set_write_buffer_limits(high=0)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take what came; go on waiting unless it completed a request's head."""
        super().data_received(data)
        self._await_head()

    def on_response_complete(self) -> None:
        """Go on to what came behind the request; of a head that is not whole, wait for the rest."""
        super().on_response_complete()
        if self.conn.trailing_data[0]:
            self._await_head()

    def pause_writing(self) -> None:
        """Have the app wait, and the client read."""
        super().pause_writing()
        self._await_reading()

    def resume_writing(self) -> None:
        """Have the app go on: everything was read."""
        self._reading = _off(self._reading)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._head, self._reading = _off(self._head), _off(self._reading)
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self.cycle and not self.cycle.response_complete:
            self._head = _off(self._head)
        elif self._head is None and not self.transport.is_closing():
            self._head = self.loop.call_later(self.header_seconds, self.transport.abort)

    def _await_reading(self) -> None:
        self._unread = self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(self.reading_seconds, self._check_reading)

    def _check_reading(self) -> None:
        if self.transport.get_write_buffer_size() > self._unread - LEAST_READ:
            self.transport.abort()
        else:
            self._await_reading()


def _off(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


class BodyDeadline:
    """Gathers a request's body before the app sees it; one that stalls is answered with 408, a large one with 413.

    Of a stranger, who showed no access token where one is asked for, nothing is read: whatever the app has for
    them takes no body, and the rest it refuses.
    """

    def __init__(self, app: ASGIApp, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or answer it in the app's place."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if int(declared[:20]) > MAX_BODY:  # digits only: the HTTP parser refuses anything else
            await _too_large(scope, receive, send)
            return
        if RequestRecord.from_scope(scope).caller is ANONYMOUS:
            await self._app(scope, receive, send)
            return
        body = bytearray()
        more = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                while more and len(body) <= MAX_BODY:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            await _too_large(scope, receive, send)
            return
        if more:
            await _stalled(scope, receive, send)
            return
        gathered: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return gathered.pop() if gathered else await receive()

        await self._app(scope, replay, send)

"""Deadlines for clients that begin a request and never end it: uvicorn and the SDK set none."""

import asyncio

import anyio
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 20.0
BODY_SECONDS = 20.0
LARGEST_BODY = 4 * 1024 * 1024
"""Bytes over which a body is not gathered here: the SDK refuses it with 413, without waiting for it."""


class HeaderDeadlineProtocol(H11Protocol):
    """Closes a connection on which no whole request head comes within `seconds`."""

    seconds = HEADER_SECONDS
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came; go on waiting unless it completed a request's head."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.cycle and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class BodyDeadline:
    """Gathers a request's body before the app sees it; one that stalls is answered with 408."""

    def __init__(self, app: ASGIApp, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or answer it in the app's place."""
        declared = Headers(scope=scope).get("content-length", "") if scope["type"] == "http" else ""
        if scope["type"] != "http" or (declared.isdigit() and int(declared[:20]) > LARGEST_BODY):
            await self._app(scope, receive, send)
            return
        gathered: list[Message] = []
        with anyio.move_on_after(self._seconds) as deadline:
            size = 0
            while size <= LARGEST_BODY:
                message = await receive()
                gathered.append(message)
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    break
        if deadline.cancelled_caught:
            await PlainTextResponse("The request's body did not come in time.", 408, {"Connection": "close"})(
                scope, receive, send
            )
            return
        gathered.reverse()

        async def replay() -> Message:
            return gathered.pop() if gathered else await receive()

        await self._app(scope, replay, send)

"""Requests that are still under way when the server is told to stop: ended in order, not torn down.

Uvicorn would cancel their tasks from outside, which breaks responses off and logs a traceback
for each.
"""

import anyio
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Stoppable:
    """Runs an app's requests so that `stop` can end them, each with a whole response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._running: set[anyio.CancelScope] = set()

    def stop(self) -> None:
        """Cancel every request under way."""
        for request in self._running:
            request.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; what is not part of one passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = has_ended = False

        async def observe(message: Message) -> None:
            nonlocal has_begun, has_ended
            has_begun = True
            has_ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        with anyio.CancelScope() as request:
            self._running.add(request)
            try:
                await self._app(scope, receive, observe)
            finally:
                self._running.discard(request)
        if request.cancelled_caught and not has_begun:
            await PlainTextResponse("The server is stopping.", 503)(scope, receive, send)
        elif request.cancelled_caught and not has_ended:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

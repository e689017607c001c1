"""The body of a request to the MCP endpoint: read within limits, and checked before it is decoded."""

from collections import Counter

import anyio
from mcp_types import INTERNAL_ERROR, ErrorData, JSONRPCError
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runway_mcp.mcp_server.message_reader import CONTEXT, MAX_BYTES, UnreadableMessageError, read_message, too_long
from runway_mcp.observability.request_record import RequestRecord
from runway_mcp.tasks.callers import WRITE
from runway_mcp.web.error_response import NO_STORE
from runway_mcp.web.limits import sender_of

BODY_SECONDS = 20.0
MAX_READER_BYTES = 64 * 1024
"""Bytes of a body whose caller may only read. Only what starts or uploads holds whole files."""
SMALL_BYTES = 16 * 1024
"""Bytes of a body that the budgets never refuse: a call that holds no file."""
MAX_CALLER_BYTES = 8 * 1024 * 1024
"""Bytes of all bodies of one caller in flight."""
MAX_TOTAL_BYTES = 20 * 1024 * 1024
"""Bytes of all bodies in flight. Each takes up to six times its size until its request ends."""

_LATER = (
    "Nothing was done. Repeat the call when another has ended, or pass files by URL, or upload them first with "
    "runway_uploadFile."
)

_STALLED = "The request's body did not arrive in time. Nothing was done."
_HEADERS = {408: {"Connection": "close"}, 429: {"Retry-After": "1"}, 503: {"Retry-After": "1"}}


class RequestBody:
    """Gives the app whole bodies that hold one message each, and counts their bytes until their requests end.

    It answers 400 to what is no message, 408 to what does not arrive in time, 413 to what is too large, 429 while
    the caller has too much in flight, and 503 while all callers together have.
    """

    def __init__(self, app: ASGIApp, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._seconds = seconds
        self._held: Counter[object] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Body(scope, self._held)
        try:
            with anyio.fail_after(self._seconds):
                await body.read(receive)
            message: Message = {"type": "http.request", "body": body.message(), "more_body": False}
        except _ClientGoneError:
            return
        except (_RefusedError, TimeoutError) as error:
            refused = error if isinstance(error, _RefusedError) else _RefusedError(408, _STALLED)
            await refused.response()(scope, receive, send)
        else:
            replayed = [message]
            del message

            async def replay() -> Message:
                return replayed.pop() if replayed else await receive()

            await self._app(scope, replay, send)
        finally:
            body.release()


class _ClientGoneError(Exception):
    """The client has gone before its body was complete."""


class _RefusedError(Exception):
    def __init__(self, status: int, refusal: str | JSONRPCError) -> None:
        super().__init__(status)
        self._status = status
        self._refusal = refusal

    def response(self) -> Response:
        """Return the refusal as a JSON-RPC error, which every MCP client reads."""
        refusal = self._refusal
        if isinstance(refusal, str):
            refusal = JSONRPCError(jsonrpc="2.0", id=None, error=ErrorData(code=INTERNAL_ERROR, message=refusal))
        headers = {**NO_STORE, **_HEADERS.get(self._status, {})}
        content = refusal.model_dump_json(by_alias=True, exclude_unset=True)
        return Response(content, self._status, headers, media_type="application/json")


class _Body:
    """The body of one request, whose bytes are among the `held` ones of its sender."""

    def __init__(self, scope: Scope, held: Counter[object]) -> None:
        can_write = WRITE in RequestRecord.from_scope(scope).caller.scopes
        self._limit = MAX_BYTES if can_write else MAX_READER_BYTES
        self._sender = sender_of(scope)
        self._held = held
        self._size = self._arrived = 0
        self._pieces: list[bytes] = []
        declared = Headers(scope=scope).get("content-length", "")
        self._declared = int(declared) if declared.isdecimal() else 0

    async def read(self, receive: Receive) -> None:
        is_complete = False
        while not is_complete:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _ClientGoneError
            self._add(message.get("body", b""))
            is_complete = not message.get("more_body", False)

    def message(self) -> bytes:
        """Return the body's message, and keep no copy of it."""
        body = b"".join(self._pieces)
        self._pieces.clear()
        try:
            return read_message(body)[0]
        except UnreadableMessageError as error:
            raise _RefusedError(413 if error.too_large else 400, error.answers[0]) from None

    def release(self) -> None:
        self._held[self._sender] -= self._size
        if not self._held[self._sender]:
            del self._held[self._sender]

    def _add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._arrived += len(piece)
        before, self._size = self._size, max(self._arrived, self._declared)
        self._held[self._sender] += self._size - before
        if self._size > self._limit:
            error = too_long(b"".join(self._pieces)[:CONTEXT], b"", self._limit)
            raise _RefusedError(413, error.answers[0])
        if self._size <= SMALL_BYTES:
            return
        if self._held[self._sender] > MAX_CALLER_BYTES:
            raise _RefusedError(429, f"Your calls in flight hold over {MAX_CALLER_BYTES // 1024**2} MiB. {_LATER}")
        if self._held.total() > MAX_TOTAL_BYTES:
            raise _RefusedError(503, f"All calls in flight hold over {MAX_TOTAL_BYTES // 1024**2} MiB. {_LATER}")

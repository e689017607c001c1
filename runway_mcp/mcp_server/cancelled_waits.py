"""Ends a wait whose client has cancelled it over HTTP with a handshake, where each message comes as a POST of its own.

Such a client, once its time is out, leaves the wait's stream open and sends `notifications/cancelled`. Without sessions
only its caller, its address, its program and the request's id tell whose wait is meant.
"""

from collections import defaultdict
from typing import Any

import anyio
from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.requests import Request

from runway_mcp.mcp_server.tools.wait import WAIT_FOR_TASK
from runway_mcp.observability.request_record import RequestRecord

REQUEST_CANCELLED = -32800
"""The SDK's code for it in these revisions, whose streams end with an answer."""


class CancelledWaits:
    """The MCP middleware that ends cancelled waits; it ends none where two could be meant."""

    def __init__(self) -> None:
        self._waits: defaultdict[object, list[anyio.CancelScope]] = defaultdict(list)

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        params = ctx.params or {}
        if ctx.request is None or ctx.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS:
            return await call_next(ctx)
        if ctx.method == "notifications/cancelled":
            self._cancel(_key(ctx.request, params.get("requestId")))
        elif ctx.method == "tools/call" and params.get("name") == WAIT_FOR_TASK.name:
            return await self._cancellable(_key(ctx.request, ctx.request_id), ctx, call_next)
        return await call_next(ctx)

    def _cancel(self, key: object) -> None:
        if len(waits := self._waits.get(key, [])) == 1:
            waits[0].cancel()

    async def _cancellable(
        self, key: object, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        scope = anyio.CancelScope()
        self._waits[key].append(scope)
        try:
            with scope:
                return await call_next(ctx)
        finally:
            self._waits[key].remove(scope)
            if not self._waits[key]:
                del self._waits[key]
        raise MCPError(REQUEST_CANCELLED, "The client cancelled this wait. The task was not changed.")


def _key(request: Request, request_id: object) -> object:
    address = request.client.host if request.client else ""
    caller = RequestRecord.from_scope(request.scope).caller
    return caller.identity, address, request.headers.get("user-agent"), repr(request_id)

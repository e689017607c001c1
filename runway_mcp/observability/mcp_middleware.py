"""Adds the method, tool and outcome of an MCP message to its request's record.

HTTP has made the record already. For stdio it is made here, if anything takes it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import anyio
from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult
from mcp_types.methods import SPEC_CLIENT_METHODS, SPEC_CLIENT_NOTIFICATION_METHODS

from runway_mcp.observability.request_record import OTHER, OnRequestEnd, RequestRecord, in_flight
from runway_mcp.tasks.callers import Caller

METHODS = SPEC_CLIENT_METHODS | SPEC_CLIENT_NOTIFICATION_METHODS | {"tasks/cancel", "tasks/get", "tasks/update"}


@dataclass(frozen=True, slots=True)
class McpRequestMiddleware:
    """The MCP middleware that completes the request's record.

    The caller and `on_request_end` are for requests that don't come over HTTP.
    """

    caller: Caller
    tools: Collection[str]
    on_request_end: Sequence[OnRequestEnd]

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.request is not None:
            return await self._noted(RequestRecord.from_scope(ctx.request.scope), ctx, call_next)
        if not self.on_request_end or ctx.request_id is None:
            return await call_next(ctx)
        record = RequestRecord(id=token_hex(8), caller=self.caller)
        with in_flight(record, self.on_request_end):
            return await self._noted(record, ctx, call_next)

    async def _noted(
        self, record: RequestRecord, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        record.method, unknown = _one_of(METHODS, ctx.method)
        if ctx.method == "tools/call":
            record.tool, unknown = _one_of(self.tools, (ctx.params or {}).get("name"))
        record.requested = unknown
        try:
            result = await call_next(ctx)
        except MCPError as error:
            record.outcome = f"error {error.code}"
            raise
        except anyio.get_cancelled_exc_class():
            record.outcome = "cancelled"
            raise
        except Exception:
            record.outcome = "failed"
            raise
        match result:
            case CallToolResult(is_error=True) | {"isError": True}:
                record.outcome = "tool_error"
            case _:
                pass
        return result


def _one_of(known: Collection[str], requested: object) -> tuple[str, str]:
    if isinstance(requested, str):
        return (requested, "") if requested in known else (OTHER, requested)
    return OTHER, ""

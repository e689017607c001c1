"""What a request's record says of its MCP message: the method, the tool, and how it ended.

Over HTTP the record is there already. Over stdio it is made here, where somebody wants to hear of it.
"""

from collections.abc import Collection, Sequence
from secrets import token_hex
from typing import Any

import anyio
from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult
from mcp_types.methods import SPEC_CLIENT_METHODS, SPEC_CLIENT_NOTIFICATION_METHODS

from runway_mcp.observability.request_record import OTHER, OnRequestEnd, RequestRecord, under_way
from runway_mcp.tasks.callers import Caller

METHODS = SPEC_CLIENT_METHODS | SPEC_CLIENT_NOTIFICATION_METHODS | {"tasks/cancel", "tasks/get", "tasks/update"}


class McpRequestMiddleware:
    """The middleware that notes in a request's record what it is and how it ends."""

    def __init__(self, caller: Caller, tools: Collection[str], tell: Sequence[OnRequestEnd]) -> None:
        """Take what a record can name.

        Args:
            caller: Whose a request is that comes with no HTTP request around it.
            tools: The names of the tools.
            tell: What hears of such a request at its end; of the others, HTTP tells.
        """
        self._caller = caller
        self._tools = tools
        self._tell = tell

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Handle one message."""
        if ctx.request is not None:
            return await self._noted(RequestRecord.from_scope(ctx.request.scope), ctx, call_next)
        if not self._tell or ctx.request_id is None:
            return await call_next(ctx)
        call = RequestRecord(id=token_hex(8), caller=self._caller)
        with under_way(call, self._tell):
            return await self._noted(call, ctx, call_next)

    async def _noted(
        self, call: RequestRecord, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        call.method, unknown = _one_of(METHODS, ctx.method)
        if ctx.method == "tools/call":
            call.tool, unknown = _one_of(self._tools, (ctx.params or {}).get("name"))
        call.asked = unknown
        try:
            result = await call_next(ctx)
        except MCPError as error:
            call.outcome = f"error {error.code}"
            raise
        except anyio.get_cancelled_exc_class():
            call.outcome = "cancelled"
            raise
        except Exception:
            call.outcome = "failed"
            raise
        match result:
            case CallToolResult(is_error=True) | {"isError": True}:
                call.outcome = "tool error"
            case _:
                pass
        return result


def _one_of(known: Collection[str], asked: object) -> tuple[str, str]:
    """What a name is recorded as, and the name itself where it is not known."""
    if isinstance(asked, str):
        return (asked, "") if asked in known else (OTHER, asked)
    return OTHER, ""

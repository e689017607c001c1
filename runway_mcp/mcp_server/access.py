"""Who may do what: each request served as its caller's, and only within their scopes.

Which scope a request needs is read off the annotations of the tool that does the same, so that a
tool, its MCP task and its REST route can't come to differ.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_REQUEST

from runway_mcp.mcp_server.tools.tasks import CANCEL_TASK
from runway_mcp.mcp_server.tools.toolset import Tool
from runway_mcp.observability.request_record import RequestRecord
from runway_mcp.tasks.callers import READ, WRITE, CallerRegistry

OPEN_METHODS = frozenset(
    {
        "initialize",
        "logging/setLevel",
        "ping",
        "prompts/get",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "server/discover",
        "tools/list",
    }
)
"""What tells nothing of any task, so that it needs no scope."""

_DOES_THE_SAME = {"tasks/cancel": CANCEL_TASK}
"""The tool that does what a method of MCP tasks does. Any method that is named nowhere here reads."""


def scope_of(tool: Tool) -> str:
    """The scope that calling a tool needs."""
    return READ if tool.annotations.read_only_hint else WRITE


class Access:
    """The middleware that lets a caller do what they may, with what is theirs.

    A request that comes with no HTTP request around it comes from the process's own caller, whose use
    cases are the server's lifespan context; any other has its caller's put there.
    """

    def __init__(self, callers: CallerRegistry, tools: Iterable[Tool]) -> None:
        self._callers = callers
        self._tools = {tool.name: tool for tool in tools}

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Handle one message as its caller's, or refuse it."""
        if ctx.request is None:
            return await call_next(ctx)
        record = RequestRecord.from_scope(ctx.request.scope)
        if ctx.request_id is not None and ctx.method not in OPEN_METHODS:
            tool = self._tools.get(_tool(ctx.method, ctx.params)) or _DOES_THE_SAME.get(ctx.method)
            needed = scope_of(tool) if tool else READ
            if needed not in record.caller.scopes:
                record.missing_scope = needed
                raise MCPError(INVALID_REQUEST, f"This needs the scope {needed}, which the access token lacks.")
        context = await self._callers.of(record.caller)
        if context is not ctx.lifespan_context:
            ctx = replace(ctx, lifespan_context=context)
        return await call_next(ctx)


def _tool(method: str, params: Mapping[str, Any] | None) -> str:
    name = (params or {}).get("name") if method == "tools/call" else None
    return name if isinstance(name, str) else ""

"""Gives each request its caller's context, and refuses what their scopes don't allow.

The annotations of the tool that does the same decide which scope a request needs, so that a tool, its MCP task and its
REST route can't differ.
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
        "resources/templates/list",
        "server/discover",
        "tools/list",
    }
)
"""Methods that show no task, so that they need no scope."""

_DOES_THE_SAME = {"tasks/cancel": CANCEL_TASK}
"""The tool that does the same as a method of MCP tasks. Any other method reads."""


def scope_of(tool: Tool) -> str:
    """Return the scope that a tool needs."""
    return READ if tool.annotations.read_only_hint else WRITE


class Access:
    """The MCP middleware for callers and scopes.

    A request without HTTP comes from the process's own caller, whose context is the server's lifespan context.
    """

    def __init__(self, callers: CallerRegistry, tools: Iterable[Tool]) -> None:
        self._callers = callers
        self._tools = {tool.name: tool for tool in tools}

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.request is None:
            return await call_next(ctx)
        record = RequestRecord.from_scope(ctx.request.scope)
        if ctx.request_id is not None and ctx.method not in OPEN_METHODS:
            tool = self._tools.get(_tool(ctx.method, ctx.params)) or _DOES_THE_SAME.get(ctx.method)
            needed = WRITE if _saves(ctx.method, ctx.params) else scope_of(tool) if tool else READ
            if needed not in record.caller.scopes:
                record.missing_scope = needed
                raise MCPError(INVALID_REQUEST, f"This needs the scope {needed}, which the access token lacks.")
        context = await self._callers.of(record.caller)
        if context is not ctx.lifespan_context:
            ctx = replace(ctx, lifespan_context=context)
        result = await call_next(ctx)
        match result:
            case {"capabilities": {"resources": {"subscribe": True} as resources}} if ctx.method == "initialize":
                # Over HTTP the revisions with a handshake have no session here, and so no stream for updates.
                del resources["subscribe"]
            case _:
                pass
        return result


def _saves(method: str, params: Mapping[str, Any] | None) -> bool:
    """Whether a call asks a tool that reads to save what it finds, too."""
    match params:
        case {"arguments": {"save": value}} if method == "tools/call":
            return str(value).strip().lower() not in {"", "none", "null", "false", "0"}
        case _:
            return False


def _tool(method: str, params: Mapping[str, Any] | None) -> str:
    name = (params or {}).get("name") if method == "tools/call" else None
    return name if isinstance(name, str) else ""

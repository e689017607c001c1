"""The extension as the SDK mounts it: its methods, and the tool calls that become MCP tasks.

The SDK checks neither that a request declares the extension nor the header that names an MCP
task; both are checked here. What a connection declared earlier doesn't count: in the revision
that has the extension, each request speaks for itself, and older revisions never see any of it.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import HEADER_MISMATCH, INVALID_PARAMS, CallToolRequestParams
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from runway_mcp.mcp_server.tasks_extension import wire
from runway_mcp.mcp_server.tasks_extension.subscriptions import McpTaskSubscriptions
from runway_mcp.mcp_server.tasks_extension.wire import McpTasks, UnknownMcpTaskError

_REVISIONS = frozenset(MODERN_PROTOCOL_VERSIONS)


class McpTasksExtension(Extension):
    """`io.modelcontextprotocol/tasks` over any holder of the contract.

    Attributes:
        subscriptions: The middleware that serves `taskIds` in `subscriptions/listen`. The server needs it beside
            the extension, for the SDK lets an extension add methods but not touch those of the protocol.
    """

    identifier = wire.EXTENSION_ID

    def __init__(self, tasks_of: Callable[[ServerRequestContext[Any, Any]], McpTasks]) -> None:
        self._tasks_of = tasks_of
        self.subscriptions = McpTaskSubscriptions(tasks_of)

    def methods(self) -> Sequence[MethodBinding]:
        return (
            MethodBinding("tasks/get", wire.McpTaskParams, self._get, _REVISIONS),
            MethodBinding("tasks/update", wire.UpdateMcpTaskParams, self._update, _REVISIONS),
            MethodBinding("tasks/cancel", wire.McpTaskParams, self._cancel, _REVISIONS),
        )

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        if not _declares(ctx):
            return await call_next(ctx)
        answer = await self._tasks_of(ctx).call(params, partial(call_next, ctx))
        return wire.create_result(answer) if isinstance(answer, wire.McpTask) else answer

    async def _get(self, ctx: ServerRequestContext[Any, Any], params: wire.McpTaskParams) -> HandlerResult:
        with self._asked(ctx, params) as tasks:
            return wire.get_result(await tasks.get(params.task_id))

    async def _update(self, ctx: ServerRequestContext[Any, Any], params: wire.UpdateMcpTaskParams) -> HandlerResult:
        with self._asked(ctx, params) as tasks:
            await tasks.update(params.task_id, params.input_responses)
        return wire.acknowledgement()

    async def _cancel(self, ctx: ServerRequestContext[Any, Any], params: wire.McpTaskParams) -> HandlerResult:
        with self._asked(ctx, params) as tasks:
            await tasks.cancel(params.task_id)
        return wire.acknowledgement()

    @contextmanager
    def _asked(self, ctx: ServerRequestContext[Any, Any], params: wire.McpTaskParams) -> Generator[McpTasks]:
        if ctx.request is not None and decode_header_value(ctx.request.headers.get(MCP_NAME_HEADER)) != params.task_id:
            raise MCPError(HEADER_MISMATCH, f"The {MCP_NAME_HEADER} header must be the request's taskId.")
        require_client_extension(ctx, wire.EXTENSION_ID)
        try:
            yield self._tasks_of(ctx)
        except UnknownMcpTaskError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error


def _declares(ctx: ServerRequestContext[Any, Any]) -> bool:
    declared = ctx.session.client_capabilities
    return ctx.protocol_version in _REVISIONS and bool(declared and wire.EXTENSION_ID in (declared.extensions or {}))

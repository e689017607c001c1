"""What stands between the extension and whatever does the work.

The extension keeps nothing of an MCP task: each question is passed on with the id alone, so that
every process that can reach the same work gives the same answer. What it passes to a client it
passes unchanged; that results hold no unpaired surrogates is for the contract's holder to see to.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Protocol

from mcp.server.context import HandlerResult
from mcp_types import CallToolRequestParams
from pydantic import JsonValue

from runway_mcp.mcp_server.tasks_extension.wire import McpTask

RunTool = Callable[[], Awaitable[HandlerResult]]


class UnknownMcpTaskError(Exception):
    """There is no MCP task of that id, or the text can't be an id. Its message goes to the client."""


class McpTasks(Protocol):
    """The MCP tasks that one caller may see.

    All but `call` raise `UnknownMcpTaskError`. Each may raise `MCPError`, which the client gets as it is.
    """

    async def call(self, params: CallToolRequestParams, run: RunTool) -> McpTask | HandlerResult:
        """Answer a tool call with an MCP task that `get` finds everywhere, or with what the tool says."""
        ...

    async def get(self, task_id: str) -> McpTask: ...

    async def update(self, task_id: str, input_responses: Mapping[str, JsonValue]) -> None:
        """Take answers to input requests; those to no open request are ignored."""
        ...

    async def cancel(self, task_id: str) -> None:
        """Take note of the wish to cancel. Whether and when it is met is seen from the status."""
        ...

    def watch(self, task_id: str) -> AsyncGenerator[McpTask]:
        """Yield the state as it stands, then each change of it, until a final one."""
        ...

"""The extension's shapes, as its specification draws them, and what holds its MCP tasks.

The extension keeps nothing of an MCP task: each question is passed on with the id alone, so that every process that can
reach the same work gives the same answer. Results hold no unpaired surrogates: their holder sees to that.

A time to live of null means without end and must be written, so MCP tasks become dictionaries here: the SDK leaves out
what is None in a model.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol

from mcp.server.context import HandlerResult
from mcp_types import CallToolRequestParams, RequestParams
from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue, PositiveInt
from pydantic.alias_generators import to_camel

EXTENSION_ID = "io.modelcontextprotocol/tasks"
NOTIFICATION = "notifications/tasks"

RunTool = Callable[[], Awaitable[HandlerResult]]


class McpTask(BaseModel):
    """The state of an MCP task; `result` is what the request itself would have returned, a tool's error included."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True)

    task_id: str
    status: Literal["working", "input_required", "completed", "failed", "cancelled"]
    created_at: AwareDatetime
    last_updated_at: AwareDatetime
    ttl_ms: PositiveInt | None = None
    status_message: str | None = None
    poll_interval_ms: PositiveInt | None = None
    result: dict[str, JsonValue] | None = None


_SEED = McpTask.model_fields.keys() - {"result"}


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


class McpTaskParams(RequestParams):
    """What `tasks/get` and `tasks/cancel` are about."""

    task_id: str


class UpdateMcpTaskParams(McpTaskParams):
    """What `tasks/update` brings: answers to input requests, by the requests' keys."""

    input_responses: dict[str, JsonValue]


def create_result(task: McpTask) -> dict[str, Any]:
    """The answer to a call that became an MCP task: its first state, without what `tasks/get` adds to it."""
    return _dump(task, only={*_SEED}) | {"resultType": "task"}


def get_result(task: McpTask) -> dict[str, Any]:
    """The answer to `tasks/get`."""
    return _dump(task) | acknowledgement()


def acknowledgement() -> dict[str, Any]:
    """The answer to `tasks/update` and `tasks/cancel`."""
    return {"resultType": "complete"}


def notification_params(task: McpTask, meta: dict[str, Any]) -> dict[str, Any]:
    """What `notifications/tasks` carries: the same MCP task that `tasks/get` would return."""
    return _dump(task) | {"_meta": meta}


def _dump(task: McpTask, *, only: set[str] | None = None) -> dict[str, Any]:
    return task.model_dump(mode="json", by_alias=True, exclude_none=True, include=only) | {"ttlMs": task.ttl_ms}

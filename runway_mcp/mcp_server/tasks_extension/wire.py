"""The extension's shapes, as its specification draws them, and how they are written.

A time to live of null means without end and must be written, so MCP tasks become dictionaries
here: the SDK leaves out what is None in a model.
"""

from typing import Any, Literal

from mcp_types import RequestParams
from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue, PositiveInt
from pydantic.alias_generators import to_camel

EXTENSION_ID = "io.modelcontextprotocol/tasks"
NOTIFICATION = "notifications/tasks"


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

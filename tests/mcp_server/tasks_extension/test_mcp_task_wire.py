"""The shapes of MCP tasks, as the specification draws them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from conformance.mcp_memory import JobMcpTask
from mcp_types import ErrorData
from pydantic import ValidationError

from runway_mcp.mcp_server.tasks_extension import wire

THEN = datetime(2026, 11, 21, 10, tzinfo=UTC)
KNOWN: dict[str, Any] = {"task_id": "one", "created_at": THEN, "last_updated_at": THEN}
BASE = {"taskId": "one", "createdAt": "2026-11-21T10:00:00Z", "lastUpdatedAt": "2026-11-21T10:00:00Z", "ttlMs": None}

CASES: tuple[tuple[wire.McpTask, dict[str, Any]], ...] = (
    (wire.McpTask(**KNOWN, status="working"), {"status": "working"}),
    (wire.McpTask(**KNOWN, status="working", status_message="half"), {"status": "working", "statusMessage": "half"}),
    (
        wire.McpTask(**KNOWN, status="working", ttl_ms=60_000, poll_interval_ms=5_000),
        {"status": "working", "ttlMs": 60_000, "pollIntervalMs": 5_000},
    ),
    (
        JobMcpTask(**KNOWN, status="input_required", input_requests={"name": {"method": "elicitation/create"}}),
        {"status": "input_required", "inputRequests": {"name": {"method": "elicitation/create"}}},
    ),
    (
        wire.McpTask(**KNOWN, status="completed", result={"content": [], "structuredContent": {"none": None}}),
        {"status": "completed", "result": {"content": [], "structuredContent": {"none": None}}},
    ),
    (
        JobMcpTask(**KNOWN, status="failed", error=ErrorData(code=-32603, message="broken")),
        {"status": "failed", "error": {"code": -32603, "message": "broken"}},
    ),
    (wire.McpTask(**KNOWN, status="cancelled"), {"status": "cancelled"}),
)


@pytest.mark.parametrize(("task", "fields"), CASES)
def test_every_state_is_written_as_the_specification_draws_it(task: wire.McpTask, fields: dict[str, Any]) -> None:
    """A time to live without end is written as null; what is optional and missing is left out."""
    assert wire.get_result(task) == BASE | fields | {"resultType": "complete"}
    assert wire.notification_params(task, {"a": 1}) == BASE | fields | {"_meta": {"a": 1}}


@pytest.mark.parametrize(("task", "fields"), CASES)
def test_a_new_mcp_task_has_no_result_yet(task: wire.McpTask, fields: dict[str, Any]) -> None:
    """What `tasks/get` adds for a status is not in the answer to the call, whose result type says what it is."""
    seed = {name: value for name, value in fields.items() if name not in {"result", "error", "inputRequests"}}
    assert wire.create_result(task) == BASE | seed | {"resultType": "task"}


@pytest.mark.parametrize("milliseconds", [0, -1, 1.5])
@pytest.mark.parametrize("name", ["ttl_ms", "poll_interval_ms"])
def test_times_are_whole_milliseconds(name: str, milliseconds: float) -> None:
    with pytest.raises(ValidationError):
        wire.McpTask.model_validate(KNOWN | {"status": "working", name: milliseconds})


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError):
        wire.McpTask.model_validate(KNOWN | {"status": "working", "created_at": THEN.replace(tzinfo=None)})

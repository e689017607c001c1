"""Makes tool results from what the operations return or raise.

A task's JSON is passed on as it is. Our sentences about it stand in blocks of their own.
"""

import json
import re
from collections.abc import Mapping

from mcp_types import CallToolResult, TextContent
from pydantic import JsonValue

from runway_mcp.api.errors import RunwayError, TransientError
from runway_mcp.api.models import Task
from runway_mcp.mcp_server import messages
from runway_mcp.tasks.failure_advice import advice
from runway_mcp.tasks.operations import Change, StillActiveError, UnclearOutcomeError
from runway_mcp.tasks.waiting import Waited

MAX_JSON = 400_000
"""Characters of a result's JSON: text and structured content together stay below the 1,048,576 that hosts take."""

MAX_COST = 1_000
"""Characters of a task's cost and estimate in a change's result; usually a few dozen."""

_INVISIBLE = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def task_result(task: Task) -> CallToolResult:
    """Return the API's task object as compact JSON and structured content, with advice if it FAILED."""
    text = compact_json(task.data)
    if len(text) > MAX_JSON:
        return error_result(
            f"Task {task.id} is {messages.describe_task(task)}, but its JSON has {len(text):,} characters, more than "
            "MCP hosts accept, and is not shown. Nothing was changed."
        )
    notes = [f"Advice on this failure: {advice(task.failure_code)}"] if task.status == "FAILED" else []
    return _result(text, notes, task.data)


def awaited_result(task: Task) -> CallToolResult:
    """Return `task_result`, marked as an error if the task FAILED."""
    result = task_result(task)
    result.is_error = result.is_error or task.status == "FAILED"
    return result


def wait_result(waited: Waited) -> CallToolResult:
    """Return the one task waited for, with a note if it has not finished."""
    (state,) = waited.states.values()
    assert state.task is not None  # noqa: S101 - a wait that never saw its task is an error
    result = awaited_result(state.task)
    if state.task.is_active:
        note = f"Not finished after {waited.seconds:.0f} s: {messages.describe_task(state.task)}. {messages.GOES_ON}"
        if state.last_error:
            note += f" The latest read failed: {messages.explain(state.last_error)}"
        result.content.append(TextContent(text=note))
    return result


def waits_result(waited: Waited) -> CallToolResult:
    """Return several tasks as a JSON list in the order asked for; an error only if every one FAILED."""
    states = [waited.states[task_id] for task_id in waited.task_ids]
    tasks: list[JsonValue] = []
    for task_id, state in zip(waited.task_ids, states, strict=True):
        lost = state.unavailable
        if state.task is None or lost is not None:
            tasks.append({"id": task_id, "error": messages.explain(lost or TransientError())})
        else:
            tasks.append(dict(state.task.data))
    text = compact_json(tasks)
    if len(text) > MAX_JSON:
        return error_result(f"The tasks' JSON has {len(text):,} characters, more than MCP hosts accept. Ask for fewer.")
    active = sum(not state.is_final for state in states)
    still = f"{active} of {len(states)} have not finished after {waited.seconds:.0f} s. {messages.GOES_ON}"
    failed = all(state.task is not None and state.task.status == "FAILED" for state in states)
    return _result(text, [still] if active else [], {"tasks": tasks}, is_error=failed)


def change_result(change: Change, *, deleter: str = "runway_deleteTask") -> CallToolResult:
    """Return what was done; `deleter` is the tool that deletes a task that was left alone."""
    done = change.outcome if change.outcome in {"cancelled", "deleted"} else "nothing"
    return _changed(done, messages.describe_change(change, deleter=deleter), change.task_id, change.before)


def change_error(
    error: RunwayError | StillActiveError | UnclearOutcomeError, *, reader: str = "runway_getTask"
) -> CallToolResult:
    """Return why a change did not happen, or may have; `reader` is the tool that reads the task."""
    text = messages.explain_change(error, reader=reader)
    if isinstance(error, StillActiveError):
        return _changed("nothing", text, error.task.id, error.task, is_error=True)
    return error_result(text)


def read_error(error: RunwayError) -> CallToolResult:
    """Return why a task could not be read."""
    return error_result(messages.explain_read(error))


def json_result(data: Mapping[str, JsonValue], *notes: str) -> CallToolResult:
    """Return an object as compact JSON and structured content, with notes about it."""
    return _result(compact_json(data), list(notes), data)


def error_result(text: str) -> CallToolResult:
    """Return a tool error with one text block."""
    return CallToolResult(content=[TextContent(text=text)], is_error=True)


def compact_json(value: Mapping[str, JsonValue] | list[JsonValue]) -> str:
    """Return JSON without spaces, with characters that hide or reorder text as escapes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text if text.isascii() and "\x7f" not in text else _INVISIBLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1] if match[0] != "\x7f" else "\\u007f"


def _changed(done: str, sentence: str, task_id: str, before: Task | None, *, is_error: bool = False) -> CallToolResult:
    data: dict[str, JsonValue] = {"id": task_id, "done": done, "statusBefore": before.status if before else None}
    if before is not None:
        costs = {name: before.data[name] for name in ("cost", "estimatedCost") if name in before.data}
        data |= costs if len(compact_json(costs)) <= MAX_COST else {}
    return _result(compact_json(data), [sentence], data, is_error=is_error)


def _result(text: str, notes: list[str], data: Mapping[str, JsonValue], *, is_error: bool = False) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(text=block) for block in (text, *notes)],
        structured_content=dict(data),
        is_error=is_error,
    )

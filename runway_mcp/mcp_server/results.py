"""From what the use cases return or raise to what a model reads: the one translation.

A task's JSON is passed on as it is. Whatever is said about it stands in a block of its own,
in our words.
"""

import json
import re
from collections.abc import Mapping

from mcp_types import CallToolResult, TextContent
from pydantic import JsonValue, ValidationError

from runway_mcp.api.errors import NotFoundError, RunwayError, TransientError, quote
from runway_mcp.api.models import Task
from runway_mcp.mcp_server.task_messages import explain
from runway_mcp.tasks.failure_advice import advice
from runway_mcp.tasks.operations import Change, StillActiveError, UnclearOutcomeError
from runway_mcp.tasks.poll_loop import TaskState
from runway_mcp.tasks.waiting import Waited

MAX_JSON = 400_000
"""Characters of one task's JSON: text and structured content together stay below the 1,048,576 that hosts take."""

MAX_COST = 1_000
"""Characters of a task's cost and estimate, a few dozen in truth, that a change's result passes on."""

_INVISIBLE = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def task_result(task: Task) -> CallToolResult:
    """The API's task object as compact JSON and as structured content; advice follows where it FAILED."""
    text = compact_json(task.data)
    if len(text) > MAX_JSON:
        return error_result(
            f"Task {task.id} is {quote(task.status, 40)}, but its JSON has {len(text):,} characters, more than "
            "MCP hosts accept, and is not shown. Nothing was changed."
        )
    notes = [f"Advice on this failure: {advice(task.failure_code)}"] if task.status == "FAILED" else []
    return _result(text, notes, task.data)


def awaited_result(task: Task) -> CallToolResult:
    """As `task_result` has it; where it FAILED, an error too, for what was waited for did not come."""
    result = task_result(task)
    if task.status == "FAILED":
        result.is_error = True
    return result


def wait_result(waited: Waited) -> CallToolResult:
    """The one task waited for; where the time was up before it had finished, that is said beside it."""
    (state,) = waited.states.values()
    assert state.task is not None  # noqa: S101 - a wait that never saw its task is an error
    result = awaited_result(state.task)
    if state.task.is_active:
        result.content.append(TextContent(text=_still(waited, state)))
    return result


def waits_result(waited: Waited) -> CallToolResult:
    """Several tasks as a JSON list in the order asked for; an error only where every one FAILED."""
    states = [waited.states[task_id] for task_id in waited.task_ids]
    tasks: list[JsonValue] = [
        dict(state.task.data)
        if state.task and not state.unavailable
        else {"id": task_id, "error": str(state.unavailable)}
        for task_id, state in zip(waited.task_ids, states, strict=True)
    ]
    text = compact_json(tasks)
    if len(text) > MAX_JSON:
        return error_result(f"The tasks' JSON has {len(text):,} characters, more than MCP hosts accept. Ask for fewer.")
    active = sum(not state.is_final for state in states)
    still = (
        f"{active} of {len(states)} have not finished after {waited.seconds:.0f} s. They go on at Runway; calling "
        "runway_waitForTask again goes on waiting."
    )
    failed = all(state.task is not None and state.task.status == "FAILED" for state in states)
    return _result(text, [still] if active else [], {"tasks": tasks}, is_error=failed)


def change_result(change: Change, *, deleter: str = "runway_deleteTask") -> CallToolResult:
    """What was done, as JSON and structured content, and a sentence that says it.

    Args:
        change: What was done.
        deleter: The tool that deletes a task that was left alone.
    """
    done = change.outcome if change.outcome in {"cancelled", "deleted"} else "nothing"
    return _changed(done, _sentence(change, deleter), change.task_id, change.before)


def change_error(
    error: RunwayError | StillActiveError | UnclearOutcomeError, *, reader: str = "runway_getTask"
) -> CallToolResult:
    """Why a change did not happen, or may have, and which call settles it.

    Args:
        error: What went wrong.
        reader: The tool that shows how the task stands.
    """
    match error:
        case StillActiveError(task=task):
            return _changed(
                "nothing",
                f"Refused: the task is {quote(task.status, 40)}, not finished. Nothing was changed. "
                "To stop it, call runway_cancelTask.",
                task.id,
                task,
                is_error=True,
            )
        case UnclearOutcomeError():
            return error_result(
                f"The request was sent, but what it did is not known. {explain(error)} The task may be changed or not; "
                f"nothing was bought. {reader}, which changes nothing, shows how it stands."
            )
        case _:
            settles = f" {reader} shows how the task stands." if isinstance(error, TransientError) else ""
            return error_result(f"{error} The task was not changed.{settles}")


def read_error(error: RunwayError) -> CallToolResult:
    """Why a task could not be read. A read changes nothing, and the error says so."""
    match error:
        case TransientError():
            after = "Nothing was changed: the task goes on at Runway. Reading it again later is free."
        case NotFoundError():
            after = "Nothing was changed. Check the id; a removed task can't be brought back."
        case _:
            after = "Nothing was changed."
    return error_result(f"{error} {after}")


def argument_error(tool: str, error: ValidationError) -> str:
    """What is wrong with a call's arguments, by name and without their values."""
    wrong = "; ".join(
        f"{quote('.'.join(map(str, entry['loc'])), 40)}: {entry['msg']}"
        for entry in error.errors(include_input=False, include_url=False, include_context=False)[:5]
    )
    return f"The arguments of {tool} are not valid: {wrong}. Nothing was sent to Runway."


def json_result(data: Mapping[str, JsonValue], *notes: str) -> CallToolResult:
    """An object as compact JSON and as structured content, and what we say about it."""
    return _result(compact_json(data), list(notes), data)


def error_result(text: str) -> CallToolResult:
    """A tool error with one text block."""
    return CallToolResult(content=[TextContent(text=text)], is_error=True)


def compact_json(value: Mapping[str, JsonValue] | list[JsonValue]) -> str:
    """JSON without spaces, in which characters that hide or reorder text are written as escapes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text if text.isascii() and "\x7f" not in text else _INVISIBLE.sub(_escape, text)


def _still(waited: Waited, state: TaskState) -> str:
    assert state.task is not None  # noqa: S101 - it is the task's state that is described
    trouble = f" The latest read failed: {state.last_error}" if state.last_error else ""
    return (
        f"Not finished after {waited.seconds:.0f} s: {describe(state.task)}. It goes on at Runway; calling "
        f"runway_waitForTask again goes on waiting.{trouble}"
    )


def describe(task: Task) -> str:
    """A task's status and, where it is known, how much of it is done: "RUNNING, 45 %"."""
    status = task.status if task.status.isalpha() and len(task.status) < 40 else quote(task.status, 40)  # noqa: PLR2004
    done = progress(task)
    return status if done is None else f"{status}, {done:.0%}".replace("%", " %")


def progress(task: Task) -> float | None:
    """How much of a task is done, 0 to 1; None where the API does not say."""
    done = task.data.get("progress")
    return float(min(max(done, 0), 1)) if isinstance(done, int | float) and not isinstance(done, bool) else None


def _escape(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1] if match[0] != "\x7f" else "\\u007f"


def _sentence(change: Change, deleter: str) -> str:
    before = change.before.status if change.before else None
    match change.outcome, before:
        case "cancelled", "PENDING" | "THROTTLED":
            text = "Cancelled."
        case "cancelled", _:
            text = "Cancelled. Credits of a task that was running are not refunded."
        case "deleted", _:
            text = "Deleted, together with its output. Nothing is refunded."
        case "finished", "CANCELLED":
            text = "Nothing to do: the task was already cancelled."
        case "gone", "CANCELLED":
            text = "Nothing to do: the task was cancelled before, and Runway keeps no output of it."
        case "gone", None:
            text = (
                "Nothing to do: Runway has no such task. It was cancelled or deleted before, never existed, or belongs "
                "to another key's organization."
            )
        case "gone", _:
            text = "Nothing to do: somebody else removed the task in the same moment."
        case _:
            text = (
                "Left alone: the task had already finished, and its output, if any, is intact. "
                f"To delete task and output, call {deleter}."
            )
    return text


def _changed(done: str, sentence: str, task_id: str, before: Task | None, *, is_error: bool = False) -> CallToolResult:
    data: dict[str, JsonValue] = {
        "id": task_id,
        "done": done,
        "statusBefore": before.status if before else None,
    }
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

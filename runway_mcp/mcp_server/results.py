"""Makes tool results from what the operations return or raise.

A host shows a model all blocks, or the structured content alone, or of an error the first block alone. So our
sentences about a result are its note: a block of its own and `note` in the structured content. On an error the note
comes first. The JSON is the API's own object, with nothing added.
"""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import groupby

from mcp_types import CallToolResult, TextContent
from pydantic import JsonValue

from runway_mcp.api.errors import RunwayError, TransientError
from runway_mcp.api.models import InvalidTaskIdError, Task
from runway_mcp.mcp_server import messages, task_messages
from runway_mcp.tasks.operations import Change, StillActiveError, UnclearOutcomeError
from runway_mcp.tasks.poll_loop import TaskState
from runway_mcp.tasks.poller import CallerLimitError
from runway_mcp.tasks.waiting import Until, Waited

MAX_JSON = 400_000
"""Characters of a result's JSON: text and structured content together stay below the 1,048,576 that hosts take."""

MAX_COST = 1_000
"""Characters of a task's cost and estimate in a change's result; usually a few dozen."""

_INVISIBLE = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)

Failure = RunwayError | StillActiveError | UnclearOutcomeError
"""Why a change did not happen, or may have."""


def task_result(task: Task, *notes: str) -> CallToolResult:
    """Return the API's task object; the note says first that it FAILED, and what to do about it."""
    size = len(compact_json(task.data))
    if size > MAX_JSON:
        return error_result(
            f"Task {task.id} is {task_messages.describe_task(task)}, but its JSON has {size:,} characters, more than "
            "MCP hosts accept, and is not shown. Nothing was changed."
        )
    failed = [task_messages.describe_failure(task)] if task.status == "FAILED" else []
    return json_result(task.data, *failed, *notes)


def wait_result(waited: Waited, *notes: str) -> CallToolResult:
    """Return the one task waited for; the note says whether it has not finished."""
    (state,) = waited.states.values()
    assert state.task is not None  # noqa: S101 - a wait that never saw its task is an error
    if not state.task.is_active:
        return task_result(state.task, *notes)
    still = f"Not finished after {waited.seconds:.0f} s: {task_messages.describe_task(state.task)}. {messages.GOES_ON}"
    failed = [f"The latest read failed: {messages.explain(state.last_error)}"] if state.last_error else []
    return task_result(state.task, still, *failed, *notes)


def waits_result(waited: Waited, until: Until) -> CallToolResult:
    """Return several tasks in the order asked for; one that can't be read is its id and an `error`."""
    states = [waited.states[task_id] for task_id in waited.task_ids]
    tasks: list[JsonValue] = []
    for task_id, state in zip(waited.task_ids, states, strict=True):
        lost = state.unavailable
        if state.task is None or lost is not None:
            tasks.append({"id": task_id, "error": messages.explain(lost or TransientError())})
        else:
            tasks.append(dict(state.task.data))
    return _list_result(tasks, *_failures(states), *_unfinished(waited, until))


def change_result(change: Change, *, deleter: str = "runway_deleteTask") -> CallToolResult:
    """Return what was done; `deleter` is the tool that deletes a task that was left alone."""
    return json_result(_change(change), task_messages.describe_change(change, deleter=deleter))


def change_error(error: Failure, *, reader: str = "runway_getTask") -> CallToolResult:
    """Return why a change did not happen, or may have; `reader` is the tool that reads the task."""
    text = messages.explain_change(error, reader=reader)
    return error_result(text, _left(error) if isinstance(error, StillActiveError) else None)


def changes_result(changes: Mapping[str, Change | Failure]) -> CallToolResult:
    """Return what was done to each of several tasks: an error only where nothing came of any."""
    tasks: list[JsonValue] = []
    said: dict[str, list[str]] = {}
    for task_id, change in changes.items():
        if isinstance(change, Change):
            text = task_messages.describe_change(change)
            tasks.append(_change(change))
        else:
            text = messages.explain_change(change)
            entry: dict[str, JsonValue] = _left(change) if isinstance(change, StillActiveError) else {"id": task_id}
            tasks.append({**entry, "error": text})
        said.setdefault(text, []).append(task_id)
    notes = [f"{', '.join(ids)}: {text}" for text, ids in said.items()]
    if all(isinstance(change, Exception) for change in changes.values()):
        return error_result(" ".join(notes), {"tasks": tasks})
    return _list_result(tasks, *notes)


def read_error(error: RunwayError | InvalidTaskIdError | CallerLimitError) -> CallToolResult:
    """Return why a task could not be read, or was not asked for."""
    return error_result(messages.explain_read(error) if isinstance(error, RunwayError) else messages.explain(error))


def json_result(data: Mapping[str, JsonValue], *notes: str) -> CallToolResult:
    """Return an object as compact JSON and structured content, with a note of these sentences."""
    return _success(compact_json(data), data, notes)


def error_result(text: str, data: Mapping[str, JsonValue] | None = None) -> CallToolResult:
    """Return a tool error: what happened, then the data about it, if any."""
    blocks = [text] if data is None else [text, compact_json(data)]
    return CallToolResult(
        content=[TextContent(text=block) for block in blocks],
        structured_content=None if data is None else {**data, "note": text},
        is_error=True,
    )


def with_notes(result: CallToolResult, notes: Sequence[str]) -> CallToolResult:
    """Return a result whose note goes on with these sentences."""
    if not notes:
        return result
    texts = [block.text for block in result.content if isinstance(block, TextContent)]
    others = [block for block in result.content if not isinstance(block, TextContent)]
    at = 0 if result.is_error else 1
    note = " ".join([*texts[at : at + 1], *notes])
    data = None if result.structured_content is None else {**result.structured_content, "note": note}
    blocks = [TextContent(text=text) for text in (*texts[:at], note, *texts[at + 1 :])]
    return result.model_copy(update={"content": [*blocks, *others], "structured_content": data})


def with_files(result: CallToolResult, files: list[JsonValue], notes: Sequence[str]) -> CallToolResult:
    """Return a result with what became of the files that were to be saved."""
    result = with_notes(result, notes)
    if files and result.structured_content is not None:
        result.structured_content["files"] = files
    return result


def compact_json(value: Mapping[str, JsonValue] | list[JsonValue]) -> str:
    """Return JSON without spaces, with characters that hide or reorder text as escapes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text if text.isascii() and "\x7f" not in text else _INVISIBLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1] if match[0] != "\x7f" else "\\u007f"


def _success(text: str, data: Mapping[str, JsonValue], notes: Sequence[str]) -> CallToolResult:
    note = " ".join(notes)
    data = {name: value for name, value in data.items() if name != "note"}  # one of the API's would pose as ours
    return CallToolResult(
        content=[TextContent(text=block) for block in (text, note) if block],
        structured_content={**data, "note": note} if note else dict(data),
    )


def _list_result(tasks: list[JsonValue], *notes: str) -> CallToolResult:
    text = compact_json(tasks)
    if len(text) > MAX_JSON:
        return error_result(f"The tasks' JSON has {len(text):,} characters, more than MCP hosts accept. Ask for fewer.")
    return _success(text, {"tasks": tasks}, notes)


def _change(change: Change) -> dict[str, JsonValue]:
    done = change.outcome if change.outcome in {"cancelled", "deleted"} else "nothing"
    return _done(change.task_id, done, change.before, change.after or change.before)


def _left(error: StillActiveError) -> dict[str, JsonValue]:
    return _done(error.task.id, "nothing", error.task, error.task)


def _done(task_id: str, done: str, before: Task | None, priced: Task | None) -> dict[str, JsonValue]:
    data: dict[str, JsonValue] = {"id": task_id, "done": done}
    if before is not None:
        data["statusBefore"] = before.status
    if priced is not None:
        costs = {name: priced.data[name] for name in ("cost", "estimatedCost") if name in priced.data}
        data |= costs if len(compact_json(costs)) <= MAX_COST else {}
    return data


def _failures(states: Sequence[TaskState]) -> list[str]:
    failed = [state.task for state in states if state.task is not None and state.task.status == "FAILED"]
    by_words = groupby(sorted(failed, key=task_messages.describe_failure), key=task_messages.describe_failure)
    return [f"{', '.join(task.id for task in tasks)}: {words}" for words, tasks in by_words]


def _unfinished(waited: Waited, until: Until) -> list[str]:
    active = [task_id for task_id in waited.states if not waited.states[task_id].is_final]
    if not active:
        return []
    count = f"{len(active)} of {len(waited.states)} have not finished after {waited.seconds:.0f} s"
    if until == "any" and len(active) < len(waited.states):
        return [f"{count}. To wait for the next one, leave the finished out: call again with {', '.join(active)}."]
    return [f"{count}. {messages.GOES_ON}"]

"""What is said of a task and of a change of it."""

from collections.abc import Iterator, Mapping, Sequence

from runway_mcp.api.errors import RunwayError, quote
from runway_mcp.api.models import Task, amount, parse_cost
from runway_mcp.history.task_records import TaskRecord
from runway_mcp.mcp_server.messages import MAX_STATUS, NO_ANSWER_YET, NO_SUCH_TASK, explain
from runway_mcp.tasks.failure_advice import advice
from runway_mcp.tasks.operations import Change


def describe_change(change: Change, *, deleter: str = "runway_deleteTask") -> str:
    """Return what a change came to; `deleter` is the tool that deletes a task that was left alone."""
    before = change.before.status if change.before else None
    match change.outcome, before:
        case "cancelled", _:
            text = f"Cancelled: {_final_cost(change)}."
        case "deleted", _:
            text = "Deleted, together with its output. Nothing is refunded."
        case "finished", "CANCELLED":
            text = "Nothing to do: the task was already cancelled."
        case "gone", "CANCELLED":
            text = "Nothing to do: the task was cancelled before, and Runway keeps no output of it."
        case "gone", None:
            text = f"Nothing to do: Runway has no such task. {NO_SUCH_TASK}"
        case "gone", _:
            text = "Nothing to do: somebody else removed the task at the same moment."
        case _:
            text = (
                "Left alone: the task had already finished, and its output, if any, is intact. "
                f"To delete the task and its output, call {deleter}."
            )
    return text


def describe_failure(task: Task) -> str:
    """Return that a task FAILED, and what to do about it."""
    return f"The task FAILED. {advice(task.failure_code)}"


def describe_task(task: Task) -> str:
    """Return a task's status and, where it is known, its progress: "RUNNING, 45 %"."""
    status = task.status
    shown = status if status.isalpha() and len(status) < MAX_STATUS else quote(status, MAX_STATUS)
    done = progress(task)
    return shown if done is None else f"{shown}, {done:.0%}".replace("%", " %")


def progress(task: Task) -> float | None:
    """Return how much of a task is done, 0 to 1; None where the API does not say."""
    done = task.data.get("progress")
    return float(min(max(done, 0), 1)) if isinstance(done, int | float) and not isinstance(done, bool) else None


def describe_unread(unread: Mapping[str, RunwayError | None]) -> Iterator[str]:
    """Yield, for each reason, how many tasks could not be looked at for it."""
    reasons = [explain(error) if error else NO_ANSWER_YET for error in unread.values()]
    for reason in dict.fromkeys(reasons):
        count = reasons.count(reason)
        tasks = f"{count} tasks could not be looked at and show their" if count > 1 else "1 task shows its"
        yield f"{tasks} last known status: {reason}"


def describe_lost(lost: Sequence[TaskRecord]) -> str:
    """Return that the outputs of these tasks can't be saved any more."""
    ids = ", ".join(task.task_id or "" for task in lost)
    return f"The outputs of {ids} were to be saved, and can't be any more. This is said once."


def _final_cost(change: Change) -> str:
    cost = parse_cost(change.after) if change.after else None
    if cost is not None:
        return f"it cost {amount(cost)}"
    if change.before is not None and change.before.status in {"PENDING", "THROTTLED"}:
        return "it had not begun, which costs nothing; Runway has not confirmed this yet"
    return "its cost is not known yet, runway_getTask may show it. Credits of a running task are not refunded"

"""The words for a start: why it brought no task, what a person is asked, and what the account has spent."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from runway_mcp.api.errors import RunwayError, quote
from runway_mcp.api.models import amount, plain
from runway_mcp.history import records
from runway_mcp.mcp_server.messages import explain, word
from runway_mcp.mcp_server.task_messages import describe_task
from runway_mcp.spending import start_errors as errors
from runway_mcp.spending.estimates import Estimate
from runway_mcp.spending.named_inputs import Ready

if TYPE_CHECKING:
    from runway_mcp.tasks.local_files import LocalFile

MEGABYTE = 1_000_000
NOT_RECORDED = "Nothing was sent: a start has to be recorded first."
AGAIN = (
    "Starting it again may buy a second task. Only a call with the same clientToken, where this one had any, "
    "buys nothing."
)
MAX_NUMBERS = 3
"""Open starts that a sentence names."""


def describe_open(*numbers: int) -> str:
    """Return that the outcome of these starts is unknown, and how it can be settled by hand."""
    first = ", ".join(map(str, numbers[:MAX_NUMBERS])) + (", …" if len(numbers) > MAX_NUMBERS else "")
    what = f"start {first} is" if len(numbers) == 1 else f"starts {first} is"
    return (
        f"The outcome of {what} unknown: balance and use (runway_getAccount, the developer portal) show what was "
        f"charged. The operator can then record it: runway-mcp history settle {numbers[0]} --nothing, or --task ID."
    )


word(
    {
        errors.TokenReusedError: (
            "This clientToken was used within 24 hours for a start with another type or input. Nothing was sent; take "
            "another token for another start."
        ),
        errors.EarlierPendingError: (
            "An earlier call with this clientToken sent the start, and no answer is recorded yet: its server waits for "
            "it, or was stopped. This call sent nothing. Repeat it with the same clientToken: that buys nothing new, "
            "and in {error.seconds:.0f} s at the latest tells the task, or that the reply was lost."
        ),
        errors.EarlierFailedError: (
            "This call waited for an earlier one with the same clientToken, which bought nothing: it was refused or "
            "cancelled. This call sent nothing; you can repeat it."
        ),
        records.HistoryDamagedError: (
            "The history of started tasks is damaged: {error.place}. Restore a backup of this file, or move it away to "
            "begin with an empty history."
        ),
        records.HistoryReplacedError: (
            "The history of started tasks was replaced or removed while this server runs: {error.place}. Restore the "
            "file, or restart the server to use what is there now."
        ),
        records.NotOpenError: (
            "Start {error.number} is not open: there is none of this number, its outcome is known, or Runway may still "
            "answer."
        ),
        records.HistoryLockedError: "Another process has locked the history of started tasks: {error.place}.",
        records.HistoryNewerError: (
            "A newer version of this server has written the history of started tasks: {error.place}. Update this one."
        ),
        records.HistoryAwayError: (
            "The database of the history can't be used now: {error.place}: {error.reason}. Reads, waits, cancels and "
            "deletes go on; repeat a start once it is back."
        ),
        records.HistoryRefusedError: (
            "The database of the history does not take a value of this call: {error.place}: {error.reason}."
        ),
        records.HistoryUnusableError: "The history of started tasks can't be kept at {error.place}: {error.reason}.",
    }
)


@explain.register
def _(error: errors.LimitError) -> str:
    return f"Nothing was sent. {_limit(error)}"


@explain.register
def _(error: errors.StartCancelledError) -> str:
    if isinstance(error.reason, records.HistoryError):
        reason = f"{explain(error.reason)} So this server can't tell what was spent today, and it has a limit for that."
    else:
        reason = _limit(error.reason)
    return f"{reason} {_cancelled(error.cancellation)}"


@explain.register
def _(error: errors.ReplyLostError) -> str:
    return (
        f"{explain(error.error)} The start was sent, so the task may exist and be charged. {AGAIN} "
        f"{describe_open(error.number)}"
    )


@explain.register
def _(error: errors.EarlierReplyLostError) -> str:
    return (
        "An earlier call with this clientToken sent the start, and its reply was lost: the task may exist and be "
        f"charged. This call sent nothing. {AGAIN} {describe_open(error.number)}"
    )


@explain.register
def _(error: errors.NamedInputError) -> str:
    medium, task = error.medium, error.task
    place = f"{medium.place} names {quote(medium.text, 80)}"
    if error.kind:
        return f"{place}, which is {_a(error.kind)}; the field takes {' or '.join(map(_a, medium.kinds))}."
    if task is None:  # the words about a file name it
        return f"{place}. {explain(error.cause)}" if medium.task_id else f"{medium.place}: {explain(error.cause)}"
    if task.status == "SUCCEEDED":
        count = f"{error.outputs} output{'s' if error.outputs > 1 else ''}" if error.outputs else "no output"
        return f"{place}, but the task has {count}."
    advice = "runway_waitForTask waits for it." if task.is_active else "runway_getTask says why."
    return f"{place}, but the task is {describe_task(task)}, and only one that has SUCCEEDED has outputs. {advice}"


def explain_unsent(error: Exception) -> str:
    """Return why a call started no task, and that nothing was."""
    match error:
        case errors.NamedInputError():
            return (
                f"{explain(error)} Nothing was started by this call, and nothing is charged. runway_listTasks shows "
                "what an earlier one with its clientToken started."
            )
        case RunwayError():
            return f"{explain(error)} Nothing was started, and nothing is charged."
        case records.HistoryError():
            return f"{explain(error)} {NOT_RECORDED}"
        case _:
            return explain(error)


def describe_files(files: "Iterable[LocalFile]") -> str:
    """Return which files a start uploads, with the digests of their contents."""
    named = [f"{quote(file.name, 80)} ({_size(file.size)}, SHA-256 {file.sha256[:16]})" for file in files]
    return f" Uploads {', '.join(named)} from this server's disk." if named else ""


def describe_ready(ready: Iterable[Ready]) -> list[str]:
    """Return what was done for each medium that an input names, a sentence each."""
    said: list[str] = []
    for one in ready:
        if one.file is None:
            said.append(f"{one.medium.place}: output {one.medium.output} of task {one.medium.task_id}.")
        else:
            done = "Uploaded" if one.is_new else "Used the earlier upload of"
            said.append(f"{done} {quote(one.file.name, 80)} ({_size(one.file.size)}) for {one.medium.place}.")
    return said


def _size(size: int) -> str:
    return f"{size / MEGABYTE:.1f} MB" if size >= MEGABYTE else f"{math.ceil(size / 1000)} kB"


def _a(kind: str) -> str:
    return f"{'a' if kind == 'video' else 'an'} {'audio file' if kind == 'audio' else kind}"


def describe_spend(spent: records.Spend) -> str:
    """Return the sum of the day's starts as a sentence."""
    text = f"Tasks started through this server today (UTC) come to {amount(spent.credits)}"
    return f"{text}, plus {spent.unknown} of unknown cost." if spent.unknown else f"{text}."


def describe_estimate(estimate: Estimate) -> str:
    """Return what is known of a start's price, and who tells it, as a sentence."""
    return f"{_estimate(estimate)}."


def explain_unrecorded(error: records.HistoryError) -> str:
    """Return what it means that a task was started and its result could not be recorded."""
    return (
        f"{explain(error)} The task was started all the same; keep its id. This server records it as soon as it can. "
        "Until then its clientToken does not find it: don't start it again."
    )


def _estimate(estimate: Estimate) -> str:
    if estimate.credits is None:
        return "The price is unknown: Runway tells it only after the start, and the price table lacks it"
    price = f"{amount(estimate.credits)} (${estimate.credits / 100:.2f})"
    if (listed := estimate.listed) is not None:
        least = "at least " if listed.at_least else ""
        names = " and ".join(listed.assumed)
        dearest = f", with the dearest {names}, which the input leaves open" if names else ""
        return f"By the price table of {listed.as_of} it costs {least}{price}{dearest}"
    if estimate.basis == "runway":
        return f"Runway estimates {price}"
    like = "The same input" if estimate.basis == "history" else "One with the same settings"
    return f"{like} was estimated at {price} before"


def _limit(error: errors.LimitError) -> str:
    price = "" if error.estimate is None else _estimate(error.estimate)
    match error:
        case errors.OverStartLimitError():
            return f"{price}; maxCredits allows {plain(error.limit)}."
        case errors.OverTaskLimitError():
            return f"{price}; this server may spend {plain(error.limit)} on a task (--max-credits-per-task)."
        case errors.ApprovalNeededError():
            return (
                f"{price}; a person is asked before more than {plain(error.limit)} are spent. Starting it again asks."
            )
        case errors.OverDayLimitError():
            rule = f"this server may spend {amount(error.limit)} a day (UTC, --max-credits-per-day)."
            return f"{_day(error, price)}; {rule}" + (f" {describe_open(*error.open)}" if error.open else "")
        case errors.PriceUnknownError():
            return "Runway tells no price, so this server can't keep the limits."
        case _:
            return (
                "Other tasks are being started, and until their prices are known nobody can tell whether this one "
                "keeps within the day's limit. Call again in a minute."
            )


def _day(error: errors.OverDayLimitError, price: str) -> str:
    if error.unknown:
        number = f"{error.unknown} tasks" if error.unknown > 1 else "a task"
        until = " or until it is settled" if error.open else ""
        return f"The cost of {number} started today is unknown, so nothing more can start until 00:00 UTC{until}"
    if error.estimate is None:
        return f"Today's starts come to {amount(error.spent)}"
    return f"{price}, which makes {plain(error.spent + (error.estimate.credits or 0))} today"


def _cancelled(cancellation: errors.Cancellation) -> str:
    task = f"Task {cancellation.task_id}"
    match cancellation.outcome:
        case "free":
            return f"{task} was cancelled at once: nothing is charged."
        case "waiting":
            return f"{task} was cancelled at once, while it waited. That is not charged; Runway does not say so yet."
        case "running":
            return f"{task} was cancelled at once, but it was running already: its credits may be charged."
        case "charged":
            return f"{task} was cancelled at once, but Runway charged {amount(cancellation.charged or 0)}."
        case "finished":
            return f"{task} could not be cancelled any more: it has finished or is gone, and may be charged."
        case _:
            return (
                f"{task} was started, and may not be cancelled: {explain(cancellation.error)} Read its state with "
                "runway_getTask, and cancel it if it goes on."
            )

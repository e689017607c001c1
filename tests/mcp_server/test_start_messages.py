"""The words for a start: each error says what happened, whether it was charged, and what to do."""

import re
from pathlib import Path

import pytest

from runway_mcp.api.errors import UnreachableError
from runway_mcp.api.models import parse_task_id
from runway_mcp.history.records import (
    HistoryDamagedError,
    HistoryError,
    HistoryLockedError,
    HistoryNewerError,
    HistoryReplacedError,
    HistoryUnusableError,
    Spend,
)
from runway_mcp.mcp_server.messages import explain
from runway_mcp.mcp_server.start_messages import describe_price, describe_spend, explain_unrecorded
from runway_mcp.spending.spending_limits import ApprovalRequest
from runway_mcp.spending.start_errors import (
    ApprovalNeededError,
    Cancellation,
    EarlierFailedError,
    EarlierPendingError,
    EarlierReplyLostError,
    OverDayLimitError,
    OverTaskLimitError,
    PriceUnknownError,
    ReplyLostError,
    StartCancelledError,
    StartError,
    StartsInFlightError,
    TokenReusedError,
    UnclearStartError,
)

FILE = Path("history.sqlite3")
TASK = parse_task_id("08388106-1b46-4f5c-bd46-1c1d7ee86892")
FREE = Cancellation(TASK, "free")

MESSAGES: list[tuple[Exception, str]] = [
    (
        OverTaskLimitError(60, 59),
        (
            "Nothing was sent: the same input was estimated at 60 credits before; this server may spend 59 on a task "
            "(--max-credits-per-task)."
        ),
    ),
    (ApprovalNeededError(60, 50), "a person is asked before more than 50 are spent. Starting it again asks."),
    (OverDayLimitError(119, 60, credits=60), "was estimated at 60 credits before, which makes 120 today; this server"),
    (OverDayLimitError(60, 61), "today's starts come to 61 credits; this server may spend 60 credits a day"),
    (OverDayLimitError(60, 0, unknown=3), "the cost of 3 tasks started today is unknown, so nothing more can start"),
    (
        OverDayLimitError(60, 0, unknown=1, open=(7,)),
        "a task started today is unknown, so nothing more can start",
    ),
    (OverDayLimitError(60, 0, unknown=1, open=(7,)), "or until it is settled; this server may spend 60 credits a day"),
    (OverDayLimitError(60, 0, unknown=1, open=(7,)), "runway-mcp history settle 7 --nothing, or --task ID."),
    (OverDayLimitError(60, 61, open=(7, 9)), "The outcome of starts 7, 9 is unknown:"),
    (OverDayLimitError(60, 61, open=(7, 9, 11, 13)), "The outcome of starts 7, 9, 11, … is unknown:"),
    (PriceUnknownError(), "Runway tells no price"),
    (StartsInFlightError(), "Nothing was sent: other tasks are being started"),
    (
        StartCancelledError(OverTaskLimitError(60, 50), FREE),
        (
            f"Runway estimates 60 credits; this server may spend 50 on a task (--max-credits-per-task). Task {TASK} "
            "was cancelled at once: nothing is charged."
        ),
    ),
    (StartCancelledError(OverDayLimitError(50, 20, credits=60), FREE), "60 credits, which makes 80 today"),
    (StartCancelledError(PriceUnknownError(), FREE), "Runway tells no price, so this server can't keep its limits."),
    (StartCancelledError(HistoryLockedError(FILE), FREE), "So this server can't tell what was spent today"),
    (StartCancelledError(PriceUnknownError(), Cancellation(TASK, "waiting")), "while it waited. That is not charged"),
    (StartCancelledError(PriceUnknownError(), Cancellation(TASK, "running")), "its credits may be charged"),
    (StartCancelledError(PriceUnknownError(), Cancellation(TASK, "charged", 6)), "but Runway charged 6 credits"),
    (StartCancelledError(PriceUnknownError(), Cancellation(TASK, "finished")), "could not be cancelled any more"),
    (
        StartCancelledError(
            PriceUnknownError(), Cancellation(TASK, "failed", error=UnreachableError(failure="pool_timeout"))
        ),
        "too many others are in flight. Read its state with runway_getTask",
    ),
    (TokenReusedError(), "another type or input. Nothing was sent; take another token"),
    (ReplyLostError(UnreachableError(), 7), "reply arrived. The start was sent, so the task may exist and be charged."),
    (
        ReplyLostError(UnreachableError(), 7),
        "Only a call with the same clientToken, where this one had any, buys nothing.",
    ),
    (ReplyLostError(UnreachableError(), 7), "The outcome of start 7 is unknown: balance and use"),
    (ReplyLostError(UnreachableError(), 7), "runway-mcp history settle 7 --nothing, or --task ID."),
    (EarlierReplyLostError(7), "may exist and be charged. This call sent nothing. Starting it again may buy a second"),
    (EarlierReplyLostError(7), "runway-mcp history settle 7 --nothing, or --task ID."),
    (
        EarlierPendingError(7, 19.6),
        "its server waits for it, or was stopped. This call sent nothing. Repeat it",
    ),
    (
        EarlierPendingError(7, 19.6),
        "that buys nothing new, and in 20 s at the latest tells the task",
    ),
    (EarlierFailedError(), "bought nothing: it was refused or cancelled. This call sent nothing; you can repeat it."),
    (HistoryDamagedError(FILE), "damaged: history.sqlite3. Restore a backup of this file, or move it away"),
    (HistoryReplacedError(FILE), "was replaced or removed while this server runs: history.sqlite3. Restore"),
    (HistoryLockedError(FILE), "Another process has locked the history of started tasks: history.sqlite3."),
    (HistoryNewerError(FILE), "A newer version of this server has written"),
    (HistoryUnusableError(FILE, "disk full"), "can't be kept at history.sqlite3: disk full."),
]


@pytest.mark.parametrize(("error", "words"), MESSAGES)
def test_an_error_says_what_happened_and_what_to_do(error: Exception, words: str) -> None:
    assert words in explain(error)
    assert str(error)


def test_every_error_of_a_start_has_its_words() -> None:
    def leaves(parent: type[Exception]) -> set[type[Exception]]:
        return {leaf for child in parent.__subclasses__() for leaf in leaves(child)} or {parent}

    assert leaves(StartError) | leaves(HistoryError) == {type(error) for error, _ in MESSAGES}


def test_a_task_whose_start_could_not_be_recorded_was_started_all_the_same() -> None:
    text = explain_unrecorded(HistoryLockedError(FILE))
    assert "The task was started all the same; keep its id. This server records it as soon as it can." in text


AMBIGUOUS = (
    *(error for error, _ in MESSAGES if isinstance(error, UnclearStartError | StartCancelledError)),
    *(HistoryLockedError(FILE), HistoryReplacedError(FILE), HistoryUnusableError(FILE)),
)


@pytest.mark.parametrize("error", AMBIGUOUS, ids=lambda error: type(error).__name__)
def test_what_may_have_bought_a_task_never_says_try_again(error: Exception) -> None:
    """Models take it for leave to buy a second one."""
    assert not re.search(r"\b(try|start it) again\b|\bretry\b", explain(error), re.IGNORECASE)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (ApprovalRequest(None, is_same=False, limit=5), "Its price is unknown"),
        (ApprovalRequest(60, is_same=True, limit=5), "The same input was estimated at 60 credits ($0.60) before."),
        (ApprovalRequest(60, is_same=False, limit=5), "One with the same settings was estimated at 60 credits"),
    ],
)
def test_a_person_is_told_what_is_known_of_the_price(request_: ApprovalRequest, words: str) -> None:
    assert words in describe_price(request_)


def test_the_days_spend_names_what_is_unknown() -> None:
    assert describe_spend(Spend(60, 0)).endswith("today (UTC) come to 60 credits.")
    assert describe_spend(Spend(60, 2)).endswith("come to 60 credits, plus 2 of unknown cost.")

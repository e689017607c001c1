"""The words for a start: each error says what happened, whether it was charged, and what to do."""

import re
from pathlib import Path

import pytest

from runway_mcp.api.errors import UnreachableError
from runway_mcp.api.models import parse_task_id
from runway_mcp.catalogue.named_media import NamedMedium
from runway_mcp.catalogue.pricing import ListPrice
from runway_mcp.history.records import (
    HistoryAwayError,
    HistoryDamagedError,
    HistoryError,
    HistoryLockedError,
    HistoryNewerError,
    HistoryRefusedError,
    HistoryReplacedError,
    HistoryUnusableError,
    Spend,
)
from runway_mcp.mcp_server.messages import explain
from runway_mcp.mcp_server.start_messages import describe_estimate, describe_spend, explain_unrecorded
from runway_mcp.spending.estimates import UNKNOWN, Estimate
from runway_mcp.spending.start_errors import (
    ApprovalNeededError,
    Cancellation,
    EarlierFailedError,
    EarlierPendingError,
    EarlierReplyLostError,
    NamedInputError,
    OverDayLimitError,
    OverStartLimitError,
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
OLD, TOLD = Estimate(60, "history"), Estimate(60, "runway")
LISTED = Estimate(60, "table", ListPrice(60, False, "2026-08-15"))

MESSAGES: list[tuple[Exception, str]] = [
    (
        OverTaskLimitError(59, estimate=OLD),
        (
            "Nothing was sent. The same input was estimated at 60 credits ($0.60) before; this server may spend 59 on "
            "a task (--max-credits-per-task)."
        ),
    ),
    (
        OverTaskLimitError(59, estimate=LISTED),
        "Nothing was sent. By the price table of 2026-08-15 it costs 60 credits ($0.60); this server may spend 59",
    ),
    (
        OverStartLimitError(50, estimate=LISTED),
        "Nothing was sent. By the price table of 2026-08-15 it costs 60 credits ($0.60); maxCredits allows 50.",
    ),
    (OverStartLimitError(50, estimate=UNKNOWN), "Nothing was sent. The price is unknown: Runway tells it only after"),
    (ApprovalNeededError(50, estimate=OLD), "a person is asked before more than 50 are spent. Starting it again asks."),
    (
        OverDayLimitError(119, 60, estimate=OLD),
        "estimated at 60 credits ($0.60) before, which makes 120 today; this server",
    ),
    (OverDayLimitError(60, 61), "Today's starts come to 61 credits; this server may spend 60 credits a day"),
    (OverDayLimitError(60, 0, unknown=3), "The cost of 3 tasks started today is unknown, so nothing more can start"),
    (
        OverDayLimitError(60, 0, unknown=1, open=(7,)),
        "a task started today is unknown, so nothing more can start",
    ),
    (OverDayLimitError(60, 0, unknown=1, open=(7,)), "or until it is settled; this server may spend 60 credits a day"),
    (OverDayLimitError(60, 0, unknown=1, open=(7,)), "runway-mcp history settle 7 --nothing, or --task ID."),
    (OverDayLimitError(60, 61, open=(7, 9)), "The outcome of starts 7, 9 is unknown:"),
    (OverDayLimitError(60, 61, open=(7, 9, 11, 13)), "The outcome of starts 7, 9, 11, … is unknown:"),
    (PriceUnknownError(), "Runway tells no price"),
    (StartsInFlightError(), "Nothing was sent. Other tasks are being started"),
    (
        StartCancelledError(OverTaskLimitError(50, estimate=TOLD), FREE),
        (
            "Runway estimates 60 credits ($0.60); this server may spend 50 on a task (--max-credits-per-task). "
            f"Task {TASK} was cancelled at once: nothing is charged."
        ),
    ),
    (
        StartCancelledError(OverStartLimitError(50, estimate=TOLD), FREE),
        f"Runway estimates 60 credits ($0.60); maxCredits allows 50. Task {TASK} was cancelled at once: nothing is",
    ),
    (StartCancelledError(OverDayLimitError(50, 20, estimate=TOLD), FREE), "60 credits ($0.60), which makes 80 today"),
    (StartCancelledError(PriceUnknownError(), FREE), "Runway tells no price, so this server can't keep the limits."),
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
    (
        NamedInputError(NamedMedium("kite.png", "runway://x", place="promptImage", kinds=("image",)), kind="audio"),
        'promptImage names "kite.png", which is an audio file; the field takes an image.',
    ),
    (EarlierFailedError(), "bought nothing: it was refused or cancelled. This call sent nothing; you can repeat it."),
    (HistoryDamagedError(FILE), "damaged: history.sqlite3. Restore a backup of this file, or move it away"),
    (HistoryReplacedError(FILE), "was replaced or removed while this server runs: history.sqlite3. Restore"),
    (HistoryLockedError(FILE), "Another process has locked the history of started tasks: history.sqlite3."),
    (HistoryNewerError(FILE), "A newer version of this server has written"),
    (HistoryAwayError("postgresql://db/films", "refused"), "can't be used now: postgresql://db/films: refused. Reads,"),
    (HistoryRefusedError("postgresql://db/films", "DataError"), "does not take a value of this call: postgresql://db/"),
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
    ("estimate", "words"),
    [
        (UNKNOWN, "The price is unknown: Runway tells it only after the start, and the price table lacks it."),
        (TOLD, "Runway estimates 60 credits ($0.60)."),
        (OLD, "The same input was estimated at 60 credits ($0.60) before."),
        (Estimate(60, "alike"), "One with the same settings was estimated at 60 credits ($0.60) before."),
        (LISTED, "By the price table of 2026-08-15 it costs 60 credits ($0.60)."),
        (
            Estimate(56, "table", ListPrice(56, True, "2026-08-15")),
            "By the price table of 2026-08-15 it costs at least 56 credits ($0.56).",
        ),
        (
            Estimate(2250, "table", ListPrice(2250, False, "2026-08-15", ("resolution", "duration"))),
            "it costs 2250 credits ($22.50), with the dearest resolution and duration, which the input leaves open.",
        ),
    ],
)
def test_a_price_is_told_with_who_tells_it(estimate: Estimate, words: str) -> None:
    assert words in describe_estimate(estimate)


def test_the_days_spend_names_what_is_unknown() -> None:
    assert describe_spend(Spend(60, 0)).endswith("today (UTC) come to 60 credits.")
    assert describe_spend(Spend(60, 2)).endswith("come to 60 credits, plus 2 of unknown cost.")

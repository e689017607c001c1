"""The operator's limits, before a start's price is known and after."""

import math
from collections.abc import Callable

import pytest

from runway_mcp.catalogue.pricing import ListPrice
from runway_mcp.history.records import Limits, Snapshot, Spend, StartRecord
from runway_mcp.spending.estimates import UNKNOWN, Estimate
from runway_mcp.spending.spending_limits import ApprovalRequest, approval_request, check_after, check_before
from runway_mcp.spending.start_errors import (
    ApprovalNeededError,
    LimitError,
    OverDayLimitError,
    OverStartLimitError,
    OverTaskLimitError,
    PriceUnknownError,
    StartsInFlightError,
)

NEW = Snapshot(Spend(0, 0))
SAME = Snapshot(Spend(60, 0), same=60, similar=90)
SIMILAR = Snapshot(Spend(60, 0), similar=60)
EARLIER = Snapshot(Spend(60, 0), earlier=StartRecord(1, False, "started", "print"))
EXACT, LOWEST = ListPrice(60, False, "2026-08-15"), ListPrice(60, True, "2026-08-15")
OLD, ALIKE = Estimate(60, "history"), Estimate(60, "alike")
LISTED, LISTED_LOWEST = Estimate(60, "table", EXACT), Estimate(60, "table", LOWEST)
TOLD = Estimate(60, "runway")


def verdict(check: Callable[..., None], *known: object) -> str | None:
    """The error of a check, with all that it carries."""
    try:
        check(*known)
    except LimitError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("limits", "snapshot", "price", "request_"),
    [
        (Limits(), NEW, None, None),
        (Limits(confirm_over=0), NEW, None, ApprovalRequest(UNKNOWN, limit=0)),
        (Limits(confirm_over=59), SAME, None, ApprovalRequest(OLD, limit=59)),
        (Limits(confirm_over=59), SAME, EXACT, ApprovalRequest(OLD, limit=59)),
        (Limits(confirm_over=59), SIMILAR, None, ApprovalRequest(ALIKE, limit=59)),
        (Limits(confirm_over=59), SIMILAR, EXACT, ApprovalRequest(LISTED, limit=59)),
        (Limits(confirm_over=59), NEW, EXACT, ApprovalRequest(LISTED, limit=59)),
        (Limits(confirm_over=60), SAME, None, None),
        (Limits(confirm_over=60), SIMILAR, None, None),
        (Limits(confirm_over=60), NEW, EXACT, None),
        (Limits(confirm_over=60), NEW, LOWEST, ApprovalRequest(LISTED_LOWEST, limit=60)),
        (Limits(confirm_over=0), EARLIER, EXACT, None),
        (Limits(confirm_over=0, day=60), SIMILAR, None, None),
        (Limits(confirm_over=0, day=61), SIMILAR, None, ApprovalRequest(ALIKE, limit=0)),
        (Limits(confirm_over=0, day=119), SIMILAR, EXACT, None),
        (Limits(confirm_over=0, day=1), Snapshot(Spend(0, 1)), None, None),
        (Limits(confirm_over=0, day=99), Snapshot(Spend(0, 0), in_flight=1), None, ApprovalRequest(UNKNOWN, limit=0)),
        (Limits(confirm_over=0, task=59), SAME, None, None),
        (Limits(confirm_over=0, task=59), NEW, EXACT, None),
        (Limits(confirm_over=0, task=59), SIMILAR, None, ApprovalRequest(ALIKE, limit=0)),
        (Limits(confirm_over=0, start=59), NEW, EXACT, None),
        (Limits(confirm_over=0, start=59), NEW, None, None),
    ],
)
def test_a_person_is_asked_where_a_start_may_cost_more_than_allowed(
    limits: Limits, snapshot: Snapshot, price: ListPrice | None, request_: ApprovalRequest | None
) -> None:
    """Not where a yes would buy nothing: the token has its task already, or a limit forbids the start."""
    assert approval_request(limits, snapshot, price) == request_


@pytest.mark.parametrize(
    ("estimate", "credits"), [(OLD, 60), (LISTED, 60), (ALIKE, 60), (LISTED_LOWEST, math.inf), (UNKNOWN, math.inf)]
)
def test_a_yes_covers_the_price_that_was_told(estimate: Estimate, credits: float) -> None:  # noqa: A002 - the field's name
    """And any price where a person was told that it is unknown, or a lowest one."""
    assert ApprovalRequest(estimate, limit=0).credits == credits


@pytest.mark.parametrize(
    ("limits", "snapshot", "price", "error"),
    [
        (Limits(task=60, day=120, confirm_over=60, start=60), SAME, None, None),
        (Limits(task=60, day=60, confirm_over=60, start=60), NEW, EXACT, None),
        (Limits(task=59), SAME, None, OverTaskLimitError(59, estimate=OLD)),
        (Limits(task=59), NEW, EXACT, OverTaskLimitError(59, estimate=LISTED)),
        (Limits(task=59), NEW, LOWEST, OverTaskLimitError(59, estimate=LISTED_LOWEST)),
        (Limits(task=59), SIMILAR, None, None),
        (Limits(task=59), NEW, None, None),
        (Limits(task=99), Snapshot(Spend(0, 0), same=90), EXACT, None),
        (Limits(task=59), Snapshot(Spend(0, 0), same=50), EXACT, None),
        (Limits(confirm_over=59), SAME, None, ApprovalNeededError(59, estimate=OLD)),
        (Limits(confirm_over=59), NEW, EXACT, ApprovalNeededError(59, estimate=LISTED)),
        (Limits(day=119), SAME, None, OverDayLimitError(119, 60, estimate=OLD)),
        (Limits(day=59), NEW, EXACT, OverDayLimitError(59, 0, estimate=LISTED)),
        (Limits(day=119), SIMILAR, None, None),
        (Limits(day=60), SIMILAR, None, OverDayLimitError(60, 60)),
        (Limits(day=500), Snapshot(Spend(0, 2)), None, OverDayLimitError(500, 0, unknown=2)),
        (Limits(day=500), Snapshot(Spend(0, 2, open=(7,))), None, OverDayLimitError(500, 0, unknown=2, open=(7,))),
        (Limits(day=500), Snapshot(Spend(499, 0, open=(7,))), None, None),
        (
            Limits(day=99),
            Snapshot(Spend(40, 0, (7,)), same=60),
            None,
            OverDayLimitError(99, 40, open=(7,), estimate=OLD),
        ),
        (Limits(day=500), Snapshot(Spend(0, 0), in_flight=1), None, StartsInFlightError()),
        (Limits(task=500), Snapshot(Spend(0, 2), in_flight=1), None, None),
        (Limits(start=59), SAME, None, OverStartLimitError(59, estimate=OLD)),
        (Limits(start=59), NEW, EXACT, OverStartLimitError(59, estimate=LISTED)),
        (Limits(start=59), SIMILAR, None, OverStartLimitError(59, estimate=ALIKE)),
        (Limits(start=59), NEW, None, OverStartLimitError(59, estimate=UNKNOWN)),
        (Limits(start=60), NEW, LOWEST, None),
        (Limits(start=60), SIMILAR, None, None),
    ],
)
def test_a_start_is_checked_by_what_is_known_before_it(
    limits: Limits, snapshot: Snapshot, price: ListPrice | None, error: LimitError | None
) -> None:
    """By the price of the same input, else by the table's. The operator's limits ignore a similar input's."""
    assert verdict(check_before, limits, snapshot, price, 0) == (error and str(error))


@pytest.mark.parametrize(
    ("limits", "price", "approved", "error"),
    [
        (Limits(task=60, day=100, confirm_over=60), 60, 0, None),
        (Limits(confirm_over=0), 60, 60, None),
        (Limits(confirm_over=0), None, math.inf, None),
        (Limits(), None, 0, None),
        (Limits(task=59), 60, 1000, OverTaskLimitError(59, estimate=TOLD)),
        (Limits(day=99), 60, 1000, OverDayLimitError(99, 40, open=(7,), estimate=TOLD)),
        (Limits(confirm_over=50), 60, 55, ApprovalNeededError(50, estimate=TOLD)),
        (Limits(start=59), 60, 1000, OverStartLimitError(59, estimate=TOLD)),
        (Limits(start=60), 60, 1000, None),
        (Limits(start=1000), None, math.inf, PriceUnknownError()),
        (Limits(task=1000), None, math.inf, PriceUnknownError()),
        (Limits(day=1000), None, math.inf, PriceUnknownError()),
        (Limits(confirm_over=1000), None, 1000, PriceUnknownError()),
    ],
)
def test_a_task_is_checked_by_its_price(
    limits: Limits, price: float | None, approved: float, error: LimitError | None
) -> None:
    """On a day that comes to 100 credits with it. Without a price no limit can be kept."""
    assert verdict(check_after, limits, price, Spend(100, 0, open=(7,)), approved) == (error and str(error))

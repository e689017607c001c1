"""The operator's limits, before a start's price is known and after."""

import math
from collections.abc import Callable

import pytest

from runway_mcp.history.records import Limits, Snapshot, Spend, StartRecord
from runway_mcp.spending.spending_limits import ApprovalRequest, approval_request, check_after, check_before
from runway_mcp.spending.start_errors import (
    ApprovalNeededError,
    LimitError,
    OverDayLimitError,
    OverTaskLimitError,
    PriceUnknownError,
    StartsInFlightError,
)

NEW = Snapshot(Spend(0, 0))
SAME = Snapshot(Spend(60, 0), same=60, similar=90)
SIMILAR = Snapshot(Spend(60, 0), similar=60)
EARLIER = Snapshot(Spend(60, 0), earlier=StartRecord(1, False, "started", "print"))


def verdict(check: Callable[..., None], *known: object) -> str | None:
    """The error of a check, with all that it carries."""
    try:
        check(*known)
    except LimitError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("limits", "snapshot", "request_"),
    [
        (Limits(), NEW, None),
        (Limits(confirm_over=0), NEW, ApprovalRequest(None, is_same=False, limit=0)),
        (Limits(confirm_over=59), SAME, ApprovalRequest(60, is_same=True, limit=59)),
        (Limits(confirm_over=59), SIMILAR, ApprovalRequest(60, is_same=False, limit=59)),
        (Limits(confirm_over=60), SAME, None),
        (Limits(confirm_over=60), SIMILAR, None),
        (Limits(confirm_over=0), EARLIER, None),
        (Limits(confirm_over=0, day=60), SIMILAR, None),
        (Limits(confirm_over=0, day=61), SIMILAR, ApprovalRequest(60, is_same=False, limit=0)),
        (Limits(confirm_over=0, day=1), Snapshot(Spend(0, 1)), None),
        (Limits(confirm_over=0, task=59), SAME, None),
        (Limits(confirm_over=0, task=59), SIMILAR, ApprovalRequest(60, is_same=False, limit=0)),
    ],
)
def test_a_person_is_asked_where_a_start_may_cost_more_than_allowed(
    limits: Limits, snapshot: Snapshot, request_: ApprovalRequest | None
) -> None:
    """Not where a yes would buy nothing: the token has its task already, or a limit forbids the start."""
    assert approval_request(limits, snapshot) == request_


@pytest.mark.parametrize(
    ("limits", "snapshot", "error"),
    [
        (Limits(task=60, day=120, confirm_over=60), SAME, None),
        (Limits(task=59), SAME, OverTaskLimitError(60, 59)),
        (Limits(task=59), SIMILAR, None),
        (Limits(confirm_over=59), SAME, ApprovalNeededError(60, 59)),
        (Limits(day=119), SAME, OverDayLimitError(119, 60, credits=60)),
        (Limits(day=119), SIMILAR, None),
        (Limits(day=60), SIMILAR, OverDayLimitError(60, 60)),
        (Limits(day=500), Snapshot(Spend(0, 2)), OverDayLimitError(500, 0, unknown=2)),
        (Limits(day=500), Snapshot(Spend(0, 2, open=(7,))), OverDayLimitError(500, 0, unknown=2, open=(7,))),
        (Limits(day=500), Snapshot(Spend(499, 0, open=(7,))), None),
        (Limits(day=99), Snapshot(Spend(40, 0, (7,)), same=60), OverDayLimitError(99, 40, open=(7,), credits=60)),
        (Limits(day=500), Snapshot(Spend(0, 0), in_flight=1), StartsInFlightError()),
        (Limits(task=500), Snapshot(Spend(0, 2), in_flight=1), None),
    ],
)
def test_a_start_is_checked_by_what_is_known_before_it(
    limits: Limits, snapshot: Snapshot, error: LimitError | None
) -> None:
    """An estimate of the same input holds; one of a similar input may be wrong."""
    assert verdict(check_before, limits, snapshot, 0) == (error and str(error))


@pytest.mark.parametrize(
    ("limits", "price", "approved", "error"),
    [
        (Limits(task=60, day=100, confirm_over=60), 60, 0, None),
        (Limits(confirm_over=0), 60, 60, None),
        (Limits(confirm_over=0), None, math.inf, None),
        (Limits(), None, 0, None),
        (Limits(task=59), 60, 1000, OverTaskLimitError(60, 59)),
        (Limits(day=99), 60, 1000, OverDayLimitError(99, 40, open=(7,), credits=60)),
        (Limits(confirm_over=50), 60, 55, ApprovalNeededError(60, 50)),
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

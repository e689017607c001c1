"""The operator's limits: which starts they allow, before the price is known and after."""

import math
from dataclasses import dataclass

from runway_mcp.history.records import Limits, Snapshot, Spend
from runway_mcp.spending.start_errors import (
    ApprovalNeededError,
    OverDayLimitError,
    OverTaskLimitError,
    PriceUnknownError,
    StartsInFlightError,
)


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """What a person is asked before a start.

    Attributes:
        credits: Its likely cost; None where nothing like it was started before.
        is_same: Whether the caller has started the very same before.
        limit: Credits above which a person is asked.
    """

    credits: float | None
    is_same: bool
    limit: float


def approval_request(limits: Limits, snapshot: Snapshot) -> ApprovalRequest | None:
    """Return what a person has to be asked before a start, or None where nobody is asked.

    A start that buys nothing needs no approval: its client token stands for an earlier one, or a limit forbids it.
    """
    if limits.confirm_over is None or snapshot.earlier is not None:
        return None
    spent, same, expected = snapshot.spent, snapshot.same, snapshot.expected
    if limits.day is not None and (spent.unknown or spent.credits >= limits.day):
        return None
    if limits.task is not None and same is not None and same > limits.task:
        return None
    if expected is not None and expected <= limits.confirm_over:
        return None
    return ApprovalRequest(expected, is_same=same is not None, limit=limits.confirm_over)


def check_before(limits: Limits, snapshot: Snapshot, approved_credits: float) -> None:
    """Raise a LimitError where a start must not be sent, by what is known before."""
    same, spent = snapshot.same, snapshot.spent
    if same is not None:
        _check_task(limits, same)
        _check_approval(limits, same, approved_credits)
    if limits.day is None:
        return
    if snapshot.in_flight:
        raise StartsInFlightError
    if spent.unknown or spent.credits >= limits.day:
        raise OverDayLimitError(limits.day, spent.credits, spent.unknown, spent.open)
    if same is not None and spent.credits + same > limits.day:
        raise OverDayLimitError(limits.day, spent.credits, open=spent.open, credits=same)


def check_after(limits: Limits, price: float | None, day: Spend, approved_credits: float) -> None:
    """Raise a LimitError where a task that was started must be cancelled, by its price.

    `day` is the sum of the day's starts up to this one, included.
    """
    if price is None:
        is_approved = limits.confirm_over is None or approved_credits == math.inf
        if limits.task is not None or limits.day is not None or not is_approved:
            raise PriceUnknownError
        return
    _check_task(limits, price)
    if limits.day is not None and day.credits > limits.day:
        raise OverDayLimitError(limits.day, day.credits - price, open=day.open, credits=price)
    _check_approval(limits, price, approved_credits)


def _check_task(limits: Limits, price: float) -> None:
    if limits.task is not None and price > limits.task:
        raise OverTaskLimitError(price, limits.task)


def _check_approval(limits: Limits, price: float, approved_credits: float) -> None:
    if limits.confirm_over is not None and price > max(limits.confirm_over, approved_credits):
        raise ApprovalNeededError(price, limits.confirm_over)

"""The limits: which starts they allow, before Runway tells the price and after."""

import math
from dataclasses import dataclass, replace

from runway_mcp.catalogue.pricing import ListPrice
from runway_mcp.history.records import Limits, Snapshot, Spend
from runway_mcp.spending import start_errors as errors
from runway_mcp.spending.estimates import Estimate, estimate_of


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """What a person is asked before a start.

    Attributes:
        limit: Credits above which a person is asked.
    """

    estimate: Estimate
    limit: float

    @property
    def credits(self) -> float:
        """The credits that a yes approves; infinite where the price is unknown or can be higher."""
        known = self.estimate.credits
        return math.inf if known is None or self.estimate.at_least else known


def approval_request(limits: Limits, snapshot: Snapshot, price: ListPrice | None) -> ApprovalRequest | None:
    """Return what a person has to be asked before a start, or None where nobody is asked.

    A start that buys nothing needs no approval: its client token stands for an earlier one, or a limit forbids it.
    """
    if limits.confirm_over is None or snapshot.earlier is not None:
        return None
    try:
        check_before(replace(limits, confirm_over=None), replace(snapshot, in_flight=0), price, 0)
    except errors.LimitError:
        return None
    asked = ApprovalRequest(estimate_of(price, snapshot), limits.confirm_over)
    return asked if asked.credits > limits.confirm_over else None


def check_before(limits: Limits, snapshot: Snapshot, price: ListPrice | None, approved_credits: float) -> None:
    """Raise a LimitError where a start must not be sent, by what is known before."""
    estimate, spent = estimate_of(price, snapshot), snapshot.spent
    if limits.start is not None and (estimate.credits is None or estimate.credits > limits.start):
        raise errors.OverStartLimitError(limits.start, estimate=estimate)
    known = None if estimate.basis == "alike" else estimate.credits
    if known is not None:
        _check_task(limits, known, estimate)
        _check_approval(limits, known, approved_credits, estimate)
    if limits.day is None:
        return
    if snapshot.in_flight:
        raise errors.StartsInFlightError
    if spent.unknown or spent.credits >= limits.day:
        raise errors.OverDayLimitError(limits.day, spent.credits, spent.unknown, spent.open)
    if known is not None and spent.credits + known > limits.day:
        raise errors.OverDayLimitError(limits.day, spent.credits, open=spent.open, estimate=estimate)


def check_after(limits: Limits, price: float | None, day: Spend, approved_credits: float) -> None:
    """Raise a LimitError where a task that was started must be cancelled, by its price.

    `day` is the sum of the day's starts up to this one, included.
    """
    if price is None:
        is_approved = limits.confirm_over is None or approved_credits == math.inf
        if any(limit is not None for limit in (limits.start, limits.task, limits.day)) or not is_approved:
            raise errors.PriceUnknownError
        return
    estimate = Estimate(price, "runway")
    if limits.start is not None and price > limits.start:
        raise errors.OverStartLimitError(limits.start, estimate=estimate)
    _check_task(limits, price, estimate)
    if limits.day is not None and day.credits > limits.day:
        raise errors.OverDayLimitError(limits.day, day.credits - price, open=day.open, estimate=estimate)
    _check_approval(limits, price, approved_credits, estimate)


def _check_task(limits: Limits, price: float, estimate: Estimate) -> None:
    if limits.task is not None and price > limits.task:
        raise errors.OverTaskLimitError(limits.task, estimate=estimate)


def _check_approval(limits: Limits, price: float, approved_credits: float, estimate: Estimate) -> None:
    if limits.confirm_over is not None and price > max(limits.confirm_over, approved_credits):
        raise errors.ApprovalNeededError(limits.confirm_over, estimate=estimate)

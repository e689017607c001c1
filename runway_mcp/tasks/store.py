"""The history's contract: what was started here, so that nothing is bought twice and no limit forgotten.

A start is written down before it is sent and settled afterwards. What was begun and never settled,
because the process died in between, may have been bought; it is told so, never sent anew.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

State = Literal["starting", "started", "unclear"]
"""How far a start has come: on its way, answered with a task's id, or of unknown outcome."""

TOKEN_SECONDS = 24 * 3600.0
"""How long a client token stands for the start it was first used for."""


class StoreError(Exception):
    """The history can't be read or written. Its message goes to the caller and to the operator."""


class DayLimitError(Exception):
    """A start would take the day's credits over their limit.

    Attributes:
        spent: Credits that the day's starts come to so far.
    """

    def __init__(self, spent: float) -> None:
        super().__init__(f"{spent:g} credits were spent today")
        self.spent = spent


@dataclass(frozen=True, slots=True)
class Start:
    """A start as it is written down.

    Attributes:
        account: Whose credits it costs: a digest of the Runway key.
        caller: Who asked: a digest of their identity.
        fingerprint: What was asked: a digest of type and input.
        type: The task type.
        client_token: What the caller calls this start, or None.
        credits: What it is estimated at; None where that is not known before Runway's answer.
        settings: What its price can go by: a digest of that part of the input.
    """

    account: str
    caller: str
    fingerprint: str
    type: str
    client_token: str | None = None
    credits: float | None = None
    settings: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """A start in the history.

    Attributes:
        number: What it is settled by.
        is_new: Whether it was written just now; one that was there before must not be sent again.
        state: How far it has come.
        fingerprint: What was asked.
        task_id: The task that it brought, where it is known.
        credits: What it costs, as far as it is known.
        age: Seconds since it was written.
    """

    number: int
    is_new: bool
    state: State
    fingerprint: str
    task_id: str | None = None
    credits: float | None = None
    age: float = 0.0


@dataclass(frozen=True, slots=True)
class Prices:
    """What Runway estimated the dearest of earlier starts at, in credits; None where there was none.

    Attributes:
        same: Of those with the same input.
        alike: Of those with the same settings, which may have differed in their texts and media.
    """

    same: float | None = None
    alike: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Credits that the operator lets be spent; None for no limit.

    Attributes:
        task: By one start.
        day: By all starts of an account on one day (UTC).
        unasked: By one start that no person was asked about.
    """

    task: float | None = None
    day: float | None = None
    unasked: float | None = None


NO_LIMITS = Limits()


class History(Protocol):
    """What was started, by every process that shares the store. Each method may raise `StoreError`."""

    async def begin(self, start: Start, *, day_limit: float | None = None) -> Written:
        """Write a start down, or return the one that the caller's client token already stands for.

        Of several that begin with the same token at once, one is new.

        Args:
            start: What is about to be sent.
            day_limit: Credits that the account's starts of this day (UTC) may come to.

        Raises:
            DayLimitError: They would come to more; nothing was written.
        """
        ...

    async def find(self, number: int) -> Written | None:
        """Return a start as it stands, or None where it was forgotten."""
        ...

    async def earlier(self, caller: str, client_token: str) -> Written | None:
        """Return the start that a caller's client token stands for, if there is one."""
        ...

    async def prices(self, start: Start) -> Prices:
        """Return what the account's earlier starts like this one were estimated at."""
        ...

    async def settle(self, number: int, *, task_id: str | None, cost: float | None) -> None:
        """Write down what a start has brought: a task, or without an id an outcome that nobody knows.

        The first cost is remembered as the price; a later one is what was charged after all.
        """
        ...

    async def forget(self, number: int) -> None:
        """Take a start back that certainly bought nothing: its token and its credits are free again."""
        ...

    async def spent(self, account: str) -> float:
        """Return the credits that an account's starts of this day (UTC) come to."""
        ...


@dataclass(frozen=True, slots=True)
class Ledger:
    """One caller's part of the history.

    Attributes:
        history: Opens it.
        account: Whose credits a start costs: a digest of the Runway key.
        caller: Who asks: a digest of their identity.
        limits: What may be spent.
    """

    history: Callable[[], Awaitable[History]]
    account: str
    caller: str
    limits: Limits = NO_LIMITS

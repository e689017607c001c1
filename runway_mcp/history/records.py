"""The history's contract: what was started here, so that nothing is bought twice and no limit forgotten.

A start is written down before it is sent and settled afterwards. What was begun and never settled,
because the process died in between, may have been bought; it is told so, never sent anew.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from runway_mcp.api.models import plain

State = Literal["starting", "started", "unclear", "taken back"]
"""How far a start has come: on its way, answered with a task's id, of unknown outcome, or cancelled by us at once."""

SENDING_SECONDS = 60.0
"""How long a start may be on its way. One that was begun longer ago was cut off: nobody knows what became of it."""

TOKEN_SECONDS = 24 * 3600.0
"""How long a client token stands for the start it was first used for."""


class StoreError(Exception):
    """The history can't be read or written. Its message goes to the caller and to the operator."""


class DayLimitError(Exception):
    """A start may take the day's credits over their limit. Its message says how, as the beginning of a sentence."""


class BusyError(Exception):
    """Another start of the account is on its way, whose price has to be known first."""


@dataclass(frozen=True, slots=True)
class StartRequest:
    """A start as it is written down.

    Attributes:
        account: Whose credits it costs: a digest of the Runway key.
        caller: Who asked: a digest of their identity.
        fingerprint: What was asked: a digest of type and input.
        type: The task type.
        client_token: What the caller calls this start, or None.
        credits: What it will cost or is likely to; None where nothing like it was started before.
        is_certain: Whether that is what the very same was estimated at.
        settings: What its price can go by: a digest of that part of the input.
    """

    account: str
    caller: str
    fingerprint: str
    type: str
    client_token: str | None = None
    credits: float | None = None
    is_certain: bool = False
    settings: str = ""


@dataclass(frozen=True, slots=True)
class StartRecord:
    """A start in the history.

    Attributes:
        number: What it is settled by.
        is_new: Whether it was written just now; one that was there before must not be sent again.
        state: How far it has come.
        fingerprint: What was asked.
        task_id: The task that it brought, where it is known.
        credits: What it costs, as far as it is known.
        age: Seconds since it was written; or till then, by a clock that was set back.
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
    """What Runway estimated earlier starts at, in credits; None where there was none.

    Attributes:
        same: The latest with the same input.
        alike: The dearest with the same settings, which may have differed in their texts and media.
    """

    same: float | None = None
    alike: float | None = None

    @property
    def likely(self) -> float | None:
        """What another one may cost: as the same did, else as one alike."""
        return self.alike if self.same is None else self.same


@dataclass(frozen=True, slots=True)
class Spend:
    """What starts come to.

    Attributes:
        credits: As far as it is known.
        unclear: How many there are beside, of which it is not known what they cost, if anything.
    """

    credits: float
    unclear: int


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
    confirm_over: float | None = None

    def task_rule(self, price: float | None) -> str:
        """Return the rule that forbids a start of a price, as the end of a sentence; empty where none does."""
        if self.task is None or price is None or price <= self.task:
            return ""
        return f"this server may spend {plain(self.task)} on a task (--max-credits-per-task)."

    def person_rule(self, price: float | None, leave: float) -> str:
        """Return the rule that demands a person, who has agreed to `leave` credits; empty where none does."""
        if self.confirm_over is None or price is None or price <= max(self.confirm_over, leave):
            return ""
        return f"a person is asked before more than {plain(self.confirm_over)} are spent. Starting it again asks."


NO_LIMITS = Limits()


class History(Protocol):
    """What was started, by every process that shares the store. Each method may raise `StoreError`."""

    async def begin(self, start: StartRequest, *, day_limit: float | None = None) -> StartRecord:
        """Write a start down, or return the one that the caller's client token already stands for.

        Of several that begin with the same token at once, one is new. Within a day's limit an account's starts go
        one after another, for what each costs is known only once it has its answer.

        Args:
            start: What is about to be sent.
            day_limit: Credits that the account's starts of this day (UTC) may come to.

        Raises:
            DayLimitError: They would come to more, or nobody knows what they come to; nothing was written.
            BusyError: With a limit: another start is on its way; nothing was written.
        """
        ...

    async def find(self, number: int) -> StartRecord | None:
        """Return a start as it stands, or None where it was forgotten."""
        ...

    async def find_by_client_token(self, start: StartRequest) -> StartRecord | None:
        """Return the start that this one's client token already stands for, if there is one."""
        ...

    async def prices(self, start: StartRequest) -> Prices:
        """Return what the account's earlier starts like this one were estimated at."""
        ...

    async def record_result(self, number: int, *, task_id: str | None, cost: float | None) -> None:
        """Write down what a start has brought: a task, or without an id an outcome that nobody knows.

        Args:
            number: The start.
            task_id: The task.
            cost: What it is estimated at, which is remembered as its price; what was written before where None.
        """
        ...

    async def mark_cancelled(self, number: int, *, cost: float | None) -> None:
        """Write down that a start's task was cancelled at once: its token is free again, its price remembered.

        Args:
            number: The start.
            cost: What was charged all the same; its price where nobody knows.
        """
        ...

    async def forget(self, number: int) -> None:
        """Take a start back that certainly bought nothing: its token and its credits are free again."""
        ...

    async def spent(self, account: str, *, up_to: int | None = None) -> Spend:
        """Return what an account's starts of this day (UTC) come to.

        Args:
            account: The account.
            up_to: The last start that counts; then the day is that start's.
        """
        ...


@dataclass(frozen=True, slots=True)
class CallerLedger:
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

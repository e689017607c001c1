"""The history's contract: what was started here, so that nothing is bought twice and no limit is forgotten.

A start is recorded before it is sent, and its result afterwards. A start without a result, because its process
died in between, may have been bought. It is reported so and never sent again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal, Protocol

State = Literal["pending", "started", "unknown", "cancelled"]
"""Sent or about to be; answered with a task's id; of unknown outcome; or its task was cancelled at once by us."""

SENDING_SECONDS = 60.0
"""How long a start may stay pending. After that its process was cut off, and nobody knows the outcome."""

TOKEN_SECONDS = 24 * 3600.0
"""How long a client token stands for the start it was first used for."""


@dataclass(eq=False)
class HistoryError(Exception):
    """The history can't be read or written.

    Attributes:
        file: Where it is kept; None in memory.
        reason: What the system says.
    """

    file: Path | None
    reason: str = ""

    def __str__(self) -> str:
        return repr(self)


class HistoryDamagedError(HistoryError):
    """The file is not a sound database. It is left as it is."""


class HistoryReplacedError(HistoryError):
    """The file was removed, or replaced by another, while this process had it open."""


class HistoryLockedError(HistoryError):
    """Another process held the file for longer than this one waits."""


class HistoryNewerError(HistoryError):
    """A newer version of this server has written the file."""


class HistoryUnusableError(HistoryError):
    """The file can't be opened, read or written."""


@dataclass(frozen=True, slots=True)
class StartRequest:
    """A start that is about to be sent.

    Attributes:
        account: Whose credits it costs: a digest of the Runway key.
        caller: Who asked: a digest of their identity.
        fingerprint: A digest of type and input.
        type: The task type.
        client_token: The caller's name for this start, or None.
        price_key: A digest of the part of the input that the price depends on.
    """

    account: str
    caller: str
    fingerprint: str
    type: str
    client_token: str | None = None
    price_key: str = ""

    @property
    def token_digest(self) -> str | None:
        """What is stored in place of the client token."""
        return digest_token(self.client_token) if self.client_token is not None else None


def digest_token(client_token: str) -> str:
    """Return what is stored in place of a client token."""
    return sha256(client_token.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class StartRecord:
    """A start in the history.

    Attributes:
        number: Its number in the history, ascending.
        is_new: Whether it was recorded just now. One that was there before must not be sent again.
        state: How far it has come.
        fingerprint: A digest of type and input.
        task_id: The task that it brought, where it is known.
        credits: Its cost, or estimated cost; None where neither is known.
        age: Seconds since it was recorded.
    """

    number: int
    is_new: bool
    state: State
    fingerprint: str
    task_id: str | None = None
    credits: float | None = None
    age: float = 0.0


@dataclass(frozen=True, slots=True)
class Spend:
    """The sum of an account's starts.

    Attributes:
        credits: The sum of the known costs.
        unknown: How many more there are whose cost is unknown.
    """

    credits: float
    unknown: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the history knows at one moment about a start that is not sent yet.

    Attributes:
        spent: The sum of the account's starts of this day (UTC).
        in_flight: How many starts of the account wait for Runway's answer.
        same: The latest estimate, in credits, of the caller's starts with the same input; None for no such start.
        similar: The highest estimate of the account's starts with the same price key; None for no such start.
        earlier: The start that the client token already stands for, or None.
    """

    spent: Spend
    in_flight: int = 0
    same: float | None = None
    similar: float | None = None
    earlier: StartRecord | None = None

    @property
    def expected(self) -> float | None:
        """The credits that the start is likely to cost; None where nothing like it was started before."""
        return self.similar if self.same is None else self.same


@dataclass(frozen=True, slots=True)
class Limits:
    """Credits that the operator lets be spent; None for no limit.

    Attributes:
        task: By one start.
        day: By all starts of an account on one day (UTC).
        confirm_over: By one start that no person has approved.
    """

    task: float | None = None
    day: float | None = None
    confirm_over: float | None = None


NO_LIMITS = Limits()


class History(Protocol):
    """What was started, by every process that shares the store. Each method may raise a `HistoryError`."""

    async def look(self, start: StartRequest) -> Snapshot:
        """Return what is known about a start, without recording it."""
        ...

    async def begin(self, start: StartRequest, allow: Callable[[Snapshot], None]) -> StartRecord:
        """Record a start, or return the one that its client token already stands for, in one transaction.

        Of several starts that begin with the same token at once, one is new.

        Args:
            start: What is about to be sent.
            allow: Called within the transaction for a new start. Whatever it raises is raised here, and nothing
                is recorded.
        """
        ...

    async def find(self, number: int) -> StartRecord | None:
        """Return a start as it stands, or None where it was forgotten."""
        ...

    async def record_result(self, number: int, *, task_id: str | None, cost: float | None) -> None:
        """Record the result of a start: a task or, without an id, an unknown outcome.

        Args:
            number: The start.
            task_id: The task.
            cost: Its estimated cost, kept as its price. None leaves the expected cost in place.
        """
        ...

    async def mark_cancelled(self, number: int, *, cost: float | None) -> None:
        """Record that a start's task was cancelled at once. Its token is free again; its price is remembered.

        Args:
            number: The start.
            cost: What was charged all the same. None leaves the estimated cost in place.
        """
        ...

    async def forget(self, number: int) -> None:
        """Delete a start that certainly bought nothing. Its token and its credits are free again."""
        ...

    async def spent(self, account: str, *, up_to: int | None = None) -> Spend:
        """Return the sum of an account's starts of this day (UTC).

        Args:
            account: The account.
            up_to: The last start to count. The day is then that of this start.
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

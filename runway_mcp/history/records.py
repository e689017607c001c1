"""The history's records: what was started here, so that nothing is bought twice and no limit is forgotten.

A start is recorded before it is sent, and its result afterwards. A start without a result, because its process
died in between, may have been bought. It is reported so and never sent again.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

State = Literal["pending", "started", "unknown", "cancelled"]
"""Sent or about to be; answered with a task's id; of unknown outcome; or its task was cancelled at once by us."""

SENDING_SECONDS = 60.0
"""How long a start may stay pending. After that its process was cut off, and nobody knows the outcome."""
TOKEN_SECONDS = 24 * 3600.0
"""How long a client token stands for the start it was first used for."""


def place_of(url: str) -> str:
    """Return a database's URL without what is secret in it."""
    parts = urlsplit(url)
    service = "".join(f"?service={name}" for name in parse_qs(parts.query).get("service", [])[-1:])
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{service}"


@dataclass(eq=False)
class HistoryError(Exception):
    """The history can't be read or written: its `place`, None in memory, and what the system says.

    The place is a file, or a database's URL without what is secret in it.
    """

    place: Path | str | None
    reason: str = ""

    def __str__(self) -> str:
        return f"{type(self).__name__}: {self.place} {self.reason}".rstrip()


class HistoryDamagedError(HistoryError):
    """The file is not a sound database. It is left as it is."""


class HistoryReplacedError(HistoryError):
    """The file was removed, or replaced by another, while this process had it open."""


class HistoryLockedError(HistoryError):
    """Another process held the file for longer than this one waits."""


class HistoryNewerError(HistoryError):
    """A newer version of this server has written the file."""


class HistoryUnusableError(HistoryError):
    """The place can't be opened, read or written."""


class HistoryRefusedError(HistoryError):
    """The database does not take a value: it never will."""


class HistoryAwayError(HistoryError):
    """The database can't be reached, or went away."""


@dataclass(eq=False)
class NotOpenError(Exception):
    """There is no open start of this number."""

    number: int


@dataclass(frozen=True, slots=True)
class StartRequest:
    """A start that is about to be sent.

    Attributes:
        account: Whose credits it costs: a digest of the Runway key.
        caller: Who asked: a digest of their identity.
        fingerprint: A digest of type and input.
        price_key: A digest of the part of the input that the price depends on.
        list_price: Credits that it costs by the price table; None where that has no price, or a lowest one only.
        model: None where the type has none to choose.
        seconds: The length that is asked for.
        save: Whether the server itself is to save the outputs.
    """

    account: str
    caller: str
    fingerprint: str
    type: str
    client_token: str | None = None
    price_key: str = ""
    list_price: float | None = None
    model: str | None = None
    prompt: str = field(default="", repr=False)
    seconds: float | None = None
    save: bool = False

    @property
    def token_digest(self) -> str | None:
        return digest_token(self.client_token)


def digest_token(client_token: str | None) -> str | None:
    """Return what is stored in place of a client token."""
    return None if client_token is None else sha256(client_token.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class StartRecord:
    """A start in the history.

    Attributes:
        number: Its number in the history, ascending.
        is_new: Whether it was recorded just now. One that was there before must not be sent again.
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
class OpenStart:
    """A start of which nobody knows whether it bought a task. A person can settle it by its number.

    Attributes:
        begun: UNIX seconds.
        credits: What it counts for; None where no price is known.
    """

    number: int
    type: str
    begun: float
    credits: float | None


@dataclass(frozen=True, slots=True)
class Spend:
    """The credits of an account's starts of one day (UTC).

    Attributes:
        credits: The sum. A start whose cost Runway has not told counts with its likely price.
        unknown: How many starts have no known price, not even a likely one.
        open: The numbers of the day's open starts; see `OpenStart`.
    """

    credits: float
    unknown: int
    open: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the history knows at one moment about a start that is not sent yet.

    Attributes:
        spent: The sum of the account's starts of this day (UTC).
        in_flight: How many starts of the account wait for Runway's answer.
        same: The latest estimate, in credits, of the caller's starts with the same input; None for no such start.
        similar: The highest estimate of the account's starts with the same price key; None for no such start.
        earlier: The start that the client token already stands for.
    """

    spent: Spend
    in_flight: int = 0
    same: float | None = None
    similar: float | None = None
    earlier: StartRecord | None = None

    def likely(self, list_price: float | None) -> float | None:
        """Return the credits that the start counts with until its cost is known; None where no price is known.

        Those of the very same start, else the higher of a similar one's and the table's: a text's length can decide
        the price, and is no part of what makes two starts similar.
        """
        if self.same is not None:
            return self.same
        return max((price for price in (self.similar, list_price) if price is not None), default=None)


@dataclass(frozen=True, slots=True)
class Limits:
    """Credits that may be spent; None for no limit.

    Attributes:
        task: By one start.
        day: By all starts of an account on one day (UTC).
        confirm_over: By one start that no person has approved.
        start: By this start, as its caller says; the others are the operator's.
    """

    task: float | None = None
    day: float | None = None
    confirm_over: float | None = None
    start: float | None = None


NO_LIMITS = Limits()

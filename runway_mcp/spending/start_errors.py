"""Why a start brought no task, or one that may not stand."""

from dataclasses import dataclass
from typing import Literal

from runway_mcp.api.errors import RunwayError
from runway_mcp.api.models import Task, TaskId
from runway_mcp.catalogue.named_media import NamedMedium
from runway_mcp.history.records import HistoryError
from runway_mcp.spending.estimates import Estimate


class StartError(Exception):
    """A start that did not bring its task."""

    def __str__(self) -> str:
        return repr(self)


@dataclass(eq=False, kw_only=True)
class LimitError(StartError):
    """The limits don't allow the start. Nothing was sent where this is raised by itself.

    Attributes:
        estimate: Its price, where that is the reason.
    """

    estimate: Estimate | None = None


@dataclass(eq=False)
class OverTaskLimitError(LimitError):
    """Its price is over the operator's `limit` for one task."""

    limit: float


@dataclass(eq=False)
class OverStartLimitError(LimitError):
    """Its price is over the `limit` that its caller gave, or is unknown."""

    limit: float


@dataclass(eq=False)
class OverDayLimitError(LimitError):
    """The day's credits, without this start's, are over their limit; or too many with them; or nobody can tell.

    Attributes:
        unknown: How many starts of this day have no known price.
        open: The numbers of the day's starts of unknown outcome, which a person can settle.
        estimate: The price of this start; None where the others alone are too much.
    """

    limit: float
    spent: float
    unknown: int = 0
    open: tuple[int, ...] = ()


@dataclass(eq=False)
class ApprovalNeededError(LimitError):
    """Its price is higher than a person has approved, and than the `limit` that needs no approval."""

    limit: float


class PriceUnknownError(LimitError):
    """Runway tells no price, so that no limit can be kept."""


class StartsInFlightError(LimitError):
    """Other starts of the account wait for their prices, so that nobody can tell what the day comes to."""


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What became of a task that was cancelled at once.

    Attributes:
        outcome: `free`: cancelled, and Runway charges nothing. `waiting`: cancelled while it waited; Runway does not
            tell the cost yet. `running`: cancelled while it ran. `charged`: cancelled, and charged. `finished`: it had
            finished, or was gone. `failed`: it may not be cancelled, for the `error`.
        charged: Credits.
        error: Why the cancel failed.
    """

    task_id: TaskId
    outcome: Literal["free", "waiting", "running", "charged", "finished", "failed"]
    charged: float | None = None
    error: Exception | None = None


@dataclass(eq=False)
class StartCancelledError(StartError):
    """A task was started and, because its price became known only then, cancelled at once."""

    reason: LimitError | HistoryError
    cancellation: Cancellation


class TokenReusedError(StartError):
    """The client token stands for a start of something else. Nothing was sent."""


class UnclearStartError(StartError):
    """Whether there is a task is not known, or was not while this call waited."""


@dataclass(eq=False)
class ReplyLostError(UnclearStartError):
    """The start `number` was sent, and its reply was lost as the `error` says. A task may exist."""

    error: RunwayError
    number: int

    def __str__(self) -> str:
        return f"the reply was lost ({self.error}), so the task may exist and be charged"


@dataclass(eq=False)
class EarlierReplyLostError(UnclearStartError):
    """An earlier call with the same client token sent the start `number`, and its reply was lost. A task may exist."""

    number: int


@dataclass(eq=False)
class EarlierPendingError(UnclearStartError):
    """An earlier call with the same client token sent the start `number`, and no answer is recorded yet.

    Its process waits for the answer, or was stopped. In `seconds` the start counts as one of unknown outcome.
    """

    number: int
    seconds: float


@dataclass(eq=False)
class NamedInputError(StartError):
    """A medium that the input names can't be used. Nothing was sent.

    Attributes:
        cause: Why it can't: a FilesError, or a RunwayError.
        kind: What it is, where something else must stand there.
        task: The earlier task, which has not this output.
        outputs: How many outputs that has.
    """

    medium: NamedMedium
    cause: Exception | None = None
    kind: str = ""
    task: Task | None = None
    outputs: int = 0


class EarlierFailedError(UnclearStartError):
    """The earlier call with the same client token, which this one waited for, bought nothing. Nothing was sent."""

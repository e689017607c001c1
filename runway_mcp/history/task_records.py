"""What the history remembers of tasks: what was asked for, what came of it, and where it is."""

import unicodedata
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from runway_mcp.api.models import TERMINAL
from runway_mcp.history.records import SENDING_SECONDS

PROMPT_CHARACTERS = 120
"""How much of a prompt is kept."""
KEEP_DAYS = 90
"""How long prompts and the places of outputs are kept."""
UPLOAD_SECONDS = 24 * 3600.0
"""How long Runway keeps an uploaded file."""
CLAIM_SECONDS = 20.0
"""How long a process that saves a task keeps others from doing so, unless it renews its claim."""
UNSEEN_SECONDS = 48 * 3600.0
"""After which nobody knows how a task ended that was not seen to end."""
GONE = "DELETED"
"""The status of a task that Runway no longer has."""
IS_OPEN = f"(state = 'unknown' OR (state = 'pending' AND abs(begun - :now) >= {SENDING_SECONDS}))"
"""Of a start in the database at the time :now: nobody knows whether it bought a task."""
NOT_ACTIVE = frozenset({*TERMINAL, GONE, "UNKNOWN"})
"""The statuses that don't change by themselves. UNKNOWN: nobody knows whether it was bought, or how it ended."""

Saving = Literal["", "wanted", "saved", "lost", "told"]
"""Whether a task's outputs are saved by the server itself: no; once it has finished; done; they could not be, which
nobody has been told yet; or which has been told."""


@dataclass(frozen=True, slots=True)
class SavedOutput:
    """An output that was saved to a file.

    Attributes:
        position: Its place in the task's list of outputs, from 1.
        size: Bytes.
    """

    position: int
    path: str
    size: int
    content_type: str
    sha256: str


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task that was started here.

    Attributes:
        task_id: None where no reply told one.
        model: None where its type has none to choose.
        prompt: The first characters of its prompt; may be empty.
        status: As it was last seen; PENDING where it was never seen, else DELETED or UNKNOWN.
        credits: Its cost, or what it counts for; None where neither is known.
        is_charged: Whether the credits are what Runway charged.
        begun: UNIX seconds.
        finished: UNIX seconds of when it was first seen finished.
        seconds: The length that was asked for, of a video or sound.
        made: How many outputs it has, where that is known.
        outputs: Where they were saved, some maybe to several places.
    """

    number: int
    task_id: str | None
    type: str
    model: str | None
    prompt: str
    status: str
    credits: float | None
    is_charged: bool
    begun: float
    finished: float | None
    seconds: float | None
    saving: Saving
    made: int | None = None
    outputs: tuple[SavedOutput, ...] = ()

    @property
    def is_active(self) -> bool:
        return self.status not in NOT_ACTIVE

    @property
    def lacks_files(self) -> bool:
        """Whether it has outputs that were not saved, as far as is known."""
        return len({output.position for output in self.outputs}) < (1 if self.made is None else self.made)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a task.

    Attributes:
        status: Empty where Runway has no such task.
        removed: Whether this server removed it.
        cost: Credits, where Runway has told them.
        made: How many outputs it has, where that is known.
    """

    status: str = ""
    removed: bool = False
    cost: float | None = None
    made: int | None = None


@dataclass(frozen=True, slots=True)
class TaskQuery:
    """Which tasks are wanted, the latest first; empty values want all.

    Attributes:
        status: A status, or `active` for all that have not finished.
        since: UNIX seconds.
        text: What the prompt or the model's name contains, in any case.
        before: Only starts with a lower number.
    """

    status: str = ""
    since: float = 0
    type: str = ""
    text: str = ""
    limit: int = 20
    before: int = 2**63 - 1


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Some of the tasks that match a query.

    Attributes:
        matched: How many match, on all pages.
        credits: The sum of theirs; those that are not known count for nothing.
        unknown: How many of them have no known credits.
        has_more: Whether a page follows.
    """

    tasks: list[TaskRecord]
    matched: int
    credits: float
    unknown: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """A file that was uploaded.

    Attributes:
        uri: Its `runway://` URI.
        uploaded: UNIX seconds.
        size: Bytes.
        seconds: The length of a video or sound, where it could be measured.
    """

    sha256: str
    uri: str
    size: int
    content_type: str
    seconds: Decimal | None = None
    uploaded: float = field(default=0, compare=False)


def plain_text(text: str | None) -> str:
    """Return a text as it is compared: without differences of case and of Unicode's forms."""
    return unicodedata.normalize("NFKC", text or "").casefold()


def contains(text: str | None, part: str) -> bool:
    """Return whether a text contains another, which is plain already."""
    return part in plain_text(text)

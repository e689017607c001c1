"""What a server starts is saved by itself: as it finishes, or at the next start of a server that has ended before.

The history says what is to be saved, and is looked at from time to time. A process claims a task while it saves it.
Another one takes over where the claim is not renewed, for then its process has died.
"""

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from time import time
from weakref import ref

import anyio
from anyio.abc import TaskGroup

from runway_mcp.api.errors import NotFoundError, RunwayError
from runway_mcp.api.models import TaskId
from runway_mcp.files import file_errors
from runway_mcp.files.download import Failed
from runway_mcp.history.records import HistoryError
from runway_mcp.history.task_history import TaskHistory
from runway_mcp.history.task_records import CLAIM_SECONDS, Saving, TaskRecord
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.outputs import RENEW_SECONDS, NoOutputError, Wanted, claimed, has_all, save_outputs
from runway_mcp.tasks.poll_loop import TaskState
from runway_mcp.tasks.poller import CallerLimitError

logger = logging.getLogger(__name__)

MAX_FOLLOWED = 100
"""Tasks of one caller that are followed at once: a tenth of what the caller may follow. More wait for their turn."""
MAX_SAVING = 4
"""Tasks of one caller that are saved at once."""
LOOK_SECONDS = CLAIM_SECONDS
"""The time between two looks for what is to be saved: by servers that died meanwhile, too."""
FIRST_PAUSE, LONGEST_PAUSE = CLAIM_SECONDS, 3600.0
"""Seconds until a task that could not be saved is tried again, twice as long each time."""
YOUNG_SECONDS = 120.0
"""Age of a start up to which Runway may not know its task yet."""


@dataclass(slots=True)
class _Rest:
    """What of a task is still to be saved: all where no `outputs` are named. `has_lost` tells whether any is lost."""

    outputs: list[int] = field(default_factory=list[int])
    has_lost: bool = False


_FINAL = (
    file_errors.TooLargeError,
    file_errors.MissingLinkError,
    file_errors.TooManyOutputsError,
    file_errors.OutputGoneError,
)


class AutoSaver:
    """Saves what one caller starts. It runs in `group`, whose cancellation leaves nothing half saved."""

    def __init__(
        self,
        group: TaskGroup,
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        renew_seconds: float = RENEW_SECONDS,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._group, self._sleep = group, sleep
        self._renew_seconds, self._look_seconds = renew_seconds, look_seconds
        self._places = anyio.Semaphore(MAX_FOLLOWED)
        self._saving = anyio.Semaphore(MAX_SAVING)
        self._known: set[int] = set()
        self._look_now: anyio.Event | None = None
        self._has_failed = False

    def look(self, context: CallerContext) -> None:
        """Look for what is to be saved, now and from then on as long as the caller has its context."""
        if self._look_now is None:
            self._look_now = anyio.Event()
            self._group.start_soon(self._look_on, ref(context))
        self._look_now.set()

    async def _look_on(self, caller: "ref[CallerContext]") -> None:
        while (context := caller()) is not None:
            self._look_now = anyio.Event()
            await self._look(context)
            del context  # it lasts as long as others have it
            with anyio.move_on_after(self._look_seconds):
                await self._look_now.wait()

    async def _look(self, context: CallerContext) -> None:
        ledger = context.ledger
        try:
            history = await ledger.begun()
            if history is None:
                return
            records = await history.tasks.to_save(ledger.account, ledger.caller)
            self._has_failed = False
        except HistoryError as error:
            level = logging.DEBUG if self._has_failed else logging.WARNING  # it is told once
            logger.log(level, "Nothing can be saved automatically for now: %s", error)
            self._has_failed = True
            return
        for record in [one for one in records if one.number not in self._known]:
            self._known.add(record.number)
            self._group.start_soon(self._run, context, history.tasks, record)

    async def _run(self, context: CallerContext, tasks: TaskHistory, record: TaskRecord) -> None:
        pause, rest = FIRST_PAUSE, _Rest()
        try:
            while not await self._try(context, tasks, record, rest):
                await self._sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            self._known.discard(record.number)

    async def _try(self, context: CallerContext, tasks: TaskHistory, record: TaskRecord, rest: _Rest) -> bool:
        """Return whether there is nothing more to do for a task, until the next look."""
        task_id = TaskId(record.task_id or "")
        try:
            async with self._places:
                status = await _final_status(context, task_id)
            now = await tasks.find(context.ledger.account, context.ledger.caller, task_id) or record
            if status == "SUCCEEDED":
                async with (
                    self._saving,
                    claimed(tasks, record.number, renew_seconds=self._renew_seconds) as is_claimed,
                ):
                    if not is_claimed:
                        return True
                    saved = await _outcome(context, task_id, rest)
                    if saved is not None:
                        await tasks.mark_saving(record.number, saved)
                    return saved is not None
            outcome: Saving = ""  # what failed or was cancelled has nothing to save
            if not status and now.status != "CANCELLED":
                if abs(time() - now.begun) < YOUNG_SECONDS:
                    return False
                outcome = "saved" if has_all(now) else "lost"
            await tasks.mark_saving(record.number, outcome)
        except (RunwayError, HistoryError, CallerLimitError) as error:
            logger.warning("Task %s could not be saved for now: %s", task_id, error)
            return False
        except Exception:
            logger.exception("Task %s could not be saved", task_id)
            return False
        return True


async def _final_status(context: CallerContext, task_id: TaskId) -> str:
    """Return the status that a task ends with; empty where Runway has it no more."""
    last = TaskState()
    with context.poller.states(task_id) as states:
        async for state in states:
            last = state
    if isinstance(last.last_error, NotFoundError):
        return ""
    if last.last_error is not None:
        raise last.last_error.with_traceback(None)
    return last.task.status if last.task else ""


async def _outcome(context: CallerContext, task_id: TaskId, rest: _Rest) -> Saving | None:
    try:
        folders = await (await context.files()).folders()
        wanted = Wanted(outputs=rest.outputs)
        outputs = await save_outputs(context, task_id, folders, wanted, timeout=math.inf, is_claimed=True)
    except NotFoundError:
        return "lost"
    except NoOutputError as error:
        return "lost" if error.task.status == "SUCCEEDED" else None
    except (RunwayError, file_errors.FilesError) as error:
        logger.warning("Task %s could not be saved for now: %r", task_id, error)
        return None
    failed = [output for output in outputs if isinstance(output, Failed)]
    for output in failed:
        name = type(output.error).__name__
        logger.warning("Output %d of task %s could not be saved: %s", output.index, task_id, name)
    rest.outputs = [output.index for output in failed if not _is_final(output.error)]
    rest.has_lost |= len(rest.outputs) < len(failed)
    if rest.outputs:
        return None
    return "lost" if rest.has_lost else "saved"


def _is_final(error: file_errors.FilesError) -> bool:
    """Return whether no later attempt can end better."""
    if isinstance(error, file_errors.UnexpectedStatusError):
        return not error.retryable and error.status not in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY}
    return isinstance(error, _FINAL) or getattr(error, "problem", "") == "not_media"

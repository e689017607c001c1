"""What a server starts is saved by itself: as it finishes, or at the next start of a server that has ended before.

The history says what is to be saved. A process claims a task while it saves it. Another one takes over where the claim
is not renewed, for then its process has died.
"""

import logging
import math
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup

from runway_mcp.api.errors import NotFoundError, RunwayError
from runway_mcp.api.models import TaskId
from runway_mcp.files import file_errors
from runway_mcp.files.download import Failed
from runway_mcp.history.records import HistoryError
from runway_mcp.history.task_records import CLAIM_SECONDS, Saving, TaskRecord
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.outputs import NoOutputError, save_outputs
from runway_mcp.tasks.poll_loop import TaskState
from runway_mcp.tasks.poller import CallerLimitError

if TYPE_CHECKING:
    from runway_mcp.history.task_history import TaskHistory

logger = logging.getLogger(__name__)

MAX_FOLLOWED = 100
"""Tasks of one caller that are followed at once: a tenth of what the caller may follow. More wait for their turn."""
MAX_SAVING = 4
"""Tasks of one caller that are saved at once."""
FIRST_PAUSE, LONGEST_PAUSE = CLAIM_SECONDS, 3600.0
"""Seconds until a task is tried again, twice as long each time: it could not be saved, or another process saves it."""


class AutoSaver:
    """Saves what one caller starts. It runs in `group`, whose cancellation leaves nothing half saved."""

    def __init__(
        self,
        group: TaskGroup,
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        renew_seconds: float = CLAIM_SECONDS / 3,
    ) -> None:
        self._group, self._sleep, self._renew_seconds = group, sleep, renew_seconds
        self._places = anyio.Semaphore(MAX_FOLLOWED)
        self._saving = anyio.Semaphore(MAX_SAVING)
        self._known: set[int] = set()

    def look(self, context: CallerContext) -> None:
        self._group.start_soon(self._look, context)

    async def _look(self, context: CallerContext) -> None:
        ledger, pause = context.ledger, FIRST_PAUSE
        while True:
            try:
                history = await ledger.begun()
                records = await history.tasks.to_save(ledger.account, ledger.caller) if history else []
            except HistoryError as error:
                logger.warning("Nothing can be saved automatically for now: %s", error)
                await self._sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            for record in records:
                if history is not None and record.number not in self._known:
                    self._known.add(record.number)
                    self._group.start_soon(self._run, context, history.tasks, record)
            return

    async def _run(self, context: CallerContext, tasks: "TaskHistory", record: TaskRecord) -> None:
        pause = FIRST_PAUSE
        try:
            while not await self._try(context, tasks, record):
                await self._sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            self._known.discard(record.number)

    async def _try(self, context: CallerContext, tasks: "TaskHistory", record: TaskRecord) -> bool:
        """Return whether there is nothing more to do for a task."""
        task_id = TaskId(record.task_id or "")
        try:
            async with self._places:
                status = await _final_status(context, task_id)
            now = await tasks.find(context.ledger.account, context.ledger.caller, task_id)
            if now is None or now.saving != "wanted":
                return True
            if status == "SUCCEEDED":
                async with self._saving:
                    return await self._claim_and_save(context, tasks, record.number, task_id)
            outcome: Saving = ""  # what failed or was cancelled has nothing to save
            if not status and now.status != "CANCELLED":
                outcome = "saved" if now.outputs else "lost"
            await tasks.mark_saving(record.number, outcome)
        except (RunwayError, HistoryError, CallerLimitError) as error:
            logger.warning("Task %s could not be saved for now: %s", task_id, error)
            return False
        except Exception:
            logger.exception("Task %s could not be saved", task_id)
            return False
        return True

    async def _claim_and_save(self, context: CallerContext, tasks: "TaskHistory", number: int, task_id: TaskId) -> bool:
        if not await tasks.claim(number):
            return False
        is_done = False
        try:
            async with anyio.create_task_group() as claim:
                claim.start_soon(self._renew, tasks, number)
                is_done = await _save(context, tasks, number, task_id)
                claim.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await tasks.release(number)
        return is_done

    async def _renew(self, tasks: "TaskHistory", number: int) -> None:
        while True:
            await anyio.sleep(self._renew_seconds)
            try:
                await tasks.claim(number, renew=True)
            except HistoryError as error:
                logger.warning("Another process may save the same task: %s", error)


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


async def _save(context: CallerContext, tasks: "TaskHistory", number: int, task_id: TaskId) -> bool:
    outcome = await _outcome(context, task_id)
    if outcome is not None:
        await tasks.mark_saving(number, outcome)
    return outcome is not None


async def _outcome(context: CallerContext, task_id: TaskId) -> Saving | None:
    try:
        folders = await (await context.files()).folders()
        outputs = await save_outputs(context, task_id, folders, timeout=math.inf)
    except NotFoundError:
        return "lost"
    except NoOutputError as error:
        return "lost" if error.task.status == "SUCCEEDED" else None
    except (RunwayError, file_errors.FilesError) as error:
        logger.warning("Task %s could not be saved for now: %r", task_id, error)
        return None
    failed = [output.error for output in outputs if isinstance(output, Failed)]
    for error in failed:
        logger.warning("An output of task %s could not be saved: %s", task_id, type(error).__name__)
    if not failed:
        return "saved"
    return "lost" if all(map(_is_lost, failed)) else None


def _is_lost(error: file_errors.FilesError) -> bool:
    match error:
        case file_errors.UnexpectedStatusError():
            return error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
        case file_errors.TooLargeError() | file_errors.MissingLinkError() | file_errors.TooManyOutputsError():
            return True
        case _:
            return False

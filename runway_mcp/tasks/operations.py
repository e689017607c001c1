"""Get, wait, cancel and delete: the use cases of a task that tools, REST and the command line share.

The API has one DELETE, which cancels an active task and destroys a finished one with its
output. Here they are two: both read the task first, and after a reply that was lost or failed they
read it again before anything is sent a second time.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from random import random as system_random
from typing import Literal
from weakref import WeakValueDictionary

import anyio

from runway_mcp.api import retry
from runway_mcp.api.errors import (
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    RunwayError,
    TransientError,
)
from runway_mcp.api.models import Task, TaskId, parse_cost
from runway_mcp.tasks.background_tasks import BackgroundTasks
from runway_mcp.tasks.poller import CallerLimitError, TaskPoller
from runway_mcp.tasks.recorder import TaskApi
from runway_mcp.tasks.waiting import Report, Until, Waited, wait

READ_SECONDS = 15.0
"""How long the read before a change may take, its retries included."""
QUEUE_SECONDS = 10.0
"""How long a change may wait for an earlier one of the same task."""
CHANGE_SECONDS = 25.0
"""How long a change may take from its first DELETE on."""
COST_SECONDS = 5.0
"""How long the cost of a cancelled task is looked up; with the three above, below a host's 60 s."""
COST_PAUSE_SECONDS = 2.0
"""The pause between two such reads."""

Outcome = Literal["cancelled", "deleted", "finished", "gone"]
"""What a change came to. `finished`: the task had ended by itself and was left alone. `gone`: somebody
else had already removed it."""


@dataclass(frozen=True, slots=True)
class Change:
    """What came of a change.

    Attributes:
        before: The task as it was last seen before; None where it was already gone.
        after: The task as it was seen after it was cancelled, with its cost; None where `priced` has not seen it.
    """

    task_id: TaskId
    outcome: Outcome
    before: Task | None
    after: Task | None = None

    def __str__(self) -> str:
        return self.outcome


class StillActiveError(Exception):
    """A task that has not finished is not deleted."""

    def __init__(self, task: Task) -> None:
        super().__init__(f"Task {task.id} has not finished and was not deleted.")
        self.task = task


class UnclearOutcomeError(Exception):
    """A DELETE was sent, but neither its reply nor a later read tells what it did.

    Attributes:
        error: Why the DELETE failed; None where no clear answer came within `seconds`.
        second: Why the read after it failed; None where it showed the task unchanged.
    """

    def __init__(
        self, before: Task, error: RunwayError | None = None, second: RunwayError | None = None, *, seconds: float = 0
    ) -> None:
        super().__init__(f"{before.id}: {error or 'time-out'}, then {second or 'unchanged'}")
        self.before = before
        self.error = error
        self.second = second
        self.seconds = seconds


class ChangeInProgressError(TransientError):
    """An earlier change of the same task has not ended; nothing was sent for this one."""

    def __init__(self, task_id: TaskId) -> None:
        super().__init__(f"An earlier change of task {task_id} has not ended.")
        self.task_id = task_id


class TooManyWaitsError(CallerLimitError):
    """The caller has as many waits in progress as one caller may."""


@dataclass
class TaskOperations:
    """The verbs of a task, for one caller. Every method but `wait` ends within 60 seconds.

    After a RunwayError from a change nothing was changed; after an UnclearOutcomeError it may have been.
    """

    client: TaskApi
    background: BackgroundTasks
    poller: TaskPoller
    max_waits: int | None = None
    waits_elsewhere: Callable[[], int] = lambda: 0
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    random: Callable[[], float] = system_random

    def __post_init__(self) -> None:
        self._waits: set[anyio.CancelScope] = set()
        self._lookups: set[anyio.CancelScope] = set()
        self._turns: WeakValueDictionary[TaskId, anyio.Semaphore] = WeakValueDictionary()

    async def get(self, task_id: TaskId) -> Task:
        """Return the task as it stands, or stood less than a poll interval ago."""
        return await self.poller.read(task_id)

    async def wait(self, task_ids: Sequence[TaskId], *, seconds: float, until: Until, report: Report) -> Waited:
        """Wait as `waiting.wait` does; raise a CallerLimitError over the limit of waits, or of followed tasks."""
        if self.max_waits is not None and self.waits_in_progress + self.waits_elsewhere() >= self.max_waits:
            raise TooManyWaitsError(self.max_waits)
        return await wait(self.poller, task_ids, seconds=seconds, until=until, report=report, in_progress=self._waits)

    @property
    def waits_in_progress(self) -> int:
        return len(self._waits)

    def end_waits(self) -> None:
        """Have every wait in progress return now, with its tasks as they stand, and so every lookup of a cost."""
        for scope in self._waits | self._lookups:
            scope.cancel()

    async def cancel(self, task_id: TaskId) -> Change:
        """Stop a task that has not finished; leave a finished one, and its output, alone."""
        return await self._change(task_id, lambda before: "cancelled" if before.is_active else None)

    async def delete(self, task_id: TaskId) -> Change:
        """Delete a finished task together with its output; raise StillActiveError for another."""

        def wanted(before: Task) -> Outcome:
            if before.is_active:
                raise StillActiveError(before)
            return "deleted"

        return await self._change(task_id, wanted)

    async def remove(self, task_id: TaskId) -> Change:
        """Do what the API's own DELETE means: cancel a task that has not finished, delete a finished one.

        One that finishes while it is being cancelled is left alone, as by `cancel`.
        """
        return await self._change(task_id, lambda before: "cancelled" if before.is_active else "deleted")

    async def priced(self, change: Change) -> Change:
        """Return a change with the cancelled task, once Runway tells its cost; as it came where Runway does not."""
        if change.outcome != "cancelled":
            return change
        with anyio.move_on_after(COST_SECONDS) as scope, suppress(RunwayError):
            self._lookups.add(scope)
            try:
                while True:
                    task = await self.client.get_task(change.task_id, timeout=COST_SECONDS)
                    if parse_cost(task) is not None:
                        return replace(change, after=task)
                    await self.sleep(COST_PAUSE_SECONDS)
            finally:
                self._lookups.discard(scope)
        return change

    async def _change(self, task_id: TaskId, choose: Callable[[Task], Outcome | None]) -> Change:
        """Read a task, and do what is then chosen for it, or nothing.

        Changes of one task take turns, so that the second sees what the first did. A turn lasts as long as the change
        itself, which outlives a caller who leaves.
        """
        turn = self._turns.setdefault(task_id, anyio.Semaphore(1))
        with anyio.move_on_after(QUEUE_SECONDS) as queue:
            await turn.acquire()
        if queue.cancelled_caught:
            raise ChangeInProgressError(task_id)
        is_passed_on = False
        try:
            before = await self._read(task_id)
            if before is None:
                return Change(task_id, "gone", None)
            wanted = choose(before)
            if wanted is None:
                return Change(task_id, "finished", before)
            is_passed_on = True
            name = f"{'cancel' if wanted == 'cancelled' else 'delete'} of {task_id}"
            return await self.background.run(partial(self._remove, before, wanted, turn), name=name)
        finally:
            if not is_passed_on:
                turn.release()

    async def _read(self, task_id: TaskId) -> Task | None:
        try:
            return await self.client.get_task(task_id, timeout=READ_SECONDS)
        except NotFoundError:
            return None

    async def _remove(self, before: Task, wanted: Outcome, turn: anyio.Semaphore) -> Change:
        try:
            with anyio.move_on_after(CHANGE_SECONDS):
                return await self._try_to_remove(before, wanted)
            raise UnclearOutcomeError(before, seconds=CHANGE_SECONDS)
        finally:
            self.poller.changed(before.id)
            turn.release()

    async def _try_to_remove(self, before: Task, wanted: Outcome) -> Change:
        """Send DELETE until the task is seen to be gone, reading the task before each repetition."""
        may_have_applied = False
        attempt = 0
        while True:
            attempt += 1
            try:
                await self.client.delete_task(before.id)
            except NotFoundError:
                return Change(before.id, wanted if may_have_applied else "gone", before)
            except RunwayError as error:
                is_refused = isinstance(error, (AuthenticationError, BadRequestError))
                may_have_applied |= error.may_have_taken_effect
                if is_refused and not may_have_applied:
                    raise
                try:
                    now = await self._read(before.id)
                except RunwayError as second:
                    raise (UnclearOutcomeError(before, error, second) if may_have_applied else error) from None
                outcome = _outcome(before, now, wanted)
                if outcome is not None:
                    return Change(before.id, outcome, now if outcome == "finished" else before)
                asked = error.retry_after if isinstance(error, TransientError) else None
                wait = retry.delay(attempt, self.random) if asked is None else asked
                if is_refused or attempt > retry.RETRIES or wait > retry.MAX_DELAY:
                    error.attempts = attempt
                    raise (UnclearOutcomeError(before, error) if may_have_applied else error) from None
                await self.sleep(wait)
            else:
                return Change(before.id, wanted, before)


def _outcome(before: Task, now: Task | None, wanted: Outcome) -> Outcome | None:
    """What a read after a failed DELETE proves, or None where the DELETE may be sent again."""
    if now is None or (now.status == "CANCELLED" and before.status != "CANCELLED"):
        return wanted
    return "finished" if wanted == "cancelled" and not now.is_active else None

"""One poll loop per task, shared by all who wait for it, and reads that join in.

Runway updates a task at most every five seconds, so asking oftener only costs. However many
tools, waiters and subscriptions look at a task, the API is asked once per interval; the loop
begins with the first of them and ends with the last.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import random as system_random
from time import monotonic

import anyio
from anyio.abc import TaskGroup

from runway_mcp.api.client import RunwayClient
from runway_mcp.api.errors import RunwayError, TransientError, UnexpectedReplyError
from runway_mcp.api.models import Task, TaskId
from runway_mcp.tasks.counters import Counters

logger = logging.getLogger(__name__)

POLL_SECONDS = 5.0
"""How often Runway updates a task at most."""
MAX_REQUESTS = 50
"""Looks under way at once; the client's pool has room for twice as many."""
MAX_REMEMBERED = 1_000
"""States kept for reads that come soon after."""

_JITTER = 0.1
_SLOWER = ((120, 3.0), (24, 2.0))
"""After so many intervals, ten minutes and two at five seconds each, a long wait polls that much slower."""
_PASSING = (TransientError, UnexpectedReplyError)
"""What a wait rides out; any other error ends it."""


def interval(
    poll_seconds: float, *, waited: float, throttled: bool, failures: int, random: Callable[[], float]
) -> float:
    """Return the seconds until the next look: longer, up to three times, where nothing hurries.

    Args:
        poll_seconds: The shortest interval.
        waited: Seconds since the first look.
        throttled: Whether the task waits for others to end.
        failures: How many looks in a row have failed.
        random: Returns a number from 0 to 1, for the jitter.
    """
    factor = next((factor for polls, factor in _SLOWER if waited >= polls * poll_seconds), 1.0)
    factor = max(factor, 2.0 if throttled else 1.0, min(1.0 + failures, 3.0))
    return poll_seconds * factor * (1 + _JITTER * random())


class Poll:
    """What is known of one watched task. Waiters read it and wait for `looked`.

    Attributes:
        task: Its latest state, or None before the first.
        trouble: Why the last look failed, or None where it did not.
        looks: How many looks there have been.
        ended: Whether there will be no further look: the task is final, or `trouble` can't pass.
    """

    def __init__(self) -> None:
        self.task: Task | None = None
        self.trouble: RunwayError | None = None
        self.looks = 0
        self.ended = False
        self._looked = anyio.Event()

    @property
    def lost(self) -> RunwayError | None:
        """Why there is no telling how the task stands: it is gone, or it was never seen; None where there is."""
        if self.task is None:
            return self.trouble or TransientError("Runway has not answered yet.")
        return self.trouble if self.ended else None

    async def next(self, seen: int) -> int:
        """Return the number of looks once it exceeds `seen`, or at once where no more will come."""
        while self.looks <= seen and not self.ended:
            await self._looked.wait()
        return self.looks

    def note(self, task: Task | None, trouble: RunwayError | None) -> None:
        """Take in what a look brought, and tell the waiters."""
        self.task = task or self.task
        self.trouble = trouble
        self.looks += 1
        self.ended = (task is not None and not task.is_active) or (
            trouble is not None and not isinstance(trouble, _PASSING)
        )
        self._looked.set()
        self._looked = anyio.Event()


class _Look:
    """A look under way, and what it brought to those who wait for the same."""

    def __init__(self) -> None:
        self.ended: anyio.Event | None = None
        self.task: Task | None = None
        self.error: RunwayError | None = None

    async def result(self) -> Task | None:
        """Return what it has brought, once it has ended; None where whoever looked was called away."""
        if self.ended is None:
            self.ended = anyio.Event()
        await self.ended.wait()
        if self.error is not None:
            raise self.error.with_traceback(None)
        return self.task


class _Loop:
    """A poll under way: how many hold it, what ends it, and what makes it look at once."""

    def __init__(self) -> None:
        self.poll = Poll()
        self.holders = 0
        self.scope = anyio.CancelScope()
        self.hurry = anyio.Event()


class TaskPoller:
    """The states of one caller's tasks, read as rarely as possible."""

    def __init__(
        self,
        client: RunwayClient,
        loops: TaskGroup,
        *,
        poll_seconds: float = POLL_SECONDS,
        counters: Counters | None = None,
        random: Callable[[], float] = system_random,
    ) -> None:
        """Take the client, and the task group in which the poll loops are to run.

        Args:
            client: What reads the tasks.
            loops: Where the loops run; cancelling it ends them.
            poll_seconds: How often a task is read, at most.
            counters: Where reads are counted.
            random: Returns a number from 0 to 1, for the jitter.
        """
        self._counters = counters or Counters()
        self._client = client
        self._tasks = loops
        self._poll_seconds = poll_seconds
        self._random = random
        self._loops: dict[TaskId, _Loop] = {}
        self._states: dict[TaskId, tuple[float, Task]] = {}
        self._looks: dict[TaskId, _Look] = {}
        self._changes = 0
        self._requests = anyio.Semaphore(MAX_REQUESTS, fast_acquire=True)

    async def read(self, task_id: TaskId) -> Task:
        """Return the task as it stands, or stood less than a poll interval ago.

        Readers at the same moment share one request.

        Raises:
            RunwayError: It could not be read.
        """
        known = self._recent(task_id)
        if known is not None:
            self._counters.shared_reads += 1
            return known
        task = await self._look(task_id)
        self._hurry(task_id)
        return task

    @asynccontextmanager
    async def watch(self, task_id: TaskId) -> AsyncGenerator[Poll]:
        """Hold a poll loop of the task while the context lasts."""
        loop = self._loops.get(task_id)
        if loop is None:
            loop = self._loops[task_id] = _Loop()
            self._tasks.start_soon(self._run, task_id, loop)
        loop.holders += 1
        try:
            yield loop.poll
        finally:
            loop.holders -= 1
            if loop.holders == 0:
                loop.scope.cancel()
                self._drop(task_id, loop)

    def follow(self, task_id: TaskId, tell: Callable[[], Awaitable[None]]) -> Callable[[], None]:
        """Call `tell` after each change of the task, until it is final or what is returned is called."""
        scope = anyio.CancelScope()

        async def run() -> None:
            with scope:
                before: object = None
                async with self.watch(task_id) as poll:
                    while not poll.ended:
                        await poll.next(poll.looks)
                        now = poll.task.data if poll.task else None
                        if now != before and before is not None:
                            await tell()
                        before = now

        self._tasks.start_soon(run)
        return scope.cancel

    @property
    def remembered(self) -> list[TaskId]:
        """The tasks that were read, the latest first."""
        return list(reversed(self._states))

    def changed(self, task_id: TaskId) -> None:
        """Forget what is known of the task and look at once: something was done to it."""
        self._changes += 1
        self._states.pop(task_id, None)
        self._looks.pop(task_id, None)
        self._hurry(task_id)

    async def _run(self, task_id: TaskId, loop: _Loop) -> None:
        with loop.scope:
            started = monotonic()
            failures = 0
            while not loop.poll.ended:
                loop.hurry = anyio.Event()
                try:
                    loop.poll.note(await self._look(task_id), None)
                    failures = 0
                except RunwayError as error:
                    failures += 1
                    loop.poll.note(None, error)
                pause = interval(
                    self._poll_seconds,
                    waited=monotonic() - started,
                    throttled=loop.poll.task is not None and loop.poll.task.status == "THROTTLED",
                    failures=failures,
                    random=self._random,
                )
                with anyio.move_on_after(0 if loop.poll.ended else pause):
                    await loop.hurry.wait()
        self._drop(task_id, loop)

    async def _look(self, task_id: TaskId) -> Task:
        known = self._recent(task_id)
        while known is None and (under_way := self._looks.get(task_id)) is not None:
            known = await under_way.result()
        if known is not None:
            return known
        look = self._looks[task_id] = _Look()
        try:
            look.task = await self._ask(task_id)
        except RunwayError as error:
            look.error = error
            raise
        except Exception:
            logger.exception("A look at a task failed unexpectedly")
            look.error = RunwayError("The task could not be read through a fault of this server.")
            raise look.error from None
        finally:
            if self._looks.get(task_id) is look:
                del self._looks[task_id]
            if look.ended is not None:
                look.ended.set()
        return look.task

    async def _ask(self, task_id: TaskId) -> Task:
        async with self._requests:
            asked, changes = monotonic(), self._changes
            self._counters.polls += 1
            task = await self._client.get_task(task_id)
        if changes == self._changes:
            self._states.pop(task_id, None)
            self._states[task_id] = (asked, task)
            while len(self._states) > MAX_REMEMBERED:
                del self._states[next(iter(self._states))]
        return task

    def _recent(self, task_id: TaskId) -> Task | None:
        asked, task = self._states.get(task_id, (0.0, None))
        return task if task is not None and monotonic() - asked < self._poll_seconds else None

    def _hurry(self, task_id: TaskId) -> None:
        loop = self._loops.get(task_id)
        if loop is not None:
            loop.hurry.set()

    def _drop(self, task_id: TaskId, loop: _Loop) -> None:
        if self._loops.get(task_id) is loop:
            del self._loops[task_id]

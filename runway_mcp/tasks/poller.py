"""One poll loop per task, shared by everyone who follows it, and reads that share its polls.

Runway updates a task at most every five seconds. Each task is polled at most once per interval, no matter how
many tools, waits and subscriptions follow it. The loop begins with its first follower and ends with its last.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import random as system_random

import anyio
from anyio.abc import TaskGroup

from runway_mcp.api.errors import RunwayError, TransientError
from runway_mcp.api.models import Task, TaskId
from runway_mcp.tasks.poll_loop import PASSING, FollowedStates, PollLoop, PollResult, TaskState, interval

logger = logging.getLogger(__name__)

POLL_SECONDS = 5.0
"""How often Runway updates a task at most."""
MAX_REQUESTS = 50
"""Concurrent reads with one Runway key; one caller gets half. The client's pool has room for twice as many."""
MAX_FOLLOWED = 1_000
"""Tasks that one caller may follow at once."""
MAX_RETRY_AFTER = 86_400.0
"""Seconds of a `Retry-After` that are kept to: one that is wrong must not hide a task for ever."""
MAX_REMEMBERED = 1_000
"""Results kept for reads that come soon after."""


@dataclass(slots=True)
class Counters:
    """What was done since the start: tasks read from Runway, and reads answered from a recent state."""

    polls: int = 0
    shared_reads: int = 0


class CallerLimitError(Exception):
    """The caller has `limit` things in progress, as many as one caller may."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The caller's limit is {limit}.")
        self.limit = limit


class TooManyFollowedTasksError(CallerLimitError):
    """The caller follows as many tasks as one caller may."""


class TaskPoller:
    """The states of one caller's tasks, read as rarely as possible."""

    def __init__(
        self,
        get_task: Callable[[TaskId], Awaitable[Task]],
        loops: TaskGroup,
        *,
        requests: anyio.Semaphore | None = None,
        poll_seconds: float = POLL_SECONDS,
        counters: Counters | None = None,
        asks_replicas: bool = False,
        random: Callable[[], float] = system_random,
    ) -> None:
        """Take what reads a task; cancelling `loops` ends every poll loop.

        `requests` bounds the reads with one Runway key, and `random` returns a number from 0 to 1, for the jitter. With
        `asks_replicas`, `get_task` itself bounds the reads, and knows recent states, and changes that this process does
        not know of.
        """
        self._get_task, self._group, self._poll_seconds, self._random = get_task, loops, poll_seconds, random
        at_once = 2 * MAX_FOLLOWED if asks_replicas else MAX_REQUESTS
        self._requests = (not asks_replicas and requests) or anyio.Semaphore(at_once, fast_acquire=True)
        self._share = anyio.Semaphore(at_once // 2, fast_acquire=True)
        self._counters = counters or Counters()
        self._asks_replicas = asks_replicas
        self._loops: dict[TaskId, PollLoop] = {}
        self._known: dict[TaskId, PollResult] = {}
        self._in_flight: dict[TaskId, _Request] = {}

    async def read(self, task_id: TaskId) -> Task:
        """Return the task as it stands, or stood less than a poll interval ago.

        Readers at the same moment share one request. Before the end of a `Retry-After` nothing is sent.
        """
        if (known := self._recent(task_id)) is not None and (known.is_retry_after or not self._asks_replicas):
            self._counters.shared_reads += 1
            return known.task_or_raise()
        result = await self._fetch(task_id, afresh=self._asks_replicas)
        if self._recent(task_id) is not None:
            self._poll_now(task_id)
        return result.task_or_raise()

    @contextmanager
    def states(self, task_id: TaskId) -> Generator[AsyncIterator[TaskState]]:
        """Follow a task: iterate over its present state, each poll's, and the final one.

        Every follower gets the final state once, whenever it joined. Whoever is slow gets the latest state only.

        Raises:
            TooManyFollowedTasksError: The caller follows too many other tasks.
        """
        loop = self._loops.get(task_id)
        if loop is None:
            if len(self._loops) >= MAX_FOLLOWED:
                raise TooManyFollowedTasksError(MAX_FOLLOWED)
            loop = self._loops[task_id] = PollLoop()
            self._group.start_soon(self._run, task_id, loop)
        loop.followers += 1
        try:
            yield FollowedStates(loop)
        finally:
            loop.followers -= 1
            if not loop.followers:
                loop.scope.cancel()
                self._drop(task_id, loop)

    def subscribe(self, task_id: TaskId, on_change: Callable[[TaskState], Awaitable[None]]) -> Callable[[], None]:
        """Call `on_change` after each change of a task, and with its final state; return what ends it."""
        scope = anyio.CancelScope()
        stack = ExitStack()
        states = stack.enter_context(self.states(task_id))

        async def run() -> None:
            with scope, stack:
                previous: Task | None = None
                async for state in states:
                    if state.is_final or (previous is not None and state.task != previous):
                        try:
                            await on_change(state)
                        except Exception:
                            logger.exception("A subscriber of task %s could not be notified", task_id)
                            return
                    previous = state.task

        self._group.start_soon(run)
        return scope.cancel

    @property
    def remembered(self) -> list[TaskId]:
        """The tasks that were read, the latest first."""
        return [task_id for task_id, result in reversed(self._known.items()) if result.task is not None]

    def changed(self, task_id: TaskId) -> None:
        """Forget what is known of the task and poll at once, or when a `Retry-After` allows it."""
        self._in_flight.pop(task_id, None)
        known = self._known.get(task_id)
        if known is not None and not known.is_retry_after:
            del self._known[task_id]
        self._poll_now(task_id)

    async def _run(self, task_id: TaskId, loop: PollLoop) -> None:
        started, failures = anyio.current_time(), 0
        with loop.scope:
            while True:
                loop.poll_now = anyio.Event()
                result = await self._fetch(task_id)
                loop.publish(result)
                if loop.state.is_final:
                    break
                failures = failures + 1 if result.error else 0
                pause = interval(
                    self._poll_seconds,
                    waited=anyio.current_time() - started,
                    throttled=result.task is not None and result.task.status == "THROTTLED",
                    failures=failures,
                    random=self._random,
                )
                fresh = result.until - anyio.current_time()
                since_read = self._poll_seconds - fresh if result.task is not None else 0.0
                with anyio.move_on_after(max(pause - since_read, fresh)):
                    await loop.poll_now.wait()
        self._drop(task_id, loop)

    async def _fetch(self, task_id: TaskId, *, afresh: bool = False) -> PollResult:
        while True:
            if (known := self._recent(task_id)) is not None and (known.is_retry_after or not afresh):
                return known
            if (other := self._in_flight.get(task_id)) is None:
                break
            await other.done.wait()
            if other.result is not None:  # else its sender was cancelled
                return other.result
        request = self._in_flight[task_id] = _Request()
        try:
            request.result = result = await self._send(task_id)
            is_current = self._in_flight.get(task_id) is request  # else the task was changed meanwhile
            if result.is_retry_after or (is_current and result.until):
                self._known.pop(task_id, None)
                self._known[task_id] = result
                if len(self._known) > MAX_REMEMBERED:
                    del self._known[next(iter(self._known))]
            return result
        finally:
            if self._in_flight.get(task_id) is request:
                del self._in_flight[task_id]
            request.done.set()

    async def _send(self, task_id: TaskId) -> PollResult:
        async with self._share, self._requests:
            until = anyio.current_time() + self._poll_seconds
            self._counters.polls += 1
            try:
                task = await self._get_task(task_id)
                return PollResult(task, None, until - task.age)
            except TransientError as error:
                if error.retry_after is None:
                    return PollResult(None, error, 0.0)
                return PollResult(None, error, anyio.current_time() + min(error.retry_after, MAX_RETRY_AFTER))
            except RunwayError as error:
                return PollResult(None, error, 0.0 if isinstance(error, PASSING) else until)
            except Exception:
                logger.exception("A poll failed unexpectedly")
                return PollResult(None, RunwayError("a poll failed unexpectedly"), 0.0)

    def _recent(self, task_id: TaskId) -> PollResult | None:
        known = self._known.get(task_id)
        return known if known is not None and anyio.current_time() < known.until else None

    def _poll_now(self, task_id: TaskId) -> None:
        if (loop := self._loops.get(task_id)) is not None:
            loop.poll_now.set()

    def _drop(self, task_id: TaskId, loop: PollLoop) -> None:
        if self._loops.get(task_id) is loop:
            del self._loops[task_id]


class _Request:
    def __init__(self) -> None:
        self.done = anyio.Event()
        self.result: PollResult | None = None

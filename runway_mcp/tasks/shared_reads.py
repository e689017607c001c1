"""Reads of tasks that replicas share over one database: Runway is asked once per interval for all of them.

Where the database can't be used, each replica asks for itself.
"""

import logging
from typing import TYPE_CHECKING

import anyio

from runway_mcp.api.models import Task, TaskId, parse_task
from runway_mcp.history.records import HistoryError
from runway_mcp.tasks.poller import MAX_REQUESTS
from runway_mcp.tasks.recorder import TaskApi

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runway_mcp.history.shared_states import SharedStates

logger = logging.getLogger(__name__)

LOOK_SECONDS, MAX_LOOK_SECONDS = 0.05, 0.4
"""The time between the first two looks at a state that another replica is reading, which doubles up to a limit."""
AWAY_SECONDS = 3.0
"""How long the database is left alone after it could not be used."""


class DatabaseBreaker:
    """Whether the database is worth asking, for all callers of this process.

    Attributes:
        is_away: Whether it could not be used when it was last asked.
    """

    def __init__(self, clock: "Callable[[], float]" = anyio.current_time) -> None:
        self.is_away = False
        self._clock, self._away_until = clock, float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether the database is left alone."""
        return self._clock() < self._away_until

    def failed(self, error: HistoryError) -> None:
        """Leave the database alone for a while."""
        if not self.is_away:
            logger.warning(
                "The database can't be used: starts are refused, and each replica reads tasks for itself. %s", error
            )
        self.is_away = True
        self._away_until = self._clock() + AWAY_SECONDS

    def worked(self) -> None:
        """Note that it can be used, unless it is left alone: then this was begun before it failed."""
        if self.is_away and not self.is_open:
            logger.info("The database can be used again: starts go on, and replicas share reads.")
            self.is_away = False


class SharedReads:
    """Reads and deletes the tasks of one caller.

    Args:
        client: What does so at Runway.
        owner: The account whose tasks they are, and the caller who asks.
        states: Opens what the replicas share.
        interval: Seconds within which a state counts as fresh.
        breaker: Shared by all callers.
        requests: Bounds the reads with one Runway key; this caller gets half of `MAX_REQUESTS`. No look takes a place.
    """

    def __init__(
        self,
        client: TaskApi,
        owner: tuple[str, str],
        states: "Callable[[], Awaitable[SharedStates]]",
        interval: float,
        *,
        breaker: DatabaseBreaker,
        requests: anyio.Semaphore,
    ) -> None:
        self._client, self._states, self._interval, self._breaker = client, states, interval, breaker
        self._requests, self._share = requests, anyio.Semaphore(MAX_REQUESTS // 2, fast_acquire=True)
        self._owner = dict(zip(("account", "caller"), owner, strict=True))

    async def get_task(self, task_id: TaskId, *, timeout: float | None = None) -> Task:
        """Return a task as it stands, or stood less than an interval ago; `age` tells since when.

        With a timeout Runway is asked in any case: it is a read before a change, or of its outcome. The others then
        read the task anew.
        """
        if timeout is not None:
            task = await self._client.get_task(task_id, timeout=timeout)
            if not self._breaker.is_open:
                await self._forget(task_id)
            return task
        pause = LOOK_SECONDS
        while not self._breaker.is_open:
            try:
                state = await (await self._states()).look({**self._owner, "task_id": task_id}, self._interval)
            except HistoryError as error:
                self._breaker.failed(error)
                break
            self._breaker.worked()
            if state.claim is not None:
                return await self._ask(task_id, state.claim)
            if state.data is not None:
                return parse_task(state.data, task_id, age=state.age)
            await anyio.sleep(pause)
            pause = min(2 * pause, MAX_LOOK_SECONDS)
        return await self._read(task_id)

    async def delete_task(self, task_id: TaskId) -> None:
        """Delete a task, and have every replica read it anew."""
        try:
            await self._client.delete_task(task_id)
        finally:
            await self._forget(task_id)

    async def _ask(self, task_id: TaskId, claim: float) -> Task:
        try:
            task = await self._read(task_id)
        except BaseException:  # whoever reads next need not wait for the interval
            await self._forget(task_id)
            raise
        if not self._breaker.is_open:
            try:
                await (await self._states()).publish({**self._owner, "task_id": task_id}, claim, task.data)
            except HistoryError as error:
                self._breaker.failed(error)
        return task

    async def _read(self, task_id: TaskId) -> Task:
        async with self._share, self._requests:
            return await self._client.get_task(task_id)

    async def _forget(self, task_id: TaskId) -> None:
        with anyio.CancelScope(shield=True):
            try:
                await (await self._states()).forget({**self._owner, "task_id": task_id})
            except HistoryError as error:
                self._breaker.failed(error)

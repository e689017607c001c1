"""What is seen of tasks goes to the history, at no request of its own and without holding up who sees it."""

import logging
from typing import TYPE_CHECKING, Protocol

from anyio.abc import TaskGroup

from runway_mcp.api.errors import NotFoundError
from runway_mcp.api.models import Task, TaskId, parse_cost
from runway_mcp.history.records import HistoryAwayError
from runway_mcp.history.task_records import Seen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runway_mcp.history.start_history import History

logger = logging.getLogger(__name__)

MAX_KNOWN = 1_000
"""Tasks whose latest state is kept, so that it is written once."""


def seen_of(task: Task) -> Seen:
    """Return what the history keeps of a task as it is."""
    output = task.data.get("output")
    made = len(output) if task.status == "SUCCEEDED" and isinstance(output, list) else None
    return Seen(task.status, cost=parse_cost(task), made=made)


class TaskApi(Protocol):
    """What reads and deletes a task at Runway."""

    async def get_task(self, task_id: TaskId, *, timeout: float | None = None) -> Task:
        """Read a task."""
        ...

    async def delete_task(self, task_id: TaskId) -> None:
        """Delete a task."""
        ...


class TaskRecorder:
    """Reads and deletes tasks of an account, and records what it sees of them.

    Args:
        client: What does so at Runway.
        account: Whose tasks they are.
        history: Opens the history; returns None where nothing was ever started.
        group: Where the history is written.
    """

    def __init__(
        self, client: TaskApi, account: str, history: "Callable[[], Awaitable[History | None]]", group: TaskGroup
    ) -> None:
        self._client, self._account, self._history, self._group = client, account, history, group
        self._known: dict[TaskId, Seen] = {}
        self._is_writing = self._has_failed = False

    async def get_task(self, task_id: TaskId, *, timeout: float | None = None) -> Task:
        """Read a task, or raise a `RunwayError`."""
        try:
            task = await self._client.get_task(task_id, timeout=timeout)
        except NotFoundError:
            self._see(task_id, Seen())
            raise
        self._see(task_id, seen_of(task))
        return task

    async def delete_task(self, task_id: TaskId) -> None:
        """Delete a task, or raise a `RunwayError`."""
        await self._client.delete_task(task_id)
        self._see(task_id, Seen(removed=True))

    def _see(self, task_id: TaskId, seen: Seen) -> None:
        if self._known.pop(task_id, None) != seen:
            self._group.start_soon(self._write, task_id, seen)
        self._known[task_id] = seen
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]

    async def _write(self, task_id: TaskId, seen: Seen) -> None:
        try:
            history = await self._history()
            if history is None:
                return
            history.tasks.see(self._account, task_id, seen)
            if self._is_writing:
                return
            self._is_writing = True
            try:
                await history.flush()
            finally:
                self._is_writing = False
            self._has_failed = False
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the server
            self._known.pop(task_id, None)  # so that the next read tells it again
            is_told = self._has_failed or isinstance(error, HistoryAwayError)  # see DatabaseBreaker
            level = logging.DEBUG if is_told else logging.WARNING
            logger.log(level, "What was seen of tasks can't be recorded for now: %s", error)
            self._has_failed = True

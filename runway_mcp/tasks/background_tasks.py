"""Changes that run to their end even when the caller who asked for them has gone.

A DELETE that is on its way can't be called back. Were it dropped with a cancelled call or
a closing connection, nobody would know what became of the task.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
from anyio.abc import TaskGroup

T = TypeVar("T")
logger = logging.getLogger(__name__)

SHUTDOWN_SECONDS = 8.0
"""How long a closing process waits for the changes under way."""


class BackgroundTasks:
    """The changes under way in this process. Made by `open_changes`."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._running: dict[anyio.CancelScope, anyio.Event] = {}

    @property
    def running(self) -> int:
        """How many there are."""
        return len(self._running)

    async def run(self, change: Callable[[], Awaitable[T]], *, name: str) -> T:
        """Return what `change` returns; cancelling this call leaves the change running.

        Args:
            change: The work. It must bound its own duration.
            name: What it does and to which task, for the log where the caller has gone.

        Raises:
            TimeoutError: The process closed before the change had ended.
        """
        done = anyio.Event()
        values: list[T] = []
        errors: list[Exception] = []

        async def work() -> None:
            with anyio.CancelScope(shield=True) as scope:
                self._running[scope] = done
                try:
                    values.append(await change())
                except Exception as error:  # noqa: BLE001 - handed to the caller, or logged where there is none
                    errors.append(error)
            if scope.cancelled_caught:
                errors.append(TimeoutError("the process closed before its outcome was known"))
            del self._running[scope]
            done.set()
            if left:
                logger.warning("The caller left before %s had ended. Outcome: %s", name, *values, *errors)

        left = False
        self._tasks.start_soon(work)
        try:
            await done.wait()
        except anyio.get_cancelled_exc_class():
            left = True
            raise
        for error in errors:
            raise error
        return values[0]

    async def finish(self, timeout: float) -> None:
        """Wait until no change is under way; after `timeout` seconds give up those that still are."""
        with anyio.move_on_after(timeout, shield=True):
            for done in list(self._running.values()):
                await done.wait()
        for scope in self._running:
            scope.cancel()


@asynccontextmanager
async def open_background_tasks(shutdown_seconds: float = SHUTDOWN_SECONDS) -> AsyncGenerator[BackgroundTasks]:
    """Open the place where changes run; closing it waits for them, for a bounded time."""
    async with anyio.create_task_group() as tasks:
        changes = BackgroundTasks(tasks)
        try:
            yield changes
        finally:
            await changes.finish(shutdown_seconds)

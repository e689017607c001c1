"""Background tasks: work that runs to its end even when the caller who asked for it has gone.

A DELETE in flight can't be called back. If a cancelled call dropped it, nobody would learn its outcome.
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
"""How long a closing process waits for its background tasks."""


class AbortedByShutdownError(Exception):
    """The process closed before the background task `name` had ended; its outcome is unknown."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The process closed before {name} had ended.")
        self.name = name


class BackgroundTasks:
    """The background tasks of this process. Made by `open_background_tasks`."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._running: dict[anyio.CancelScope, anyio.Event] = {}

    @property
    def running(self) -> int:
        return len(self._running)

    async def run(self, work: Callable[[], Awaitable[T]], *, name: str) -> T:
        """Return what `work` returns; cancelling this call leaves the work running.

        Args:
            work: It must bound its own duration.
            name: What it does and to which task, for the log if the caller has gone.

        Raises:
            AbortedByShutdownError: The process closed before the work had ended.
        """
        done = anyio.Event()
        values: list[T] = []
        errors: list[Exception] = []
        is_abandoned = False

        def log_outcome() -> None:
            logger.warning("The caller left before %s had ended. Outcome: %s", name, *values, *errors)

        async def run() -> None:
            with anyio.CancelScope(shield=True) as scope:
                self._running[scope] = done
                try:
                    values.append(await work())
                except Exception as error:  # noqa: BLE001 - handed to the caller, or logged where there is none
                    errors.append(error)
            if scope.cancelled_caught:
                errors.append(AbortedByShutdownError(name))
            del self._running[scope]
            done.set()
            if is_abandoned:
                log_outcome()

        self._tasks.start_soon(run)
        try:
            await done.wait()
        except anyio.get_cancelled_exc_class():
            is_abandoned = True
            if done.is_set():
                log_outcome()
            raise
        for error in errors:
            raise error
        return values[0]

    async def finish(self, timeout: float) -> None:
        """Wait until no background task is running; after `timeout` seconds cancel the rest."""
        with anyio.move_on_after(timeout, shield=True):
            for done in list(self._running.values()):
                await done.wait()
        for scope in self._running:
            scope.cancel()


@asynccontextmanager
async def open_background_tasks(shutdown_seconds: float = SHUTDOWN_SECONDS) -> AsyncGenerator[BackgroundTasks]:
    """Open the place where background tasks run; closing it waits for them, for a bounded time."""
    async with anyio.create_task_group() as tasks:
        background = BackgroundTasks(tasks)
        try:
            yield background
        finally:
            await background.finish(shutdown_seconds)

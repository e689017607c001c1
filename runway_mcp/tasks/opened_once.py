"""Resources that are opened when they are first asked for."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

T = TypeVar("T")


class OpenedOnce(Generic[T]):
    """Opens a resource when it is first asked for; it is closed with the others.

    Where that fails, it fails for all who wait for it. Who asks next tries again.
    """

    def __init__(self, resources: AsyncExitStack, open_: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._resources, self._open = resources, open_
        self._opening = anyio.Lock()
        self._opened: list[T] = []
        self._error: Exception | None = None
        self._failures = 0
        self._ended: anyio.Event | None = None
        """Set at the end of an attempt to open it in the background."""

    @property
    def is_open(self) -> bool:
        return bool(self._opened)

    async def __call__(self) -> T:
        failures = self._failures
        async with self._opening:
            if not self._opened:
                if self._error is not None and self._failures > failures:
                    raise self._error.with_traceback(None)
                try:
                    self._opened.append(await self._resources.enter_async_context(self._open()))
                except Exception as error:
                    self._failures, self._error = self._failures + 1, error
                    raise
        return self._opened[0]

    async def within(self, seconds: float, group: TaskGroup, late: Exception) -> T:
        """Return the resource, or raise `late` where that takes longer. Opening it goes on in the group then."""
        if self._opened:
            return self._opened[0]
        if self._ended is None:
            self._ended = anyio.Event()
            group.start_soon(self._open_in_background, self._ended)
        failures = self._failures
        with anyio.move_on_after(seconds):
            await self._ended.wait()
        if self._error is not None and self._failures > failures:
            raise self._error.with_traceback(None)
        if not self._opened:
            raise late
        return self._opened[0]

    async def _open_in_background(self, ended: anyio.Event) -> None:
        try:
            with suppress(Exception):  # it is raised to all who wait
                await self()
        finally:
            self._ended = None
            ended.set()

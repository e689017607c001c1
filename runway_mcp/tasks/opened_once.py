"""Resources that are opened when they are first asked for."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Generic, TypeVar

import anyio

T = TypeVar("T")


class OpenedOnce(Generic[T]):
    """Opens a resource when it is first asked for; it is closed with the others."""

    def __init__(self, resources: AsyncExitStack, open_: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._resources, self._open = resources, open_
        self._opening = anyio.Lock()
        self._opened: list[T] = []

    @property
    def is_open(self) -> bool:
        return bool(self._opened)

    async def __call__(self) -> T:
        async with self._opening:
            if not self._opened:
                self._opened.append(await self._resources.enter_async_context(self._open()))
        return self._opened[0]

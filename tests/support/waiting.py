"""Waiting for a condition, never longer than said; and a clock that need not be waited for."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio

Case = TypeVar("Case")


class Clock:
    """Seconds that pass when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def until(condition: Callable[[], object], what: str, timeout: float = 30.0) -> None:
    """Return once `condition` holds; fail after `timeout` seconds, naming `what` was waited for."""
    deadline = anyio.current_time() + timeout
    while not condition():
        assert anyio.current_time() < deadline, f"waited {timeout} s for {what}"
        await anyio.sleep(0.005)


async def together(check: Callable[[Case], Awaitable[None]], cases: Iterable[Case]) -> None:
    """Run a check on every case at once, which is faster; say which case it was that failed."""

    async def run(case: Case) -> None:
        try:
            await check(case)
        except Exception as error:
            error.add_note(f"case: {case}")
            raise

    async with anyio.create_task_group() as tasks:
        for case in cases:
            tasks.start_soon(run, case)

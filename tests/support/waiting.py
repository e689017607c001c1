"""Waiting for a condition, never longer than said."""

from collections.abc import Callable

import anyio


async def until(condition: Callable[[], object], what: str, within: float = 10.0) -> None:
    """Return once `condition` holds; fail after `within` seconds, naming `what` was waited for."""
    deadline = anyio.current_time() + within
    while not condition():
        assert anyio.current_time() < deadline, f"waited {within} s for {what}"
        await anyio.sleep(0.005)

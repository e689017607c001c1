"""Turns of the starts of one account in this process. Who waits here waits in no transaction."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio


class AccountTurns:
    """Lets the starts of an account record themselves one after another: the database would have them wait for that."""

    def __init__(self) -> None:
        self._turns: dict[str, anyio.Lock] = {}

    @asynccontextmanager
    async def take(self, account: str, seconds: float) -> AsyncGenerator[None]:
        """Have a turn, after those that came before, or without one after so many seconds."""
        turn = self._turns.setdefault(account, anyio.Lock())
        with anyio.move_on_after(seconds) as waiting:
            await turn.acquire()
        if waiting.cancelled_caught:
            yield
            return
        try:
            yield
        finally:
            turn.release()

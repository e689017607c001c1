"""The history in one SQLite file, shared by any number of processes on one machine."""

import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic
from time import time as system_time
from typing import Any, TypeVar, cast

import anyio
import anyio.to_thread

from runway_mcp.history.database import Transaction, Values, storable
from runway_mcp.history.records import HistoryLockedError
from runway_mcp.history.sqlite_file import connect, typed_errors
from runway_mcp.history.start_history import History
from runway_mcp.history.task_records import KEEP_DAYS

T = TypeVar("T")

BUSY_SECONDS = 5.0
"""How long a transaction waits for other processes."""


@dataclass(frozen=True, slots=True)
class SqliteDatabase:
    """A SQLite file. Each transaction runs in a worker thread, one after another."""

    connection: sqlite3.Connection
    file: Path | None
    clock: Callable[[], float]
    busy_seconds: float
    turn: anyio.Lock = field(default_factory=anyio.Lock)

    async def run(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        try:
            with anyio.fail_after(self.busy_seconds):
                await self.turn.acquire()
        except TimeoutError:
            raise HistoryLockedError(self.file) from None
        try:
            return await anyio.to_thread.run_sync(self._transact, work)
        finally:
            self.turn.release()

    def _transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        with typed_errors(self.file), self.connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            return _finish(work(_Transaction(connection, self.clock())))


class _Transaction:
    def __init__(self, connection: sqlite3.Connection, now: float) -> None:
        self._connection, self.now = connection, now

    async def fetch(self, statement: str, values: Values = {}) -> list[tuple[Any, ...]]:  # noqa: B006 - only read
        return self._connection.execute(statement, storable(values)).fetchall()

    async def execute(self, statement: str, values: Values = {}) -> int:  # noqa: B006 - only read
        return self._connection.execute(statement, storable(values)).rowcount

    async def execute_many(self, statement: str, rows: Sequence[Values]) -> None:
        self._connection.executemany(statement, map(storable, rows))

    async def insert_start(self, statement: str, values: Values) -> int:
        number = self._connection.execute(statement, storable(values)).lastrowid
        assert number is not None  # noqa: S101 - an INSERT has one
        return number

    async def lock(self, account: str) -> None:
        """The file as a whole is locked."""


def _finish(work: Awaitable[T]) -> T:
    """Run what waits for nothing but this transaction, which never lets it wait."""
    try:
        cast("Coroutine[None, None, T]", work).send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("a transaction waited for something else")


@asynccontextmanager
async def open_history(
    file: Path | None,
    *,
    clock: Callable[[], float] = system_time,
    elapsed: Callable[[], float] = monotonic,
    busy_seconds: float = BUSY_SECONDS,
    keep_days: float = KEEP_DAYS,
    prompts: bool = True,
) -> AsyncGenerator[History]:
    """Open the history, and close it at the end; without a file it lasts as long as the process.

    The clock tells UNIX seconds; nobody sets the one of `elapsed`. Others are waited for `busy_seconds`. Prompts, if
    any, and the places of outputs are kept for `keep_days`.

    Raises:
        HistoryError: It can't be opened.
    """
    connection = await anyio.to_thread.run_sync(partial(connect, file, busy_seconds))
    with closing(connection):
        database = SqliteDatabase(connection, file, clock, busy_seconds)
        async with History(database, elapsed, keep_days=keep_days, prompts=prompts) as history:
            yield history

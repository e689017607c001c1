"""The history in one SQLite file, shared by any number of processes on one machine.

Each method is one short transaction in a worker thread. A result that can't be written, because another process holds
the file, is written by the next transaction.
"""

import logging
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import monotonic
from time import time as system_time
from typing import TypeVar

import anyio
import anyio.to_thread

from runway_mcp.history.records import (
    SENDING_SECONDS,
    TOKEN_SECONDS,
    HistoryError,
    HistoryLockedError,
    NotOpenError,
    OpenStart,
    Snapshot,
    Spend,
    StartRecord,
    StartRequest,
    State,
)
from runway_mcp.history.sqlite_file import connect, typed_errors
from runway_mcp.history.sqlite_tasks import SeenTasks, TaskHistory
from runway_mcp.history.task_records import IS_OPEN, KEEP_DAYS, PROMPT_CHARACTERS

T = TypeVar("T")
logger = logging.getLogger(__name__)

BUSY_SECONDS = 5.0
"""How long a transaction waits for other processes."""
MAX_STARTS = 100_000
"""Starts that are kept, the latest ones: a number, for a clock that is wrong once must not empty the history."""
PRICE_SECONDS = 31 * 24 * 3600.0
"""How long an estimate counts for later starts."""
DAY = 86_400
FORGET_SECONDS = 3600.0
"""The time between two looks for what is older."""

_SNAPSHOT = """
SELECT
    (SELECT count(*) FROM starts WHERE account = :account AND state = 'pending' AND abs(begun - :now) < :sending),
    (SELECT price FROM starts WHERE account = :account AND caller = :caller AND fingerprint = :fingerprint
        AND price IS NOT NULL AND begun > :since ORDER BY number DESC LIMIT 1),
    (SELECT max(price) FROM starts WHERE account = :account AND price_key = :price_key
        AND price IS NOT NULL AND begun > :since)
"""
_SPENT = f"""
SELECT coalesce(sum(credits), 0), count(*) FILTER (WHERE credits IS NULL),
    group_concat(number) FILTER (WHERE {IS_OPEN})
FROM starts WHERE account = :account AND begun >= :day AND number <= :up_to
"""  # noqa: S608 - made of constants
_OPEN = f"SELECT number, type, begun, credits FROM starts WHERE {IS_OPEN}"  # noqa: S608 - as above
_INSERT = """
INSERT INTO starts (
    begun, account, caller, client_token, fingerprint, price_key, type, state, credits, model, prompt, seconds, saving
) VALUES (
    :now, :account, :caller, :token_digest, :fingerprint, :price_key, :type, 'pending', :credits, :model, :prompt,
    :seconds, :saving
)
"""


class History:
    """What was started, by every process that shares the file. Each method may raise a `HistoryError`.

    Attributes:
        tasks: What became of it.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        file: Path | None,
        *,
        clock: Callable[[], float],
        elapsed: Callable[[], float],
        busy_seconds: float,
        keep_seconds: float,
        prompts: bool,
    ) -> None:
        self._connection, self._file, self._busy_seconds = connection, file, busy_seconds
        self._clock, self._elapsed = clock, elapsed
        self._opened = clock() - elapsed()
        self._turn = anyio.Lock()
        self._unwritten: list[tuple[str, tuple[object, ...]]] = []
        self._prompts, self._forgotten = prompts, float("-inf")
        self.tasks = TaskHistory(self, keep_seconds)

    def now(self) -> float:
        """Return UNIX seconds."""
        return self._clock()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run one transaction in a thread, to its end even where the caller is cancelled meanwhile."""
        try:
            with anyio.fail_after(self._busy_seconds):
                await self._turn.acquire()
        except TimeoutError:
            raise HistoryLockedError(self._file) from None
        try:
            seen = self.tasks.unwritten
            done = await anyio.to_thread.run_sync(self._transact, work, seen)
            self.tasks.written(seen)
        finally:
            self._turn.release()
        return done

    async def look(self, start: StartRequest) -> Snapshot:
        """Return what is known about a start, without recording it."""
        return await self.run(lambda _: self._look(start))

    async def begin(self, start: StartRequest, allow: Callable[[Snapshot], None]) -> StartRecord:
        """Record a start, or return the one that its client token already stands for, in one transaction.

        `allow` is called within the transaction for a new start. If it raises, nothing is recorded.
        """
        return await self.run(lambda connection: self._begin(connection, start, allow))

    async def find(self, number: int) -> StartRecord | None:
        return await self.run(lambda _: self._one("number = ?", number))

    async def record_result(self, number: int, *, task_id: str | None, cost: float | None) -> None:
        """Record a start's task or, without an id, its unknown outcome. No cost leaves the expected one in place."""
        state: State = "started" if task_id else "unknown"
        change = "UPDATE starts SET state = ?, task_id = ?, credits = coalesce(?, credits), price = ? WHERE number = ?"
        await self._execute(change, state, task_id, cost, cost, number)

    async def mark_cancelled(self, number: int, *, cost: float | None) -> None:
        """Record that a task was cancelled at once. Its token is free again; its price is remembered.

        No cost leaves the estimate in place.
        """
        change = "UPDATE starts SET state = 'cancelled', client_token = NULL, credits = coalesce(?, credits) "
        await self._execute(f"{change} WHERE number = ?", cost, number)

    async def forget(self, number: int) -> None:
        """Delete a start that certainly bought nothing. Its token and its credits are free again."""
        await self._execute("DELETE FROM starts WHERE number = ?", number)

    async def spent(self, account: str, *, up_to: int | None = None) -> Spend:
        """Return the sum of an account's starts of this day (UTC), or of the day of `up_to`, its last start."""
        return await self.run(lambda _: self._spent(account, up_to))

    async def open_starts(self, account: str | None = None) -> list[OpenStart]:
        """Return the open starts of an account, or of all, the latest first."""
        which = f"{_OPEN} AND :account IN (account, '') ORDER BY number DESC"
        values = {"now": self._clock(), "account": account or ""}
        return await self.run(lambda connection: [OpenStart(*row) for row in connection.execute(which, values)])

    async def settle(self, number: int, *, task_id: str | None) -> None:
        """Record what became of an open start: this task or, without an id, certainly nothing.

        A task keeps the credits that the start counts for.

        Raises:
            NotOpenError: There is no such start, its outcome is known, or Runway's answer may still come.
        """

        def change(connection: sqlite3.Connection) -> None:
            values = {"number": number, "task_id": task_id, "now": self._clock()}
            action = "UPDATE starts SET state = 'started', task_id = :task_id" if task_id else "DELETE FROM starts"
            if not connection.execute(f"{action} WHERE number = :number AND {IS_OPEN}", values).rowcount:
                raise NotOpenError(number)

        await self.run(change)

    def _look(self, start: StartRequest) -> Snapshot:
        now = self._clock()
        values = asdict(start) | {"now": now, "sending": SENDING_SECONDS, "since": now - PRICE_SECONDS}
        in_flight, same, similar = self._connection.execute(_SNAPSHOT, values).fetchone()
        return Snapshot(self._spent(start.account), in_flight, same, similar, self._earlier(start))

    def _begin(
        self, connection: sqlite3.Connection, start: StartRequest, allow: Callable[[Snapshot], None]
    ) -> StartRecord:
        snapshot = self._look(start)
        if snapshot.earlier is not None:
            return snapshot.earlier
        allow(snapshot)
        values = asdict(start) | {"now": self._clock(), "token_digest": start.token_digest}
        values |= {"credits": snapshot.likely(start.list_price), "saving": "wanted" if start.save else ""}
        values["prompt"] = start.prompt[:PROMPT_CHARACTERS] if self._prompts else ""
        number = connection.execute(_INSERT, values).lastrowid
        assert number is not None  # noqa: S101 - an INSERT has one
        for table in ("starts", "outputs"):
            connection.execute(f"DELETE FROM {table} WHERE number <= ?", (number - MAX_STARTS,))  # noqa: S608 - a constant
        return StartRecord(number, is_new=True, state="pending", fingerprint=start.fingerprint)

    def _earlier(self, start: StartRequest) -> StartRecord | None:
        """Find a start by its client token. A token ages by this process's own time where the clock was set ahead."""
        if start.client_token is None:
            return None
        since = min(self._clock(), self._opened + self._elapsed()) - TOKEN_SECONDS
        condition = "account = ? AND caller = ? AND client_token = ? AND begun > ? ORDER BY number DESC"
        return self._one(condition, start.account, start.caller, start.token_digest, since)

    def _one(self, condition: str, *values: object) -> StartRecord | None:
        found = "SELECT number, state, fingerprint, task_id, credits, begun FROM starts WHERE "
        row = self._connection.execute(f"{found}{condition} LIMIT 1", values).fetchone()
        if row is None:
            return None
        number, state, fingerprint, task_id, cost, begun = row
        return StartRecord(number, False, state, fingerprint, task_id, cost, abs(self._clock() - begun))

    def _spent(self, account: str, up_to: int | None = None) -> Spend:
        now = self._clock()
        if up_to is not None:
            row = self._connection.execute("SELECT begun FROM starts WHERE number = ?", (up_to,)).fetchone()
            now = row[0] if row else now
        values = {"account": account, "day": now // DAY * DAY, "up_to": up_to or 2**63 - 1, "now": self._clock()}
        total, unknown, numbers = self._connection.execute(_SPENT, values).fetchone()
        return Spend(total, unknown, tuple(map(int, numbers.split(","))) if numbers else ())

    async def write_unwritten(self) -> None:
        """Write the results that could not be written when they came. Those that still can't be are logged."""
        if not self._unwritten and not self.tasks.unwritten:
            return
        with anyio.CancelScope(shield=True):
            try:
                await self.run(lambda _: None)
            except HistoryError as error:
                logger.error("Results of starts that were never recorded: %d. %s", len(self._unwritten), error)  # noqa: TRY400 - the sentence says it all

    def _forget_old(self, connection: sqlite3.Connection) -> None:
        if self._elapsed() - self._forgotten >= FORGET_SECONDS:
            self._forgotten = self._elapsed()
            self.tasks.forget_old(connection, prompts=self._prompts)

    async def _execute(self, statement: str, *values: object) -> None:
        try:
            await self.run(lambda connection: connection.execute(statement, values))
        except HistoryError:
            self._unwritten.append((statement, values))
            raise

    def _transact(self, work: Callable[[sqlite3.Connection], T], seen: SeenTasks) -> T:
        unwritten = list(self._unwritten)
        with typed_errors(self._file), self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement, values in unwritten:
                connection.execute(statement, values)
            self.tasks.write(connection, seen)
            self._forget_old(connection)
            done = work(connection)
        del self._unwritten[: len(unwritten)]
        return done


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
    history = History(
        connection,
        file,
        clock=clock,
        elapsed=elapsed,
        busy_seconds=busy_seconds,
        keep_seconds=keep_days * DAY,
        prompts=prompts,
    )
    with closing(connection):
        try:
            yield history
        finally:
            await history.write_unwritten()

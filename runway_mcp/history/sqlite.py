"""The history in one SQLite file, shared by any number of processes on one machine.

Each method is one short transaction in a worker thread. A file that can't be trusted is left alone, and the error
names it: an empty history would let the day's credits be spent, and a client token buy, a second time.

The journal is a rollback journal. Its file exists only within a transaction, unlike a write-ahead log, which holds
the latest starts and can be deleted under a running server.
"""

import os
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
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
    HistoryDamagedError,
    HistoryLockedError,
    HistoryNewerError,
    HistoryReplacedError,
    HistoryUnusableError,
    Snapshot,
    Spend,
    StartRecord,
    StartRequest,
    State,
    digest_token,
)

T = TypeVar("T")

BUSY_SECONDS = 5.0
"""How long a transaction waits for other processes."""
MAX_STARTS = 100_000
"""Starts that are kept, the latest ones: a number, for a clock that is wrong once must not empty the history."""
PRICE_SECONDS = 31 * 24 * 3600.0
"""How long an estimate counts for later starts."""
DAY = 86_400

MIGRATIONS: Sequence[str] = (
    """
    CREATE TABLE starts (
        number INTEGER PRIMARY KEY AUTOINCREMENT, begun REAL NOT NULL, account TEXT NOT NULL, caller TEXT NOT NULL,
        client_token TEXT, fingerprint TEXT NOT NULL, type TEXT NOT NULL, state TEXT NOT NULL, task_id TEXT,
        credits REAL
    );
    CREATE INDEX starts_by_token ON starts (caller, client_token) WHERE client_token IS NOT NULL;
    CREATE INDEX starts_by_day ON starts (account, begun);
    """,
    """
    ALTER TABLE starts ADD COLUMN settings TEXT NOT NULL DEFAULT '';
    ALTER TABLE starts ADD COLUMN price REAL;
    CREATE INDEX starts_by_settings ON starts (account, settings) WHERE price IS NOT NULL;
    """,
    """
    ALTER TABLE starts RENAME COLUMN settings TO price_key;
    UPDATE starts SET
        client_token = digest_token(client_token),
        state = CASE state WHEN 'starting' THEN 'pending' WHEN 'unclear' THEN 'unknown'
            WHEN 'taken back' THEN 'cancelled' ELSE state END;
    CREATE INDEX starts_by_fingerprint ON starts (caller, fingerprint) WHERE price IS NOT NULL;
    """,
)
"""Each brings the file from the version of its place to the next; `user_version` counts them."""

_SNAPSHOT = """
SELECT
    (SELECT count(*) FROM starts WHERE account = :account AND state = 'pending' AND abs(begun - :now) < :sending),
    (SELECT price FROM starts WHERE account = :account AND caller = :caller AND fingerprint = :fingerprint
        AND price IS NOT NULL AND begun > :since ORDER BY number DESC LIMIT 1),
    (SELECT max(price) FROM starts WHERE account = :account AND price_key = :price_key
        AND price IS NOT NULL AND begun > :since)
"""
_SPENT = """
SELECT coalesce(sum(credits), 0), count(*) FILTER (WHERE credits IS NULL)
FROM starts WHERE account = ? AND begun >= ? AND number <= ?
"""
_INSERT = """
INSERT INTO starts (begun, account, caller, client_token, fingerprint, price_key, type, state, credits)
VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?)
"""


class History:
    """What was started, by every process that shares the file. Each method may raise a `HistoryError`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        file: Path | None,
        clock: Callable[[], float],
        elapsed: Callable[[], float],
        busy_seconds: float,
    ) -> None:
        self._connection, self._file, self._busy_seconds = connection, file, busy_seconds
        self._clock, self._elapsed = clock, elapsed
        self._opened = clock() - elapsed()
        self._turn = anyio.Lock()

    async def look(self, start: StartRequest) -> Snapshot:
        """Return what is known about a start, without recording it."""
        return await self._run(lambda _: self._look(start))

    async def begin(self, start: StartRequest, allow: Callable[[Snapshot], None]) -> StartRecord:
        """Record a start, or return the one that its client token already stands for, in one transaction.

        `allow` is called within the transaction for a new start. If it raises, nothing is recorded.
        """
        return await self._run(lambda connection: self._begin(connection, start, allow))

    async def find(self, number: int) -> StartRecord | None:
        return await self._run(lambda _: self._one("number = ?", number))

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
        return await self._run(lambda _: self._spent(account, up_to))

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
        values = (start.account, start.caller, start.token_digest, start.fingerprint, start.price_key, start.type)
        number = connection.execute(_INSERT, (self._clock(), *values, snapshot.expected)).lastrowid
        assert number is not None  # noqa: S101 - an INSERT has one
        connection.execute("DELETE FROM starts WHERE number <= ?", (number - MAX_STARTS,))
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
        return Spend(*self._connection.execute(_SPENT, (account, now // DAY * DAY, up_to or 2**63 - 1)).fetchone())

    async def _execute(self, statement: str, *values: object) -> None:
        await self._run(lambda connection: connection.execute(statement, values))

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run one transaction in a thread, to its end even where the caller is cancelled meanwhile."""
        try:
            with anyio.fail_after(self._busy_seconds):
                await self._turn.acquire()
        except TimeoutError:
            raise HistoryLockedError(self._file) from None
        try:
            return await anyio.to_thread.run_sync(self._transact, work)
        finally:
            self._turn.release()

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with _typed_errors(self._file), self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            return work(connection)


@asynccontextmanager
async def open_history(
    file: Path | None,
    *,
    clock: Callable[[], float] = system_time,
    elapsed: Callable[[], float] = monotonic,
    busy_seconds: float = BUSY_SECONDS,
) -> AsyncGenerator[History]:
    """Open the history, and close it at the end; without a file it lasts as long as the process.

    The clock tells UNIX seconds; nobody sets the one of `elapsed`. Others are waited for `busy_seconds`.

    Raises:
        HistoryError: It can't be opened.
    """
    connection = await anyio.to_thread.run_sync(partial(_connect, file, busy_seconds))
    with closing(connection):
        yield History(connection, file, clock, elapsed, busy_seconds)


def _connect(file: Path | None, busy_seconds: float) -> sqlite3.Connection:
    with _typed_errors(file):
        if file is not None:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(file, os.O_RDONLY | os.O_CREAT, 0o600))
        connection = sqlite3.connect(
            file or ":memory:", timeout=busy_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection, file)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, file: Path | None) -> None:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise HistoryDamagedError(file, found)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.create_function("digest_token", 1, digest_token)
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise HistoryNewerError(file)
        for migration in MIGRATIONS[version:]:
            for statement in filter(str.strip, migration.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


@contextmanager
def _typed_errors(file: Path | None) -> Generator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
        if code == sqlite3.SQLITE_READONLY_DBMOVED:
            raise HistoryReplacedError(file) from error
        match code & 0xFF:
            case sqlite3.SQLITE_BUSY:
                raise HistoryLockedError(file) from error
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                raise HistoryDamagedError(file, str(error)) from error
            case _:
                raise HistoryUnusableError(file, str(error)) from error

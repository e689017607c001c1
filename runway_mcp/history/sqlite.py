"""The history in one SQLite file, which any number of processes of one machine may share.

Every method is one short transaction in a worker thread.
"""

import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from time import time as system_time
from typing import TypeVar

import anyio
import anyio.to_thread

from runway_mcp.api.models import plain
from runway_mcp.history.records import (
    SENDING_SECONDS,
    TOKEN_SECONDS,
    BusyError,
    DayLimitError,
    Prices,
    Spend,
    StartRecord,
    StartRequest,
    State,
    StoreError,
)
from runway_mcp.history.sqlite_file import BUSY_SECONDS, NewerError, identity, open_database

T = TypeVar("T")

KEPT_SECONDS = 31 * 24 * 3600.0
"""How long a start is remembered."""
DAY = 86_400

MIGRATIONS: Sequence[str] = (
    """
    CREATE TABLE starts (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        begun REAL NOT NULL,
        account TEXT NOT NULL,
        caller TEXT NOT NULL,
        client_token TEXT,
        fingerprint TEXT NOT NULL,
        type TEXT NOT NULL,
        state TEXT NOT NULL,
        task_id TEXT,
        credits REAL
    ) STRICT;
    CREATE INDEX starts_by_token ON starts (caller, client_token) WHERE client_token IS NOT NULL;
    CREATE INDEX starts_by_day ON starts (account, begun);
    """,
    """
    ALTER TABLE starts ADD COLUMN settings TEXT NOT NULL DEFAULT '';
    ALTER TABLE starts ADD COLUMN price REAL;
    CREATE INDEX starts_by_settings ON starts (account, settings) WHERE price IS NOT NULL;
    """,
)
"""Each brings the file from the version of its place to the next; `user_version` counts them."""

_PRICED = "FROM starts WHERE account = :account AND settings = :settings AND price IS NOT NULL"
_PRICES = (
    f"SELECT (SELECT price {_PRICED} AND fingerprint = :fingerprint ORDER BY number DESC LIMIT 1), max(price) {_PRICED}"
)
_FOUND = "SELECT number, state, fingerprint, task_id, credits, begun FROM starts WHERE "
_SPENT = """
SELECT coalesce(sum(credits), 0), count(*) FILTER (WHERE credits IS NULL)
FROM starts WHERE account = ? AND begun >= ? AND number <= ?
"""
_LAST = 2**63 - 1


class SqliteHistory:
    """The history over one connection. Made by `open_history`."""

    def __init__(
        self, connection: sqlite3.Connection, file: Path | None, clock: Callable[[], float], busy_seconds: float
    ) -> None:
        self._busy_seconds = busy_seconds
        self._connection = connection
        self._file = file
        self._identity = identity(file)
        self._clock = clock
        self._turn = anyio.Lock()

    async def begin(self, start: StartRequest, *, day_limit: float | None = None) -> StartRecord:
        """Write a start down, or return the one that the caller's client token already stands for."""
        return await self._run(lambda: self._begin(start, day_limit))

    async def find(self, number: int) -> StartRecord | None:
        """Return a start as it stands, or None where it was forgotten."""
        return await self._run(lambda: self._one("number = ?", number))

    async def find_by_client_token(self, start: StartRequest) -> StartRecord | None:
        """Return the start that this one's client token already stands for, if there is one."""
        return await self._run(lambda: self._earlier(start))

    async def prices(self, start: StartRequest) -> Prices:
        """Return what the account's earlier starts like this one were estimated at."""

        def find() -> Prices:
            like_it = {"account": start.account, "settings": start.settings, "fingerprint": start.fingerprint}
            return Prices(*self._connection.execute(_PRICES, like_it).fetchone())

        return await self._run(find)

    async def record_result(self, number: int, *, task_id: str | None, cost: float | None) -> None:
        """Write down what a start has brought."""
        state: State = "started" if task_id else "unclear"
        await self._change(
            "UPDATE starts SET state = ?, task_id = ?, credits = coalesce(?, credits), price = ? WHERE number = ?",
            state,
            task_id,
            cost,
            cost,
            number,
        )

    async def mark_cancelled(self, number: int, *, cost: float | None) -> None:
        """Write down that a start's task was cancelled at once."""
        await self._change(
            "UPDATE starts SET state = 'taken back', client_token = NULL, credits = coalesce(?, credits) "
            "WHERE number = ?",
            cost,
            number,
        )

    async def forget(self, number: int) -> None:
        """Take a start back that certainly bought nothing."""
        await self._change("DELETE FROM starts WHERE number = ?", number)

    async def spent(self, account: str, *, up_to: int | None = None) -> Spend:
        """Return what an account's starts of this day (UTC) come to."""
        return await self._run(lambda: self._spent(account, up_to))

    def _begin(self, start: StartRequest, day_limit: float | None) -> StartRecord:
        if self._identity != identity(self._file):
            raise StoreError("The history of started tasks was replaced or removed meanwhile: restart the server.")
        now = self._clock()
        with self._connection as transaction:
            transaction.execute("BEGIN IMMEDIATE")
            transaction.execute("DELETE FROM starts WHERE begun < ?", (now - KEPT_SECONDS,))
            find_by_client_token = self._earlier(start)
            if find_by_client_token is not None:
                return find_by_client_token
            if day_limit is not None:
                self._check_day(start, day_limit)
            cursor = transaction.execute(
                "INSERT INTO starts "
                "(begun, account, caller, client_token, fingerprint, settings, type, state, credits) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, 'starting', ?)",
                (
                    now,
                    start.account,
                    start.caller,
                    start.client_token,
                    start.fingerprint,
                    start.settings,
                    start.type,
                    start.credits,
                ),
            )
        assert cursor.lastrowid is not None  # noqa: S101 - an INSERT has one
        return StartRecord(cursor.lastrowid, is_new=True, state="starting", fingerprint=start.fingerprint)

    def _check_day(self, start: StartRequest, limit: float) -> None:
        now = self._clock()
        under_way = "account = ? AND state = 'starting' AND begun > ? AND begun < ?"
        if self._one(under_way, start.account, now - SENDING_SECONDS, now + SENDING_SECONDS):
            raise BusyError
        spent = self._spent(start.account)
        if spent.unclear:
            raise DayLimitError(
                f"of {spent.unclear} started today it is not known what they cost, until the day is over"
            )
        if spent.credits >= limit:
            raise DayLimitError(f"{plain(spent.credits)} credits were spent today")
        if start.is_certain and start.credits is not None and spent.credits + start.credits > limit:
            raise DayLimitError(
                f"{plain(spent.credits)} credits were spent today, and the same was estimated at {plain(start.credits)}"
            )

    def _earlier(self, start: StartRequest) -> StartRecord | None:
        if start.client_token is None:
            return None
        condition = "account = ? AND caller = ? AND client_token = ? AND begun > ? ORDER BY number DESC"
        since = self._clock() - TOKEN_SECONDS
        return self._one(condition, start.account, start.caller, start.client_token, since)

    def _one(self, condition: str, *values: object) -> StartRecord | None:
        row = self._connection.execute(_FOUND + condition + " LIMIT 1", values).fetchone()
        if row is None:
            return None
        number, state, fingerprint, task_id, cost, begun = row
        age = abs(self._clock() - begun)
        return StartRecord(number, False, state, fingerprint, task_id, cost, age)

    def _spent(self, account: str, up_to: int | None = None) -> Spend:
        now = self._clock()
        if up_to is not None:
            row = self._connection.execute("SELECT begun FROM starts WHERE number = ?", (up_to,)).fetchone()
            now = row[0] if row else now
        return Spend(*self._connection.execute(_SPENT, (account, now // DAY * DAY, up_to or _LAST)).fetchone())

    async def _change(self, statement: str, *values: object) -> None:
        def change() -> None:
            with self._connection as transaction:
                transaction.execute(statement, values)

        await self._run(change)

    async def _run(self, work: Callable[[], T]) -> T:
        """Do the work in a thread, one at a time, to its end even where the caller has gone."""
        try:
            with anyio.fail_after(self._busy_seconds):
                await self._turn.acquire()
        except TimeoutError:
            raise StoreError("The history of started tasks can't be used: it is locked.") from None
        done: list[T] = []
        try:
            with anyio.CancelScope(shield=True):
                done.append(await anyio.to_thread.run_sync(work))
        except sqlite3.Error as error:
            raise StoreError(f"The history of started tasks can't be used: {error}.") from error
        finally:
            self._turn.release()
        return done[0]


@asynccontextmanager
async def open_history(
    file: Path | None, *, clock: Callable[[], float] = system_time, busy_seconds: float = BUSY_SECONDS
) -> AsyncGenerator[SqliteHistory]:
    """Open the history, and close it at the end.

    Args:
        file: Where it is kept; its folder is made. Without one it lasts as long as the process.
        clock: The time, UNIX seconds.
        busy_seconds: How long others are waited for.

    Raises:
        StoreError: It can't be opened: the folder can't be written, or a newer version has written the file.
    """
    open_ = partial(open_database, file, MIGRATIONS, busy_seconds=busy_seconds)
    try:
        connection = await anyio.to_thread.run_sync(open_)
    except NewerError:
        raise StoreError("The history of started tasks was written by a newer version of this server.") from None
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"The history of started tasks can't be kept at {file}: {error}.") from error
    with closing(connection):
        yield SqliteHistory(connection, file, clock, busy_seconds)

"""The history in one SQLite file, which any number of processes of one machine may share.

Every method is one short transaction in a worker thread. A file that is no database any more is set
aside, never emptied.
"""

import logging
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from time import time as system_time
from typing import TypeVar

import anyio
import anyio.to_thread

from runway_mcp.tasks.store import TOKEN_SECONDS, DayLimitError, Prices, Start, State, StoreError, Written

T = TypeVar("T")
logger = logging.getLogger(__name__)

BUSY_SECONDS = 5.0
"""How long a transaction waits for another process's."""
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

_PRICES = """
SELECT max(price) FILTER (WHERE fingerprint = ?3), max(price)
FROM starts WHERE account = ?1 AND settings = ?2 AND price IS NOT NULL
"""
_FOUND = "SELECT number, state, fingerprint, task_id, credits, begun FROM starts WHERE "


class SqliteHistory:
    """The history over one connection. Made by `open_history`."""

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._clock = clock
        self._turn = anyio.CapacityLimiter(1)

    async def begin(self, start: Start, *, day_limit: float | None = None) -> Written:
        """Write a start down, or return the one that the caller's client token already stands for."""
        return await self._run(lambda: self._begin(start, day_limit))

    async def find(self, number: int) -> Written | None:
        """Return a start as it stands, or None where it was forgotten."""
        return await self._run(lambda: self._one("number = ?", number))

    async def earlier(self, caller: str, client_token: str) -> Written | None:
        """Return the start that a caller's client token stands for, if there is one."""
        return await self._run(lambda: self._earlier(caller, client_token))

    async def prices(self, start: Start) -> Prices:
        """Return what the account's earlier starts like this one were estimated at."""

        def find() -> Prices:
            return Prices(
                *self._connection.execute(_PRICES, (start.account, start.settings, start.fingerprint)).fetchone()
            )

        return await self._run(find)

    async def settle(self, number: int, *, task_id: str | None, cost: float | None) -> None:
        """Write down what a start has brought."""
        state: State = "started" if task_id else "unclear"
        await self._change(
            "UPDATE starts SET state = ?, task_id = ?, credits = coalesce(?, credits), price = coalesce(price, ?) "
            "WHERE number = ?",
            state,
            task_id,
            cost,
            cost,
            number,
        )

    async def forget(self, number: int) -> None:
        """Take a start back that certainly bought nothing."""
        await self._change("DELETE FROM starts WHERE number = ?", number)

    async def spent(self, account: str) -> float:
        """Return the credits that an account's starts of this day (UTC) come to."""
        return await self._run(lambda: self._spent(account))

    def _begin(self, start: Start, day_limit: float | None) -> Written:
        now = self._clock()
        with self._connection as transaction:
            transaction.execute("BEGIN IMMEDIATE")
            transaction.execute("DELETE FROM starts WHERE begun < ?", (now - KEPT_SECONDS,))
            if start.client_token is not None:
                earlier = self._earlier(start.caller, start.client_token)
                if earlier is not None:
                    return earlier
            if day_limit is not None:
                spent = self._spent(start.account)
                if spent + (start.credits or 0) > day_limit or spent >= day_limit:
                    raise DayLimitError(spent)
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
        return Written(cursor.lastrowid, is_new=True, state="starting", fingerprint=start.fingerprint)

    def _earlier(self, caller: str, client_token: str) -> Written | None:
        since = self._clock() - TOKEN_SECONDS
        return self._one(
            "caller = ? AND client_token = ? AND begun > ? ORDER BY number DESC", caller, client_token, since
        )

    def _one(self, condition: str, *values: object) -> Written | None:
        row = self._connection.execute(_FOUND + condition + " LIMIT 1", values).fetchone()
        if row is None:
            return None
        number, state, fingerprint, task_id, cost, begun = row
        age = max(0.0, self._clock() - begun)
        return Written(number, False, state, fingerprint, task_id, cost, age)

    def _spent(self, account: str) -> float:
        today = self._clock() // DAY * DAY
        query = "SELECT coalesce(sum(credits), 0) FROM starts WHERE account = ? AND begun >= ?"
        return float(self._connection.execute(query, (account, today)).fetchone()[0])

    async def _change(self, statement: str, *values: object) -> None:
        def change() -> None:
            with self._connection as transaction:
                transaction.execute(statement, values)

        await self._run(change)

    async def _run(self, work: Callable[[], T]) -> T:
        """Do the work in a thread, one at a time, to its end even where the caller has gone."""
        done: list[T] = []
        try:
            with anyio.CancelScope(shield=True):
                done.append(await anyio.to_thread.run_sync(work, limiter=self._turn))
        except sqlite3.Error as error:
            raise StoreError(f"The history of started tasks can't be used: {error}.") from error
        return done[0]


@asynccontextmanager
async def open_history(file: Path | None, *, clock: Callable[[], float] = system_time) -> AsyncGenerator[SqliteHistory]:
    """Open the history, and close it at the end.

    Args:
        file: Where it is kept; its folder is made. Without one it lasts as long as the process.
        clock: The time, UNIX seconds.

    Raises:
        StoreError: It can't be opened: the folder can't be written, or a newer version has written the file.
    """
    connection = await anyio.to_thread.run_sync(_open, file)
    with closing(connection):
        yield SqliteHistory(connection, clock)


def _open(file: Path | None) -> sqlite3.Connection:
    if file is None:
        return _connect(":memory:")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return _connect(str(file))
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            _set_aside(file, error)
            return _connect(str(file))
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"The history of started tasks can't be kept at {file}: {error}.") from error


def _connect(name: str) -> sqlite3.Connection:
    connection = sqlite3.connect(name, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _check(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        connection.execute("ROLLBACK")
        raise StoreError("The history of started tasks was written by a newer version of this server.")
    for migration in MIGRATIONS[version:]:
        for statement in filter(str.strip, migration.split(";")):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.execute("COMMIT")


def _set_aside(file: Path, error: sqlite3.Error) -> None:
    """Move a file that is no database, with what belongs to it, out of the way."""
    aside = file.with_name(f"{file.name}.broken-{int(system_time())}")
    for ending in ("-wal", "-shm", ""):
        part = file.with_name(file.name + ending)
        if part.exists():
            part.rename(aside.with_name(aside.name + ending))
    logger.error("The history of started tasks is damaged (%s). It was kept as %s, and a new one begun.", error, aside)

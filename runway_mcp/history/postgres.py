"""The history in a PostgreSQL database, shared by any number of processes on any number of machines.

Its tables lie in a schema of their own. The times in it are by the database's clock. Settings hold for a transaction,
not for a session, so that a pooler such as PgBouncer may give each transaction another connection.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import cache
from time import monotonic
from typing import Any, Protocol, TypeVar, cast

import anyio
import asyncpg  # pyright: ignore[reportMissingTypeStubs] - it has none

from runway_mcp.history.database import Transaction, Values, storable
from runway_mcp.history.postgres_schema import MIGRATIONS
from runway_mcp.history.records import (
    HistoryAwayError,
    HistoryError,
    HistoryLockedError,
    HistoryNewerError,
    HistoryRefusedError,
    HistoryUnusableError,
    place_of,
)
from runway_mcp.history.shared_states import SharedStates
from runway_mcp.history.start_history import History
from runway_mcp.history.task_records import KEEP_DAYS

T = TypeVar("T")

SCHEMA = "runway_mcp"
MAX_CONNECTIONS = 10
"""Connections of one process."""
STATEMENT_SECONDS = 4
"""How long one statement may take, and how long it may wait for a lock."""
TRANSACTION_SECONDS = 8.0
"""How long a transaction may take, its connection included."""
QUICK_SECONDS = 1.0
"""How long a single statement may take, of which nothing depends."""

_BEGIN = f"""
SELECT extract(epoch FROM clock_timestamp())::float8, set_config('search_path', $1, true),
    set_config('statement_timeout', '{STATEMENT_SECONDS}s', true),
    set_config('lock_timeout', '{STATEMENT_SECONDS}s', true),
    set_config('idle_in_transaction_session_timeout', '{STATEMENT_SECONDS}s', true)
"""  # noqa: S608 - made of constants
_NAME = re.compile(r"(?<!:):([a-z_][a-z0-9_]*)")
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was killed between two of its messages
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)
_OF_THE_DATABASE = (*_AWAY, asyncpg.PostgresError)
_LOCKED = (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError, asyncpg.DeadlockDetectedError)
_REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)


class _Connection(Protocol):
    """A connection of asyncpg, which has no types."""

    def transaction(self, *, isolation: str) -> AbstractAsyncContextManager[None]: ...

    async def fetch(self, statement: str, *values: object) -> Sequence[Sequence[Any]]: ...

    async def fetchval(self, statement: str, *values: object) -> Any: ...

    async def execute(self, statement: str, *values: object) -> str: ...

    async def executemany(self, statement: str, rows: Sequence[Sequence[object]]) -> None: ...


class _Pool(Protocol):
    """A pool of asyncpg."""

    def acquire(self, *, timeout: float | None) -> AbstractAsyncContextManager[_Connection]: ...

    async def expire_connections(self) -> None: ...


class PostgresDatabase:
    """A PostgreSQL database, by a pool of connections."""

    def __init__(
        self,
        pool: _Pool,
        place: str,
        schema: str,
        clock: Callable[[], float] | None,
        *,
        transaction_seconds: float,
        quick_seconds: float,
    ) -> None:
        self._pool, self._place, self._schema, self._clock = pool, place, schema, clock
        self._transaction_seconds, self._quick_seconds = transaction_seconds, quick_seconds

    async def run(self, work: Callable[[Transaction], Awaitable[T]], *, shield: bool = True) -> T:
        has_begun = False

        async def attempt() -> T:
            nonlocal has_begun
            async with (
                self._pool.acquire(timeout=STATEMENT_SECONDS) as connection,
                # Who waited for a lock must see what was written before it: the database's default could be stricter.
                connection.transaction(isolation="read_committed"),
            ):
                now = await connection.fetchval(_BEGIN, self._schema)
                has_begun = True
                return await work(_Transaction(connection, now if self._clock is None else self._clock()))

        async def retried() -> T:
            try:
                return await attempt()
            except _AWAY:  # the connection may be dead since the database went away for a moment
                if has_begun:
                    raise
                await self._pool.expire_connections()  # and so may be all others
            return await attempt()

        done: list[T] = []
        with anyio.CancelScope(deadline=anyio.current_time() + self._transaction_seconds, shield=shield):
            try:
                done.append(await retried())
            except Exception as error:
                if has_begun and not isinstance(error, _OF_THE_DATABASE):
                    raise
                raise self._typed(error) from None
        if not done:
            await self._pool.expire_connections()
            raise HistoryAwayError(self._place, f"no answer within {self._transaction_seconds:g} s")
        return done[0]

    async def statement(self, statement: str, values: Values) -> Sequence[Sequence[Any]]:
        """Run a single statement, quickly or not at all; `{schema}` in it is the schema's name."""
        text, given = _numbered(statement.replace("{schema}", self._schema), values)
        rows: list[Sequence[Sequence[Any]]] = []
        with anyio.move_on_after(self._quick_seconds):
            try:
                async with self._pool.acquire(timeout=None) as connection:
                    rows.append(await connection.fetch(text, *given))
            except Exception as error:  # noqa: BLE001 - whatever asyncpg makes of variables and files that have changed
                raise self._typed(error) from None
        if not rows:
            await self._pool.expire_connections()
            raise HistoryAwayError(self._place, f"no answer within {self._quick_seconds:g} s")
        return rows[0]

    async def migrate(self) -> None:
        """Bring the schema to the latest version; one process at a time does.

        Raises:
            HistoryError: It can't be, or a newer version of this server has written it.
        """

        async def work(transaction: Transaction) -> None:
            ((encoding,),) = await transaction.fetch("SHOW server_encoding")
            if encoding != "UTF8":
                raise HistoryUnusableError(self._place, f"the encoding of the database is {encoding}, and must be UTF8")
            await transaction.lock("migrations")
            # IF NOT EXISTS alone may miss a schema that was made while this waited for its turn.
            found = "SELECT FROM pg_catalog.pg_namespace WHERE nspname = :schema"
            if not await transaction.fetch(found, {"schema": self._schema}):
                await transaction.execute(f"CREATE SCHEMA {self._schema}")
            await transaction.execute("CREATE TABLE IF NOT EXISTS version (number integer NOT NULL)")
            version = sum(number for (number,) in await transaction.fetch("SELECT number FROM version"))
            if version > len(MIGRATIONS):
                raise HistoryNewerError(self._place)
            for number, migration in enumerate(MIGRATIONS[version:], version + 1):
                for statement in migration:
                    await transaction.execute(statement)
                await transaction.execute("DELETE FROM version")
                await transaction.execute("INSERT INTO version VALUES (:number)", {"number": number})

        await self.run(work, shield=False)

    def _typed(self, error: Exception) -> HistoryError:
        kind = type(error).__name__
        if isinstance(error, _LOCKED):
            return HistoryLockedError(self._place)
        if not isinstance(error, _OF_THE_DATABASE) or isinstance(error, asyncpg.ClientConfigurationError):
            # What it says may quote a password.
            return HistoryUnusableError(self._place, f"its URL, PG… variables or files can't be read: {kind}")
        if isinstance(error, _REFUSED) or (isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)):
            return HistoryRefusedError(self._place, kind)
        if isinstance(error, _AWAY):
            return HistoryAwayError(self._place, str(error) or kind)
        return HistoryUnusableError(self._place, str(error) or kind)


class _Transaction:
    def __init__(self, connection: _Connection, now: float) -> None:
        self._connection, self.now = connection, now

    async def fetch(self, statement: str, values: Values = {}) -> list[tuple[Any, ...]]:  # noqa: B006 - only read
        text, given = _numbered(statement, values)
        return [tuple(row) for row in await self._connection.fetch(text, *given)]

    async def execute(self, statement: str, values: Values = {}) -> int:  # noqa: B006 - only read
        text, given = _numbered(statement, values)
        done = await self._connection.execute(text, *given)
        count = done.rpartition(" ")[2]
        return int(count) if count.isdecimal() else 0

    async def execute_many(self, statement: str, rows: Sequence[Values]) -> None:
        numbered = [_numbered(statement, values) for values in rows]
        await self._connection.executemany(_named(statement)[0], [given for _, given in numbered])

    async def insert_start(self, statement: str, values: Values) -> int:
        ((number,),) = await self.fetch(f"{statement} RETURNING number", values)
        return number

    async def lock(self, account: str) -> None:
        await self.execute("SELECT pg_advisory_xact_lock(hashtextextended(:account, 0))", {"account": account})


def _numbered(statement: str, values: Values) -> tuple[str, list[Any]]:
    """Return a statement with $1 for its first name and so on, and their values."""
    text, names = _named(statement)
    given = storable(values)
    return text, [given[name] for name in names]


@cache
def _named(statement: str) -> tuple[str, tuple[str, ...]]:
    names = tuple(dict.fromkeys(_NAME.findall(statement)))
    return _NAME.sub(lambda found: f"${names.index(found[1]) + 1}", statement), names


async def _prepare(connection: _Connection) -> None:
    """Single statements that meet wait for one another, whatever the database's default is."""
    await connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED")


async def _keep(_: object) -> None:
    pass  # what is set holds for a transaction, and asyncpg ends an open one by itself


@asynccontextmanager
async def open_postgres(
    url: str,
    *,
    keep_days: float = KEEP_DAYS,
    prompts: bool = True,
    schema: str = SCHEMA,
    clock: Callable[[], float] | None = None,
    elapsed: Callable[[], float] = monotonic,
    transaction_seconds: float = TRANSACTION_SECONDS,
    quick_seconds: float = QUICK_SECONDS,
) -> AsyncGenerator[History]:
    """Open the history in the database of a `postgresql://` URL, and close it at the end.

    What the URL leaves out, such as the password, libpq's variables and files say. The clock is the database's own
    where there is none. A transaction takes up to `transaction_seconds`, and a single statement of which
    nothing depends up to `quick_seconds`.

    Raises:
        HistoryError: It can't be opened.
    """
    pool = asyncpg.create_pool(  # pyright: ignore[reportUnknownMemberType] - it has no types
        url,
        min_size=0,
        max_size=MAX_CONNECTIONS,
        statement_cache_size=0,
        timeout=STATEMENT_SECONDS,
        command_timeout=STATEMENT_SECONDS + 1,
        init=_prepare,
        reset=_keep,
        server_settings={"application_name": "runway-mcp"},
    )
    database = PostgresDatabase(
        cast("_Pool", pool),
        place_of(url),
        schema,
        clock,
        transaction_seconds=transaction_seconds,
        quick_seconds=quick_seconds,
    )
    try:
        await pool
        await database.migrate()
        async with History(database, elapsed, keep_days=keep_days, prompts=prompts) as history:
            history.states = SharedStates(database)
            history.statement = database.statement
            yield history
    finally:
        # A connection whose other end has vanished can't be closed in order; the pool ends it then.
        with suppress(*_AWAY), anyio.move_on_after(QUICK_SECONDS, shield=True):
            await pool.close()

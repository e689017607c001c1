"""The latest states of tasks, shared by the replicas over one database: Runway is asked once for all of them.

A process sends one statement of a kind at a time, for all tasks that came up while the one before was running. Each
locks its rows in the same order, so that replicas can't deadlock.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import anyio
from pydantic import JsonValue

from runway_mcp.history.database import Transaction, Values


class Statements(Protocol):
    """Runs single statements, quickly or not at all."""

    async def statement(self, statement: str, values: Values) -> Sequence[Sequence[Any]]:
        """Run one, with the schema's name for `{schema}`; raise a `HistoryError` where the database can't be used."""
        ...


@dataclass(frozen=True, slots=True)
class SharedState:
    """What the replicas know of a task.

    Attributes:
        claim: The moment from which the one who asked for this is to ask Runway, for `publish`. Nobody else does within
            the interval. None where somebody else is to.
        data: The task; None where nobody has read it within the interval.
        age: Seconds since Runway was asked for it.
    """

    claim: float | None
    data: dict[str, JsonValue] | None
    age: float


KEPT_SECONDS = 3600.0
"""How long a state that nobody asks for is kept."""
PUNCTUAL = 0.98
"""The part of an interval after which a task may be asked for again: clocks and networks are not exact."""

_NOW = "extract(epoch FROM clock_timestamp())::float8"  # within ON CONFLICT: the moment the row was locked
_KEY = "account, caller, task_id"
_KEYS = "unnest(:accounts::text[], :callers::text[], :task_ids::text[]"
_CLAIM = f"""
WITH keys AS (SELECT * FROM {_KEYS}) WITH ORDINALITY AS keys ({_KEY}, place)), claimed AS (
    INSERT INTO {{schema}}.states AS known ({_KEY}, asked)
    SELECT {_KEY}, {_NOW} FROM keys ORDER BY {_KEY}
    ON CONFLICT ({_KEY}) DO UPDATE SET asked = {_NOW} WHERE known.asked <= {_NOW} - :pause::float8
    RETURNING {_KEY}, asked
)
SELECT claimed.asked, data, {_NOW} - read
FROM keys LEFT JOIN claimed USING ({_KEY}) LEFT JOIN {{schema}}.states USING ({_KEY}) ORDER BY place
"""  # noqa: S608 - made of constants
_PUBLISH = f"""
INSERT INTO {{schema}}.states AS known ({_KEY}, asked, data, read)
SELECT {_KEY}, claim, data, claim FROM {_KEYS}, :claims::float8[], :data::text[]) AS keys ({_KEY}, claim, data)
ORDER BY {_KEY}
ON CONFLICT ({_KEY}) DO UPDATE SET data = excluded.data, read = excluded.read
WHERE known.read IS NULL OR known.read <= excluded.read
"""  # noqa: S608 - as above
_FORGET = f"""
INSERT INTO {{schema}}.states ({_KEY}, asked, read) SELECT {_KEY}, 0, {_NOW} FROM {_KEYS}) AS keys ({_KEY})
ORDER BY {_KEY}
ON CONFLICT ({_KEY}) DO UPDATE SET data = NULL, asked = 0, read = {_NOW}
"""  # noqa: S608 - as above
_FORGET_OLD = f"""
DELETE FROM states WHERE ({_KEY}) IN (
    SELECT {_KEY} FROM states WHERE asked < :since AND coalesce(read, 0) < :since FOR UPDATE SKIP LOCKED
)
"""  # noqa: S608 - as above


class SharedStates:
    """The states of all callers' tasks, by `account`, `caller` and `task_id`. Each method may raise a `HistoryError`.

    None can be cancelled: others wait for the same statement.
    """

    def __init__(self, database: Statements) -> None:
        self._database = database
        self._looks: dict[float, _Batches] = {}
        self._publications = _Batches(partial(self._run, _PUBLISH, ("claims", "data")))
        self._forgotten = _Batches(partial(self._run, _FORGET, ()))

    async def look(self, key: Values, interval: float) -> SharedState:
        """Return what is known of a task, and whether to ask Runway."""
        if interval not in self._looks:
            pause = {"pause": interval * PUNCTUAL}
            self._looks[interval] = _Batches(partial(self._run, _CLAIM, (), more=pause))
        (claim, data, age), is_first = await self._looks[interval].add(key)
        if data is None or age >= interval:
            data, age = None, 0
        return SharedState(claim if is_first else None, None if data is None else json.loads(data), max(age, 0))

    async def publish(self, key: Values, claim: float, data: Mapping[str, JsonValue]) -> None:
        """Let the others have what was read after a claim, unless the task was changed since, or read later."""
        await self._publications.add(key, claim, json.dumps(data))

    async def forget(self, key: Values) -> None:
        """Have whoever looks next ask Runway: the task was changed, or was not read after all."""
        await self._forgotten.add(key)

    async def forget_old(self, transaction: Transaction) -> None:
        """Forget, within a transaction, what nobody has asked for of late."""
        await transaction.execute(_FORGET_OLD, {"since": transaction.now - KEPT_SECONDS})

    async def _run(
        self, statement: str, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]], *, more: Values | None = None
    ) -> Sequence[Sequence[Any]]:
        columns = zip(("accounts", "callers", "task_ids", *names), zip(*rows, strict=True), strict=True)
        return await self._database.statement(statement, {**dict(columns), **(more or {})})


@dataclass(slots=True)
class _Batch:
    rows: dict[tuple[Any, ...], tuple[Any, ...]] = field(default_factory=dict[tuple[Any, ...], tuple[Any, ...]])
    found: dict[tuple[Any, ...], Sequence[Any]] = field(default_factory=dict[tuple[Any, ...], Sequence[Any]])
    error: Exception | None = None


class _Batches:
    """Runs one statement at a time: whoever is first in turn does so for all who came meanwhile."""

    def __init__(self, run: Callable[[list[tuple[Any, ...]]], Awaitable[Sequence[Sequence[Any]]]]) -> None:
        self._run, self._turn, self._next = run, anyio.Lock(), _Batch()

    async def add(self, key: Values, *values: Any) -> tuple[Sequence[Any], bool]:
        """Return the row found for a key, empty where there is none, and whether nobody else in the batch has it."""
        batch, names = self._next, (key["account"], key["caller"], key["task_id"])
        is_first = names not in batch.rows
        batch.rows[names] = max(values, batch.rows.get(names, ()))
        with anyio.CancelScope(shield=True):
            async with self._turn:
                if batch is self._next:
                    self._next = _Batch()
                    try:
                        found = await self._run([(*names, *values) for names, values in batch.rows.items()])
                        batch.found = dict(zip(batch.rows, found))  # noqa: B905 - a change finds nothing
                    except Exception as error:  # noqa: BLE001 - it is raised to each of them
                        batch.error = error
        if batch.error is not None:
            raise batch.error
        return batch.found.get(names, ()), is_first

"""The latest states of tasks, shared by the replicas over one database: Runway is asked once for all of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import JsonValue

from runway_mcp.history.database import Transaction, Values


class Statements(Protocol):
    """Runs single statements, quickly or not at all."""

    async def statement(self, statement: str, values: Values) -> Sequence[Sequence[Any]]:
        """Run one; raise a `HistoryError` where the database can't be used."""
        ...


@dataclass(frozen=True, slots=True)
class SharedState:
    """What the replicas know of a task.

    Attributes:
        is_ours: Whether the one who asked for this is to ask Runway. Nobody else does within the interval.
        data: The task; None where nobody has read it within the interval.
        age: Seconds since it was read.
    """

    is_ours: bool
    data: dict[str, JsonValue] | None
    age: float


KEPT_SECONDS = 3600.0
"""How long a state that nobody asks for is kept."""
PUNCTUAL = 0.98
"""The part of an interval after which a task may be asked for again: clocks and networks are not exact."""

_KEY = "account = :account AND caller = :caller AND task_id = :task_id"
_CLAIM = f"""
WITH clock AS (SELECT extract(epoch FROM clock_timestamp())::float8 AS now), claimed AS (
    INSERT INTO {{schema}}.states AS known (account, caller, task_id, asked)
    SELECT :account, :caller, :task_id, now FROM clock
    ON CONFLICT (account, caller, task_id) DO UPDATE SET asked = excluded.asked
    WHERE known.asked <= excluded.asked - :interval::float8
    RETURNING 1
)
SELECT EXISTS (SELECT FROM claimed), data, now - read FROM clock LEFT JOIN {{schema}}.states ON {_KEY}
"""  # noqa: S608 - made of constants
_PUBLISH = f"""
UPDATE {{schema}}.states SET data = :data, read = extract(epoch FROM clock_timestamp())::float8 WHERE {_KEY}
"""  # noqa: S608 - as above
_FORGET = f"UPDATE {{schema}}.states SET data = NULL, asked = 0 WHERE {_KEY}"  # noqa: S608 - as above


class SharedStates:
    """The states of all callers' tasks. Each method may raise a `HistoryError`."""

    def __init__(self, database: Statements, schema: str) -> None:
        self._database, self._schema = database, schema

    async def look(self, key: Values, interval: float) -> SharedState:
        """Return what is known of a task by its `account`, `caller` and `task_id`, and who is to ask Runway."""
        pause = interval * PUNCTUAL
        ((is_ours, data, age),) = await self._run(_CLAIM, {**key, "interval": pause})
        if data is None or age >= interval:
            return SharedState(is_ours, None, 0)
        return SharedState(is_ours, json.loads(data), max(age, 0))

    async def publish(self, key: Values, data: dict[str, JsonValue]) -> None:
        """Let the others have what was read just now."""
        await self._run(_PUBLISH, {**key, "data": json.dumps(data)})

    async def forget(self, key: Values) -> None:
        """Have whoever looks next ask Runway: the task was changed, or was not read after all."""
        await self._run(_FORGET, key)

    async def forget_old(self, transaction: Transaction) -> None:
        """Forget, within a transaction, what nobody has asked for of late."""
        old = {"since": transaction.now - KEPT_SECONDS}
        await transaction.execute("DELETE FROM states WHERE asked < :since", old)

    async def _run(self, statement: str, values: Values) -> Sequence[Sequence[Any]]:
        return await self._database.statement(statement.format(schema=self._schema), values)

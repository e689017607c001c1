"""The copy of a history into another."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from runway_mcp.history.task_records import NOT_ACTIVE

if TYPE_CHECKING:
    from runway_mcp.history.database import Transaction, Values
    from runway_mcp.history.start_history import History

_Rows = list[tuple[Any, ...]]

COPIED = 50
"""Starts that are copied in one transaction."""
_STARTS = (
    *("begun", "account", "caller", "client_token", "fingerprint", "price_key", "type", "state", "task_id", "credits"),
    *("price", "model", "prompt", "seconds", "saving", "status", "cost", "finished", "made"),
)
_OUTPUTS = ("number", "position", "path", "size", "content_type", "sha256")
_OTHERS = {
    "uploads": ("account", "caller", "sha256", "uri", "size", "content_type", "seconds", "uploaded"),
    "secrets": ("name", "value"),
}
_READ = f"SELECT number, {', '.join(_STARTS)} FROM starts WHERE number > :after ORDER BY number LIMIT {COPIED}"  # noqa: S608 - made of constants
_READ_OUTPUTS = f"SELECT {', '.join(_OUTPUTS)} FROM outputs WHERE number > :after AND number <= :last"  # noqa: S608 - as above
_SAME = """
SELECT number, state, status, cost, saving FROM starts
WHERE account = :account AND caller = :caller AND begun = :begun AND fingerprint = :fingerprint AND type = :type
AND coalesce(client_token, :client_token, '') = coalesce(:client_token, client_token, '')
ORDER BY number
"""
_UPDATE = f"UPDATE starts SET {', '.join(f'{name} = :{name}' for name in _STARTS)} WHERE number = :number"  # noqa: S608 - as above
_SAVING = ("", "wanted", "lost", "told", "saved")


async def copy_history(source: "History", target: "History") -> int:
    """Copy what the target lacks; return how many starts these were.

    A start that is there already is copied again where more is known of it in the source. Copies that run at the same
    time copy nothing twice.

    Raises:
        HistoryError: Either can't be used; what was copied so far stays, and the copy can be repeated.
    """
    for table, columns in _OTHERS.items():
        rows = await source.run(partial(_fetch, f"SELECT {', '.join(columns)} FROM {table}", {}))  # noqa: S608 - as above
        await target.run(partial(_insert, table, columns, rows))
    after = copied = 0
    taken = set[int]()
    while starts := await source.run(partial(_fetch, _READ, {"after": after})):
        last = starts[-1][0]
        outputs = await source.run(partial(_fetch, _READ_OUTPUTS, {"after": after, "last": last}))
        copied += await target.run(partial(_put, starts, outputs, taken))
        after = last
    return copied


async def _fetch(statement: str, values: "Values", transaction: "Transaction") -> _Rows:
    return await transaction.fetch(statement, values)


async def _insert(table: str, columns: Sequence[str], rows: _Rows, transaction: "Transaction") -> None:
    values = [dict(zip(columns, row, strict=True)) for row in rows]
    await transaction.execute_many(f"{_into(table, columns)} ON CONFLICT DO NOTHING", values)


async def _put(starts: _Rows, outputs: _Rows, taken: set[int], transaction: "Transaction") -> int:
    """Write starts and their outputs. `taken` has the numbers of the target's starts that were copied before."""
    await transaction.lock("copy")
    copied = 0
    numbers: dict[int, int] = {}
    for number, *row in starts:
        values = dict(zip(_STARTS, row, strict=True))
        same = [one for one in await transaction.fetch(_SAME, values) if one[0] not in taken]
        if not same:
            numbers[number] = await transaction.insert_start(_into("starts", _STARTS), values)
            copied += 1
        else:
            numbers[number] = same[0][0]
            if _progress(*map(values.get, ("state", "status", "cost", "saving"))) > _progress(*same[0][1:]):
                await transaction.execute(_UPDATE, values | {"number": numbers[number]})
                copied += 1
        taken.add(numbers[number])
    mine = [(numbers[number], *row) for number, *row in outputs if number in numbers]
    await _insert("outputs", _OUTPUTS, mine, transaction)
    return copied


def _progress(state: Any, status: Any, cost: Any, saving: Any) -> tuple[object, ...]:
    """Return how much is known of a start, to be compared."""
    is_known = state not in {"pending", "unknown"}
    return is_known, state == "cancelled", status in NOT_ACTIVE, cost is not None, _SAVING.index(saving)


def _into(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})"  # noqa: S608 - as above

"""Where a history is kept, and the copy of one into another."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from runway_mcp.history.task_records import KEEP_DAYS

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from runway_mcp.history.database import Transaction
    from runway_mcp.history.start_history import History

HistoryPlace = Path | SecretStr
"""A SQLite file, or the `postgresql://` URL of a database."""

COPIED = 200
"""Starts that are copied in one transaction."""
_COLUMNS = (
    *("begun", "account", "caller", "client_token", "fingerprint", "price_key", "type", "state", "task_id", "credits"),
    *("price", "model", "prompt", "seconds", "saving", "status", "cost", "finished", "made"),
)
_READ = f"SELECT number, {', '.join(_COLUMNS)} FROM starts WHERE number > :after ORDER BY number LIMIT {COPIED}"  # noqa: S608 - made of constants
_SAME = """
SELECT number, state FROM starts
WHERE account = :account AND caller = :caller AND begun = :begun AND fingerprint = :fingerprint AND type = :type
AND coalesce(client_token, :client_token, '') = coalesce(:client_token, client_token, '')
"""
_INSERT = f"INSERT INTO starts ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)})"  # noqa: S608 - as above
_UPDATE = f"UPDATE starts SET {', '.join(f'{name} = :{name}' for name in _COLUMNS)} WHERE number = :number"  # noqa: S608 - as above


def open_place(
    place: HistoryPlace | None, *, keep_days: float = KEEP_DAYS, prompts: bool = True
) -> "AbstractAsyncContextManager[History]":
    """Open the history of a place; one in memory where there is none.

    Raises:
        HistoryError: It can't be opened, when the context is entered.
    """
    if isinstance(place, SecretStr):
        from runway_mcp.history.postgres import open_postgres  # noqa: PLC0415 - only who has a database pays for it

        return open_postgres(place.get_secret_value(), keep_days=keep_days, prompts=prompts)
    from runway_mcp.history.sqlite import open_history  # noqa: PLC0415 - only who starts a task pays for it

    return open_history(place, keep_days=keep_days, prompts=prompts)


async def copy_history(source: "History", target: "History") -> int:
    """Copy all starts that the target lacks, with where their outputs are; return how many these were.

    A start that is there already is copied again only while its outcome is not known there.

    Raises:
        HistoryError: Either can't be used; what was copied so far stays, and the copy can be repeated.
    """
    after = copied = 0
    while True:
        rows = await source.run(lambda transaction: transaction.fetch(_READ, {"after": after}))  # noqa: B023 - run at once
        if not rows:
            return copied
        starts = {row[0]: dict(zip(_COLUMNS, row[1:], strict=True)) for row in rows}
        outputs = {number: await source.tasks.outputs(number) for number in starts}
        numbers = await target.run(lambda transaction: _put(transaction, starts))  # noqa: B023 - as above
        for number, new in numbers.items():
            await target.tasks.record_saved(new, outputs[number])
        copied += len(numbers)
        after = rows[-1][0]


async def _put(transaction: "Transaction", starts: dict[int, dict[str, object]]) -> dict[int, int]:
    numbers: dict[int, int] = {}
    for number, values in starts.items():
        found = await transaction.fetch(_SAME, values)
        if not found:
            numbers[number] = await transaction.insert_start(_INSERT, values)
        elif found[0][1] in {"pending", "unknown"} and values["state"] != found[0][1]:
            await transaction.execute(_UPDATE, values | {"number": found[0][0]})
            numbers[number] = found[0][0]
    return numbers

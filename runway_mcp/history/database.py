"""What the history needs of a database. Each of its methods is one short transaction."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

Values = Mapping[str, Any]
"""What the names in a statement stand for, such as `:account`."""

MAX_NUMBER = 2**63 - 1
_NOT_KEPT = re.compile("[\0\ud800-\udfff]")


def storable(values: Values) -> dict[str, Any]:
    """Return values as all databases here can keep them: no NUL, no half of a pair, no number over 64 bits."""
    return {name: _storable(value) for name, value in values.items()}


def _storable(value: object) -> object:
    if isinstance(value, str):
        return _NOT_KEPT.sub("\ufffd", value)
    return max(min(value, MAX_NUMBER), -MAX_NUMBER) if isinstance(value, int) else value


class Transaction(Protocol):
    """A transaction. Statements are of the SQL that all databases here have; a name in them is `:name`.

    Attributes:
        now: UNIX seconds, by the database's clock where it has one.
    """

    now: float

    async def fetch(self, statement: str, values: Values = ...) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        ...

    async def execute(self, statement: str, values: Values = ...) -> int:
        """Run a statement; return how many rows it changed."""
        ...

    async def execute_many(self, statement: str, rows: Sequence[Values]) -> None:
        """Run a statement for each of many rows, in one round trip."""
        ...

    async def insert_start(self, statement: str, values: Values) -> int:
        """Insert a start; return its number."""
        ...

    async def lock(self, account: str) -> None:
        """Have other transactions that lock the same account wait for the end of this one."""
        ...


class Database(Protocol):
    """A database of the history at its latest version."""

    async def run(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run a transaction to its end, even where the caller is cancelled meanwhile; it is undone where `work` raises.

        Raises:
            HistoryError: The database can't be used.
        """
        ...

"""Where a history is kept."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from runway_mcp.history.task_records import KEEP_DAYS

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from runway_mcp.history.start_history import History

HistoryPlace = Path | SecretStr
"""A SQLite file, or the `postgresql://` URL of a database."""


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

"""Where a history is kept."""

from pathlib import Path

import pytest
from support.databases import Place, PostgresPlace, SqlitePlace


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A new file, then a new schema."""
    return (
        SqlitePlace(tmp_path / "some" / "where" / "history.sqlite3") if request.param == "sqlite" else PostgresPlace()
    )

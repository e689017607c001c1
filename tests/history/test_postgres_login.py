"""How the history's database is found and its password given: by URL, variables and files, as PostgreSQL's tools do."""

from collections.abc import AsyncGenerator
from pathlib import Path
from traceback import format_exception
from typing import Any, cast

import anyio
import asyncpg  # pyright: ignore[reportMissingTypeStubs] - it has none
import pytest
from support.databases import KillablePostgres

from runway_mcp.config.sources import find_database
from runway_mcp.history.database import Transaction
from runway_mcp.history.postgres import open_postgres
from runway_mcp.history.records import HistoryError, Spend

PASSWORD = "secret-word"


@pytest.fixture(scope="module")
async def database() -> AsyncGenerator[KillablePostgres]:
    """A server with the database `films` of a user who needs the password."""
    async with KillablePostgres.installed() as server:
        await server.start()
        admin = cast("Any", await asyncpg.connect(server.url))  # pyright: ignore[reportUnknownMemberType] - it has no types
        await admin.execute(f"CREATE ROLE {server.guarded} LOGIN PASSWORD '{PASSWORD}'")
        await admin.execute(f"CREATE DATABASE films OWNER {server.guarded}")
        await admin.close()
        yield server


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PGSERVICE", "PGPASSWORD", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "none.conf"))


async def opens(url: str) -> None:
    with anyio.fail_after(30):
        async with open_postgres(url) as history:
            assert await history.spent("nobody") == Spend(0, 0)


WAYS: dict[str, tuple[str, dict[str, str]]] = {
    "PGPASSWORD": ("postgresql://films@127.0.0.1:{port}/films", {"PGPASSWORD": PASSWORD}),
    "PGPASSFILE": ("postgresql://films@127.0.0.1:{port}/films", {"PGPASSFILE": "{folder}/passwords"}),
    "a password file in the URL": ("postgresql://films@127.0.0.1:{port}/films?passfile={folder}/passwords", {}),
    "a service with its password": ("postgresql:///?service=whole", {"PGSERVICEFILE": "{folder}/services.conf"}),
    "a service of a bare URL": ("postgresql://?service=whole", {"PGSERVICEFILE": "{folder}/services.conf"}),
    "the service of a variable": (
        "postgresql://",
        {"PGSERVICE": "whole", "PGSERVICEFILE": "{folder}/services.conf"},
    ),
    "a service without its password": (
        "postgresql://?service=bare",
        {"PGSERVICEFILE": "{folder}/services.conf", "PGPASSWORD": PASSWORD},
    ),
    "variables": (
        "postgresql://",
        {"PGHOST": "127.0.0.1", "PGPORT": "{port}", "PGUSER": "films", "PGPASSWORD": PASSWORD},
    ),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_database_is_opened_by(
    way: str, database: KillablePostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, variables = WAYS[way]
    passwords, services = tmp_path / "passwords", tmp_path / "services.conf"
    passwords.touch(0o600)
    passwords.write_text(f"127.0.0.1:{database.port}:films:films:{PASSWORD}\n")
    place = f"host=127.0.0.1\nport={database.port}\ndbname=films\nuser=films\n"
    services.write_text(f"[bare]\n{place}[whole]\n{place}password={PASSWORD}\n")
    given = {"folder": tmp_path.as_posix(), "port": database.port}
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(**given))
    await opens(find_database(url.format(**given)).get_secret_value())


@pytest.mark.parametrize(
    "url",
    ["postgresql://films:{wrong}@127.0.0.1:{port}/films", "postgresql://films@127.0.0.1:{port}/films?password={wrong}"],
)
async def test_a_wrong_password_is_in_no_error_and_no_log(
    url: str, database: KillablePostgres, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with pytest.raises(HistoryError) as caught:
        await opens(url.format(wrong="not-the-word", port=database.port))
    told: BaseException | None = caught.value
    assert "password authentication failed" in str(told)
    while told is not None:
        assert "not-the-word" not in f"{told}{told!r}"
        told = told.__cause__
    assert "not-the-word" not in caplog.text


@pytest.mark.parametrize("broken", ["PGPASSFILE", "PGSERVICEFILE", "PGPORT", "PGSSLMODE"])
async def test_a_file_or_variable_that_breaks_while_the_server_runs_is_an_error_that_quotes_nothing(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is read anew for each connection."""
    file = tmp_path / "broken"
    file.write_bytes(b"secret-word \xff")
    file.chmod(0o600)
    monkeypatch.setenv(broken, "secret-word" if broken in {"PGPORT", "PGSSLMODE"} else str(file))
    url = "postgresql://?service=films" if broken == "PGSERVICEFILE" else "postgresql://127.0.0.1/films"
    with pytest.raises(HistoryError, match="variables or files can't be read") as caught:
        await opens(url)
    assert "secret-word" not in "".join(format_exception(caught.value))


async def test_single_statements_tell_no_more(
    database: KillablePostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text(f"127.0.0.1:{database.port}:films:films:{PASSWORD}\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    with anyio.fail_after(30):
        async with open_postgres(f"postgresql://films@127.0.0.1:{database.port}/films") as history:
            assert await history.statement("SELECT 1", {})
            await history.run(lambda transaction: transaction.fetch("SELECT 1"))
            passwords.write_bytes(f"{PASSWORD} \xff".encode("latin-1"))

            async def end(transaction: Transaction) -> None:
                await transaction.fetch("SELECT pg_terminate_backend(pg_backend_pid())")

            with pytest.raises(HistoryError):
                await history.run(end)
            with pytest.raises(HistoryError, match="variables or files can't be read") as caught:
                await history.statement("SELECT 1", {})
    assert PASSWORD not in "".join(format_exception(caught.value))


async def test_a_database_that_can_not_keep_every_text_is_refused(database: KillablePostgres) -> None:
    admin = cast("Any", await asyncpg.connect(database.url))  # pyright: ignore[reportUnknownMemberType] - it has no types
    await admin.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    await admin.close()
    with pytest.raises(HistoryError, match="the encoding of the database is LATIN1, and must be UTF8"):
        await opens(database.url.rpartition("/")[0] + "/latin")

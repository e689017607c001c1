"""The SQLite file of the history: opened, migrated and mistrusted.

A file that can't be trusted is left alone, and the error names it: an empty history would let the day's credits be
spent, and a client token buy, a second time. A file of 0 bytes was cut off, unless another process is creating it.

The journal is a rollback journal. Its file exists only within a transaction, unlike a write-ahead log, which holds
the latest starts and can be deleted under a running server.
"""

import os
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from runway_mcp.history import records
from runway_mcp.history.task_records import contains

LOOK_SECONDS = 0.02
"""The time between two looks at a file that another process may be creating."""

MIGRATIONS: Sequence[str] = (
    """
    CREATE TABLE starts (
        number INTEGER PRIMARY KEY AUTOINCREMENT, begun REAL NOT NULL, account TEXT NOT NULL, caller TEXT NOT NULL,
        client_token TEXT, fingerprint TEXT NOT NULL, type TEXT NOT NULL, state TEXT NOT NULL, task_id TEXT,
        credits REAL
    );
    CREATE INDEX starts_by_token ON starts (caller, client_token) WHERE client_token IS NOT NULL;
    CREATE INDEX starts_by_day ON starts (account, begun);
    """,
    """
    ALTER TABLE starts ADD COLUMN settings TEXT NOT NULL DEFAULT '';
    ALTER TABLE starts ADD COLUMN price REAL;
    CREATE INDEX starts_by_settings ON starts (account, settings) WHERE price IS NOT NULL;
    """,
    """
    ALTER TABLE starts RENAME COLUMN settings TO price_key;
    UPDATE starts SET
        client_token = digest_token(client_token),
        state = CASE state WHEN 'starting' THEN 'pending' WHEN 'unclear' THEN 'unknown'
            WHEN 'taken back' THEN 'cancelled' ELSE state END;
    CREATE INDEX starts_by_fingerprint ON starts (caller, fingerprint) WHERE price IS NOT NULL;
    """,
    """
    ALTER TABLE starts ADD COLUMN model TEXT;
    ALTER TABLE starts ADD COLUMN prompt TEXT NOT NULL DEFAULT '';
    ALTER TABLE starts ADD COLUMN seconds REAL;
    ALTER TABLE starts ADD COLUMN saving TEXT NOT NULL DEFAULT '';
    ALTER TABLE starts ADD COLUMN status TEXT;
    ALTER TABLE starts ADD COLUMN cost REAL;
    ALTER TABLE starts ADD COLUMN finished REAL;
    ALTER TABLE starts ADD COLUMN claimed REAL;
    ALTER TABLE starts ADD COLUMN made INTEGER;
    CREATE INDEX starts_by_task ON starts (task_id) WHERE task_id IS NOT NULL;
    CREATE INDEX starts_by_caller ON starts (account, caller, number);
    CREATE INDEX starts_to_save ON starts (account, caller) WHERE saving IN ('wanted', 'lost');
    CREATE TABLE outputs (
        number INTEGER NOT NULL, position INTEGER NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL,
        content_type TEXT NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (number, position, path)
    );
    CREATE TABLE uploads (
        account TEXT NOT NULL, caller TEXT NOT NULL, sha256 TEXT NOT NULL, uri TEXT NOT NULL, size INTEGER NOT NULL,
        content_type TEXT NOT NULL, seconds TEXT, uploaded REAL NOT NULL, PRIMARY KEY (account, caller, uri)
    );
    CREATE INDEX uploads_by_content ON uploads (account, caller, sha256);
    """,
    "CREATE TABLE secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
)
"""Each brings the file from the version of its place to the next; `user_version` counts them."""


def connect(file: Path | None, busy_seconds: float) -> sqlite3.Connection:
    """Open the database of `file`, or one in memory, at the latest version.

    Raises:
        HistoryError: It can't be opened.
    """
    with typed_errors(file):
        if file is not None:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _create(file, busy_seconds)
        connection = sqlite3.connect(
            file or ":memory:", timeout=busy_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection, file)
        except BaseException:
            connection.close()
            raise
    return connection


def _create(file: Path, busy_seconds: float) -> None:
    try:
        os.close(os.open(file, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        deadline = monotonic() + busy_seconds
        while file.stat().st_size == 0:
            if monotonic() >= deadline:
                raise records.HistoryDamagedError(file, "it has 0 bytes") from None
            sleep(LOOK_SECONDS)


def _prepare(connection: sqlite3.Connection, file: Path | None) -> None:
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise records.HistoryDamagedError(file, found)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.create_function("digest_token", 1, records.digest_token)
    connection.create_function("contains", 2, contains, deterministic=True)
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise records.HistoryNewerError(file)
        for migration in MIGRATIONS[version:]:
            for statement in filter(str.strip, migration.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


@contextmanager
def typed_errors(file: Path | None) -> Generator[None]:
    """Turn the errors of the database and of the system into a `HistoryError`."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
        if code == sqlite3.SQLITE_READONLY_DBMOVED:
            raise records.HistoryReplacedError(file) from error
        match code & 0xFF:
            case sqlite3.SQLITE_BUSY:
                raise records.HistoryLockedError(file) from error
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                raise records.HistoryDamagedError(file, str(error)) from error
            case _:
                raise records.HistoryUnusableError(file, str(error)) from error

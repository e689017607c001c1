"""A SQLite file opened soundly, by any number of processes at once.

A file that is no database any more is set aside, never emptied, and by one process only. Everything here
blocks: it is called in worker threads.
"""

import logging
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic, sleep, time

logger = logging.getLogger(__name__)

BUSY_SECONDS = 5.0
"""How long a transaction, or who opens the file, waits for others where nothing else is said."""
LOOK_SECONDS = 0.05
MENDING_SECONDS = 30.0
"""Age from which on the mark of who sets a file aside is one that a killed process has left."""


class NewerError(Exception):
    """The file was written by a newer version, whose form is not known here."""


def open_database(
    file: Path | None, migrations: Sequence[str], *, busy_seconds: float = BUSY_SECONDS
) -> sqlite3.Connection:
    """Open a database that any thread may use, one at a time.

    Args:
        file: Where it is; its folder is made. In memory where None.
        migrations: Each brings it from the version of its place to the next; `user_version` counts them.
        busy_seconds: How long others are waited for.

    Raises:
        NewerError: It has more of them than are known.
        OSError: Its folder can't be made or written.
        sqlite3.Error: It can't be opened.
    """
    if file is None:
        return _connect(":memory:", migrations, busy_seconds)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDONLY | os.O_CREAT, 0o600))
    deadline = monotonic() + busy_seconds
    while True:
        try:
            return _connect(str(file), migrations, busy_seconds)
        except sqlite3.DatabaseError as error:
            is_damaged = not isinstance(error, sqlite3.OperationalError)
            if monotonic() > deadline or not (is_damaged or _may_pass(error)):
                raise
            if is_damaged:
                _mend(file, error)
        sleep(LOOK_SECONDS)


def identity(file: Path | None) -> tuple[int, int] | None:
    """Return what tells a file from another that takes its name; None where there is none."""
    try:
        status = file.stat() if file else None
    except FileNotFoundError:
        return None
    return (status.st_dev, status.st_ino) if status else None


def _connect(name: str, migrations: Sequence[str], busy_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(name, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        _check(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _migrate(connection, migrations)
        connection.execute(f"PRAGMA busy_timeout = {round(busy_seconds * 1000)}")
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def _migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        connection.execute("ROLLBACK")
        raise NewerError
    for migration in migrations[version:]:
        for statement in filter(str.strip, migration.split(";")):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(migrations)}")
    connection.execute("COMMIT")


def _may_pass(error: sqlite3.DatabaseError) -> bool:
    """Whether it is what others cause who open or mend the file in this moment."""
    return any(words in str(error) for words in ("locked", "disk I/O error"))


def _mend(file: Path, error: sqlite3.DatabaseError) -> None:
    """Set a damaged file aside, unless another process is at it, or has done so meanwhile."""
    mark = file.with_name(f"{file.name}.mending")
    try:
        os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        with suppress(FileNotFoundError):
            if time() - mark.stat().st_mtime > MENDING_SECONDS:
                mark.unlink()
        return
    try:
        if _is_damaged(file):
            _set_aside(file, error)
    finally:
        mark.unlink(missing_ok=True)


def _is_damaged(file: Path) -> bool:
    try:
        with closing(sqlite3.connect(file)) as connection:
            _check(connection)
    except sqlite3.DatabaseError as error:
        return not isinstance(error, sqlite3.OperationalError)
    return False


def _set_aside(file: Path, error: sqlite3.DatabaseError) -> None:
    """Move a file that is no database, with what belongs to it, out of the way."""
    aside = file.with_name(f"{file.name}.broken-{int(time())}-{os.getpid()}")
    for ending in ("-wal", "-shm", ""):
        part = file.with_name(file.name + ending)
        if part.exists():
            part.rename(aside.with_name(aside.name + ending))
    logger.error("The history of started tasks is damaged (%s). It was kept as %s, and a new one begun.", error, aside)

"""A database file opened by many at once, whole or damaged."""

import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from time import time

import pytest

from runway_mcp.history.sqlite_file import MENDING_SECONDS, open_database

MIGRATIONS = ("CREATE TABLE things (name TEXT)",)
GARBAGE = b"no database at all" * 1000


def at_once(work: Callable[[int], None]) -> None:
    """Do the work eight times at once."""
    start = threading.Barrier(8)

    def wait_and_work(number: int) -> None:
        start.wait(10)
        work(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(wait_and_work, range(8)))


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("attempt", range(5))
def test_all_who_open_a_file_at_once_get_the_same_one(damaged: bool, attempt: int, tmp_path: Path) -> None:  # noqa: ARG001 - a race is tried several times
    """New, or damaged: then one of them sets it aside, whole, and what the first wrote is not lost."""
    file = tmp_path / "folder" / "file.sqlite3"
    if damaged:
        file.parent.mkdir()
        file.write_bytes(GARBAGE)

    def write(number: int) -> None:
        with closing(open_database(file, MIGRATIONS)) as connection:
            connection.execute("INSERT INTO things VALUES (?)", (str(number),))

    at_once(write)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM things").fetchone() == (8,)
    assert [aside.read_bytes() for aside in file.parent.glob("*.broken-*")] == [GARBAGE] * damaged
    assert not list(file.parent.glob("*.mending"))


@pytest.mark.parametrize("age", [0, MENDING_SECONDS + 1])
def test_the_mark_of_who_mends_a_file_holds_for_a_while(age: float, tmp_path: Path) -> None:
    """One that a killed process has left is passed over."""
    file, mark = tmp_path / "file.sqlite3", tmp_path / "file.sqlite3.mending"
    file.write_bytes(GARBAGE)
    mark.touch()
    os.utime(mark, (time() - age, time() - age))
    if age:
        open_database(file, MIGRATIONS).close()
        assert len(list(tmp_path.glob("*.broken-*"))) == 1
    else:
        with pytest.raises(sqlite3.DatabaseError, match="not a database"):
            open_database(file, MIGRATIONS, busy_seconds=0.2)
        assert file.read_bytes() == GARBAGE


def test_who_opens_a_file_waits_for_who_holds_it(tmp_path: Path) -> None:
    """A moment later it is free."""
    file = tmp_path / "file.sqlite3"
    holder = open_database(file, MIGRATIONS)
    holder.execute("BEGIN EXCLUSIVE")
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(open_database, file, MIGRATIONS)
        with pytest.raises(TimeoutError):
            opening.result(timeout=0.2)
        holder.close()
        opening.result(timeout=10).close()


def test_a_file_that_was_mended_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """Who comes late finds a sound one, or none, and moves nothing."""
    file = tmp_path / "file.sqlite3"
    with closing(open_database(file, MIGRATIONS)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            open_database(file, MIGRATIONS, busy_seconds=0.2)
    assert not list(tmp_path.glob("*.broken-*"))

"""The history of started tasks: one start for each token, a day's credits, and files that can't be trusted."""

import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import anyio
import pytest
from support.histories import NOON, START, WITHOUT_TOKEN, Clock, begin, started

from runway_mcp.history.database import Transaction
from runway_mcp.history.records import (
    HistoryDamagedError,
    HistoryError,
    HistoryLockedError,
    HistoryNewerError,
    HistoryReplacedError,
    HistoryUnusableError,
    Spend,
    digest_token,
)
from runway_mcp.history.sqlite import open_history
from runway_mcp.history.sqlite_file import MIGRATIONS
from runway_mcp.history.start_history import History
from runway_mcp.history.task_records import Seen

T = TypeVar("T")


class NotAllowedError(Exception):
    """What a limit raises."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some" / "where" / "history.sqlite3"


@asynccontextmanager
async def history(file: Path | None = None, clock: Clock | None = None) -> AsyncGenerator[History]:
    clock = clock or Clock()
    with anyio.fail_after(20):
        opening = open_history(file, clock=lambda: clock.now, elapsed=lambda: clock.elapsed, busy_seconds=0.4)
        async with opening as opened:
            yield opened


def content(file: Path) -> bytes:
    return file.read_bytes()


def put(file: Path, text: bytes) -> None:
    file.write_bytes(text)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def refused(file: Path, error: type[HistoryError]) -> HistoryError:
    """Why a file can't be opened."""
    with pytest.raises(error) as caught:
        async with history(file):
            pass
    return caught.value


async def test_between_transactions_the_file_holds_everything_and_no_client_token(file: Path) -> None:
    """There is no write-ahead log beside it, whose loss would make a token buy again."""
    async with history(file) as one:
        await started(one, replace(START, client_token="the-secret-film"))
        assert names(file.parent) == [file.name]
        assert b"the-secret-film" not in content(file)


@pytest.mark.parametrize("version", [1, 2, 3])
async def test_a_file_of_an_earlier_version_goes_on(version: int, file: Path) -> None:
    renamed = {"starting": "pending", "started": "started", "unclear": "unknown", "taken back": "cancelled"}
    if version == 3:
        renamed = {state: state for state in renamed.values()}
    file.parent.mkdir(parents=True)
    with closing(sqlite3.connect(file)) as old:
        old.execute("PRAGMA journal_mode = WAL")
        old.create_function("digest_token", 1, digest_token)
        for migration in MIGRATIONS[:version]:
            old.executescript(migration)
        for state in renamed:
            old.execute(
                "INSERT INTO starts (begun, account, caller, client_token, fingerprint, type, state, task_id, credits) "
                "VALUES (?, 'account', 'caller', ?, 'print', 'text_to_video', ?, 'task', 60)",
                (NOON, digest_token(f"token of {state}") if version == 3 else f"token of {state}", state),
            )
        old.execute(f"PRAGMA user_version = {version}")
        old.commit()
    async with history(file) as one:
        for before, state in renamed.items():
            found = (await one.look(replace(START, client_token=f"token of {before}"))).earlier
            assert found is not None
            assert (found.state, found.task_id) == (state, "task")
        assert await one.spent("account") == Spend(240, 0, open=(3,))
    assert b"token of" not in content(file)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


async def test_while_another_process_holds_the_file_nobody_waits_long(file: Path) -> None:
    """All who wait are told after the same moment, not one after the other."""
    errors: list[HistoryLockedError] = []

    async def try_to_begin() -> None:
        with pytest.raises(HistoryLockedError) as caught:
            await begin(one)
        errors.append(caught.value)

    async with history(file) as one:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as starts:
                for _ in range(3):
                    starts.start_soon(try_to_begin)
            await refused(file, HistoryLockedError)
        assert (await begin(one)).is_new
    assert [error.place for error in errors] == [file] * 3


WRITER = """
import sys, anyio
from pathlib import Path
from runway_mcp.history.sqlite import open_history
from runway_mcp.history.records import StartRequest

async def main():
    async with open_history(Path(sys.argv[1])) as history:
        for number in range(1, 1_000_000):
            start = StartRequest("account", "caller", "print", "text_to_video", str(number))
            await history.begin(start, lambda _: None)
            print(number, flush=True)

anyio.run(main)
"""


def write_until_killed(file: Path) -> int:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(20)]
        writer.kill()
        return int((lines + writer.stdout.read().splitlines())[-1])


async def test_a_process_killed_while_it_writes_loses_nothing_that_it_said_was_written(file: Path) -> None:
    acknowledged = write_until_killed(file)
    async with open_history(file) as one:
        for token in range(1, acknowledged + 1):
            assert not (await begin(one, replace(START, client_token=str(token)))).is_new


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("garbage", HistoryDamagedError),
        ("truncated", HistoryDamagedError),
        ("overwritten", HistoryDamagedError),
        ("newer", HistoryNewerError),
    ],
)
async def test_a_damaged_or_newer_file_is_refused_and_left_as_it_is(
    how: str, error: type[HistoryError], file: Path
) -> None:
    """By who opens it and by who has it open. An empty history in its place would buy again."""
    async with history(file) as one:
        for token in range(10):
            await begin(one, replace(START, client_token=str(token)))
        whole = content(file)
        broken = {
            "garbage": b"no database at all" * 1000,
            "truncated": whole[:5000],
            "overwritten": whole[:4104] + b"\xff" * 64 + whole[4168:],
            "newer": whole[:60] + (len(MIGRATIONS) + 1).to_bytes(4, "big") + whole[64:],  # its `user_version`
        }[how]
        put(file, broken)
        assert (await refused(file, error)).place == file
        if how in {"garbage", "truncated"}:
            with pytest.raises(HistoryError):
                await begin(one, WITHOUT_TOKEN)
    assert content(file) == broken
    assert names(file.parent) == [file.name]
    put(file, whole)
    async with history(file) as one:
        assert not (await begin(one, replace(START, client_token="7"))).is_new


async def test_a_file_of_0_bytes_was_cut_off(file: Path) -> None:
    """It is not taken for a new one, by who opens it or has it open."""
    async with history(file) as one:
        await begin(one)
        put(file, b"")
        assert "0 bytes" in (await refused(file, HistoryDamagedError)).reason
        with pytest.raises(HistoryError):
            await begin(one, WITHOUT_TOKEN)
    assert content(file) == b""


async def test_a_file_that_another_process_is_creating_is_waited_for(file: Path, tmp_path: Path) -> None:
    async with history(tmp_path / "made"):
        pass
    file.parent.mkdir(parents=True)
    put(file, b"")
    async with anyio.create_task_group() as processes:

        async def open_it() -> None:
            async with open_history(file, busy_seconds=10) as one:
                assert (await begin(one)).is_new

        processes.start_soon(open_it)
        await anyio.wait_all_tasks_blocked()
        await anyio.Path(tmp_path / "made").replace(file)


async def test_a_result_that_could_not_be_written_is_written_by_the_next_transaction(file: Path) -> None:
    """Or when the process ends. Until then the file still says that the start is pending."""
    async with history(file) as one, history(file) as another:
        ours, other = [(await begin(one, replace(START, client_token=token))).number for token in ("a", "b")]
        with closing(sqlite3.connect(file, isolation_level=None)) as lock:
            lock.execute("BEGIN IMMEDIATE")
            with pytest.raises(HistoryLockedError):
                await one.record_result(ours, task_id="task", cost=60)
            with pytest.raises(HistoryLockedError):
                await another.record_result(other, task_id="another", cost=70)
        found = await another.look(replace(START, client_token="a"))
        assert found.earlier is not None
        assert (found.earlier.state, found.spent) == ("pending", Spend(70, 1))
        repeated = await begin(one, replace(START, client_token="a"))
        assert (repeated.is_new, repeated.task_id, repeated.credits) == (False, "task", 60)
        with closing(sqlite3.connect(file, isolation_level=None)) as lock:
            lock.execute("BEGIN IMMEDIATE")
            with pytest.raises(HistoryLockedError):
                await another.mark_cancelled(other, cost=0)
    async with history(file) as later:
        assert await later.spent("account") == Spend(60, 0)


async def test_a_result_that_is_never_written_is_logged_at_the_end(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with history(file) as one:
        number = await started(one)
        await anyio.Path(file).unlink()
        with pytest.raises(HistoryReplacedError):
            await one.forget(number)
    assert "Never recorded: results of 1 starts and states of 0 tasks. HistoryReplacedError" in caplog.text


async def test_an_index_that_misses_a_token_is_damage(file: Path) -> None:
    """Each page is sound, but the token would not be found, and would buy again."""
    async with history(file) as one:
        await begin(one, replace(START, client_token="7"))
    index = "FROM sqlite_master WHERE name = 'starts_by_token'"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        row = connection.execute(f"SELECT * {index}").fetchone()
        connection.execute(f"DELETE {index}")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE starts SET client_token = 'another'")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row)
    await refused(file, HistoryDamagedError)


async def test_a_file_that_was_replaced_or_removed_is_not_used(file: Path) -> None:
    """Who opens the new one would not know of the start. Put back, it is used again."""
    async with history(file) as one:
        number = await started(one)
        moved = file.with_name("moved")
        await anyio.Path(file).rename(moved)
        for _ in range(2):
            with pytest.raises(HistoryReplacedError):
                await begin(one, WITHOUT_TOKEN)
            with pytest.raises(HistoryReplacedError):
                await one.record_result(number, task_id="task", cost=70)
            await anyio.Path(file).write_bytes(b"")
        await anyio.Path(moved).replace(file)
        assert not (await begin(one)).is_new


async def test_a_file_that_can_not_be_used_is_an_error(file: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    for impossible in (tmp_path / "taken" / "history", tmp_path):
        await refused(impossible, HistoryUnusableError)
    async with history(file) as one:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("DROP TABLE starts")
        with pytest.raises(HistoryUnusableError, match="no such table"):
            await begin(one)


async def test_a_transaction_waits_for_nothing_else() -> None:
    class Another:
        def __await__(self) -> Generator[None]:
            yield

    async def wait(_: Transaction) -> None:
        await Another()

    async with history() as one:
        with pytest.raises(RuntimeError, match="waited for something else"):
            await one.run(wait)


async def test_who_waits_long_for_what_is_written_first_goes_on_without_it() -> None:
    class Slow:
        """A database that hangs while something is written that was left."""

        def __init__(self) -> None:
            self.entered, self.go_on = anyio.Event(), anyio.Event()

        async def run(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
            if one.tasks.unwritten and not self.entered.is_set():
                self.entered.set()
                await self.go_on.wait()
            return await database.run(work)

    async with history() as database:
        slow = Slow()
        one = History(slow, lambda: 0, keep_days=90, prompts=True, turn_seconds=0.05)
        one.tasks.see("account", "task", Seen("RUNNING"))
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(one.flush)
                await slow.entered.wait()
                assert await one.spent("account") == Spend(0, 0)
                assert one.tasks.unwritten
                slow.go_on.set()
        assert one.tasks.unwritten == {}

"""The history of started tasks: one start for each token, a day's credits, and files that can't be trusted."""

import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from runway_mcp.history.records import (
    SENDING_SECONDS,
    TOKEN_SECONDS,
    HistoryDamagedError,
    HistoryError,
    HistoryLockedError,
    HistoryNewerError,
    HistoryReplacedError,
    HistoryUnusableError,
    NotOpenError,
    OpenStart,
    Snapshot,
    Spend,
    StartRecord,
    StartRequest,
    digest_token,
)
from runway_mcp.history.sqlite import DAY, PRICE_SECONDS, History, open_history
from runway_mcp.history.sqlite_file import MIGRATIONS

START = StartRequest("account", "caller", "print", "text_to_video", client_token="mine", price_key="5 s")
WITHOUT_TOKEN = replace(START, client_token=None)
NOON = 20_000 * DAY + DAY / 2
"""Noon of a day, UNIX seconds."""


class NotAllowedError(Exception):
    """What a limit raises."""


class Clock:
    """A clock that a test sets, and one that nobody sets."""

    def __init__(self) -> None:
        self.now = NOON
        self.elapsed = 0.0

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.elapsed += seconds


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


async def begin(one: History, start: StartRequest = START) -> StartRecord:
    return await one.begin(start, lambda _: None)


async def started(one: History, start: StartRequest = START, cost: float | None = 60) -> int:
    number = (await begin(one, start)).number
    await one.record_result(number, task_id="task", cost=cost)
    return number


async def test_a_token_stands_for_its_first_start_after_a_restart_too(file: Path) -> None:
    clock = Clock()
    async with history(file, clock) as first:
        begun = await begin(first)
        assert (begun.is_new, begun.state) == (True, "pending")
        await first.record_result(begun.number, task_id="task", cost=75)
    clock.pass_time(60)
    async with history(file, clock) as second:
        again = await begin(second, replace(START, fingerprint="another"))
        assert again == StartRecord(begun.number, False, "started", "print", "task", 75, 60)
        assert await second.find(begun.number) == again
        assert (await second.look(START)).earlier == again
        for other in ({"caller": "other"}, {"account": "other"}, {"client_token": None}, {"client_token": None}):
            assert (await begin(second, replace(START, **other))).is_new


async def test_what_bought_nothing_is_forgotten_and_an_unknown_outcome_is_not() -> None:
    async with history() as one:
        begun = await begin(one)
        await one.forget(begun.number)
        assert await one.find(begun.number) is None
        assert await one.spent("account") == Spend(0, 0)
        begun = await begin(one)
        await one.record_result(begun.number, task_id=None, cost=None)
        again = await begin(one)
        assert (again.is_new, again.state, again.task_id) == (False, "unknown", None)
        assert await one.spent("account") == Spend(0, 1, open=(begun.number,))


async def test_a_cancelled_start_frees_its_token_and_keeps_its_price() -> None:
    async with history() as one:
        for charged, cost in ((0, 0), (None, 60)):
            number = await started(one)
            await one.mark_cancelled(number, cost=charged)
            found = await one.find(number)
            assert found is not None
            assert (found.state, found.credits) == ("cancelled", cost)
            snapshot = await one.look(START)
            assert (snapshot.earlier, snapshot.same, snapshot.likely(99)) == (None, 60, 60)


async def test_estimates_are_the_callers_latest_of_the_same_and_the_accounts_highest_of_the_similar() -> None:
    """What another caller with the same key has started is never called the same. Old estimates do not count."""
    clock = Clock()
    async with history(clock=clock) as one:
        for fingerprint, price in (("print", 60), ("print", 50), ("other", 90)):
            await started(one, replace(WITHOUT_TOKEN, fingerprint=fingerprint), price)

        async def known(**changes: str) -> tuple[float | None, float | None, float | None]:
            found = await one.look(replace(WITHOUT_TOKEN, **changes))
            return found.same, found.similar, found.likely(70)

        assert await known() == (50, 90, 50)
        assert await known(caller="another") == (None, 90, 90)
        assert await known(fingerprint="new") == (None, 90, 90)
        assert await known(fingerprint="new", price_key="8 s") == (None, None, 70)
        assert await known(account="another") == (None, None, 70)
        clock.pass_time(PRICE_SECONDS)
        assert await known() == (None, None, 70)


async def test_a_start_is_allowed_by_what_is_known_in_the_same_transaction() -> None:
    seen: list[Snapshot] = []

    def refuse(snapshot: Snapshot) -> None:
        seen.append(snapshot)
        raise NotAllowedError

    async with history() as one:
        await started(one, replace(START, client_token="first"))
        await begin(one, replace(START, client_token="second"))
        with pytest.raises(NotAllowedError):
            await one.begin(START, refuse)
        assert seen == [Snapshot(Spend(120, 0), in_flight=1, same=60, similar=60)]
        assert await one.look(START) == seen[0]
        assert not (await one.begin(replace(START, client_token="first"), refuse)).is_new


async def test_a_start_is_in_flight_until_its_answer_or_until_it_was_cut_off() -> None:
    """Also one that a clock which was set back has put far ahead."""
    clock = Clock()
    async with history(clock=clock) as one:
        cut_off = (await begin(one, WITHOUT_TOKEN)).number
        assert (await one.look(START)).in_flight == 1
        assert (await one.look(replace(START, account="other"))).in_flight == 0
        clock.pass_time(SENDING_SECONDS)
        assert await one.look(START) == Snapshot(Spend(0, 1, open=(cut_off,)))
        number = (await begin(one)).number
        clock.now -= 3600
        found = await one.find(number)
        assert found is not None
        assert found.age == 3600
        assert (await one.look(WITHOUT_TOKEN)).in_flight == 0


async def test_a_start_counts_for_the_day_it_was_begun_on() -> None:
    """Its answer may come after midnight. Later starts, other accounts and other days do not count."""
    clock = Clock()
    clock.now = (NOON // DAY + 1) * DAY - 1
    async with history(clock=clock) as one:
        number = await started(one, WITHOUT_TOKEN)
        clock.pass_time(2)
        await started(one, WITHOUT_TOKEN, 70)
        await started(one, replace(WITHOUT_TOKEN, account="other"))
        await started(one, replace(WITHOUT_TOKEN, fingerprint="new", price_key="new"), None)
        assert await one.spent("account", up_to=number) == Spend(60, 0)
        assert await one.spent("account") == Spend(70, 1)
        assert await one.spent("account", up_to=number + 100) == Spend(70, 1)


async def test_a_token_ends_after_a_day_of_the_process_and_the_clock() -> None:
    """A clock that is wrong and set right lets no token end early, and makes nothing be forgotten."""
    clock = Clock()
    async with history(clock=clock) as one:
        number = await started(one)
        clock.now += 40 * DAY
        assert not (await begin(one)).is_new
        await begin(one, WITHOUT_TOKEN)
        clock.now -= 40 * DAY
        assert not (await begin(one)).is_new
        clock.pass_time(TOKEN_SECONDS - 1)
        assert (await one.look(START)).earlier is not None
        clock.pass_time(2)
        assert (await begin(one)).is_new
        assert await one.find(number) is not None


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


async def test_of_many_at_once_one_is_new(file: Path) -> None:
    """Over several connections that open one new file, as several processes have it."""
    found: list[bool] = []

    async def open_and_begin() -> None:
        async with history(file) as one, anyio.create_task_group() as starts:
            for _ in range(5):
                starts.start_soon(note, one)

    async def note(one: History) -> None:
        found.append((await begin(one)).is_new)

    async with anyio.create_task_group() as processes:
        for _ in range(3):
            processes.start_soon(open_and_begin)
    assert sorted(found) == [False] * 14 + [True]


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
    assert [error.file for error in errors] == [file] * 3


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
        assert (await refused(file, error)).file == file
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
    assert "Results of starts that were never recorded: 1. HistoryReplacedError" in caplog.text


async def test_a_start_counts_with_its_likely_price_else_with_that_of_the_price_list() -> None:
    """Whether it is pending or of unknown outcome. Without either nobody knows what the day comes to."""
    async with history() as one:
        for start, total, unknown in (
            (replace(START, client_token="1", list_price=85), 85, 0),
            (replace(START, client_token="2"), 85, 1),
        ):
            number = (await begin(one, start)).number
            assert await one.spent("account") == Spend(total, unknown)
        await one.record_result(number, task_id="task", cost=60)
        await begin(one, replace(START, client_token="3", list_price=85))
        assert await one.spent("account") == Spend(85 + 60 + 60, 0)


async def test_an_open_start_is_settled_by_a_person() -> None:
    """As nothing, which frees its token, or as a task, which its token then finds."""
    clock = Clock()
    async with history(clock=clock) as one:
        cut_off = (await begin(one, replace(START, client_token="cut off", list_price=85))).number
        known = await started(one, WITHOUT_TOKEN)
        with pytest.raises(NotOpenError):
            await one.settle(cut_off, task_id=None)
        clock.pass_time(SENDING_SECONDS)
        lost = (await begin(one)).number
        await one.record_result(lost, task_id=None, cost=None)
        unknown = OpenStart(lost, "text_to_video", clock.now, 60)
        assert await one.open_starts("account") == [unknown, OpenStart(cut_off, "text_to_video", NOON, 85)]
        assert await one.open_starts("other") == []
        assert await one.spent("account") == Spend(205, 0, open=(cut_off, lost))
        await one.settle(cut_off, task_id=None)
        assert await one.open_starts() == [unknown]
        await one.settle(lost, task_id="task")
        found = (await one.look(START)).earlier
        assert found is not None
        assert (found.state, found.task_id, found.credits) == ("started", "task", 60)
        assert await one.spent("account") == Spend(120, 0)
        for number in (cut_off, known, lost, 99):
            with pytest.raises(NotOpenError):
                await one.settle(number, task_id=None)
        assert (await begin(one, replace(START, client_token="cut off"))).is_new


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

"""The history of started tasks: one start for each token, a day's credits, and files that are no database."""

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
    BusyError,
    DayLimitError,
    Prices,
    Spend,
    StartRequest,
    StoreError,
)
from runway_mcp.history.sqlite import DAY, KEPT_SECONDS, MIGRATIONS, SqliteHistory, open_history

START = StartRequest("account", "caller", "print", "text_to_video", client_token="mine", credits=60)
NOON = 20_000 * DAY + DAY / 2
"""Noon of a day, UNIX seconds."""


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a history is kept, in a folder that is not there yet."""
    return tmp_path / "some" / "where" / "history.sqlite3"


@asynccontextmanager
async def history(file: Path | None = None, clock: Clock | None = None) -> AsyncGenerator[SqliteHistory]:
    """A history, in memory where no file is named."""
    with anyio.fail_after(20):
        async with open_history(file, clock=clock or Clock(), busy_seconds=0.4) as opened:
            yield opened


async def test_a_token_stands_for_its_first_start_after_a_restart_too(file: Path) -> None:
    """Begun, settled, and found again by another process; the same token of another caller is another's."""
    clock = Clock()
    async with history(file, clock) as first:
        begun = await first.begin(START)
        assert (begun.is_new, begun.state) == (True, "starting")
        await first.record_result(begun.number, task_id="task", cost=75)
    clock.now += 60
    async with history(file, clock) as second:
        again = await second.begin(replace(START, fingerprint="another"))
        assert not again.is_new
        assert (again.state, again.task_id, again.credits, again.fingerprint, again.age) == (
            "started",
            "task",
            75,
            "print",
            60,
        )
        assert await second.find(begun.number) == again
        assert (await second.begin(replace(START, caller="other"))).is_new
        assert (await second.begin(replace(START, client_token=None))).is_new
        assert (await second.begin(replace(START, client_token=None))).is_new


async def test_a_start_that_bought_nothing_is_taken_back_and_one_of_unknown_outcome_is_not(file: Path) -> None:
    """Its token and credits are free again; what may have been bought keeps both."""
    async with history(file) as one:
        begun = await one.begin(START)
        await one.forget(begun.number)
        assert await one.find(begun.number) is None
        assert await one.spent("account") == Spend(0, 0)
        begun = await one.begin(START)
        await one.record_result(begun.number, task_id=None, cost=None)
        again = await one.begin(START)
        assert (again.is_new, again.state, again.task_id, again.credits) == (False, "unclear", None, 60)
        assert await one.spent("account") == Spend(60, 0)


async def test_prices_are_the_latest_of_the_same_and_the_dearest_of_the_like() -> None:
    """As they were first told, of the account's own starts; what was charged in the end does not matter."""
    async with history() as one:
        for fingerprint, price in (("print", 60), ("print", 50), ("other", 90)):
            begun = await one.begin(replace(START, client_token=None, fingerprint=fingerprint, settings="5 s"))
            await one.record_result(begun.number, task_id="task", cost=price)
            await one.mark_cancelled(begun.number, cost=0)
        asked = replace(START, settings="5 s")
        assert await one.prices(asked) == Prices(same=50, alike=90)
        assert (Prices(50, 90).likely, Prices(None, 90).likely, Prices().likely) == (50, 90, None)
        assert await one.prices(replace(asked, fingerprint="new")) == Prices(same=None, alike=90)
        assert await one.prices(replace(asked, settings="8 s")) == Prices()
        assert await one.prices(replace(asked, account="another")) == Prices()
        assert await one.spent("account") == Spend(0, 0)


async def test_the_start_of_a_token_is_found_without_beginning_one() -> None:
    """It is the caller's own and the account's, at most a day old, and not one that was taken back."""
    clock = Clock()
    async with history(clock=clock) as one:
        assert await one.find_by_client_token(START) is None
        begun = await one.begin(START)
        found = await one.find_by_client_token(START)
        assert found is not None
        assert found.number == begun.number
        for other in ({"caller": "another"}, {"account": "another"}, {"client_token": None}):
            assert await one.find_by_client_token(replace(START, **other)) is None
        clock.now += TOKEN_SECONDS
        assert await one.find_by_client_token(START) is None
        begun = await one.begin(START)
        await one.record_result(begun.number, task_id="task", cost=60)
        await one.mark_cancelled(begun.number, cost=None)
        assert await one.find_by_client_token(START) is None
        taken = await one.find(begun.number)
        assert taken is not None
        assert (taken.state, taken.credits) == ("taken back", 60)


async def test_a_file_of_the_first_version_goes_on(file: Path) -> None:
    """Its starts keep their tokens and count for the day."""
    file.parent.mkdir(parents=True)
    with closing(sqlite3.connect(file)) as old:
        old.executescript(MIGRATIONS[0])
        old.execute(
            "INSERT INTO starts (begun, account, caller, client_token, fingerprint, type, state, task_id, credits) "
            "VALUES (?, 'account', 'caller', 'mine', 'print', 'text_to_video', 'started', 'task', 60)",
            (NOON,),
        )
        old.execute("PRAGMA user_version = 1")
        old.commit()
    async with history(file) as one:
        assert (await one.begin(START)).task_id == "task"
        assert await one.spent("account") == Spend(60, 0)
        assert await one.prices(START) == Prices()


async def test_tokens_end_after_a_day_and_rows_after_a_month() -> None:
    """Then the same token may start anew, and what was is forgotten."""
    clock = Clock()
    async with history(clock=clock) as one:
        first = await one.begin(START)
        clock.now += TOKEN_SECONDS + 1
        assert (await one.begin(START)).is_new
        assert await one.find(first.number) is not None
        clock.now += KEPT_SECONDS
        await one.begin(START)
        assert await one.find(first.number) is None


async def test_the_days_credits_are_limited_for_each_account() -> None:
    """What would exceed them is not written; another account, and the next day, begin from nothing."""
    clock = Clock()
    certain = replace(START, is_certain=True)

    async def bought(token: str, start: StartRequest, limit: float) -> None:
        begun = await one.begin(replace(start, client_token=token), day_limit=limit)
        await one.record_result(begun.number, task_id="task", cost=60)

    async with history(clock=clock) as one:
        for token in "ab":
            await bought(token, certain, 150)
        with pytest.raises(DayLimitError, match="120 credits were spent today"):
            await bought("c", certain, 150)
        assert await one.spent("account") == Spend(120, 0)
        await bought("c", replace(certain, account="other"), 150)
        await bought("d", START, 150)
        with pytest.raises(DayLimitError):
            await bought("e", replace(START, credits=None), 180)
        clock.now += DAY
        assert await one.spent("account") == Spend(0, 0)
        await bought("e", certain, 60)


async def test_within_a_days_limit_one_start_is_under_way_at_a_time() -> None:
    """Until it has its answer, or is given up for lost; then its outcome is not known, nor what it cost."""
    clock = Clock()
    unpriced = replace(START, client_token=None, credits=None)
    async with history(clock=clock) as one:
        await one.begin(unpriced)
        assert (await one.begin(unpriced)).is_new
        with pytest.raises(BusyError):
            await one.begin(unpriced, day_limit=100)
        assert (await one.begin(replace(unpriced, account="other"), day_limit=100)).is_new
        clock.now += SENDING_SECONDS
        with pytest.raises(DayLimitError, match="of 2 started today it is not known what they cost"):
            await one.begin(unpriced, day_limit=100)
        assert await one.spent("account") == Spend(0, 2)


async def test_a_start_counts_for_the_day_it_was_begun_on() -> None:
    """Its answer may come after midnight; what others began later does not count against it."""
    clock = Clock()
    clock.now = (NOON // DAY + 1) * DAY - 1
    async with history(clock=clock) as one:
        begun = await one.begin(replace(START, client_token="a"))
        clock.now += 2
        await one.begin(replace(START, client_token="b"))
        assert await one.spent("account", up_to=begun.number) == Spend(60, 0)
        assert await one.spent("account") == Spend(60, 0)


async def test_what_stands_far_ahead_by_a_clock_that_was_set_back_blocks_nothing() -> None:
    """It was cut off long ago, whatever the clock says now."""
    clock = Clock()
    async with history(clock=clock) as one:
        begun = await one.begin(START)
        clock.now -= 3600
        assert (await one.begin(replace(START, client_token="b"), day_limit=100)).is_new
        found = await one.find(begun.number)
        assert found is not None
        assert found.age == 3600


async def test_a_start_that_nobody_has_a_price_of_counts_as_one_of_unknown_cost() -> None:
    """Also where its task is known; one that is not there any more counts for today."""
    async with history() as one:
        begun = await one.begin(replace(START, credits=None))
        await one.record_result(begun.number, task_id="task", cost=None)
        assert await one.spent("account") == Spend(0, 1)
        assert await one.spent("account", up_to=begun.number + 7) == Spend(0, 1)


async def test_a_file_that_was_replaced_or_removed_is_not_written_to(file: Path) -> None:
    """Who reads the new one would not know of the start."""
    async with history(file) as one:
        await one.begin(START)
        await anyio.Path(file).rename(file.with_name("moved"))
        with pytest.raises(StoreError, match="replaced or removed"):
            await one.begin(START)
        await anyio.Path(file).write_bytes(b"")
        with pytest.raises(StoreError, match="replaced or removed"):
            await one.begin(START)


async def test_while_another_process_holds_the_file_nobody_waits_long(file: Path) -> None:
    """All who wait are told after the same few seconds, not one after the other."""
    refused: list[StoreError] = []

    async def begin(token: str) -> None:
        try:
            await one.begin(replace(START, client_token=token))
        except StoreError as error:
            refused.append(error)

    async with history(file) as one:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as starts:
                for token in "abc":
                    starts.start_soon(begin, token)
        assert (await one.begin(START)).is_new
    assert len(refused) == 3


async def test_of_many_at_once_one_is_new(file: Path) -> None:
    """Over several connections to one file, as several processes have it."""
    found: list[bool] = []
    async with history(file) as one, history(file) as other, anyio.create_task_group() as starts:

        async def begin(through: SqliteHistory) -> None:
            found.append((await through.begin(START)).is_new)

        for _ in range(10):
            starts.start_soon(begin, one)
            starts.start_soon(begin, other)
    assert sorted(found) == [False] * 19 + [True]


WRITER = """
import sys, anyio
from pathlib import Path
from runway_mcp.history.sqlite import open_history
from runway_mcp.history.records import StartRequest

async def main():
    async with open_history(Path(sys.argv[1])) as history:
        number = 0
        while True:
            number += 1
            await history.begin(StartRequest("account", "caller", "print", "text_to_video", str(number), 1))
            print(number, flush=True)

anyio.run(main)
"""


def write_until_killed(file: Path) -> int:
    """Have a process write starts and kill it; return the last one that it said was written."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(20)]
        writer.kill()
        return int((lines + writer.stdout.read().splitlines())[-1])


def damage(file: Path, how: str) -> bytes:
    """Damage a file; return what it then holds."""
    whole = file.read_bytes()
    broken = {
        "garbage": b"no database at all" * 100,
        "truncated": whole[:5000],
        "overwritten": whole[:4104] + b"\xff" * 64 + whole[4168:],
    }[how]
    file.write_bytes(broken)
    return broken


async def test_a_process_killed_while_it_writes_loses_nothing_it_was_told_was_written(file: Path) -> None:
    """Whatever was acknowledged before the kill is there afterwards, and the file is sound."""
    acknowledged = write_until_killed(file)
    async with open_history(file) as one:
        for token in range(1, acknowledged + 1):
            assert not (await one.begin(replace(START, client_token=str(token)))).is_new


@pytest.mark.parametrize("how", ["garbage", "truncated", "overwritten"])
async def test_a_damaged_file_is_set_aside_and_said_so(how: str, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What it held is kept beside the new one."""
    async with history(file) as one:
        for token in range(100):
            await one.begin(replace(START, client_token=str(token)))
    broken = damage(file, how)
    async with history(file) as one:
        assert await one.spent("account") == Spend(0, 0)
    (aside,) = file.parent.glob("*.broken-*")
    assert aside.read_bytes() == broken
    assert f"kept as {aside}" in caplog.text


async def test_what_can_not_be_kept_is_an_error(file: Path, tmp_path: Path) -> None:
    """A folder that is a file, a file that is a folder, and a file of a newer version, which is left as it is."""
    (tmp_path / "taken").write_text("")
    for impossible in (tmp_path / "taken" / "history", tmp_path):
        with pytest.raises(StoreError, match="can't be kept at"):
            async with history(impossible):
                pass
    async with history(file):
        pass
    with sqlite3.connect(file) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(StoreError, match="newer version"):
        async with history(file):
            pass


async def test_a_store_that_fails_later_says_so(file: Path) -> None:
    """Another process holds it locked, or it has become read-only."""
    async with history(file) as one:
        with sqlite3.connect(file) as connection:
            connection.execute("DROP TABLE starts")
        connection.close()
        with pytest.raises(StoreError, match="can't be used"):
            await one.begin(START)

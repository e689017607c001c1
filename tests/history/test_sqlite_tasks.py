"""What a SQLite file remembers of tasks, and forgets."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from support.histories import KITE, NOON, SAVED, Clock, start, status

from runway_mcp.history.records import HistoryLockedError
from runway_mcp.history.sqlite import open_history
from runway_mcp.history.start_history import DAY, FORGET_SECONDS, History
from runway_mcp.history.task_history import MAX_UNWRITTEN
from runway_mcp.history.task_records import Seen, TaskQuery


@asynccontextmanager
async def history(
    file: Path | None = None, clock: Clock | None = None, *, keep_days: float = 90, prompts: bool = True
) -> AsyncGenerator[History]:
    clock = clock or Clock()
    with anyio.fail_after(20):
        opening = open_history(file, clock=clock, elapsed=clock, busy_seconds=0.2, keep_days=keep_days, prompts=prompts)
        async with opening as opened:
            yield opened


async def prompts_of(one: History) -> list[str]:
    return [task.prompt for task in (await one.tasks.page("account", "caller", TaskQuery())).tasks]


async def test_after_its_days_a_task_is_no_longer_told_but_counts_as_before(tmp_path: Path) -> None:
    """Limits and client tokens rest on the bare starts, and a clock that is wrong once must not empty them."""
    file, clock = tmp_path / "history.sqlite3", Clock()
    async with history(file, clock, keep_days=10) as one:
        await one.tasks.record_saved(await start(one), [SAVED])
        clock.now += 10 * DAY + FORGET_SECONDS
        assert await prompts_of(one) == []
        for index in range(3):
            await start(one, f"new {index}", replace(KITE, prompt="A blue kite"))
        clock.now += FORGET_SECONDS
        assert await prompts_of(one) == ["A blue kite"] * 3
    content = file.read_bytes()
    assert b"A red kite" not in content
    assert b"/films" not in content
    clock.now = NOON
    async with history(file, clock) as one:
        assert (await one.spent("account")).credits == 240


async def test_a_prompt_is_kept_in_its_first_120_characters_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite3"
    long = replace(KITE, prompt="k" * 121)
    async with history(file) as one:
        await start(one, request=long)
        assert await prompts_of(one) == ["k" * 120]
    async with history(file, prompts=False) as one:
        await start(one, request=long)
        assert await prompts_of(one) == ["", ""]
    assert b"kkk" not in file.read_bytes()


async def test_what_is_seen_while_the_file_is_held_is_written_with_the_next_transaction(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite3"
    async with history(file) as one:
        await start(one)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            one.tasks.see("account", "task", Seen("RUNNING"))
            one.tasks.see("account", "task", Seen("SUCCEEDED"))
            for index in range(MAX_UNWRITTEN - 1):
                one.tasks.see("account", f"not here {index}", Seen("RUNNING"))
            with pytest.raises(HistoryLockedError):
                await one.spent("account")
            other.execute("ROLLBACK")
        assert await status(one) == "SUCCEEDED"
        assert one.tasks.unwritten == {}


async def test_what_was_seen_last_is_written_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite3"
    async with history(file) as one:
        await start(one)
        one.tasks.see("account", "task", Seen("RUNNING"))
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT model, prompt, status FROM starts").fetchall() == [
            ("gen4.5", "A red kite", "RUNNING")
        ]

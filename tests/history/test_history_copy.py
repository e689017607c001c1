"""A history is copied from a file into a database: nothing is lost, and nothing is doubled when that is repeated."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from support.databases import PostgresPlace

from runway_mcp.history.history_copy import COPIED, copy_history
from runway_mcp.history.places import open_place
from runway_mcp.history.records import HistoryUnusableError, Spend, StartRequest
from runway_mcp.history.sqlite import open_history
from runway_mcp.history.start_history import History
from runway_mcp.history.task_records import SavedOutput, Seen, TaskQuery, TaskRecord, UploadRecord

START = StartRequest("account", "caller", "print", "text_to_video", client_token="mine", list_price=10, prompt="A kite")
SAVED = SavedOutput(1, "/films/kite.mp4", 1000, "video/mp4", "ab" * 32)
TASK = "08388106-1b46-4f5c-bd46-1c1d7ee86892"


@asynccontextmanager
async def both(folder: Path, place: PostgresPlace | None = None) -> AsyncGenerator[tuple[History, History]]:
    """A file, and a database."""
    with anyio.fail_after(60):
        async with open_place(folder / "history.sqlite3") as source, (place or PostgresPlace()).open() as target:
            yield source, target


async def add(history: History, token: str | None, task_id: str | None = None) -> int:
    begun = await history.begin(replace(START, client_token=token), lambda _: None)
    if task_id is not None:
        await history.record_result(begun.number, task_id=task_id, cost=10)
        await history.tasks.record_saved(begun.number, [SAVED])
    return begun.number


async def see(history: History, seen: Seen) -> None:
    history.tasks.see("account", TASK, seen)
    await history.flush()


async def found(history: History, task_id: str = TASK) -> TaskRecord:
    task = await history.tasks.find("account", "caller", task_id)
    assert task is not None
    return task


async def test_all_is_copied_once_and_back(tmp_path: Path) -> None:
    many = 2 * COPIED + 5
    async with both(tmp_path) as (source, target), open_place(tmp_path / "back.sqlite3") as back:
        for number in range(many):
            await add(source, str(number), f"task {number}")
        await source.tasks.record_upload("account", "caller", UploadRecord("cd" * 32, "runway://kite", 10, "image/png"))
        key = await source.answer_key()
        assert [await copy_history(source, target) for _ in range(2)] == [many, 0]
        assert await copy_history(target, back) == many
        for copied in (target, back):
            assert await copied.spent("account") == await source.spent("account") == Spend(10 * many, 0)
            assert not (await copied.begin(replace(START, client_token="7"), lambda _: None)).is_new
            task = await found(copied, f"task {many - 1}")
            assert (task.prompt, task.outputs) == ("A kite", (SAVED,))
            assert await copied.tasks.find_upload("account", "caller", uri="runway://kite")
            assert await copied.answer_key() == key


async def test_copies_at_the_same_time_double_nothing(tmp_path: Path) -> None:
    place, copied = PostgresPlace(), list[int]()

    async def copy(source: History, target: History) -> None:
        copied.append(await copy_history(source, target))

    async with both(tmp_path, place) as (source, target), place.open() as other:
        for number in range(COPIED + 30):
            await add(source, str(number), f"task {number}")
        async with anyio.create_task_group() as copies:
            for into in (target, other):
                copies.start_soon(copy, source, into)
        assert sum(copied) == COPIED + 30
        assert await target.spent("account") == await source.spent("account")


async def test_starts_that_are_alike_are_all_copied(tmp_path: Path) -> None:
    """As where the clock is coarse."""
    with anyio.fail_after(60):
        async with (
            open_history(tmp_path / "history.sqlite3", clock=lambda: 1e9) as source,
            PostgresPlace().open(clock=lambda: 1e9) as target,
        ):
            for _ in range(3):
                await add(source, None)
            assert [await copy_history(source, target) for _ in range(2)] == [3, 0]
            assert await target.spent("account") == await source.spent("account")


async def test_a_repeated_copy_brings_what_came_of_a_start_since(tmp_path: Path) -> None:
    async with both(tmp_path) as (source, target):
        pending, running, cancelled = [await add(source, token, id_) for token, id_ in STARTED.items()]
        assert await copy_history(source, target) == 3
        await source.record_result(pending, task_id="late", cost=30)
        await see(source, Seen("SUCCEEDED", cost=99))
        await source.tasks.record_saved(running, [replace(SAVED, position=2)])
        await source.mark_cancelled(cancelled, cost=0)
        assert [await copy_history(source, target) for _ in range(2)] == [3, 0]
        assert await target.spent("account") == await source.spent("account") == Spend(129, 0)
        assert (await found(target)).status == "SUCCEEDED"
        assert len((await found(target)).outputs) == 2
        assert (await target.begin(replace(START, client_token="cancelled"), lambda _: None)).is_new


async def test_a_repeated_copy_undoes_nothing_that_the_target_has_seen_since(tmp_path: Path) -> None:
    async with both(tmp_path) as (source, target):
        _, running, _ = [await add(source, token, id_) for token, id_ in STARTED.items()]
        await copy_history(source, target)
        await see(target, Seen("SUCCEEDED", cost=99))
        await see(source, Seen("RUNNING"))
        assert await copy_history(source, target) == 0
        assert ((await found(target)).status, (await found(target)).credits) == ("SUCCEEDED", 99)
        assert running == (await found(source)).number


STARTED = {"pending": None, "running": TASK, "cancelled": "another"}


async def test_a_copy_that_is_interrupted_leaves_no_start_without_its_outputs(tmp_path: Path) -> None:
    async with both(tmp_path) as (source, target):
        for number in range(3):
            await add(source, str(number), f"task {number}")
        await target.run(lambda transaction: transaction.execute("ALTER TABLE outputs RENAME TO away"))
        with pytest.raises(HistoryUnusableError):
            await copy_history(source, target)
        await target.run(lambda transaction: transaction.execute("ALTER TABLE away RENAME TO outputs"))
        assert await copy_history(source, target) == 3
        page = await target.tasks.page("account", "caller", TaskQuery())
        assert [task.outputs for task in page.tasks] == [(SAVED,)] * 3

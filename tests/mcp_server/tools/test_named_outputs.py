"""Saved outputs have readable names, and the history finds them again."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from time import time

import anyio
import pytest
from support.faulty import FaultyWire
from support.saver import IMAGES, Storage, names, said, saver, today

from runway_mcp.files.partial_file import RECORD_SECONDS
from runway_mcp.sandbox import SAMPLES


async def test_a_file_is_named_by_the_date_and_the_prompt_and_found_again_after_a_restart(tmp_path: Path) -> None:
    """It is not fetched a second time, by whatever call that names no other place or name."""
    name = f"{today()} A red kite.mp4"
    async with saver(tmp_path) as one:
        task_id = await one.make()
        assert await one.save(task_id) == [name]
        assert one.saved == [name]
    async with saver(tmp_path, one.wire) as one:
        before = len(one.wire.methods)
        assert await one.save(task_id) == [f"{name} there"]
        assert await one.save(task_id, directory=str(one.folder)) == [f"{name} there"]
        assert len(one.wire.methods) <= before + 2  # the task itself is read
        assert await one.save(task_id, directory="more") == [f"more/{name}"]
        assert await one.save(task_id, directory="more") == [f"more/{name} there"]
        assert await one.save(task_id) == [f"{name} there"]
        (one.folder / "more" / name).write_bytes(b"changed")
        os.utime(one.folder / name, (0, time() - RECORD_SECONDS - 1))
        assert await one.save(task_id) == [f"{name} there"]


async def test_a_file_gets_the_name_that_it_is_given(tmp_path: Path) -> None:
    """The same call finds it; another name makes another file; one that is taken stays as it is."""
    async with saver(tmp_path) as one:
        task_id = await one.make()
        (one.folder / "taken.mp4").write_bytes(b"mine")
        assert await one.save(task_id, name="red kite.MP4") == ["red kite.mp4"]
        assert await one.save(task_id, name="red kite") == ["red kite.mp4 there"]
        assert await one.save(task_id) == ["red kite.mp4 there"]
        assert await one.save(task_id, name="taken") == ["taken-2.mp4"]
        assert await one.save(task_id, name="taken") == ["taken-2.mp4 there"]
        assert await one.save(SAMPLES["succeeded_video"].id, name="a: b?") == ["a b.mp4"]
        for refused in ("a/b", ".."):
            result = await one.call(task_id, name=refused)
            assert result.is_error
            assert "can't be a file's name" in said(result)
        assert names(one.folder) == ["a b.mp4", "red kite.mp4", "taken-2.mp4", "taken.mp4"]
        assert (one.folder / "taken.mp4").read_bytes() == b"mine"


async def test_several_outputs_are_numbered_and_can_be_picked(tmp_path: Path) -> None:
    async with saver(tmp_path) as one:
        task_id = await one.make(IMAGES)
        assert await one.save(task_id, name="kite", outputs=[3, 1, 3]) == ["kite-1.png", "kite-3.png"]
        assert await one.save(task_id, name="kite") == ["kite-1.png there", "kite-2.png", "kite-3.png there"]
        assert await one.save(task_id, outputs="2") == ["kite-2.png there"]
        for unknown in ([4], [1, -1]):
            result = await one.call(task_id, outputs=unknown)
            assert result.is_error
            assert f"there is no output {unknown[-1]}. The task's outputs have the numbers 1 to 3." in said(result)
    assert names(one.folder) == ["kite-1.png", "kite-2.png", "kite-3.png"]


async def test_two_tasks_with_one_prompt_have_a_file_each(tmp_path: Path) -> None:
    """Though the sandbox gives both the same bytes; also where both are saved at once."""
    async with saver(tmp_path) as one:
        tasks = [await one.make() for _ in range(4)]
        first = f"{today()} A red kite"
        assert await one.save(tasks[0]) == [f"{first}.mp4"]
        async with anyio.create_task_group() as calls:
            for task_id in tasks[1:]:
                calls.start_soon(one.save, task_id)
        assert names(one.folder) == [f"{first}-2.mp4", f"{first}-3.mp4", f"{first}-4.mp4", f"{first}.mp4"]
        assert sorted(one.saved) == names(one.folder)
        assert await one.save(tasks[0]) == [f"{first}.mp4 there"]


async def test_a_file_that_was_not_recorded_is_found_by_its_bytes(tmp_path: Path) -> None:
    """As when the process was killed between the two."""
    name = f"{today()} A red kite.mp4"
    async with saver(tmp_path) as one:
        task_id = await one.make()
        await one.save(task_id)
        with closing(sqlite3.connect(one.history)) as connection:
            connection.execute("DELETE FROM outputs")
            connection.commit()
        os.utime(one.folder / name, (0, time() - RECORD_SECONDS - 1))
        assert await one.save(task_id) == [f"{name} there"]
        assert one.saved == names(one.folder) == [name]


async def test_without_a_prompt_the_type_and_the_model_name_a_file(tmp_path: Path) -> None:
    async with saver(tmp_path) as one:
        task_id = await one.make()
        with closing(sqlite3.connect(one.history)) as connection:
            connection.execute("UPDATE starts SET prompt = ''")
            connection.commit()
        assert await one.save(task_id) == [f"{today()} text_to_video gen4.5.mp4"]


async def test_a_task_that_was_not_started_here_is_named_by_its_id(tmp_path: Path) -> None:
    """And no history is begun for it."""
    task_id = SAMPLES["succeeded_video"].id
    async with saver(tmp_path) as one:
        assert await one.save(task_id) == [f"{task_id}-1.mp4"]
        assert await one.save(task_id) == [f"{task_id}-1.mp4 there"]
        assert not one.history.exists()


@pytest.mark.parametrize("name", ["", "kite"])
async def test_a_history_that_is_gone_loses_no_file(tmp_path: Path, name: str) -> None:
    """It is saved by its id, or the name it is given; the note tells what that means."""
    async with saver(tmp_path) as one:
        task_id = await one.make()
        one.history.unlink()
        result = await one.call(task_id, name=name)
        assert not result.is_error
        assert "Saved, but not recorded in the history, which can't be read or written: output 1." in said(result)
        assert names(one.folder) == ["kite.mp4" if name else f"{task_id}-1.mp4"]
        assert await one.save(task_id, name=name) == ["kite.mp4 there" if name else f"{task_id}-1.mp4 there"]


async def test_a_history_that_fails_while_a_file_is_fetched_loses_no_file(tmp_path: Path) -> None:
    def lose_table() -> None:
        with closing(sqlite3.connect(one.history)) as connection:
            connection.execute("DROP TABLE outputs")

    storage = Storage(wire := FaultyWire())
    async with saver(tmp_path, wire, files=storage) as one:
        task_id = await one.make()
        storage.before = lose_table
        result = await one.call(task_id)
    assert not result.is_error
    assert "Saved, but not recorded in the history" in said(result)
    assert names(one.folder) == [f"{today()} A red kite.mp4"]


async def test_what_was_saved_is_found_though_runway_has_the_task_no_more(tmp_path: Path) -> None:
    async with saver(tmp_path) as one:
        task_id = await one.make(IMAGES)
        saved = await one.save(task_id)
        await one.client.call_tool("runway_deleteTask", {"taskId": task_id})
        assert await one.save(task_id) == [f"{name} there" for name in saved]
        assert await one.save(task_id, outputs=[2]) == [f"{saved[1]} there"]
        assert await one.save(task_id, name="copy", outputs=[2]) == ["copy-2.png"]
        result = await one.call(task_id, outputs=[4])
        assert result.is_error
        assert "Runway has no such task" in said(result)

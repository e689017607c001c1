"""Saved outputs have readable names, and the history finds them again."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import CallToolResult, TextContent
from support.faulty import FaultyWire, faulty_client

from runway_mcp.config.sources import load
from runway_mcp.mcp_server.server import build_server
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import CallerRegistry
from runway_mcp.wiring.file_access import open_files

KITE: dict[str, Any] = {
    "type": "text_to_video",
    "input": {"model": "gen4.5", "promptText": "A red kite.", "ratio": "1280:720", "duration": 5},
}
IMAGES: dict[str, Any] = {
    "type": "text_to_image",
    "input": {"model": "seedream5_pro", "promptText": "A red kite.", "ratio": "1024:1024", "outputCount": 3},
}


@dataclass(frozen=True, slots=True)
class Saver:
    """A host of a server on the sandbox.

    Attributes:
        wire: The sandbox.
        folder: Where files may lie.
        history: The file of the history.
    """

    client: Client
    wire: FaultyWire
    folder: Path
    history: Path

    async def make(self, arguments: dict[str, Any] = KITE) -> str:
        """Start a task, and let it finish."""
        result = await self.client.call_tool("runway_startTask", arguments)
        assert result.structured_content is not None, result
        task_id = result.structured_content["id"]
        self.wire.now += 600
        await self.client.call_tool("runway_waitForTask", {"taskId": task_id})
        return task_id

    async def call(self, task_id: str, **more: Any) -> CallToolResult:
        return await self.client.call_tool("runway_downloadOutput", {"taskId": task_id} | more)

    async def save(self, task_id: str, **more: Any) -> list[str]:
        """Save outputs; return the path of each within the folder, and `there` after one that was there."""
        result = await self.call(task_id, **more)
        assert not result.is_error, said(result)
        assert result.structured_content is not None
        return [
            str(Path(file["path"]).relative_to(self.folder)) + " there" * file["wasThere"]
            for file in result.structured_content["files"]
        ]

    @property
    def saved(self) -> list[str]:
        """The paths that the history knows."""
        with closing(sqlite3.connect(self.history)) as connection:
            found = connection.execute("SELECT path FROM outputs ORDER BY number, position").fetchall()
        return [str(Path(path).relative_to(self.folder)) for (path,) in found]


@asynccontextmanager
async def saver(path: Path, wire: FaultyWire | None = None) -> AsyncGenerator[Saver]:
    wire, folder, history = wire or FaultyWire(), path / "films", path / "state" / "history.sqlite3"
    folder.mkdir(exist_ok=True)
    files = partial(open_files, load({"files_root": [folder]}), wire)
    callers = CallerRegistry(lambda _: faulty_client(wire), poll_seconds=0.01, history=history, files=files)
    with anyio.fail_after(30):
        async with Client(build_server(callers)) as client:
            yield Saver(client, wire, folder, history)


def said(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def names(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def today() -> str:
    return str(datetime.now(UTC).astimezone().date())


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
        assert await one.save(task_id) == [f"more/{name} there"]
        (one.folder / "more" / name).write_bytes(b"changed")
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
        assert await one.save(SAMPLES["succeeded_video"].id, name="a: b?") == ["a- b.mp4"]
        for refused in ("a/b", ".."):
            result = await one.call(task_id, name=refused)
            assert result.is_error
            assert "can't be a file's name" in said(result)
        assert names(one.folder) == ["a- b.mp4", "red kite.mp4", "taken-2.mp4", "taken.mp4"]
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

"""Nothing is fetched twice: what is wanted elsewhere is copied, and what another server fetches is waited for."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
import pytest
from support.faulty import FaultyWire
from support.saver import IMAGES, Saver, Storage, names, said, saver, today
from support.waiting import until

from runway_mcp.history.records import HistoryLockedError
from runway_mcp.tasks.outputs import claimed

if TYPE_CHECKING:
    from runway_mcp.history.task_history import TaskHistory

SHOT = "shot.mp4"


async def test_another_name_or_folder_is_a_copy_and_each_is_found_again(tmp_path: Path) -> None:
    """Also where Runway no longer has the task."""
    storage = Storage(wire := FaultyWire())
    async with saver(tmp_path, wire, files=storage) as one:
        task_id = await one.make()
        assert await one.save(task_id, name="shot") == [SHOT]
        assert await one.save(task_id, directory="sub") == [video := f"sub/{today()} A red kite.mp4"]
        for _ in range(2):
            assert await one.save(task_id, name="shot") == [f"{SHOT} there"]
            assert await one.save(task_id, directory="sub") == [f"{video} there"]
            await delete(one, task_id)
        assert await one.save(task_id, name="more") == ["more.mp4"]
        assert await one.save(task_id) == ["more.mp4 there"]
    assert names(one.folder) == ["more.mp4", SHOT, video]
    assert len({(one.folder / name).read_bytes() for name in names(one.folder)}) == storage.fetched == 1


async def delete(one: Saver, task_id: str) -> None:
    await one.client.call_tool("runway_cancelTask", {"taskId": task_id})
    await one.client.call_tool("runway_deleteTask", {"taskId": task_id})


async def test_a_copy_that_was_changed_is_not_taken(tmp_path: Path) -> None:
    storage = Storage(wire := FaultyWire())
    async with saver(tmp_path, wire, files=storage) as one:
        task_id = await one.make()
        await one.save(task_id, name="shot")
        (one.folder / SHOT).write_bytes(b"mine")
        assert await one.save(task_id, name="more") == ["more.mp4"]
    assert storage.fetched == 2


async def test_a_name_is_no_longer_one_that_ends_with_a_number(tmp_path: Path) -> None:
    async with saver(tmp_path) as one:
        task_id = await one.make()
        for name in ("shot-1", "shot-2", "shot"):
            assert await one.save(task_id, name=name) == [f"{name}.mp4"]
        (one.folder / "kite.mp4").write_bytes(b"mine")
        for there in ("", " there"):
            assert await one.save(task_id, name="kite") == [f"kite-2.mp4{there}"]


async def test_each_output_that_is_lost_is_told_beside_those_that_are_there(tmp_path: Path) -> None:
    async with saver(tmp_path) as one:
        task_id = await one.make(IMAGES)
        await one.save(task_id, outputs=[2])
        await delete(one, task_id)
        for more in ({}, {"outputs": [1, 2, 3]}):
            result = await one.call(task_id, **more)
            assert not result.is_error
            assert "Not saved: output 1, 3. Runway no longer has the task, so this output is lost." in said(result)
        assert (await one.call(task_id, outputs=[1])).is_error


async def test_truth_is_no_number_of_an_output(tmp_path: Path) -> None:
    async with saver(tmp_path) as one:
        result = await one.call(await one.make(), outputs=[True])
        assert result.is_error
    assert names(one.folder) == []


async def test_what_another_server_saves_is_waited_for(tmp_path: Path) -> None:
    storage = Storage(wire := FaultyWire())
    storage.released = anyio.Event()
    found: list[str] = []
    async with saver(tmp_path, wire, files=storage, auto_save=True) as one:
        task_id = await one.start()
        wire.now += 600
        await until(lambda: storage.fetched, "the first download")
        async with saver(tmp_path, wire, files=storage) as other, anyio.create_task_group() as group:

            async def save() -> None:
                found.extend(await other.save(task_id, name="shot"))

            before = len(wire.methods)
            group.start_soon(save)
            await until(lambda: len(wire.methods) > before, "the task to be read")
            storage.released.set()
        assert found == [SHOT]
    assert storage.fetched == 1


async def test_a_claim_that_can_not_be_given_up_ends_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    class Locked:
        """A history that another process locks meanwhile."""

        async def claim(self, number: int, *, renew: bool = False) -> bool:
            return number == 1 and not renew

        async def release(self, number: int) -> None:
            raise HistoryLockedError(Path(f"history-{number}"))

    async with claimed(cast("TaskHistory", Locked()), 1) as is_claimed:
        assert is_claimed
    (message,) = caplog.messages
    assert message.startswith("The claim on a task ends by itself: HistoryLockedError")

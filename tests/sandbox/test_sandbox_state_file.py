"""A sandbox can keep its state in a file, and several processes can use it at once."""

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from sandbox_client import START, Clock, connected
from support.media import sound

from runway_mcp.sandbox import create_app


async def test_what_one_process_leaves_the_next_one_finds(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "state.sqlite3"
    async with connected(create_app(clock=clock, state_file=file)) as first:
        task_id = await first.create()
        failing = await first.create(promptText="sandbox:fail")
        uploaded = await first.upload("a.wav", sound(5))
        slot = await first.slot()
        balance = (await first.organization())["creditBalance"]
    clock.now = START + 12
    async with connected(create_app(clock=clock, state_file=file)) as second:
        assert (await second.task(task_id))["progress"] == 0.5
        assert (await second.organization())["creditBalance"] == balance
        assert (await second.store(slot)).status_code == 204
        started = await second.start("/v1/voice_isolation", audioUri=uploaded)
        assert started.status_code == 200, started.text
        clock.now = START + 30
        (link,) = (await second.task(task_id))["output"]
        assert await second.status(failing) == "FAILED"
        assert await second.delete(failing) == 204
    async with connected(create_app(clock=clock, state_file=file)) as third:
        assert await third.status(failing) == "gone"
        assert (await third.http.get(link)).status_code == 200


async def test_processes_that_use_it_at_once_lose_nothing(tmp_path: Path, clock: Clock) -> None:
    apps = [create_app(clock=clock, state_file=tmp_path / "state.sqlite3") for _ in range(2)]
    made: list[str] = []
    async with connected(apps[0]) as one, connected(apps[1]) as other, anyio.create_task_group() as group:

        async def create(index: int) -> None:
            made.append(await (one, other)[index % 2].create())

        for index in range(8):
            group.start_soon(create, index)
    async with connected(create_app(clock=clock, state_file=tmp_path / "state.sqlite3")) as later:
        assert len({*made}) == 8
        assert "gone" not in [await later.status(task_id) for task_id in made]


async def test_a_file_that_can_t_be_used_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.Error):
        create_app(state_file=tmp_path / "missing" / "state.sqlite3")
    file = tmp_path / "state.sqlite3"
    async with connected(create_app(state_file=file)) as first:
        await first.organization()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE state SET json = '{}'")
        connection.commit()
    with pytest.raises(ValueError, match="key"):
        create_app(state_file=file)

"""What a server starts is saved by itself: as it finishes, or once a server runs again."""

import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from time import time

import anyio
import httpx2
import pytest
from support.faulty import FaultyWire, faulty_client
from support.saver import IMAGES, KITE, names, saver, today
from support.waiting import until

from runway_mcp.catalogue.validation import prepare
from runway_mcp.config.sources import load
from runway_mcp.history.task_records import CLAIM_SECONDS
from runway_mcp.spending.starter import Starter
from runway_mcp.tasks.auto_save import AutoSaver
from runway_mcp.tasks.callers import Caller, CallerContext, CallerRegistry
from runway_mcp.wiring.file_access import open_files

VIDEO = f"{today()} A red kite.mp4"


class Storage(httpx2.AsyncBaseTransport):
    """Carries files from the sandbox, as it is told.

    Attributes:
        fetched: How many were asked for.
        released: Lets their second halves go, where they stop midway.
        status: What is answered in their place.
    """

    def __init__(self, wire: FaultyWire) -> None:
        self._wire = wire
        self.fetched = 0
        self.released: anyio.Event | None = None
        self.status: int | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.fetched += 1
        if self.status is not None:
            return httpx2.Response(self.status, content=b"")
        response = await self._wire.handle_async_request(request)
        if self.released is None:
            return response
        data = await response.aread()
        headers = {"Content-Length": str(len(data))}
        return httpx2.Response(200, headers=headers, stream=Halves(data, self.released))


class Halves(httpx2.AsyncByteStream):
    def __init__(self, data: bytes, released: anyio.Event) -> None:
        self._data, self._released = data, released

    async def __aiter__(self) -> AsyncIterator[bytes]:
        half = len(self._data) // 2
        yield self._data[:half]
        await self._released.wait()
        yield self._data[half:]


async def test_what_is_started_is_saved_as_it_finishes(tmp_path: Path) -> None:
    """Without a further call; several outputs too; and once only, however often it is looked for."""
    async with saver(tmp_path, files=(storage := Storage(wire := FaultyWire())), wire=wire, auto_save=True) as one:
        first = await one.start()
        await one.start(IMAGES)
        assert one.saving == ["wanted", "wanted"]
        one.wire.now += 600
        await until(lambda: one.saving == ["saved", "saved"], "both to be saved")
        assert names(one.folder) == [*(f"{today()} A red kite-{number}.png" for number in (1, 2, 3)), VIDEO]
        assert sorted(one.saved) == names(one.folder)
        assert await one.save(first) == [f"{VIDEO} there"]
        assert storage.fetched == 4


async def test_without_the_setting_nothing_is_saved_by_itself(tmp_path: Path) -> None:
    async with saver(tmp_path) as one:
        await one.make()
        assert one.saving == [""]
    async with saver(tmp_path, one.wire, auto_save=True) as one:
        await one.make(IMAGES)
        await until(lambda: one.saving == ["", "saved"], "the second to be saved")
    assert len(names(one.folder)) == 3


async def test_what_finished_while_no_server_ran_is_saved_at_the_next_start(tmp_path: Path) -> None:
    """No call is needed for it; nothing is fetched twice."""
    storage = Storage(wire := FaultyWire())
    async with saver(tmp_path, wire, files=storage, auto_save=True) as one:
        await one.start()
    assert names(one.folder) == []
    wire.now += 600
    for _ in range(2):
        async with saver(tmp_path, wire, files=storage, auto_save=True) as one:
            await until(lambda: one.saving == ["saved"], "the video to be saved")
    assert names(one.folder) == [VIDEO]
    assert storage.fetched == 1


async def test_a_server_that_ends_amid_a_download_leaves_nothing_half_saved(tmp_path: Path) -> None:
    """The next one begins at once: the claim has ended with the server."""
    storage = Storage(wire := FaultyWire())
    storage.released = anyio.Event()
    async with saver(tmp_path, wire, files=storage, auto_save=True) as one:
        await one.start()
        wire.now += 600
        await until(lambda: any(name.startswith(".runway-") for name in names(one.folder)), "half a video")
    assert names(one.folder) == []
    assert one.saving == ["wanted"]
    storage.released = None
    async with saver(tmp_path, wire, files=storage, auto_save=True) as one:
        await until(lambda: one.saving == ["saved"], "the video to be saved")
    assert names(one.folder) == [VIDEO]


async def test_two_servers_with_one_history_fetch_each_output_once(tmp_path: Path) -> None:
    storage = Storage(wire := FaultyWire())
    storage.released = anyio.Event()
    async with saver(tmp_path, wire, files=storage, auto_save=True) as one:
        for _ in range(2):
            await one.start()
        async with saver(tmp_path, wire, files=storage, auto_save=True) as other:
            await other.start()
            wire.now += 600
            await until(lambda: storage.fetched == 3, "all to be fetched")
            await anyio.wait_all_tasks_blocked()
            storage.released.set()
            await until(lambda: one.saving == ["saved"] * 3, "all to be saved")
    assert storage.fetched == len(names(one.folder)) == 3


class Pauses:
    """Notes how long is to be waited, and calls what happens meanwhile."""

    def __init__(self, *events: object) -> None:
        self.seconds: list[float] = []
        self._events = list(events)

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await anyio.lowlevel.checkpoint()
        if callable(event := self._events.pop(0)):
            event()


@asynccontextmanager
async def waiting_to_be_saved(
    path: Path, storage: Storage, wire: FaultyWire
) -> AsyncGenerator[tuple[CallerContext, Path]]:
    """A caller with a task that has finished and is to be saved, and the file of the history."""
    history = path / "history.sqlite3"
    settings = load({"files_root": [path / "films"]})
    callers = CallerRegistry(
        lambda _: faulty_client(wire),
        poll_seconds=0,
        history=history,
        files=partial(open_files, settings, storage),
    )
    with anyio.fail_after(30):
        async with callers.running():
            context = await callers.of(Caller("local"))
            await Starter(context).start(prepare(KITE["type"], KITE["input"]))
            change(history, "UPDATE starts SET saving = 'wanted'")
            wire.now += 600
            yield context, history


def change(history: Path, statement: str, *values: float) -> None:
    with closing(sqlite3.connect(history)) as connection:
        connection.execute(statement, values)
        connection.commit()


def saving(history: Path) -> str:
    with closing(sqlite3.connect(history)) as connection:
        return connection.execute("SELECT saving FROM starts").fetchone()[0]


@asynccontextmanager
async def saving_with(context: CallerContext, pauses: Pauses) -> AsyncGenerator[AutoSaver]:
    async with anyio.create_task_group() as group:
        found = AutoSaver(group, sleep=pauses)
        found.look(context)
        found.look(context)  # twice is as good as once
        yield found


async def test_a_claim_is_respected_until_its_process_has_died(tmp_path: Path) -> None:
    storage = Storage(wire := FaultyWire())
    (tmp_path / "films").mkdir()
    async with waiting_to_be_saved(tmp_path, storage, wire) as (context, history):
        change(history, "UPDATE starts SET claimed = ?", time())
        dead = partial(change, history, "UPDATE starts SET claimed = ?", time() - CLAIM_SECONDS - 1)
        async with saving_with(context, pauses := Pauses(None, dead)):
            pass
        assert saving(history) == "saved"
    assert pauses.seconds == [CLAIM_SECONDS, 2 * CLAIM_SECONDS]
    assert storage.fetched == 1


async def test_what_another_process_has_saved_is_not_fetched(tmp_path: Path) -> None:
    storage = Storage(wire := FaultyWire())
    (tmp_path / "films").mkdir()
    async with waiting_to_be_saved(tmp_path, storage, wire) as (context, history):
        change(history, "UPDATE starts SET claimed = ?", time())
        done = partial(change, history, "UPDATE starts SET saving = 'saved'")
        async with saving_with(context, Pauses(done)):
            pass
    assert storage.fetched == 0


async def test_what_can_not_be_saved_for_now_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder that is missing, a host that fails, an API that refuses the key, a fault of this server."""
    storage = Storage(wire := FaultyWire())

    def make_folder() -> None:
        (tmp_path / "films").mkdir()
        storage.status = 403

    def refuse_key() -> None:
        storage.status = None
        wire.faults["GET"].extend([401])

    def lose_reply() -> None:
        wire.between = lambda _: wire.faults["GET"].clear()

    async with waiting_to_be_saved(tmp_path, storage, wire) as (context, history):
        async with saving_with(context, pauses := Pauses(make_folder, refuse_key, lose_reply)):
            pass
        assert saving(history) == "saved"
    assert len(pauses.seconds) == 3
    assert "could not be saved" in caplog.text
    assert "_jwt" not in caplog.text
    assert names(tmp_path / "films") == [VIDEO]


async def test_what_can_not_be_saved_any_more_is_marked(tmp_path: Path) -> None:
    """Its file, or the task itself, is gone."""
    for gone in ("file", "task"):
        (path := tmp_path / gone).mkdir()
        (path / "films").mkdir()
        storage = Storage(wire := FaultyWire())
        storage.status = 404
        async with waiting_to_be_saved(path, storage, wire) as (context, history):
            if gone == "task":
                wire.faults["GET"].append(404)
            async with saving_with(context, Pauses()):
                pass
            assert saving(history) == "lost"
        assert storage.fetched == (gone == "file")


@pytest.mark.parametrize("how", ["cancelled", "failed"])
async def test_a_task_that_made_nothing_has_lost_nothing(tmp_path: Path, how: str) -> None:
    text = "A red kite. sandbox:fail" if how == "failed" else "A red kite."
    arguments = KITE | {"input": KITE["input"] | {"promptText": text}}
    async with saver(tmp_path, auto_save=True) as one:
        task_id = await one.start(arguments)
        if how == "cancelled":
            await one.client.call_tool("runway_cancelTask", {"taskId": task_id})
        one.wire.now += 600
        await until(lambda: one.saving == [""], "the end")
    assert names(one.folder) == []


async def test_a_history_that_can_not_be_read_is_looked_at_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (history := tmp_path / "history.sqlite3").write_bytes(bytes(100))
    callers = CallerRegistry(lambda _: faulty_client(FaultyWire()), history=history)
    pauses = Pauses(None, history.unlink)
    async with callers.running(), anyio.create_task_group() as group:
        AutoSaver(group, sleep=pauses).look(await callers.of(Caller("local")))
    assert pauses.seconds == [CLAIM_SECONDS, 2 * CLAIM_SECONDS]
    assert "Nothing can be saved automatically for now" in caplog.text


async def test_each_of_several_callers_has_their_own_saved_to_their_folder(tmp_path: Path) -> None:
    """Over HTTP: what was not saved yet is taken up when that caller comes again."""
    (tmp_path / "tokens.toml").write_text("")
    (tmp_path / "films").mkdir()
    wire = FaultyWire()
    settings = load(
        {
            "files_root": [tmp_path / "films"],
            "transport": "streamable-http",
            "auth": "token",
            "tokens_file": tmp_path / "tokens.toml",
        }
    )

    @asynccontextmanager
    async def running() -> AsyncGenerator[CallerRegistry]:
        registry = CallerRegistry(
            lambda _: faulty_client(wire),
            poll_seconds=0.01,
            history=tmp_path / "history.sqlite3",
            files=partial(open_files, settings, wire),
            auto_save=AutoSaver,
        )
        with anyio.fail_after(30):
            async with registry.running():
                yield registry

    async with running() as callers:
        for name in ("ann", "bob"):
            await Starter(await callers.of(Caller(name))).start(prepare(KITE["type"], KITE["input"]))

    def whose() -> list[str]:
        found = [name for name in names(tmp_path / "films") if name.endswith(f"/{VIDEO}")]
        return [name.partition("-")[0] for name in found]

    wire.now += 600
    async with running() as callers:
        await callers.of(Caller("ann"))
        await until(whose, "the video of one")
        await callers.of(Caller("eve"))
        await anyio.wait_all_tasks_blocked()
        assert whose() == ["ann"]
        await callers.of(Caller("bob"))
        await until(lambda: whose() == ["ann", "bob"], "the video of the other")
    assert len(names(tmp_path / "films")) == 2

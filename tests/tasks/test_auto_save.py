"""What a server starts is saved by itself: as it finishes, or once a server runs again."""

import gc
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from time import time
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from pydantic import JsonValue
from support.faulty import FaultyWire, faulty_client
from support.saver import IMAGES, KITE, Halves, Storage, names, saver, today
from support.scripted import ID, Script, Step, reply, scripted_client, task
from support.waiting import until

from runway_mcp.catalogue.validation import prepare
from runway_mcp.config.sources import load
from runway_mcp.files.download import InProgress
from runway_mcp.history.records import Limits, StartRequest
from runway_mcp.history.task_records import CLAIM_SECONDS, Seen
from runway_mcp.spending.start_errors import StartCancelledError
from runway_mcp.spending.starter import Starter
from runway_mcp.tasks.auto_save import AutoSaver
from runway_mcp.tasks.callers import Caller, CallerContext, CallerRegistry
from runway_mcp.tasks.outputs import save_outputs
from runway_mcp.wiring.core import build_core
from runway_mcp.wiring.file_access import open_files

VIDEO = f"{today()} A red kite.mp4"


async def test_what_is_started_is_saved_as_it_finishes(tmp_path: Path) -> None:
    """Without a further call; several outputs too; and once only, however often it is looked for."""
    async with saver(tmp_path, files=(storage := Storage(wire := FaultyWire())), wire=wire, auto_save=True) as one:
        assert "saves what is started" in (one.client.instructions or "")
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
    path: Path, storage: Storage, wire: FaultyWire, arguments: dict[str, Any] = KITE
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
            await Starter(context).start(prepare(arguments["type"], arguments["input"]))
            change(history, "UPDATE starts SET saving = 'wanted'")
            wire.now += 600
            yield context, history


def change(history: Path, statement: str, *values: float | str) -> None:
    with closing(sqlite3.connect(history)) as connection:
        connection.execute(statement, values)
        connection.commit()


def saving(history: Path) -> str:
    with closing(sqlite3.connect(history)) as connection:
        return connection.execute("SELECT saving FROM starts").fetchone()[0]


@asynccontextmanager
async def saving_with(context: CallerContext, history: Path, pauses: Pauses | None = None) -> AsyncGenerator[None]:
    """Looks for what is to be saved, until there is nothing more."""
    async with anyio.create_task_group() as group:
        found = AutoSaver(group, sleep=pauses or Pauses(), look_seconds=0.01)
        found.look(context)
        found.look(context)  # twice is as good as once
        yield
        await until(lambda: saving(history) != "wanted", "the end")
        group.cancel_scope.cancel()


async def test_a_claim_is_respected_until_its_process_has_died(tmp_path: Path) -> None:
    storage = Storage(wire := FaultyWire())
    (tmp_path / "films").mkdir()
    async with waiting_to_be_saved(tmp_path, storage, wire) as (context, history):
        change(history, "UPDATE starts SET claimed = ?", time())
        async with saving_with(context, history):
            await until(lambda: wire.methods.count("GET") > 3, "several looks")
            assert storage.fetched == 0
            change(history, "UPDATE starts SET claimed = ?", time() - CLAIM_SECONDS - 1)
        assert saving(history) == "saved"
    assert storage.fetched == 1


async def test_what_another_process_has_saved_is_not_fetched(tmp_path: Path) -> None:
    storage = Storage(wire := FaultyWire())
    (tmp_path / "films").mkdir()
    async with waiting_to_be_saved(tmp_path, storage, wire) as (context, history):
        change(history, "UPDATE starts SET claimed = ?", time())
        async with saving_with(context, history):
            change(history, "UPDATE starts SET saving = 'saved'")
    assert storage.fetched == 0


async def test_what_can_not_be_saved_for_now_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder that is missing, a host that refuses, a fault of this server, an API that refuses the key."""
    storage = Storage(wire := FaultyWire())

    def make_folder() -> None:
        (tmp_path / "films").mkdir()
        storage.status = 403

    def break_down() -> None:
        storage.status = 0

    def refuse_key() -> None:
        storage.status = None
        wire.faults["GET"].append(401)

    async with waiting_to_be_saved(tmp_path, storage, wire) as (context, history):
        async with saving_with(context, history, pauses := Pauses(make_folder, break_down, refuse_key, None)):
            pass
        assert saving(history) == "saved"
    assert len(pauses.seconds) == 4
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
                change(history, "UPDATE starts SET begun = begun - 200")
            async with saving_with(context, history):
                pass
            assert saving(history) == "lost"
        assert storage.fetched == (gone == "file")


@pytest.mark.parametrize(
    ("steps", "expected", "pauses"),
    [
        ([task("SUCCEEDED", output=[])], "lost", 0),
        ([task("SUCCEEDED", output=[None])], "lost", 0),
        ([task("SUCCEEDED", output=["http://elsewhere.example/a"]), task("SUCCEEDED", output=[None])], "lost", 0),
        ([task("SUCCEEDED", output=["x"]), None], "lost", 0),
        ([task("SUCCEEDED", output=["x"]), task("RUNNING"), task("FAILED")], "", 1),
    ],
    ids=["no outputs", "no link", "a link of no use", "gone between two reads", "odd"],
)
async def test_what_can_be_saved_is_decided_by_each_read(
    tmp_path: Path, steps: list[dict[str, JsonValue] | None], expected: str, pauses: int
) -> None:
    answers: list[Step] = [reply(404, {"error": "no"}) if step is None else reply(200, step) for step in steps]
    if len(steps) == 2 and pauses:
        answers.insert(1, answers[0])
    script, history = Script(*answers), tmp_path / "history.sqlite3"
    callers = CallerRegistry(
        lambda _: scripted_client(script),
        poll_seconds=0,
        history=history,
        files=partial(open_files, load({"files_root": [tmp_path]}), None),
    )
    with anyio.fail_after(30):
        async with callers.running():
            context = await callers.of(Caller("local"))
            ledger = context.ledger
            opened = await ledger.history()
            start = StartRequest(ledger.account, ledger.caller, "print", "text_to_video", save=True)
            record = await opened.begin(start, lambda _: None)
            await opened.record_result(record.number, task_id=ID, cost=None)
            async with saving_with(context, history, slept := Pauses(*[None] * pauses)):
                pass
            assert saving(history) == expected
    assert len(slept.seconds) == pauses


async def test_a_claim_is_renewed_while_a_task_is_saved(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where that can't be done, saving goes on all the same."""
    storage = Storage(wire := FaultyWire())
    storage.released = anyio.Event()
    (tmp_path / "films").mkdir()

    def claimed() -> float:
        with closing(sqlite3.connect(history)) as connection:
            return connection.execute("SELECT claimed FROM starts").fetchone()[0]

    async with (
        waiting_to_be_saved(tmp_path, storage, wire) as (context, history),
        anyio.create_task_group() as group,
    ):
        AutoSaver(group, renew_seconds=0.01).look(context)
        await until(lambda: storage.fetched, "the download")
        change(history, "UPDATE starts SET claimed = 0")
        await until(claimed, "the claim to be renewed")
        history.rename(tmp_path / "away")
        await until(lambda: "Another process may save the same task" in caplog.text, "the warning")
        (tmp_path / "away").rename(history)
        storage.released.set()
        await until(lambda: saving(history) == "saved", "the end")
        group.cancel_scope.cancel()


async def test_the_setting_makes_a_server_save(tmp_path: Path) -> None:
    settings = load(
        {"sandbox": True, "sandbox_speed": 1000, "poll_seconds": 0.05, "auto_save": True, "files_root": [tmp_path]}
    )
    core = build_core(settings, lambda _: None)
    with anyio.fail_after(30):
        async with core.callers.running():
            await Starter(await core.callers.of(core.local)).start(prepare(KITE["type"], KITE["input"]))
            await until(lambda: names(tmp_path) == [VIDEO], "the video")


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


async def test_what_its_user_has_saved_and_then_deleted_is_not_lost(tmp_path: Path) -> None:
    storage = Storage(wire := FaultyWire())
    (tmp_path / "films").mkdir()
    async with waiting_to_be_saved(tmp_path, storage, wire) as (context, history):
        change(history, "INSERT INTO outputs VALUES (1, 1, '/elsewhere/kite.mp4', 9, 'video/mp4', '')")
        change(history, "UPDATE starts SET begun = begun - 200")
        wire.faults["GET"].append(404)
        async with saving_with(context, history):
            pass
        assert saving(history) == "saved"
    assert storage.fetched == 0


async def test_a_history_that_can_not_be_read_is_looked_at_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (history := tmp_path / "history.sqlite3").write_bytes(bytes(100))
    callers = CallerRegistry(lambda _: faulty_client(FaultyWire()), history=history)
    warning = "Nothing can be saved automatically for now"
    async with callers.running(), anyio.create_task_group() as group:
        context = await callers.of(Caller("local"))
        AutoSaver(group, look_seconds=0).look(context)
        await until(lambda: warning in caplog.text, "the warning")
        history.unlink()
        await (await context.ledger.history()).tasks.to_save(context.ledger.account, context.ledger.caller)
        group.cancel_scope.cancel()
    assert caplog.text.count(warning) == 1


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


async def test_a_partly_saved_task_whose_rest_is_lost_is_told(tmp_path: Path) -> None:
    storage = Storage(wire := FaultyWire())
    (tmp_path / "films").mkdir()
    async with waiting_to_be_saved(tmp_path, storage, wire) as (context, history):
        change(history, "INSERT INTO outputs VALUES (1, 1, '/elsewhere/kite.mp4', 9, 'video/mp4', '')")
        change(history, "UPDATE starts SET begun = begun - 200, made = 2")
        wire.faults["GET"].append(404)
        async with saving_with(context, history):
            pass
        assert saving(history) == "lost"


async def test_a_task_that_runway_does_not_know_yet_is_asked_for_again(tmp_path: Path) -> None:
    storage = Storage(wire := FaultyWire())
    (tmp_path / "films").mkdir()
    async with waiting_to_be_saved(tmp_path, storage, wire) as (context, history):
        wire.faults["GET"].append(404)
        async with saving_with(context, history, pauses := Pauses(None)):
            pass
        assert saving(history) == "saved"
    assert pauses.seconds == [CLAIM_SECONDS]


@pytest.mark.parametrize("before", ["lost", "told"])
async def test_a_lost_task_that_is_seen_alive_is_saved(tmp_path: Path, before: str) -> None:
    """Only one whose file alone is lost stays so."""
    storage = Storage(wire := FaultyWire())
    (tmp_path / "films").mkdir()
    async with waiting_to_be_saved(tmp_path, storage, wire) as (context, history):
        with closing(sqlite3.connect(history)) as connection:
            ((task_id,),) = connection.execute("SELECT task_id FROM starts")
        change(history, "UPDATE starts SET saving = ?, status = 'SUCCEEDED'", before)
        opened = await context.ledger.history()
        opened.tasks.see(context.ledger.account, task_id, Seen("SUCCEEDED"))
        await opened.flush()
        assert saving(history) == before
        change(history, "UPDATE starts SET status = 'DELETED'")
        await context.tasks.get(task_id)
        await until(lambda: saving(history) == "wanted", "the change")
        async with saving_with(context, history):
            pass
        assert saving(history) == "saved"


async def test_what_another_process_leaves_is_taken_up_without_a_start(tmp_path: Path) -> None:
    storage = Storage(wire := FaultyWire())
    (tmp_path / "films").mkdir()
    async with waiting_to_be_saved(tmp_path, storage, wire) as (context, history):
        change(history, "UPDATE starts SET saving = ''")
        async with anyio.create_task_group() as group:
            AutoSaver(group, look_seconds=0.01).look(context)
            await anyio.wait_all_tasks_blocked()
            change(history, "UPDATE starts SET saving = 'wanted'")
            await until(lambda: saving(history) == "saved", "the video")
            group.cancel_scope.cancel()


class Pages(Storage):
    """Sends a web page in place of the first file, and refuses the others once."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not self.fetched:
            self.fetched = 1
            page = b"<html>no</html>" * 200
            (released := anyio.Event()).set()
            return httpx2.Response(200, headers={"Content-Length": str(len(page))}, stream=Halves(page, released))
        self.status = 403 if self.fetched < 3 else None
        return await super().handle_async_request(request)


async def test_what_is_no_media_is_fetched_once_and_the_others_until_they_come(tmp_path: Path) -> None:
    storage = Pages(wire := FaultyWire())
    (tmp_path / "films").mkdir()
    async with waiting_to_be_saved(tmp_path, storage, wire, IMAGES) as (context, history):
        async with saving_with(context, history, pauses := Pauses(None)):
            pass
        assert saving(history) == "lost"
    assert len(pauses.seconds) == 1
    assert (storage.fetched, len(names(tmp_path / "films"))) == (5, 2)


class Endless(httpx2.AsyncByteStream):
    """A page that has no end."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await anyio.lowlevel.checkpoint()
            yield b"<p>" * 100_000


async def test_what_is_no_media_is_refused_before_it_has_come_whole(tmp_path: Path) -> None:
    class Long(Storage):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            self.fetched += request.method == "GET"
            return httpx2.Response(200, headers={"Content-Length": str(2**30)}, stream=Endless())

    storage = Long(wire := FaultyWire())
    (tmp_path / "films").mkdir()
    async with waiting_to_be_saved(tmp_path, storage, wire) as (context, history):
        async with saving_with(context, history):
            pass
        assert saving(history) == "lost"
    assert storage.fetched == 1


async def test_a_task_over_the_limit_that_can_not_be_cancelled_is_saved(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    wire, history = FaultyWire(price_factor=2), tmp_path / "history.sqlite3"

    def finish(number: int) -> None:
        wire.now += 600 * (number == 2)

    wire.between = finish
    callers = CallerRegistry(
        lambda _: faulty_client(wire),
        poll_seconds=0,
        history=history,
        limits=Limits(task=100),
        files=partial(open_files, load({"files_root": [tmp_path / "films"]}), wire),
        auto_save=AutoSaver,
    )
    with anyio.fail_after(30):
        async with callers.running():
            context = await callers.of(Caller("local"))
            with pytest.raises(StartCancelledError) as caught:
                await Starter(context).start(prepare(KITE["type"], KITE["input"]))
            assert caught.value.cancellation.outcome == "finished"
            await until(lambda: saving(history) == "saved", "the video")
    assert names(tmp_path / "films") == [VIDEO]


async def test_a_caller_who_is_gone_is_looked_for_no_more() -> None:
    callers = CallerRegistry(lambda _: faulty_client(FaultyWire()))
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            async with callers.running():
                context = await callers.of(Caller("local"))
                AutoSaver(group, look_seconds=0.01).look(context)
                await anyio.wait_all_tasks_blocked()
            del context
            gc.collect()


async def test_a_call_that_can_not_wait_longer_says_that_another_saves_it(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    async with waiting_to_be_saved(tmp_path, Storage(wire := FaultyWire()), wire) as (context, history):
        change(history, "UPDATE starts SET claimed = ?", time())
        with closing(sqlite3.connect(history)) as connection:
            ((task_id,),) = connection.execute("SELECT task_id FROM starts")
        folders = await (await context.files()).folders()
        assert await save_outputs(context, task_id, folders, timeout=0) == [InProgress(1, 0, None)]
        assert names(tmp_path / "films") == []

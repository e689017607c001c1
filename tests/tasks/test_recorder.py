"""What is seen of tasks goes to the history."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from pydantic import JsonValue, SecretStr
from support.scripted import ID, Script, reply, scripted_client, task
from support.waiting import until

from runway_mcp.api.errors import NotFoundError
from runway_mcp.api.models import Task, TaskId, parse_task_id
from runway_mcp.catalogue.validation import Prepared, prepare
from runway_mcp.history.task_records import Seen, TaskQuery, TaskRecord
from runway_mcp.spending.starter import Starter
from runway_mcp.tasks.callers import Caller, CallerContext, CallerRegistry
from runway_mcp.tasks.recorder import MAX_KNOWN, TaskRecorder
from runway_mcp.tasks.waiting import Waited

CREATED = reply(200, {"id": ID, "estimatedCost": {"credits": 60}})
KITE: dict[str, JsonValue] = {"model": "gen4.5", "promptText": "A red\n kite", "ratio": "1280:720", "duration": 5}


@asynccontextmanager
async def caller(script: Script, file: Path | None = None) -> AsyncGenerator[CallerContext]:
    callers = CallerRegistry(lambda _: scripted_client(script), history=file, poll_seconds=0.05)
    with anyio.fail_after(20):
        async with callers.running():
            yield await callers.of(Caller("local", key=SecretStr("key")))


async def start(context: CallerContext) -> None:
    await Starter(context).start(prepare("text_to_video", KITE))


async def remembered(context: CallerContext) -> TaskRecord:
    history = await context.ledger.history()
    (found,) = (await history.tasks.page(context.ledger.account, context.ledger.caller, TaskQuery())).tasks
    return found


async def becomes(context: CallerContext, status: str) -> TaskRecord:
    """Return the one task of the history, once it has a status there."""
    while True:
        found = await remembered(context)
        if found.status == status:
            return found
        await anyio.lowlevel.checkpoint()


async def test_each_read_of_a_task_tells_the_history_its_status_and_cost(tmp_path: Path) -> None:
    done = task("SUCCEEDED", cost={"credits": 55}, output=[])
    script = Script(CREATED, reply(200, task("RUNNING")), reply(200, done))
    async with caller(script, tmp_path / "history") as context:
        await start(context)
        found = await remembered(context)
        assert (found.model, found.prompt, found.seconds, found.credits) == ("gen4.5", "A red kite", 5, 60)
        assert found.status == "PENDING"
        assert (await context.tasks.get(ID)).status == "RUNNING"
        assert (await becomes(context, "RUNNING")).finished is None
        await context.tasks.wait([ID], seconds=20, until="all", report=quiet)
        found = await becomes(context, "SUCCEEDED")
        assert (found.credits, found.is_charged, found.finished is None) == (55, True, False)
        assert script.methods == ["POST", "GET", "GET"]


@pytest.mark.parametrize(
    ("kind", "body", "prompt"),
    [
        ("text_to_speech", {"promptText": "k" * 300}, "k" * 120),
        ("recipes/product_campaign_image", {"prompt": "A kite"}, "A kite"),
        ("recipes/product_ad", {"productInfo": "A kite", "userConcept": "It flies"}, "It flies"),
        ("avatar_videos", {"speech": {"type": "text", "text": "Hello"}}, "Hello"),
        ("generate/image", {"input": {"promptText": "A kite"}}, "A kite"),
        ("image_upscale", {"imageUri": "https://example.com/kite.png"}, ""),
    ],
)
async def test_the_words_of_an_input_are_its_prompt(kind: str, body: dict[str, JsonValue], prompt: str) -> None:
    async with caller(Script(CREATED)) as context:
        await Starter(context).start(Prepared(kind, f"/v1/{kind}", None, body))
        assert (await remembered(context)).prompt == prompt


async def test_a_task_that_is_cancelled_or_gone_is_told_so() -> None:
    script = Script(CREATED, reply(200, task("RUNNING")), reply(204), reply(404, {"error": "not found"}))
    async with caller(script) as context:
        await start(context)
        await context.tasks.cancel(ID)
        await becomes(context, "CANCELLED")
        with pytest.raises(NotFoundError):
            await context.tasks.get(ID)
        assert (await remembered(context)).status == "CANCELLED"


async def test_a_task_that_runway_does_not_have_is_told_so() -> None:
    async with caller(Script(CREATED, reply(404, {"error": "not found"}))) as context:
        await start(context)
        with pytest.raises(NotFoundError):
            await context.tasks.get(ID)
        await becomes(context, "DELETED")


async def test_a_read_begins_no_history(tmp_path: Path) -> None:
    file = tmp_path / "history"
    async with caller(Script(reply(200, task("RUNNING"))), file) as context:
        await context.tasks.get(ID)
    assert not file.exists()


async def test_after_a_restart_a_read_tells_the_history_too(tmp_path: Path) -> None:
    file = tmp_path / "history"
    async with caller(Script(CREATED), file) as context:
        await start(context)
    async with caller(Script(reply(200, task("FAILED", cost={"credits": 0}))), file) as context:
        await context.tasks.get(ID)
        await becomes(context, "FAILED")


async def test_a_read_goes_on_while_the_history_can_not_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once; what was seen meanwhile is written afterwards."""
    file = tmp_path / "history"
    async with caller(Script(CREATED, reply(200, task("RUNNING"))), file) as context:
        await start(context)
    file.write_bytes(b"damaged" * 1000)
    states = [reply(200, task(status)) for status in ("PENDING", "THROTTLED", "RUNNING", "SUCCEEDED")]
    async with caller(Script(*states), file) as context:
        waited = await context.tasks.wait([ID], seconds=20, until="all", report=quiet)
        assert waited.states[ID].is_final
        await until(lambda: caplog.messages, "a warning")
    (message,) = caplog.messages
    assert message.startswith("What was seen of tasks can't be recorded for now: HistoryDamagedError")


async def test_a_state_that_could_not_be_told_is_told_by_the_next_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "history"
    async with caller(Script(CREATED), file) as context:
        await start(context)
    whole = file.read_bytes()
    file.write_bytes(b"damaged" * 1000)
    async with caller(Script(reply(200, task("FAILED"))), file) as context:
        await context.tasks.get(ID)
        await until(lambda: caplog.messages, "a warning")
        file.write_bytes(whole)
        context.poller.changed(ID)
        await context.tasks.get(ID)
        await becomes(context, "FAILED")


async def test_what_is_seen_at_once_is_written_together(tmp_path: Path) -> None:
    file = tmp_path / "history"
    async with caller(Script(CREATED, reply(200, task("RUNNING"))), file) as context:
        await start(context)
        history = await context.ledger.history()
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await context.tasks.get(ID)
            await until(lambda: history.tasks.unwritten, "what was seen")
            history.tasks.see(context.ledger.account, "another", Seen("RUNNING"))
            other.execute("ROLLBACK")
        await until(lambda: not history.tasks.unwritten, "the write")
        assert (await remembered(context)).status == "RUNNING"


async def test_a_state_that_is_seen_again_is_not_written_again() -> None:
    script = Script(CREATED, reply(200, task("RUNNING")))
    async with caller(script) as context:
        await start(context)
        await context.tasks.get(ID)
        await becomes(context, "RUNNING")
        history = await context.ledger.history()
        history.tasks.see(context.ledger.account, ID, Seen("SUCCEEDED"))  # by another process
        await becomes(context, "SUCCEEDED")
        context.poller.changed(ID)
        await context.tasks.get(ID)
        assert (await remembered(context)).status == "SUCCEEDED"


async def test_of_many_tasks_the_latest_states_are_known() -> None:
    ids = [parse_task_id(f"08388106-1b46-4f5c-bd46-{number:012}") for number in range(MAX_KNOWN + 1)]
    seen: list[str] = []

    class Tasks:
        async def get_task(self, task_id: TaskId, *, timeout: float | None = None) -> Task:
            assert timeout is None
            return Task(task_id, "RUNNING", {})

        async def delete_task(self, task_id: TaskId) -> None:
            raise NotImplementedError

    async def no_history() -> None:
        seen.append("a change")

    async with anyio.create_task_group() as group:
        recorder = TaskRecorder(Tasks(), "account", no_history, group)
        for task_id in [*ids, ids[-1], ids[0]]:
            await recorder.get_task(task_id)
    assert len(seen) == MAX_KNOWN + 2


async def quiet(_: Waited) -> None:
    pass

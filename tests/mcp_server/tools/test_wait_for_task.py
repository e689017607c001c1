"""The tool that waits: for one task and for many, to the end, to the deadline and beyond."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp_types import CallToolResult
from support.faulty import FaultyWire, faulty_client
from support.scripted import ID, Script, Step, reply, scripted_client, task, texts
from support.virtual_time import VIRTUAL_TIME
from support.waiting import until

from runway_mcp.mcp_server.server import build_server
from runway_mcp.mcp_server.tools.tasks import MAX_TASKS
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import CallerRegistry

OTHER = "17f20503-6c24-4c16-946b-35dbbce2af2f"
RUNNING = reply(200, task("RUNNING", progress=0.45))
DONE = reply(200, task("SUCCEEDED", output=["https://x.example/1.mp4"]))


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Seconds pass at once."""
    return VIRTUAL_TIME


@asynccontextmanager
async def connected(*steps: Step) -> AsyncGenerator[tuple[Script, Client]]:
    script = Script(*steps)
    with anyio.fail_after(30):
        async with Client(build_server(CallerRegistry(lambda _: scripted_client(script), poll_seconds=0.02))) as client:
            yield script, client


async def wait(client: Client, task_id: object = ID, **arguments: Any) -> CallToolResult:
    return await client.call_tool("runway_waitForTask", {"taskId": task_id, **arguments})


async def test_a_wait_returns_the_task_as_soon_as_it_is_final() -> None:
    async with connected(RUNNING, RUNNING, DONE) as (script, client):
        waited = await wait(client)
        read = await client.call_tool("runway_getTask", {"taskId": ID})
    assert not waited.is_error
    assert waited.content == read.content
    assert waited.structured_content == read.structured_content == task("SUCCEEDED", output=["https://x.example/1.mp4"])
    assert len(script.requests) <= 4


async def test_a_wait_for_a_task_that_failed_has_succeeded_and_its_note_says_why() -> None:
    """An error is for a call that did not do what it says: clients would repeat it."""
    async with connected(RUNNING, reply(200, task("FAILED", failureCode="SAFETY.INPUT.TEXT"))) as (_, client):
        result = await wait(client)
    data, note = texts(result)
    assert not result.is_error
    assert json.loads(data) == task("FAILED", failureCode="SAFETY.INPUT.TEXT")
    assert note.startswith("The task FAILED. Moderation refused an input, by its code the text")
    async with connected(reply(200, task("CANCELLED"))) as (_, client):
        assert not (await wait(client)).is_error


async def test_when_the_time_is_up_the_task_is_returned_as_it_stands() -> None:
    async with connected(RUNNING) as (script, client):
        result = await wait(client, timeoutSeconds=5)
        assert not result.is_error
        assert json.loads(texts(result)[0]) == task("RUNNING", progress=0.45)
        assert texts(result)[1].startswith("Not finished after 5 s: RUNNING, 45 %. Runway keeps working;")
        assert "runway_waitForTask again" in texts(result)[1]
        asked = len(script.requests)
        await anyio.sleep(0.1)
        assert len(script.requests) == asked


async def test_an_error_that_outlasts_the_deadline_is_told_beside_the_last_state() -> None:
    async with connected(RUNNING, reply(503)) as (_, client):
        result = await wait(client, timeoutSeconds=5)
    assert not result.is_error
    assert "The latest read failed: Runway is unavailable (503, 3 attempts)" in texts(result)[1]


async def test_a_task_that_was_never_seen_is_an_error() -> None:
    async with connected(reply(503)) as (_, client):
        result = await wait(client, timeoutSeconds=5)
    assert result.is_error
    assert "Runway is unavailable (503, 3 attempts)" in texts(result)[0]


async def test_progress_of_several_tasks_tells_how_many_have_finished() -> None:
    told: list[str | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        assert progress <= (total or 0)
        told.append(message)

    async with connected(several(one="SUCCEEDED", other="RUNNING")) as (_, client):
        arguments = {"taskId": [ID, OTHER], "timeoutSeconds": 5}
        result = await client.call_tool("runway_waitForTask", arguments, progress_callback=on_progress)
    assert (told[-1] or "").startswith("1 of 2 finished, ")
    assert texts(result)[1].startswith("1 of 2 have not finished after 5 s.")


@pytest.mark.parametrize(
    ("status", "words"), [(401, "does not accept the API key"), (404, "no such task"), (400, "refuses the request")]
)
async def test_a_failure_that_cannot_pass_ends_the_wait_at_once(status: int, words: str) -> None:
    for steps in ([], [RUNNING]):
        async with connected(*steps, reply(status, {"error": "no"})) as (_, client):
            result = await wait(client)
        assert result.is_error
        assert words in texts(result)[0]


async def test_progress_is_told_at_every_poll_and_grows() -> None:
    """Percent of 100 with status and seconds; strictly growing, as the protocol demands."""
    told: list[tuple[float, float | None, str | None]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    steps = [reply(200, task("PENDING")), RUNNING, RUNNING, reply(200, task("RUNNING", progress=0.9)), DONE]
    async with connected(*steps) as (_, client):
        await client.call_tool("runway_waitForTask", {"taskId": ID}, progress_callback=on_progress)
    assert [round(done) for done, _, _ in told] == [0, 45, 45, 90]
    assert all(before < after for (before, _, _), (after, _, _) in pairwise(told))
    assert {total for _, total, _ in told} == {100}
    assert all(done == round(done, 3) for done, _, _ in told)
    assert [message for _, _, message in told] == [
        "PENDING, 0 s",
        "RUNNING, 45 %, 0 s",
        "RUNNING, 45 %, 0 s",
        "RUNNING, 90 %, 0 s",
    ]


def several(**statuses: str) -> Step:
    """Answer for several tasks, each with its own status."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        task_id = request.url.path.rpartition("/")[2]
        status = statuses["other" if task_id == OTHER else "one"]
        if status == "GONE":
            return httpx2.Response(404, json={"error": "gone"})
        return httpx2.Response(200, json={**task(status), "id": task_id})

    return answer


async def test_several_tasks_come_back_as_a_list_in_the_order_asked() -> None:
    """Text and structured content hold the same list; the note names what FAILED, with advice."""
    async with connected(several(one="SUCCEEDED", other="FAILED")) as (_, client):
        result = await wait(client, [OTHER, ID, OTHER])
        as_text = await wait(client, json.dumps([OTHER, ID, OTHER]))  # as some hosts send it
    found = json.loads(texts(result)[0])
    assert [entry["id"] for entry in found] == [OTHER, ID]
    note = texts(result)[1]
    assert result.structured_content == {"tasks": found, "note": note}
    assert note.startswith(f"{OTHER}: The task FAILED. ")
    assert not result.is_error
    assert as_text.content == result.content


async def test_several_tasks_are_named_by_a_list_of_their_own() -> None:
    async with connected(several(one="SUCCEEDED", other="RUNNING")) as (_, client):
        found = [
            await client.call_tool("runway_waitForTask", {"taskIds": given, "timeoutSeconds": 5})
            for given in ([ID], [ID, ID], json.dumps([ID]), f"{ID},{ID}", f" {ID} {ID} ", f"`{ID}`")
        ]
        both = await client.call_tool("runway_waitForTask", {"taskIds": [ID], "taskId": OTHER})
    for result in found:
        assert [entry["id"] for entry in json.loads(texts(result)[0])] == [ID]
    assert both.is_error


async def test_a_retry_after_beyond_its_time_ends_a_wait_at_once() -> None:
    """No poll may come before it, so that waiting on would tell nothing."""
    async with connected(RUNNING, reply(503, Retry_After="86400")) as (script, client):
        began = anyio.current_time()
        result = await wait(client)
        assert anyio.current_time() - began < 1
        asked = len(script.requests)
        again = await wait(client)
        assert len(script.requests) == asked
    assert "It asks to wait 86400 s" in texts(result)[1]
    assert again.is_error


async def test_with_any_the_first_that_is_final_ends_the_wait() -> None:
    async with connected(several(one="SUCCEEDED", other="RUNNING")) as (_, client):
        result = await wait(client, [OTHER, ID], until="any")
    assert [entry["status"] for entry in json.loads(texts(result)[0])] == ["RUNNING", "SUCCEEDED"]
    assert texts(result)[1].startswith("1 of 2 have not finished")
    assert f"leave the finished out: call again with {OTHER}." in texts(result)[1]


async def test_a_task_among_several_that_is_gone_has_its_reason_in_its_place() -> None:
    async with connected(several(one="SUCCEEDED", other="GONE")) as (_, client):
        found = json.loads(texts(await wait(client, [OTHER, ID]))[0])
    assert found[0]["id"] == OTHER
    assert "no such task" in found[0]["error"]
    assert found[1]["status"] == "SUCCEEDED"
    async with connected(several(one="GONE", other="GONE")) as (_, client):
        result = await wait(client, [OTHER, ID])
    assert result.is_error
    assert "no such task" in texts(result)[0]


async def test_a_task_among_several_that_vanishes_is_not_told_as_it_was() -> None:
    """What was seen of it before it went is no longer true."""
    seen: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        task_id = request.url.path.rpartition("/")[2]
        seen.append(task_id)
        if task_id == OTHER and seen.count(OTHER) > 1:
            return httpx2.Response(404, json={"error": "gone"})
        status = "SUCCEEDED" if task_id == ID and seen.count(ID) > 3 else "RUNNING"
        return httpx2.Response(200, json={**task(status), "id": task_id})

    async with connected(answer) as (_, client):
        found = json.loads(texts(await wait(client, [OTHER, ID]))[0])
    assert set(found[0]) == {"id", "error"}
    assert found[1]["status"] == "SUCCEEDED"


async def test_a_list_too_large_for_hosts_is_an_error_that_says_so() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        body = {**task("SUCCEEDED", output=["x" * 300_000]), "id": request.url.path.rpartition("/")[2]}
        return httpx2.Response(200, json=body)

    async with connected(answer) as (_, client):
        result = await wait(client, [ID, OTHER])
    assert result.is_error
    assert "Ask for fewer" in texts(result)[0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("x", "taskId must be a Runway task's id: a UUID"),
        ("{}", "taskId must be a Runway task's id: a UUID"),
        (5, "taskId: 5 is not allowed; it must be a text"),
        ({"id": ID}, "taskId: an object is not allowed; it must be a text"),
        ([ID, "../organization"], "taskIds[1] must be a Runway task's id"),
        *[(given, "Give either taskId") for given in (None, "", "null", [], [ID] * (MAX_TASKS + 1))],
    ],
    ids=lambda given: str(given)[:50],
)
async def test_wrong_ids_are_refused_before_anything_is_sent(given: object, words: str) -> None:
    async with connected(DONE) as (script, client):
        result = await wait(client, given)
    assert result.is_error
    assert words in texts(result)[0]
    assert "Nothing was sent to Runway" in texts(result)[0]
    assert script.requests == []


@pytest.mark.parametrize("seconds", [4.9, -1, 3601, "nan", "soon", "2 hours", "4s", [5, 6], {"a": 1}, True, 10**30])
async def test_a_wrong_timeout_is_refused_before_anything_is_sent(seconds: object) -> None:
    async with connected(DONE) as (script, client):
        result = await wait(client, timeoutSeconds=seconds)
    assert result.is_error
    assert "timeoutSeconds: " in texts(result)[0]
    assert "a number from 5 to 3600" in texts(result)[0]
    assert script.requests == []


async def test_cancelling_the_call_ends_the_wait_and_not_the_task() -> None:
    wire = FaultyWire()
    with anyio.fail_after(20):
        async with Client(build_server(CallerRegistry(lambda _: faulty_client(wire), poll_seconds=0.02))) as client:
            async with anyio.create_task_group() as calls:
                calls.start_soon(wait, client, SAMPLES["running_long"].id)
                await until(lambda: len(wire.methods) > 2, "three polls")
                calls.cancel_scope.cancel()
            await anyio.wait_all_tasks_blocked()
            asked = len(wire.methods)
            await anyio.sleep(0.1)
            assert len(wire.methods) == asked
            assert set(wire.methods) == {"GET"}


async def test_a_cancel_made_here_ends_a_wait_at_once() -> None:
    wire = FaultyWire()
    with anyio.fail_after(4):
        async with Client(build_server(CallerRegistry(lambda _: faulty_client(wire), poll_seconds=30))) as client:
            found: list[CallToolResult] = []

            async def waiting() -> None:
                found.append(await wait(client, SAMPLES["running_long"].id))

            async with anyio.create_task_group() as calls:
                calls.start_soon(waiting)
                await until(lambda: wire.methods, "a poll")
                await client.call_tool("runway_cancelTask", {"taskId": SAMPLES["running_long"].id})
    assert found[0].structured_content is not None
    assert found[0].structured_content["status"] == "CANCELLED"

"""What the viewer gets to show of a task beside the API's reply, which no model reads."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client import advertise
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from mcp_types import CallToolResult
from support.scripted import Script, scripted_client
from support.serving import served

from runway_mcp.history.task_records import SavedOutput
from runway_mcp.mcp_server.server import LOCAL, build_server
from runway_mcp.mcp_server.viewer.start_details import META
from runway_mcp.tasks.callers import CallerRegistry
from runway_mcp.web.app import build_app
from runway_mcp.web.origin_policy import OriginPolicy

APPS = (advertise(EXTENSION_ID, {"mimeTypes": [APP_MIME_TYPE]}),)
PROMPT = "A red kite rises over the sea, filmed from below"
WISH = {"type": "text_to_video", "input": {"promptText": PROMPT, "ratio": "1280:720", "duration": 5}}


def identified(number: int) -> str:
    return str(UUID(int=number, version=4))


class Runway:
    """Runway with tasks 1, 2, 3 … which all have succeeded."""

    def __init__(self) -> None:
        self.started = 0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            self.started += 1
            return httpx2.Response(200, json={"id": identified(self.started), "estimatedCost": {"credits": 60}})
        return httpx2.Response(200, json={"id": request.url.path.rpartition("/")[2], "status": "SUCCEEDED"})


def registry(history: Path | None = None) -> CallerRegistry:
    return CallerRegistry(lambda _: scripted_client(Script(Runway())), history=history)


@asynccontextmanager
async def connected(callers: CallerRegistry, extensions: Any = APPS) -> AsyncGenerator[Client]:
    with anyio.fail_after(20):
        async with Client(build_server(callers), extensions=extensions) as client:
            yield client


def details(result: CallToolResult) -> dict[str, Any]:
    return (result.meta or {}).get(META, {})


async def test_each_tool_that_shows_tasks_tells_how_they_were_started() -> None:
    async with connected(registry()) as client:
        started = await client.call_tool("runway_startTask", WISH)
        await client.call_tool("runway_startTask", WISH)
        read = await client.call_tool("runway_getTask", {"taskId": identified(1)})
        waited = await client.call_tool("runway_waitForTask", {"taskIds": [identified(1), identified(2)]})
        listed = await client.call_tool("runway_listTasks", {})
    found = details(read)[identified(1)]
    assert found["begun"] > 0
    assert (found["type"], found["model"], found["prompt"], found["seconds"]) == ("text_to_video", "gen4.5", PROMPT, 5)
    assert (found["credits"], found["isCharged"], found["files"]) == (60, False, [])
    assert {*details(started)} == {identified(1)}
    assert {*details(waited)} == {*details(listed)} == {identified(1), identified(2)}
    assert details(listed)[identified(2)]["prompt"] == PROMPT
    assert read.structured_content == {"id": identified(1), "status": "SUCCEEDED"}


async def test_a_note_about_the_arguments_keeps_them() -> None:
    async with connected(registry()) as client:
        await client.call_tool("runway_startTask", WISH)
        listed = await client.call_tool("runway_listTasks", {"wanted": 1})
    assert "wanted" in str(listed.structured_content)
    assert {*details(listed)} == {identified(1)}


async def test_saved_files_are_told_with_their_path_and_size() -> None:
    callers = registry()
    async with connected(callers) as client:
        await client.call_tool("runway_startTask", WISH)
        history = await (await callers.of(LOCAL)).ledger.history()
        await history.tasks.record_saved(1, [SavedOutput(1, "/films/kite.mp4", 5_000, "video/mp4", "ab" * 32)])
        read = await client.call_tool("runway_getTask", {"taskId": identified(1)})
    assert details(read)[identified(1)]["files"] == [
        {"index": 1, "path": "/films/kite.mp4", "size": 5_000, "contentType": "video/mp4"}
    ]


async def test_a_task_from_elsewhere_and_a_result_without_a_task_have_none() -> None:
    async with connected(registry()) as client:
        before = await client.call_tool("runway_getTask", {"taskId": identified(9)})
        await client.call_tool("runway_startTask", WISH)
        results = [
            await client.call_tool("runway_getTask", {"taskId": identified(9)}),
            await client.call_tool("runway_getTask", {"taskId": "9"}),
            await client.call_tool("runway_listTaskTypes", {}),
            await client.call_tool("runway_listTasks", {"status": "FAILED"}),
        ]
    assert [details(result) for result in (before, *results)] == [{}] * 5


async def test_a_host_without_apps_gets_none() -> None:
    async with connected(registry(), ()) as client:
        started = await client.call_tool("runway_startTask", WISH)
        listed = await client.call_tool("runway_listTasks", {})
    assert (details(started), details(listed)) == ({}, {})


async def test_a_request_over_http_that_cannot_tell_gets_them() -> None:
    app = build_app(build_server(registry()), origin_policy=OriginPolicy(), path="/mcp", caller=LOCAL)
    with anyio.fail_after(20):
        async with served(app) as url, Client(f"{url}/mcp", mode="legacy") as client:
            started = await client.call_tool("runway_startTask", WISH)
    assert {*details(started)} == {identified(1)}


async def test_a_history_that_cannot_be_read_leaves_the_result_whole(tmp_path: Path) -> None:
    (tmp_path / "history").write_bytes(b"no database" * 1000)
    async with connected(registry(tmp_path / "history")) as client:
        read = await client.call_tool("runway_getTask", {"taskId": identified(1)})
    assert (read.is_error, details(read)) == (False, {})
    assert read.structured_content == {"id": identified(1), "status": "SUCCEEDED"}


@pytest.mark.parametrize("tool", ["runway_getTask", "runway_waitForTask"])
async def test_a_model_reads_no_word_of_them(tool: str) -> None:
    async with connected(registry()) as client:
        await client.call_tool("runway_startTask", WISH)
        result = await client.call_tool(tool, {"taskId": identified(1)})
    assert details(result)
    assert not any(PROMPT in str(part) for part in (result.content, result.structured_content))

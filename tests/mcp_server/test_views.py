"""Every outcome of every tool through the three views that hosts give a model.

All blocks (Cursor, VS Code, LangChain); of a result with structured content that alone (Claude Code, Codex, OpenCode,
Copilot CLI); the first block alone (Claude Code of an error).
"""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from anyio.abc import TaskGroup
from mcp import Client
from mcp_types import CallToolResult, ImageContent
from support.faulty import FaultyWire, faulty_client
from support.scripted import ID, Script, Step, reply, scripted_client, task, texts
from support.virtual_time import VIRTUAL_TIME

from runway_mcp.files.downloads import CallerFiles
from runway_mcp.files.file_client import open_file_client
from runway_mcp.files.folders import Folders
from runway_mcp.history.records import NO_LIMITS, Limits
from runway_mcp.mcp_server.server import TOOLSETS, build_server
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import Caller, CallerRegistry

OTHER = "17f20503-6c24-4c16-946b-35dbbce2af2f"
BODY: dict[str, Any] = {"promptText": "A red kite", "ratio": "1280:720", "duration": 5}
START: dict[str, Any] = {"type": "text_to_video", "input": BODY}
DEARER = reply(200, {"id": ID, "estimatedCost": {"credits": 120}})
ESTIMATE = "runway_estimateCost"
AUDIO, VIDEO = "https://example.com/a.mp3", "https://example.com/a.mp4"
CREATED = reply(200, {"id": ID, "estimatedCost": {"credits": 60}})
PENDING, RUNNING = reply(200, task("PENDING")), reply(200, task("RUNNING", progress=0.5))
DONE = reply(200, task("SUCCEEDED", output=["https://x.example/a.mp4"]))
FAILED = reply(200, task("FAILED", failure="no", failureCode="SAFETY.INPUT.IMAGE"))
CANCELLED = reply(200, task("CANCELLED", cost={"credits": 5}))
LOST = httpx2.ReadError("lost")


@dataclass(frozen=True, slots=True)
class Outcome:
    """A call, what Runway answers, and the words that a model must hear of it.

    Attributes:
        words: The decisive ones of ours, in every view of an error, and in the note of a success.
        data: Those of the API's JSON, in every view of a success.
    """

    tool: str
    arguments: dict[str, Any]
    steps: tuple[Step, ...]
    words: tuple[str, ...]
    data: tuple[str, ...] = ()
    is_error: bool = False
    limits: Limits = field(default=NO_LIMITS)


def told(tool: str, arguments: dict[str, Any], steps: tuple[Step, ...], *words: str, data: tuple[str, ...]) -> Outcome:
    return Outcome(tool, arguments, steps, words, data)


def refused(tool: str, arguments: dict[str, Any], steps: tuple[Step, ...], *words: str, **more: Any) -> Outcome:
    return Outcome(tool, arguments, steps, words, is_error=True, **more)


GET, WAIT, CANCEL, DELETE = "runway_getTask", "runway_waitForTask", "runway_cancelTask", "runway_deleteTask"
LIST = "runway_listTasks"
RETRIEVE, REMOVE = "retrieve-task-status-and-output", "cancel-delete-task"
ONE: dict[str, Any] = {"taskId": ID}
OUTCOMES = {
    "get": told(GET, ONE, (DONE,), data=("SUCCEEDED", "https://x.example/a.mp4")),
    "get failed": told(GET, ONE, (FAILED,), "The task FAILED.", "an image and not the text", data=("SAFETY.INPUT",)),
    "get unknown argument": told(GET, ONE | {"foo": 1}, (DONE,), "Ignored foo", data=("SUCCEEDED",)),
    "get quoted id": told(GET, {"taskId": f"`{ID}`"}, (DONE,), f"Took the task id {ID}", data=("SUCCEEDED",)),
    "get gone": refused(GET, ONE, (reply(404, {"error": "x"}),), "no such task", "Nothing was changed"),
    "get denied": refused(GET, ONE, (reply(401, {"error": "x"}),), "does not accept the API key"),
    "get down": refused(GET, ONE, (reply(503),), "unavailable", "Reading it again later is free"),
    "get misspelt": refused(GET, {"task_id": ID}, (DONE,), "did you mean taskId?", "Nothing was sent"),
    "get too large": refused(GET, ONE, (reply(200, task("SUCCEEDED", x="y" * 500_000)),), "SUCCEEDED", "is not shown"),
    "list": told(LIST, {"since": "today"}, (DONE,), "Since 20", data=("matched", "credits")),
    "list by another word": told(LIST, {"status": "done"}, (DONE,), "Took status SUCCEEDED", data=("matched",)),
    "list of none such": refused(LIST, {"status": "x"}, (DONE,), "must be one of active", "Nothing was sent"),
    "list since never": refused(LIST, {"since": "x"}, (DONE,), '"today", "yesterday"', "Nothing was sent"),
    "retrieve failed": told(RETRIEVE, {"id": ID}, (FAILED,), "The task FAILED.", data=("SAFETY.INPUT.IMAGE",)),
    "wait failed": told(WAIT, ONE, (RUNNING, FAILED), "The task FAILED.", data=("SAFETY.INPUT.IMAGE",)),
    "wait over": told(
        WAIT,
        ONE | {"timeoutSeconds": "5s"},
        (RUNNING,),
        "Not finished",
        "call runway_waitForTask again",
        'Took timeoutSeconds 5 from "5s".',
        data=("RUNNING",),
    ),
    "wait unread": told(
        WAIT, ONE, (RUNNING, reply(503, Retry_After="900")), "latest read failed", "wait 900 s", data=("RUNNING",)
    ),
    "wait for several": told(WAIT, {"taskIds": [ID]}, (FAILED,), f"{ID}: The task FAILED.", data=("SAFETY.INPUT",)),
    "wait for none": refused(WAIT, {}, (DONE,), "Give either taskId"),
    "cancel": told(CANCEL, ONE, (RUNNING, reply(204), CANCELLED), "it cost 5 credits", data=("cancelled", "RUNNING")),
    "cancel finished": told(CANCEL, ONE, (DONE,), "Left alone", "runway_deleteTask", data=("nothing", "SUCCEEDED")),
    "cancel gone": told(CANCEL, ONE, (reply(404, {"error": "x"}),), "Nothing to do", data=("nothing",)),
    "cancel several": told(
        CANCEL, {"taskIds": [ID]}, (RUNNING, reply(204), CANCELLED), "it cost 5 credits", data=("cancelled",)
    ),
    "cancel unclear": refused(CANCEL, ONE, (RUNNING, LOST, reply(401)), "outcome is unknown", "runway_getTask"),
    "delete": told(DELETE, ONE, (DONE, reply(204)), "Deleted", "Nothing is refunded", data=("deleted", "SUCCEEDED")),
    "delete active": refused(DELETE, ONE, (RUNNING,), "Refused", '"RUNNING"', "Nothing was changed", CANCEL),
    "delete several active": refused(DELETE, {"taskIds": [ID]}, (RUNNING,), "Refused", "Nothing was changed", CANCEL),
    "remove": told(REMOVE, {"id": ID}, (DONE, reply(204)), "Deleted", data=("deleted", "SUCCEEDED")),
    "start": told("runway_startTask", START, (CREATED, PENDING), "Runway estimates 60 credits", data=(ID, "PENDING")),
    "start flat": told(
        "runway_startTask", {"type": "text_to_video", **BODY}, (CREATED, PENDING), "Took promptText", data=(ID,)
    ),
    "start unread": told(
        "runway_startTask", START, (CREATED, reply(401)), "was started, but could not be read", GET, data=(ID,)
    ),
    "start and wait": told(
        "runway_startTask", START | {"wait": True}, (CREATED, FAILED), "The task FAILED.", data=(ID,)
    ),
    "start refused": refused("runway_startTask", START, (reply(400, {"error": "no"}),), "nothing is charged"),
    "start lost": refused("runway_startTask", START, (LOST,), "may exist and be charged", "runway_getAccount"),
    "start wrong": refused("runway_startTask", START | {"input": {}}, (CREATED,), "promptText is missing"),
    "start unknown": refused("runway_startTask", START | {"dryRun": True}, (CREATED,), "dryRun is no argument"),
    "start over its limit": refused(
        "runway_startTask",
        START,
        (CREATED,),
        *("Nothing was sent", "By the price table of 2026-08-15 it costs 60 credits ($0.60)", "may spend 10 on a task"),
        limits=Limits(task=10),
    ),
    "start over maxCredits": refused(
        "runway_startTask", START | {"maxCredits": "59"}, (CREATED,), "Nothing was sent", "maxCredits allows 59"
    ),
    "start that turns out dearer": refused(
        "runway_startTask",
        START | {"maxCredits": 100},
        (DEARER, PENDING, reply(204), CANCELLED),
        *("Runway estimates 120 credits ($1.20); maxCredits allows 100", "cancelled at once", "charged 5 credits"),
    ),
    "estimate": told(
        ESTIMATE,
        START,
        (CREATED,),
        "By the price table of 2026-08-15 it costs 60 credits ($0.60).",
        data=("table", "asOf"),
    ),
    "estimate flat": told(
        ESTIMATE,
        {"type": "text_to_video", **BODY},
        (CREATED,),
        "Took promptText, ratio, duration into input.",
        data=("table", "asOf"),
    ),
    "estimate at least": told(
        ESTIMATE, {"type": "voice_isolation", "input": {"audioUri": AUDIO}}, (CREATED,), "at least 1", data=("atLeast",)
    ),
    "estimate of the unknown": told(
        ESTIMATE,
        {"type": "frame_interpolation", "input": {"videoUri": VIDEO}},
        (CREATED,),
        "The price is unknown",
        data=("unknown",),
    ),
    "estimate of a wrong input": refused(ESTIMATE, START | {"input": {}}, (CREATED,), "promptText is missing"),
    "start unasked": refused(
        "runway_startTask", START, (CREATED,), "Nothing was sent", "no way to ask", limits=Limits(confirm_over=1)
    ),
    "types": told("runway_listTaskTypes", {}, (DONE,), "Not possible here", data=("text_to_video",)),
    "types of one": told("runway_listTaskTypes", {"type": "text_to_video"}, (DONE,), "*", data=("promptText",)),
    "types of none": refused("runway_listTaskTypes", {"type": "x"}, (DONE,), "no such task type"),
    "account": told(
        "runway_getAccount", {}, (reply(200, {"creditBalance": 7, "tier": {}, "usage": {}}),), "today", data=("7",)
    ),
    "account down": refused("runway_getAccount", {}, (reply(503),), "unavailable", "was not changed"),
    "upload without a folder": refused("runway_uploadFile", {"path": "kite.png"}, (DONE,), "--files-root FOLDER"),
    "save what runs": refused("runway_downloadOutput", ONE, (RUNNING,), "--files-root FOLDER"),
}


def views(result: CallToolResult) -> dict[str, str]:
    """What a model is shown of a result, by the kind of host."""
    blocks = texts(result)
    data = result.structured_content
    structured = "\n".join(blocks) if data is None else json.dumps(data, ensure_ascii=False)
    return {"all blocks": "\n".join(blocks), "structured content": structured, "first block": blocks[0]}


def assert_heard(result: CallToolResult, outcome: Outcome) -> None:
    assert result.is_error == outcome.is_error, texts(result)
    for view, shown in views(result).items():
        first_of_success = view == "first block" and not result.is_error  # holds the API's JSON, with nothing added
        for word in outcome.data + (() if first_of_success else outcome.words):
            assert word in shown.replace('\\"', '"'), (view, shown)
    assert_said_twice(result)


def assert_said_twice(result: CallToolResult) -> None:
    """The blocks are the JSON and the note, in the order of the outcome; both stand in the structured content."""
    blocks, data = texts(result), result.structured_content
    if data is None:
        assert len(blocks) <= 2
        return
    note = data.get("note")
    (found,) = [block for block in blocks if block != note]
    parsed = json.loads(found)
    assert blocks == ([note, found] if result.is_error else [found, note] if note else [found])
    assert {name: value for name, value in data.items() if name != "note"} in (parsed, {"tasks": parsed})


@pytest.mark.parametrize(
    ("name", "anyio_backend"), [(name, VIRTUAL_TIME if name == "wait over" else "asyncio") for name in OUTCOMES]
)
async def test_the_decisive_words_reach_the_model_in_every_view(name: str) -> None:
    outcome = OUTCOMES[name]
    callers = CallerRegistry(
        lambda _: scripted_client(Script(*outcome.steps)), poll_seconds=0.02, limits=outcome.limits
    )
    with anyio.fail_after(20):
        async with Client(build_server(callers, toolsets=list(TOOLSETS.values()))) as client:
            assert_heard(await client.call_tool(outcome.tool, outcome.arguments), outcome)


def test_every_tool_has_its_outcomes() -> None:
    names = {tool.name for toolset in TOOLSETS.values() for tool in toolset.tools}
    assert {outcome.tool for outcome in OUTCOMES.values()} == names


async def test_a_repeated_start_is_heard_of() -> None:
    callers = CallerRegistry(lambda _: scripted_client(Script(CREATED, PENDING)), poll_seconds=0.02)
    wish = START | {"clientToken": "mine"}
    with anyio.fail_after(20):
        async with Client(build_server(callers)) as client:
            await client.call_tool("runway_startTask", wish)
            again = await client.call_tool("runway_startTask", wish)
            other = await client.call_tool("runway_startTask", wish | {"input": BODY | {"duration": 6}})
    assert_heard(again, told("", {}, (), "nothing new was bought", data=(ID,)))
    assert_heard(other, refused("", {}, (), "was used within 24 hours", "Nothing was sent"))


class Storage(FaultyWire):
    """Refuses one output's file for good."""

    def __init__(self, refused: str) -> None:
        super().__init__()
        self._refused = refused

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._refused and request.method == "GET" and self._refused in request.url.path:
            return httpx2.Response(404)
        return await super().handle_async_request(request)


@asynccontextmanager
async def with_files(folder: Path, refused: str) -> AsyncGenerator[Client]:
    api = Storage(refused)

    @asynccontextmanager
    async def files(tasks: TaskGroup) -> AsyncGenerator[Callable[[Caller], CallerFiles]]:
        async with open_file_client(own_origin="http://sandbox.localhost", own_transport=api) as client:
            yield lambda _: CallerFiles(lambda: Folders([folder]), client, tasks, takes_roots=False)

    with anyio.fail_after(20):
        async with Client(build_server(CallerRegistry(lambda _: faulty_client(api), files=files))) as client:
            yield client


@pytest.mark.parametrize(
    ("refuse", "inline", "outcome"),
    [
        ("", False, told("", {}, (), data=(".png", "sha256"))),
        ("", True, told("", {}, (), data=(".png", "sha256"))),
        (".png", False, refused("", {}, (), "no longer has the file")),
    ],
)
async def test_what_became_of_outputs_is_heard_of(refuse: str, inline: bool, outcome: Outcome, tmp_path: Path) -> None:
    """Inline images are dropped by hosts that get structured content, so that there is none beside them."""
    async with with_files(tmp_path, refuse) as client:
        arguments = {"taskId": SAMPLES["succeeded_images"].id, "inline": inline}
        result = await client.call_tool("runway_downloadOutput", arguments)
    assert result.is_error == outcome.is_error
    assert (result.structured_content is None) == inline
    assert any(isinstance(block, ImageContent) for block in result.content) == inline
    if result.is_error:
        assert all(word in view for word in outcome.words for view in views(result).values())
    assert_said_twice(result)
    assert all(word in view for word in outcome.data for view in views(result).values())


async def test_an_upload_is_heard_of(tmp_path: Path) -> None:
    (tmp_path / "kite.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(1000))
    async with with_files(tmp_path, "") as client:
        result = await client.call_tool("runway_uploadFile", {"path": "kite.png"})
    assert_heard(result, told("", {}, (), "Valid for 24 hours", data=("runway://",)))


async def test_a_task_that_is_listed_is_heard_of(tmp_path: Path) -> None:
    callers = CallerRegistry(
        lambda _: scripted_client(Script(CREATED, PENDING, reply(503))), poll_seconds=0, history=tmp_path / "history"
    )
    listed = told("", {}, (), "expected credits", "last known status", data=(ID, "A red kite", "PENDING", "~60"))
    with anyio.fail_after(20):
        async with Client(build_server(callers)) as client:
            await client.call_tool("runway_startTask", START)
            assert_heard(await client.call_tool("runway_listTasks", {}), listed)
            (tmp_path / "history").write_bytes(b"")
            unheard = await client.call_tool("runway_listTasks", {})
    assert_heard(unheard, refused("", {}, (), "history of started tasks", "Nothing was changed"))

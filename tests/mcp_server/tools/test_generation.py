"""What can be started, starting it, and the account that pays: as a model sees them."""

import json
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp_types import CallToolResult, Result
from support.faulty import FaultyWire, faulty_client
from support.process import KEY, Message, request, running
from support.scripted import ID, Script, Step, reply, scripted_client, task, texts
from support.upstream import Reply, Request, upstream
from support.upstream import reply as sent

from runway_mcp.history.records import NO_LIMITS, Limits
from runway_mcp.mcp_server.access import scope_of
from runway_mcp.mcp_server.server import build_server
from runway_mcp.mcp_server.tasks_extension.wire import EXTENSION_ID
from runway_mcp.mcp_server.tools import generation
from runway_mcp.mcp_server.tools.account import ACCOUNT
from runway_mcp.mcp_server.tools.generation import GENERATION
from runway_mcp.tasks.callers import READ, WRITE, CallerRegistry

GOOD: dict[str, Any] = {"type": "text_to_video", "input": {"promptText": "a cat", "ratio": "1280:720", "duration": 5}}
CREATED = reply(200, {"id": ID, "estimatedCost": {"credits": 60}})
DEARER = reply(200, {"id": ID, "estimatedCost": {"credits": 61}})
PENDING_AND_CANCELLED = reply(200, task("PENDING")), reply(204), reply(200, task("CANCELLED", cost={"credits": 0}))


class McpTaskCreated(Result):
    result_type: Literal["task"] = "task"
    task_id: str
    status: str
    status_message: str


@asynccontextmanager
async def connected(
    api: FaultyWire | Script, *, limits: Limits = NO_LIMITS, history: Path | None = None, read_only: bool = False
) -> AsyncGenerator[Client]:
    callers = CallerRegistry(
        lambda _: scripted_client(api) if isinstance(api, Script) else faulty_client(api),
        poll_seconds=0.05,
        limits=limits,
        history=history,
    )
    with anyio.fail_after(30):
        async with Client(build_server(callers, read_only=read_only)) as client:
            yield client


async def start(client: Client, **more: Any) -> CallToolResult:
    return await client.call_tool("runway_startTask", GOOD | more)


async def test_a_start_returns_the_task_as_runway_has_it() -> None:
    wire = FaultyWire()
    async with connected(wire) as client:
        result = await start(client)
        found = json.loads(texts(result)[0])
        assert not result.is_error
        assert (found["status"], found["estimatedCost"]["credits"]) == ("PENDING", 60)
        assert texts(result)[1] == "Runway estimates 60 credits ($0.60)."
        assert result.structured_content == found | {"note": texts(result)[1]}
    assert wire.methods == ["POST", "GET"]
    script = Script(reply(200, {"id": ID}), reply(200, task("PENDING")))
    async with connected(script) as client:
        result = await start(client)
        assert not result.is_error
        assert texts(result)[1] == "By the price table of 2026-08-15 it costs 60 credits ($0.60)."
    assert script.methods == ["POST", "GET"]


async def test_a_wrong_ratio_is_refused_with_what_was_meant_and_nothing_sent() -> None:
    wire = FaultyWire()
    async with connected(wire) as client:
        result = await start(client, input={"promptText": "a cat", "ratio": "1920:1080", "duration": 11})
    (text,) = texts(result)
    assert result.is_error
    assert "did you mean 1280:720?" in text
    assert "duration: 11 is too large; it must be a whole number from 2 to 10." in text
    assert "Nothing was sent" in text
    assert "runway_listTaskTypes" in text
    assert wire.methods == []


async def test_a_field_that_is_not_known_is_sent_only_when_that_is_wished() -> None:
    script = Script(CREATED, reply(200, task("PENDING")))
    newer = {**GOOD["input"], "sparkle": True}
    async with connected(script) as client:
        assert (await start(client, input=newer)).is_error
        assert script.methods == []
        assert not (await start(client, input=newer, allowUnknown=True)).is_error
    assert json.loads(script.requests[0].content)["sparkle"] is True


async def test_a_token_is_a_text_whatever_it_looks_like() -> None:
    """The SDK would read some of them as JSON. What hosts send for a token that was left out is none."""
    script = Script(lambda asked: CREATED(asked) if asked.method == "POST" else reply(200, task("PENDING"))(asked))
    async with connected(script) as client:
        for token in ("{}", "[1]", '"x"', "0"):
            first, second = await start(client, clientToken=token), await start(client, clientToken=token)
            assert (first.is_error, second.is_error, len(texts(second))) == (False, False, 2)
        assert script.methods.count("POST") == 4
        left_out: list[Any] = [None, "", " ", "null", "None", "undefined", 0, [], {}]
        for token in left_out:
            assert not (await start(client, clientToken=token)).is_error
    assert script.methods.count("POST") == 4 + 9


@pytest.mark.parametrize(
    ("steps", "limits", "words"),
    [
        ([reply(400, {"error": "too dull"})], NO_LIMITS, '"too dull"). Nothing was started, and nothing is charged.'),
        ([reply(503)], NO_LIMITS, "may exist and be charged. Starting it again may buy a second task."),
        ([httpx2.ReadError("broken")], NO_LIMITS, "may exist and be charged. Starting it again may buy a second task."),
        ([DEARER, *PENDING_AND_CANCELLED], Limits(task=60), "this server may spend 60 on a task"),
        ([DEARER, *PENDING_AND_CANCELLED], Limits(task=60), "was cancelled at once: nothing is charged."),
    ],
)
async def test_a_start_without_a_task_is_an_error_that_says_what_it_cost(
    steps: list[Step], limits: Limits, words: str
) -> None:
    script = Script(*steps)
    async with connected(script, limits=limits) as client:
        result = await start(client)
    assert result.is_error
    assert words in texts(result)[0]
    assert script.methods.count("POST") == 1


async def test_without_a_history_nothing_is_sent(tmp_path: Path) -> None:
    """A start that can't be written down could be bought twice."""
    wire = FaultyWire()
    (tmp_path / "file").write_text("")
    async with connected(wire, history=tmp_path / "file" / "history") as client:
        result = await start(client)
        account = texts(await client.call_tool("runway_getAccount", {}))
    assert result.is_error
    assert "can't be kept" in texts(result)[0]
    assert "Nothing was sent" in texts(result)[0]
    assert "today is unknown" in account[1]
    assert "POST" not in wire.methods


async def test_a_start_that_waits_returns_the_finished_task() -> None:
    wire = FaultyWire()

    def pass_time(_: int) -> None:
        wire.now += 60

    wire.between = pass_time
    async with connected(wire) as client:
        result = await start(client, wait=True)
    assert (result.structured_content or {})["status"] == "SUCCEEDED"


class Follower(ClientExtension):
    identifier = EXTENSION_ID

    def __init__(self) -> None:
        self.created: list[McpTaskCreated] = []

    def claims(self) -> list[ResultClaim[McpTaskCreated]]:
        return [ResultClaim(result_type="task", model=McpTaskCreated, resolve=self._note)]

    async def _note(self, created: McpTaskCreated, _: ClaimContext) -> CallToolResult:
        self.created.append(created)
        return CallToolResult(content=[], structured_content={"id": created.task_id, "status": "PENDING"})


async def test_a_start_that_waits_becomes_an_mcp_task_for_who_knows_them() -> None:
    """With an id made of the task's own, at once; the tool answers without wait, and where it has to say more."""
    script = Script(CREATED, *[reply(200, task("PENDING"))] * 3)
    callers = CallerRegistry(lambda _: scripted_client(script), poll_seconds=0.05)
    follower = Follower()
    with anyio.fail_after(20):
        async with Client(build_server(callers), extensions=[follower]) as client:
            await start(client, wait=True, clientToken="mine")
            again = await start(client, wait=True, clientToken="mine")
            shown = await start(client, clientToken="mine")
            refused = await start(client, wait=True, clientToken="mine", input={"promptText": "another"})
            noted = await start(client, wait=True, input=GOOD["input"] | {"duration": "5s"})
    (created,) = follower.created
    assert (created.task_id, created.status) == (f"start-{ID}", "working")
    assert created.status_message == "PENDING. Cancelling this cancels the Runway task."
    assert "nothing new was bought. Runway keeps working; call runway_waitForTask" in texts(again)[1]
    assert (shown.structured_content or {})["id"] == ID
    assert refused.is_error
    assert texts(noted)[1].startswith('Took duration 5 from "5s". By the price table of 2026-08-15')
    assert script.methods.count("POST") == 2


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED"])
async def test_a_start_whose_task_has_ended_is_answered_as_a_wait_would_be(status: str) -> None:
    callers = CallerRegistry(lambda _: scripted_client(Script(CREATED, reply(200, task(status)))), poll_seconds=0.05)
    follower = Follower()
    with anyio.fail_after(20):
        async with Client(build_server(callers), extensions=[follower]) as client:
            result = await start(client, wait=True)
    assert not result.is_error
    assert (result.structured_content or {})["status"] == status
    assert follower.created == []


@pytest.mark.parametrize("wait", [True, False])
async def test_a_task_that_nobody_can_look_at_in_time_is_told_by_its_id(wait: bool, monkeypatch: Any) -> None:
    """Runway took the start and then fell silent: what was bought must not be lost, nor the host's patience."""
    monkeypatch.setattr(generation, "WAIT_SECONDS", 0.3)

    class Silent(Script):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.method == "GET":
                await anyio.sleep_forever()
            return await super().handle_async_request(request)

    async with connected(Silent(CREATED)) as client:
        result = await start(client, wait=wait)
    assert not result.is_error
    assert json.loads(texts(result)[0])["id"] == ID
    assert "could not be read: Runway" in texts(result)[1]


async def test_a_repeated_start_of_a_task_that_is_gone_says_so() -> None:
    script = Script(CREATED, reply(200, task("PENDING")), reply(404, {"error": "no"}))
    callers = CallerRegistry(lambda _: scripted_client(script), poll_seconds=0.000_001)
    with anyio.fail_after(20):
        async with Client(build_server(callers)) as client:
            await start(client, clientToken="mine")
            result = await start(client, clientToken="mine")
    assert result.is_error
    assert "it was cancelled or deleted since" in texts(result)[0]
    assert "Nothing was sent" in texts(result)[0]
    assert script.methods.count("POST") == 1


async def test_what_could_not_be_written_down_is_said_beside_the_task(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite3"

    class Breaking(Script):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.method == "POST":
                with closing(sqlite3.connect(file)) as other:
                    other.execute("DROP TABLE starts")
            return await super().handle_async_request(request)

    async with connected(Breaking(CREATED, reply(200, task("PENDING"))), history=file) as client:
        result = await start(client)
    assert not result.is_error
    assert json.loads(texts(result)[0])["id"] == ID
    assert "The task was started all the same" in texts(result)[1]


@pytest.mark.parametrize("priced", [True, False])
async def test_a_task_that_can_not_be_looked_at_is_told_by_its_id(priced: bool) -> None:
    created = CREATED if priced else reply(200, {"id": ID})
    async with connected(Script(created, reply(401, {"error": "no"}))) as client:
        result = await start(client)
    assert not result.is_error
    assert json.loads(texts(result)[0])["id"] == ID
    assert "The task was started, but could not be read" in texts(result)[1]


async def test_the_account_is_shown_with_what_was_spent_here() -> None:
    wire = FaultyWire()
    async with connected(wire) as client:
        cost = json.loads(texts(await start(client))[0])["estimatedCost"]["credits"]
        account, spent = texts(await client.call_tool("runway_getAccount", {}))
    assert "creditBalance" in json.loads(account)
    assert f"come to {cost:g} credits" in spent


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (reply(503), "Reading it again later is free."),
        (reply(404, {"error": "x"}), "Runway does not know /v1/organization (404). The account was not changed."),
        (reply(401, {"error": "x"}), "The account was not changed."),
        (reply(200, {"creditBalance": 1, "usage": "x" * 500_000}), "more than MCP hosts accept"),
    ],
)
async def test_an_account_that_can_not_be_shown_is_a_short_error(step: Step, words: str) -> None:
    async with connected(Script(step)) as client:
        result = await client.call_tool("runway_getAccount", {})
    (text,) = texts(result)
    assert result.is_error
    assert words in text
    assert "task" not in text
    assert len(text) < 400


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (0, "maxCredits allows 0."),
        ("0", "maxCredits allows 0."),
        (59, "maxCredits allows 59."),
        ("59", "maxCredits allows 59."),
        (0.5, "maxCredits allows 0.5."),
        (-1, "maxCredits"),
        ("plenty", "maxCredits"),
        (True, "maxCredits"),
    ],
)
async def test_over_what_the_caller_allows_nothing_is_sent(given: object, words: str) -> None:
    wire = FaultyWire()
    async with connected(wire) as client:
        refused = await start(client, maxCredits=given)
        assert refused.is_error
        assert words in texts(refused)[0]
        assert "Nothing was sent" in texts(refused)[0]
        assert wire.methods == []
        assert not (await start(client, maxCredits=60)).is_error
    assert wire.methods == ["POST", "GET"]


@pytest.mark.parametrize("allowed", [{"maxCredits": 100}, {}])
async def test_a_price_table_that_is_wrong_by_half_is_caught_by_the_cancel(allowed: dict[str, Any]) -> None:
    """Nothing is charged, and the next start is refused before it is sent."""
    wire = FaultyWire(price_factor=2)
    async with connected(wire, limits=NO_LIMITS if allowed else Limits(task=100)) as client:
        cancelled = texts(await start(client, **allowed))[0]
        assert "Runway estimates 120 credits ($1.20); " in cancelled
        assert "was cancelled at once: nothing is charged." in cancelled
        refused = texts(await start(client, **allowed))[0]
        assert "Nothing was sent. The same input was estimated at 120 credits ($1.20) before; " in refused
    assert wire.methods.count("POST") == 1


async def test_who_may_only_read_can_not_spend() -> None:
    scopes = {tool.name: scope_of(tool) for tool in (*GENERATION.tools, *ACCOUNT.tools)}
    assert scopes == {
        "runway_listTaskTypes": READ,
        "runway_estimateCost": READ,
        "runway_startTask": WRITE,
        "runway_getAccount": READ,
    }
    async with connected(FaultyWire(), read_only=True) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
    assert "runway_startTask" not in names
    assert "runway_listTaskTypes" in names


async def test_all_tools_together_are_small() -> None:
    async with connected(FaultyWire()) as client:
        tools = (await client.list_tools()).tools
    text = json.dumps([tool.model_dump(by_alias=True, exclude_none=True, mode="json") for tool in tools])
    assert len(text) < 5_000 * 4


async def test_real_processes_share_what_was_started(tmp_path: Path) -> None:
    """Two servers at once, a third one later, and one wish: one POST leaves, and the others say so."""

    def answer(asked: Request) -> Reply:
        if asked.method == "POST":
            return sent(200, {"id": ID, "estimatedCost": {"credits": 60}}, after=0.5)
        return sent(200, task("PENDING"))

    async def ask() -> None:
        async with running("--state-dir", str(tmp_path / "state"), env=env, measured=True) as server:
            found.append(await server.ask(request(1, "tools/call", **wish)))
            await server.stop("eof")
            await server.ends_quietly(10)

    wish = {"name": "runway_startTask", "arguments": GOOD | {"clientToken": "mine"}}
    found: list[Message] = []
    async with upstream(answer) as api:
        env = {"RUNWAYML_BASE_URL": api.url, "RUNWAYML_API_SECRET": KEY}
        async with anyio.create_task_group() as servers:
            servers.start_soon(ask)
            servers.start_soon(ask)
        await ask()
        assert api.count("POST") == 1
    assert [result["structuredContent"]["id"] for result in found] == [ID] * 3
    assert ["nothing new was bought" in result["content"][1]["text"] for result in found].count(True) == 2
    assert "nothing new was bought" in found[2]["content"][1]["text"]
    assert KEY.encode() not in (tmp_path / "state" / "history.sqlite3").read_bytes()

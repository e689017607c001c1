"""The capability's two tools, and the choice of toolsets."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp.client.extension import advertise
from mcp_types import CallToolResult
from support.faulty import FaultyWire, faulty_client
from support.scripted import ID, Script, Step, reply, scripted_client, task, texts
from support.served import serving_http

from runway_mcp.cli.main import main
from runway_mcp.mcp_server.access import scope_of
from runway_mcp.mcp_server.server import build_server
from runway_mcp.mcp_server.tasks_extension.wire import EXTENSION_ID
from runway_mcp.mcp_server.tools.capability import CANCEL_DELETE, CAPABILITY, RETRIEVE
from runway_mcp.mcp_server.tools.tasks import TASKS
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import READ, WRITE, CallerRegistry

SNAPSHOT = Path(__file__).parent / "capability_tools.json"
RUNS = reply(200, task("RUNNING"))


@asynccontextmanager
async def connected(api: FaultyWire | Script | None = None, **options: Any) -> AsyncGenerator[Client]:
    wire = api or FaultyWire()
    callers = CallerRegistry(lambda _: scripted_client(wire) if isinstance(wire, Script) else faulty_client(wire))
    with anyio.fail_after(20):
        async with Client(build_server(callers, toolsets=[CAPABILITY], **options)) as client:
            yield client


async def call(client: Client, tool: str, task_id: str = ID) -> CallToolResult:
    return await client.call_tool(tool, {"id": task_id})


async def test_the_tools_are_those_of_the_snapshot() -> None:
    async with connected() as client:
        found = [tool.model_dump(by_alias=True, exclude_none=True) for tool in (await client.list_tools()).tools]
        instructions = client.instructions or ""
    assert found == json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    assert [tool["name"] for tool in found] == ["retrieve-task-status-and-output", "cancel-delete-task"]
    assert all(tool["name"] in instructions for tool in found)
    assert "runway_" not in instructions + json.dumps(found)


async def test_retrieve_returns_the_task_as_the_api_gives_it() -> None:
    async with connected() as client:
        result = await call(client, RETRIEVE.name, SAMPLES["succeeded_video"].id)
    assert not result.is_error
    assert json.loads(texts(result)[0]) == result.structured_content
    assert (result.structured_content or {})["status"] == "SUCCEEDED"


async def test_cancel_delete_cancels_what_runs_and_deletes_what_has_finished() -> None:
    async with connected() as client:
        calls = ("running_long", "cancelled"), ("succeeded_video", "deleted"), ("succeeded_video", "nothing")
        for name, done in calls:
            result = await call(client, CANCEL_DELETE.name, SAMPLES[name].id)
            assert (result.is_error, (result.structured_content or {})["done"]) == (False, done)


FAILURES: dict[str, tuple[str, tuple[Step, ...], str]] = {
    "read": (RETRIEVE.name, (reply(404),), "no such task"),
    "not changed": (CANCEL_DELETE.name, (reply(503, Retry_After="3600"),), "status-and-output shows its state"),
    "unclear": (CANCEL_DELETE.name, (RUNS, OSError("x")), "retrieve-task-status-and-output, which changes nothing"),
}


@pytest.mark.parametrize("what", FAILURES)
async def test_errors_name_the_tools_that_there_are(what: str) -> None:
    tool, steps, words = FAILURES[what]
    async with connected(Script(*steps)) as client:
        result = await call(client, tool)
    assert result.is_error
    assert words in texts(result)[0]
    assert "runway_" not in texts(result)[0]


async def test_a_task_that_finishes_meanwhile_is_left_alone() -> None:
    async with connected(Script(RUNS, reply(503), reply(200, task("SUCCEEDED")))) as client:
        result = await call(client, CANCEL_DELETE.name)
    assert not result.is_error
    assert texts(result)[1].endswith("To delete the task and its output, call cancel-delete-task.")


@pytest.mark.parametrize("tool", [RETRIEVE.name, CANCEL_DELETE.name])
@pytest.mark.parametrize("task_id", ["", "../organization", f"{ID}?a=b", f"{ID}\r\nX: y", "x" * 1_000_000])
async def test_a_hostile_id_is_refused_before_anything_is_sent(tool: str, task_id: str) -> None:
    wire = FaultyWire()
    async with connected(wire) as client:
        result = await call(client, tool, task_id)
    assert result.is_error
    assert texts(result)[0].startswith("id must be a Runway task's id: a UUID")
    assert wire.methods == []


async def test_read_only_leaves_only_what_reads() -> None:
    assert (scope_of(RETRIEVE), scope_of(CANCEL_DELETE)) == (READ, WRITE)
    async with connected(read_only=True) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == [RETRIEVE.name]
        assert "read-only" in (client.instructions or "")
        assert CANCEL_DELETE.name not in (client.instructions or "")


@pytest.mark.parametrize("toolset", [CAPABILITY, TASKS])
async def test_a_wait_that_is_not_offered_becomes_no_mcp_task(toolset: Any) -> None:
    """A client that knows MCP tasks gets the same refusal as any other; nothing is sent."""
    script = Script(RUNS)
    server = build_server(CallerRegistry(lambda _: scripted_client(script)), toolsets=[toolset])
    with anyio.fail_after(20):
        async with Client(server, extensions=[advertise(EXTENSION_ID)]) as client:
            with pytest.raises(MCPError, match='There is no tool named "runway_waitForTask" here'):
                await client.call_tool("runway_waitForTask", {"taskId": ID})
    assert script.calls == []


@pytest.mark.parametrize("names", ["tasks,sword", "sword", ",", " "])
def test_a_toolset_that_there_is_not_is_named_at_the_start(names: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--toolsets", names]) == 2
    assert capsys.readouterr().err == (
        "runway-mcp: --toolsets / RUNWAY_MCP_TOOLSETS: there are tasks, waiting, generation, account, files, "
        "capability; name one, or several between commas\n"
    )


async def test_a_process_offers_the_toolsets_that_are_named() -> None:
    """Each once and in that order, over HTTP, to a real client."""
    async with serving_http(None, "--toolsets", "capability, waiting,capability") as served:
        async with Client(served.url) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            result = await call(client, RETRIEVE.name, SAMPLES["cancelled"].id)
        await served.server.stop("SIGTERM")
        await served.server.ends_quietly(timeout=10)
    assert names == [RETRIEVE.name, CANCEL_DELETE.name, "runway_waitForTask"]
    assert (result.structured_content or {})["status"] == "CANCELLED"

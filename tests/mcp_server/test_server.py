"""The server as a client sees it, in memory: identity, tools, calls, errors."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client, MCPError
from mcp.server.mcpserver import Context
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, MISSING_REQUIRED_CLIENT_CAPABILITY, CallToolResult
from support.faulty import FaultyWire, faulty_client
from support.scripted import ID, Script, Step, reply, scripted_client, task, texts

import runway_mcp
from runway_mcp.mcp_server.server import InFlightLimit, build_server
from runway_mcp.mcp_server.tools.tasks import TaskOutput
from runway_mcp.mcp_server.tools.toolset import REMOVES, Tool, Toolset
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import CallerContext, CallerRegistry

SNAPSHOT = Path(__file__).parent / "tools.json"
READING = (
    "runway_getTask",
    "runway_listTasks",
    "runway_waitForTask",
    "runway_listTaskTypes",
    "runway_estimateCost",
    "runway_getAccount",
)
TOOLS = ("runway_getTask", "runway_cancelTask", "runway_deleteTask", "runway_waitForTask")


@asynccontextmanager
async def connected(wire: FaultyWire | None = None, **options: Any) -> AsyncGenerator[Client]:
    carried = wire or FaultyWire()
    with anyio.fail_after(20):
        async with Client(build_server(CallerRegistry(lambda _: faulty_client(carried)), **options)) as client:
            yield client


async def call(client: Client, tool: str, **arguments: Any) -> CallToolResult:
    return await client.call_tool(tool, arguments)


async def test_the_server_says_who_it_is() -> None:
    """Name, title, version and website; the first 512 characters of the instructions name every tool."""
    async with connected() as client:
        info = client.server_info
        assert info is not None
        assert (info.name, info.title) == ("runway-mcp", "Runway tasks")
        assert info.version == runway_mcp.__version__
        assert info.website_url
        assert client.instructions is not None
        assert len(client.instructions) <= 2048
        assert all(tool in client.instructions[:512] for tool in TOOLS)


async def test_the_sandbox_is_labelled() -> None:
    async with connected(sandbox=True) as client:
        assert client.server_info is not None
        assert client.server_info.name == "runway-mcp-sandbox"
        assert (client.instructions or "").startswith("SANDBOX")


async def test_the_tools_are_those_of_the_snapshot() -> None:
    """A change of any tool's schema, words or hints is seen in review: tools.json is what models get."""
    async with connected() as client:
        found = [tool.model_dump(by_alias=True, exclude_none=True) for tool in (await client.list_tools()).tools]
    assert found == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


async def test_every_tool_is_described_whole() -> None:
    async with connected() as client:
        tools = (await client.list_tools()).tools
    assert {tool.name for tool in tools} == {
        *READING,
        *TOOLS,
        "runway_startTask",
        "runway_uploadFile",
        "runway_downloadOutput",
    }
    for tool in tools:
        assert tool.title
        assert 80 < len(tool.description or "") < 1024
        assert tool.annotations is not None
        hints = tool.annotations.model_dump(exclude={"title"})
        assert all(isinstance(hint, bool) for hint in hints.values())
        assert len(hints) == 4
        assert all(parameter["description"] for parameter in tool.input_schema["properties"].values())
        assert (tool.output_schema is None) == (tool.name == "runway_downloadOutput")  # images come without structure
        fields: dict[str, Any] = tool.output_schema["properties"] if tool.output_schema else {}
        assert all(field["description"] for field in fields.values())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("runway_get_task", "Did you mean runway_getTask?"),
        ("runway_StartTask", "Did you mean runway_startTask?"),
        ("no_such_thing", "There are: runway_getTask, runway_cancelTask, "),
    ],
)
async def test_an_unknown_tool_is_answered_with_the_likely_one_or_all(name: str, words: str) -> None:
    async with connected() as client:
        with pytest.raises(MCPError) as caught:
            await call(client, name)
    assert words in str(caught.value)
    assert "Nothing was done." in str(caught.value)


async def test_read_only_mode_registers_only_what_reads() -> None:
    async with connected(read_only=True) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == list(READING)
        assert "read-only" in (client.instructions or "")
        with pytest.raises(MCPError, match='There is no tool named "runway_cancelTask" here') as caught:
            await call(client, "runway_cancelTask", taskId=ID)
        assert caught.value.code == INVALID_PARAMS


@pytest.mark.parametrize("name", list(SAMPLES))
async def test_get_returns_the_task_as_the_api_gives_it(name: str) -> None:
    wire = FaultyWire()
    async with connected(wire) as client:
        result = await call(client, "runway_getTask", taskId=SAMPLES[name].id)
    assert not result.is_error
    assert result.structured_content is not None
    note = {"note": texts(result)[1]} if name.startswith("failed") else {}
    assert json.loads(texts(result)[0]) | note == result.structured_content
    assert result.structured_content["id"] == SAMPLES[name].id
    assert len(texts(result)) == (2 if name.startswith("failed") else 1)


async def test_cancel_and_delete_do_what_they_say() -> None:
    async with connected() as client:
        cancelled = await call(client, "runway_cancelTask", taskId=SAMPLES["running"].id)
        left = await call(client, "runway_cancelTask", taskId=SAMPLES["succeeded_video"].id)
        refused = await call(client, "runway_deleteTask", taskId=SAMPLES["running_long"].id)
        deleted = await call(client, "runway_deleteTask", taskId=SAMPLES["succeeded_video"].id)
        gone = await call(client, "runway_deleteTask", taskId=SAMPLES["succeeded_video"].id)
        read = await call(client, "runway_getTask", taskId=SAMPLES["succeeded_video"].id)
    done = [result.structured_content["done"] for result in (cancelled, left, refused, deleted, gone)]
    assert done == ["cancelled", "nothing", "nothing", "deleted", "nothing"]
    assert [result.is_error for result in (cancelled, left, refused, deleted, gone, read)] == [False] * 2 + [True] + [
        False
    ] * 2 + [True]
    assert "runway_deleteTask" in texts(left)[1]
    assert "runway_cancelTask" in texts(refused)[0]


HOSTILE = [
    "",
    "../organization",
    "%2e%2e/x",
    f"{ID}?a=b",
    f"{ID}#",
    f"{ID}\x00",
    f"{ID}\r\nX: y",
    "\u0661" * 36,
    "x" * 1_000_000,
]


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("task_id", HOSTILE, ids=lambda text: ascii(text[:20]))
async def test_a_hostile_id_is_refused_before_anything_is_sent(tool: str, task_id: str) -> None:
    wire = FaultyWire()
    async with connected(wire) as client:
        result = await call(client, tool, taskId=task_id)
    assert result.is_error
    assert "taskId" in texts(result)[0]
    assert len(texts(result)[0]) < 1024
    assert wire.methods == []


@pytest.mark.parametrize(
    "arguments", [{}, {"taskId": None}, {"taskId": 5}, {"taskId": ["x" * 100_000]}, {"task_id": ID}, {"x" * 10_000: 1}]
)
async def test_wrong_arguments_are_named_and_repeated_in_short(arguments: dict[str, Any]) -> None:
    wire = FaultyWire()
    async with connected(wire) as client:
        result = await client.call_tool("runway_getTask", arguments)
    assert result.is_error
    assert "taskId" in texts(result)[0]
    assert len(texts(result)[0]) < 300
    assert wire.methods == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(max_size=20), st.text(max_size=50) | st.integers() | st.none(), max_size=4))
async def test_no_arguments_break_the_server(arguments: dict[str, Any]) -> None:
    async with connected() as client:
        result = await client.call_tool("runway_cancelTask", arguments)
        assert result.is_error
        assert len(texts(result)[0]) < 1024
        assert not (await call(client, "runway_getTask", taskId=SAMPLES["pending"].id)).is_error


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (reply(401, {"error": "bad"}), "does not accept the API key"),
        (reply(404, {"error": "gone"}), "no such task"),
        (reply(400, {"error": "bad", "issues": [{"code": "c", "path": ["id"], "message": "m"}]}), '"id": "m"'),
        (reply(429, Retry_After="3600"), "wait 3600 s"),
        (reply(503), "unavailable"),
        (reply(200, b"<html>"), "it is not JSON"),
        (reply(302, Location="/x"), "redirects are not followed"),
        (OSError("broken"), "connection broke"),
    ],
)
@pytest.mark.parametrize("tool", TOOLS[:3])
async def test_each_api_failure_is_a_clear_tool_error(tool: str, step: Step, words: str) -> None:
    """What happened, and that nothing was changed; a 404 is no error for the tools that remove."""
    with anyio.fail_after(20):
        async with Client(build_server(CallerRegistry(lambda _: scripted_client(Script(step))))) as client:
            result = await call(client, tool, taskId=ID)
    if words == "no such task" and tool in {"runway_cancelTask", "runway_deleteTask"}:
        assert not result.is_error
        return
    assert result.is_error
    assert words in texts(result)[0]
    assert "not changed" in texts(result)[0] or "Nothing was changed" in texts(result)[0]
    assert len(texts(result)[0]) < 1024


async def test_a_reply_with_surrogates_and_new_fields_is_passed_on() -> None:
    """Unknown statuses and fields, of any type, are a successful read; lone surrogates are made harmless."""
    body = json.dumps({**task("DREAMING", progress="45 %", output={"a": 1}, cost=None), "new": [1]})[:-1]
    script = Script(reply(200, f'{body}, "odd": "\\ud800"}}'.encode()))
    with anyio.fail_after(20):
        async with Client(build_server(CallerRegistry(lambda _: scripted_client(script)))) as client:
            result = await call(client, "runway_getTask", taskId=ID)
    assert not result.is_error
    assert result.structured_content is not None
    assert result.structured_content["odd"] == "\ufffd"
    assert result.structured_content["progress"] == "45 %"


async def test_an_unforeseen_error_tells_the_model_nothing_and_ends_nothing() -> None:
    def bug(_: object) -> Any:
        raise LookupError("secret detail")

    script = Script(bug, reply(200, task("RUNNING")))
    with anyio.fail_after(20):
        async with Client(build_server(CallerRegistry(lambda _: scripted_client(script)))) as client:
            broken = await call(client, "runway_cancelTask", taskId=ID)
            assert broken.is_error
            assert texts(broken)[0].startswith("runway_cancelTask failed through a fault of this server;")
            assert not (await call(client, "runway_getTask", taskId=ID)).is_error


async def test_requests_over_the_limit_are_refused_and_the_rest_go_on() -> None:
    gate = anyio.Event()

    class Stuck(FaultyWire):
        async def handle_async_request(self, request: Any) -> Any:
            await gate.wait()
            return await super().handle_async_request(request)

    server = build_server(CallerRegistry(lambda _: faulty_client(Stuck())))
    server.middleware[:] = [InFlightLimit(2) if isinstance(item, InFlightLimit) else item for item in server.middleware]
    with anyio.fail_after(20):
        async with Client(server) as client, anyio.create_task_group() as calls:
            for _ in range(2):
                calls.start_soon(lambda: call(client, "runway_getTask", taskId=SAMPLES["pending"].id))
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(MCPError, match="2 requests are in flight"):
                await call(client, "runway_getTask", taskId=SAMPLES["pending"].id)
            gate.set()
        async with Client(server) as client:
            assert not (await call(client, "runway_getTask", taskId=SAMPLES["pending"].id)).is_error


async def buy_and_fail(ctx: Context[CallerContext]) -> Annotated[CallToolResult, TaskOutput]:
    await ctx.request_context.lifespan_context.api.create_task("/v1/sound_effect", {})
    raise MCPError(INTERNAL_ERROR, "The host is gone.")


async def test_a_protocol_error_after_a_start_was_sent_does_not_claim_that_nothing_was_done() -> None:
    """Only before the tool itself ran is it certain that nothing was done or charged."""
    script = Script(reply(200, {"id": ID}))
    tool = Tool(name="buy", title="Buy", description="Buy.", annotations=REMOVES, run=buy_and_fail)
    server = build_server(
        CallerRegistry(lambda _: scripted_client(script)), toolsets=[Toolset(name="x", tools=(tool,), guide="")]
    )
    with anyio.fail_after(20):
        async with Client(server) as client:
            result = await call(client, "buy")
    assert script.methods == ["POST"]
    assert result.is_error
    assert "may have happened or not" in texts(result)[0]


async def test_a_capability_that_a_tool_wants_of_the_client_is_named_as_the_protocol_has_it() -> None:
    """Other errors that a host gives a tool are the tool's own; this one is about the request."""
    server = build_server(CallerRegistry(lambda _: faulty_client(FaultyWire())))

    @server.tool(name="asks")
    async def asks() -> str:  # pyright: ignore[reportUnusedFunction] - the server calls it
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "It wants sampling.")

    async with Client(server) as client:
        with pytest.raises(MCPError, match="It wants sampling") as caught:
            await client.call_tool("asks", {})
    assert caught.value.code == MISSING_REQUIRED_CLIENT_CAPABILITY

"""Runway tasks as MCP tasks: what each state becomes, and what is sent upstream for it."""

from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx2
import pytest
from mcp import MCPError
from mcp.server.context import HandlerResult
from mcp_types import INTERNAL_ERROR, CallToolRequestParams, CallToolResult, TextContent
from support.scripted import ID, Script, Step, context_of, reply, scripted_client, task

from runway_mcp.api.models import parse_task_id
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.arguments import Arguments
from runway_mcp.mcp_server.server import build_server
from runway_mcp.mcp_server.tasks_extension import RunwayMcpTasks, UnknownMcpTaskError, wire
from runway_mcp.tasks.callers import CallerContext, CallerRegistry
from runway_mcp.tasks.poller import MAX_FOLLOWED

START = f"start-{ID}"
WAIT = f"wait-{ID}"
NOW = datetime(2026, 11, 21, 10, 5, tzinfo=UTC)
RUNNING = reply(200, task("RUNNING", progress=0.45))
SUCCEEDED = reply(200, task("SUCCEEDED", output=["https://x.example/a.mp4"]))
FAILED = reply(200, task("FAILED", failureCode="SAFETY.INPUT.IMAGE"))
CANCELLED = reply(200, task("CANCELLED"))
GONE = reply(404, {"error": "no"})
DENIED = reply(401, {"error": "no"})


@asynccontextmanager
async def mcp_tasks(*steps: Step, **options: Any) -> AsyncGenerator[tuple[RunwayMcpTasks, Script, CallerContext]]:
    script = Script(*steps)
    with anyio.fail_after(10):
        async with scripted_client(script) as client, context_of(client) as context:
            arguments = Arguments(build_server(CallerRegistry(lambda _: scripted_client(script))).list_tools)
            yield RunwayMcpTasks(context, arguments.take, now=lambda: NOW, **options), script, context


def wait_call(**arguments: Any) -> CallToolRequestParams:
    return CallToolRequestParams(name="runway_waitForTask", arguments=arguments)


ANSWER = CallToolResult(content=[TextContent(text="the tool's")])


async def answered() -> HandlerResult:
    return ANSWER


async def states(tasks: RunwayMcpTasks) -> list[str]:
    async with aclosing(tasks.watch(START)) as watch:
        return [f"{state.status}: {state.status_message}" async for state in watch]


async def test_an_active_task_is_working() -> None:
    async with mcp_tasks(RUNNING) as (tasks, _, _):
        assert wire.get_result(await tasks.get(f"start-{ID.upper()}")) == {
            "resultType": "complete",
            "taskId": START,
            "status": "working",
            "statusMessage": "RUNNING, 45 %. Cancelling this cancels the Runway task.",
            "createdAt": "2026-11-21T10:00:00Z",
            "lastUpdatedAt": "2026-11-21T10:05:00Z",
            "ttlMs": None,
            "pollIntervalMs": 5_000,
        }


@pytest.mark.parametrize("mcp_task", [START, WAIT])
@pytest.mark.parametrize("step", [SUCCEEDED, FAILED])
async def test_a_finished_task_is_completed_with_what_the_tool_would_return(step: Step, mcp_task: str) -> None:
    async with mcp_tasks(step) as (tasks, _, context):
        found = await tasks.get(mcp_task)
        returned = results.task_result(await context.tasks.get(ID))
    assert found.status == "completed"
    assert found.result == returned.model_dump(mode="json", by_alias=True, exclude_none=True)


@pytest.mark.parametrize("created", [None, 5, "yesterday", "2026-11-21T10:00:00"])
async def test_an_age_that_is_not_told_is_counted_from_now(created: object) -> None:
    """A time without a zone tells none either."""
    fields = {"createdAt": created}
    async with mcp_tasks(reply(200, task("RUNNING") | fields)) as (tasks, _, _):
        assert (await tasks.get(START)).created_at == NOW


MALFORMED = {
    "bare": ID,
    "other": f"stop-{ID}",
    "path": "start-../organization",
    "empty": "",
    "line": START + "\n",
    "megabyte": "x" * 1_000_000,
}
METHODS: dict[str, Callable[[RunwayMcpTasks, str], Any]] = {
    "get": lambda tasks, task_id: tasks.get(task_id),
    "update": lambda tasks, task_id: tasks.update(task_id, {}),
    "cancel": lambda tasks, task_id: tasks.cancel(task_id),
    "watch": lambda tasks, task_id: anext(tasks.watch(task_id)),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task_id", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_id_is_unknown_and_nothing_is_sent(method: str, task_id: str) -> None:
    async with mcp_tasks(RUNNING) as (tasks, script, _):
        with pytest.raises(UnknownMcpTaskError) as raised:
            await METHODS[method](tasks, task_id)
        assert script.calls == []
    assert len(str(raised.value)) < 1_000


@pytest.mark.parametrize("method", METHODS)
async def test_a_task_that_is_gone_is_unknown_and_a_failure_of_the_api_an_internal_error(method: str) -> None:
    async with mcp_tasks(GONE) as (tasks, _, _):
        with pytest.raises(UnknownMcpTaskError):
            await METHODS[method](tasks, START)
    async with mcp_tasks(DENIED) as (tasks, _, _):
        with pytest.raises(MCPError, match="does not accept the API key") as raised:
            await METHODS[method](tasks, START)
    assert raised.value.code == INTERNAL_ERROR


@pytest.mark.parametrize(("step", "deletes"), [(RUNNING, 1), (SUCCEEDED, 0), (FAILED, 0), (CANCELLED, 0)])
async def test_cancelling_stops_an_active_task_and_leaves_a_finished_one_alone(step: Step, deletes: int) -> None:
    async with mcp_tasks(step, reply(204)) as (tasks, script, _):
        await tasks.cancel(START)
        assert script.methods.count("DELETE") == deletes


async def test_a_read_only_server_cancels_nothing() -> None:
    async with mcp_tasks(RUNNING, read_only=True) as (tasks, script, _):
        await tasks.cancel(START)
        assert script.methods == ["GET"]
    async with mcp_tasks(GONE, read_only=True) as (tasks, _, _):
        with pytest.raises(UnknownMcpTaskError):
            await tasks.cancel(START)


async def test_a_cancel_whose_outcome_is_unclear_says_so() -> None:
    lost = httpx2.ReadError("lost")
    async with mcp_tasks(RUNNING, lost, DENIED) as (tasks, _, _):
        with pytest.raises(MCPError, match="its outcome is unknown") as raised:
            await tasks.cancel(START)
    assert raised.value.code == INTERNAL_ERROR


async def test_an_update_is_acknowledged_and_ignored() -> None:
    async with mcp_tasks(RUNNING) as (tasks, script, _):
        await tasks.update(START, {"any": "thing"})
        assert set(script.methods) == {"GET"}


@pytest.mark.parametrize(
    "call",
    [
        wait_call(taskId=ID, timeoutSeconds=60),
        wait_call(taskId=ID, until="all"),
        wait_call(taskId=ID, until="any", taskIds=None),
        wait_call(taskIds=[ID]),
        wait_call(taskId=[ID]),
    ],
)
async def test_waiting_for_an_active_task_becomes_an_mcp_task(call: CallToolRequestParams) -> None:
    async with mcp_tasks(RUNNING) as (tasks, _, _):
        created = await tasks.call(call, answered)
        assert created == await tasks.get(WAIT)
    assert isinstance(created, wire.McpTask)
    assert created.status_message == "RUNNING, 45 %. Cancelling this ends the wait only; the Runway task goes on."


async def test_a_call_with_something_to_tell_is_answered_by_its_tool() -> None:
    """An MCP task keeps nothing, so that a note would be lost before its result."""
    async with mcp_tasks(RUNNING) as (tasks, _, _):
        assert await tasks.call(wait_call(taskId=f"task {ID}", foo=1), answered) is ANSWER


async def test_cancelling_a_wait_leaves_the_runway_task_alone() -> None:
    """The person who stops a wait must not lose the credits of the task."""
    async with mcp_tasks(RUNNING, reply(204)) as (tasks, script, _):
        await tasks.cancel(WAIT)
        assert script.methods == ["GET"]
        assert (await tasks.get(WAIT)).status == "working"
    async with mcp_tasks(GONE) as (tasks, _, _):
        with pytest.raises(UnknownMcpTaskError):
            await tasks.cancel(WAIT)


@pytest.mark.parametrize(
    ("step", "params"),
    [
        (SUCCEEDED, wait_call(taskId=ID)),
        (GONE, wait_call(taskId=ID)),
        (DENIED, wait_call(taskId=ID)),
        (RUNNING, wait_call(taskId="../organization")),
        (RUNNING, wait_call(taskIds=[ID, ID.replace("08388106", "08388107")])),
        (RUNNING, wait_call(taskId=ID, timeout=6)),
        (RUNNING, wait_call(taskId=ID, save=True)),
        (RUNNING, CallToolRequestParams(name="runway_startTask", arguments={"wait": True, "save": True})),
        (RUNNING, wait_call()),
        (RUNNING, CallToolRequestParams(name="runway_waitForTask")),
        (RUNNING, CallToolRequestParams(name="runway_getTask", arguments={"taskId": ID})),
    ],
)
async def test_any_other_call_is_left_to_its_tool(step: Step, params: CallToolRequestParams) -> None:
    async with mcp_tasks(step) as (tasks, _, _):
        assert await tasks.call(params, answered) is ANSWER


async def test_a_watch_yields_each_change_until_the_end() -> None:
    later = reply(200, task("RUNNING", progress=0.9))
    async with mcp_tasks(RUNNING, RUNNING, reply(500), later, SUCCEEDED) as (tasks, _, _):
        assert await states(tasks) == [
            "working: RUNNING, 45 %. Cancelling this cancels the Runway task.",
            "working: RUNNING, 90 %. Cancelling this cancels the Runway task.",
            "completed: SUCCEEDED",
        ]


async def test_a_watch_of_a_finished_task_ends_at_once() -> None:
    async with mcp_tasks(CANCELLED) as (tasks, script, _):
        assert await states(tasks) == ["cancelled: CANCELLED"]
        assert script.methods == ["GET"]


@pytest.mark.parametrize(("step", "kind"), [(GONE, UnknownMcpTaskError), (DENIED, MCPError)])
async def test_a_watch_ends_with_what_can_not_pass(step: Step, kind: type[Exception]) -> None:
    async with mcp_tasks(RUNNING, step) as (tasks, _, _):
        with pytest.raises(kind):
            await states(tasks)


async def test_a_caller_who_follows_too_many_tasks_is_told_so() -> None:
    async with mcp_tasks(RUNNING) as (tasks, _, context):
        with ExitStack() as followed:
            for number in range(MAX_FOLLOWED):
                followed.enter_context(context.poller.states(parse_task_id(f"00000000-0000-4000-8000-{number:012}")))
            with pytest.raises(MCPError, match="You follow 1000 tasks"):
                await states(tasks)

"""The extension over HTTP, spoken by hand: the header that names an MCP task, and `notifications/tasks`."""

from base64 import b64encode
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from conformance.mcp_memory import MemoryMcpTasks
from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.server.subscriptions import ServerEvent
from mcp_task_server import memory, over_http, server_of
from mcp_types import HEADER_MISMATCH, INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND
from mcp_types import MISSING_REQUIRED_CLIENT_CAPABILITY as MISSING
from support.waiting import until

from runway_mcp.mcp_server.tasks_extension.subscriptions import MAX_MCP_TASKS
from runway_mcp.mcp_server.tasks_extension.wire import EXTENSION_ID, McpTask

METHODS: dict[str, dict[str, Any]] = {"tasks/get": {}, "tasks/update": {"inputResponses": {}}, "tasks/cancel": {}}
SUBSCRIPTION = {"io.modelcontextprotocol/subscriptionId": 7}


@pytest.mark.parametrize("method", METHODS)
async def test_the_header_must_name_the_mcp_task(method: str) -> None:
    """Missing, wrong or garbled it is refused; right or in its encoded form it is served."""
    jobs = memory()
    async with over_http(server_of(jobs)) as http:
        task_id = await http.begin()
        for wrong in (None, "", "another", task_id + "x", "=?base64?###?="):
            refused = await http.ask(method, named=wrong, taskId=task_id, **METHODS[method])
            assert (refused["status"], refused["error"]["code"]) == (400, HEADER_MISMATCH)
        for right in (task_id, f"=?base64?{b64encode(task_id.encode()).decode()}?="):
            served = await http.ask(method, named=right, taskId=task_id, **METHODS[method])
            assert served["result"]["resultType"] == "complete"


async def test_errors_have_the_status_that_the_transport_gives_them() -> None:
    async with over_http(server_of(memory())) as http:
        unknown = await http.ask("tasks/get", named="x", taskId="x")
        assert (unknown["status"], unknown["error"]["code"]) == (400, INVALID_PARAMS)
        undeclared = await http.ask("tasks/get", named="x", declare=False, taskId="x")
        assert (undeclared["status"], undeclared["error"]["code"]) == (400, MISSING)


async def test_a_stream_tells_the_state_and_each_change_of_it() -> None:
    jobs = memory()
    async with over_http(server_of(jobs)) as http:
        one, other = await http.begin(), await http.begin("break")
        async with http.listen(taskIds=[one, "unknown", other, one], toolsListChanged=True) as stream:
            first = await stream.next()
            assert first["method"] == "notifications/subscriptions/acknowledged"
            assert first["params"] == {
                "_meta": SUBSCRIPTION,
                "notifications": {"toolsListChanged": True, "taskIds": [one, other]},
            }
            states = [await stream.next(), await stream.next()]
            assert {state["params"]["taskId"]: state["params"]["status"] for state in states} == {
                one: "working",
                other: "working",
            }
            jobs.finish(one)
            done = await stream.next()
            found = (await http.ask("tasks/get", named=one, taskId=one))["result"]
            assert done["method"] == "notifications/tasks"
            assert done["params"] | {"resultType": "complete", "_meta": found["_meta"]} == found
            assert done["params"]["_meta"] == SUBSCRIPTION
            jobs.finish(other)
            broken = (await stream.next())["params"]
            assert (broken["status"], broken["error"]["message"]) == ("failed", "broken")
            await http.call("change")
            assert (await stream.next())["method"] == "notifications/tools/list_changed"


async def test_nothing_is_agreed_on_where_nothing_is_known() -> None:
    async with over_http(server_of(memory())) as http, http.listen(taskIds=["unknown"]) as stream:
        assert (await stream.next())["params"]["notifications"] == {}


async def test_a_closed_stream_leaves_nothing_behind() -> None:
    jobs = memory()
    async with over_http(server_of(jobs)) as http:
        task_id = await http.begin()
        async with http.listen(taskIds=[task_id]) as stream:
            await stream.next()
            assert jobs.watching == 1
        await until(lambda: jobs.watching == 0, "the watch to end", 5)


class Broken(MemoryMcpTasks):
    async def watch(self, task_id: str) -> AsyncGenerator[McpTask]:
        raise MCPError(INTERNAL_ERROR, "broken")
        yield await self.get(task_id)


class Flood:
    """A bus that tells more at once than the SDK's streams hold, upon which they end in good order."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[ServerEvent], None]] = []

    async def publish(self, event: ServerEvent) -> None:
        for _ in range(2_000):
            for listener in self._listeners:
                listener(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return self._listeners.clear


@pytest.mark.parametrize("finished", [True, False])
async def test_a_stream_that_the_server_ends_ends_in_good_order(*, finished: bool) -> None:
    jobs = memory()
    async with over_http(server_of(jobs, Flood())) as http:
        task_id = await http.begin()
        if finished:
            jobs.finish(task_id)
        async with http.listen(taskIds=[task_id], toolsListChanged=True) as stream:
            for _ in range(2):
                await stream.next()
            await http.call("change")
            messages = [await stream.next()]
            while "result" not in messages[-1]:
                messages.append(await stream.next())
        assert messages[-1]["result"]["resultType"] == "complete"
        assert jobs.watching == 0


async def test_what_stands_behind_sees_the_whole_session() -> None:
    seen: list[object] = []

    async def look(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        capabilities = ctx.session.client_capabilities
        seen.append(capabilities and capabilities.extensions)
        return await call_next(ctx)

    jobs = memory()
    async with over_http(server_of(jobs, None, look)) as http:
        task_id = await http.begin()
        async with http.listen(taskIds=[task_id]) as stream:
            await stream.next()
    assert seen[-1] == {EXTENSION_ID: {}}


async def test_a_lost_mcp_task_ends_the_stream_with_an_error() -> None:
    """Whoever listens would wait in vain."""
    jobs = memory()
    async with over_http(server_of(jobs)) as http:
        lost, other = await http.begin(), await http.begin()
        async with http.listen(taskIds=[lost, other]) as stream:
            for _ in range(3):
                await stream.next()
            jobs.forget(lost)
            assert (await stream.next())["error"]["code"] == INVALID_PARAMS
        await until(lambda: jobs.watching == 0, "the watch to end", 5)


async def test_a_state_that_can_not_be_had_is_an_error_and_not_an_unknown_id() -> None:
    """The client may ask again, where it would give an unknown id up."""
    async with over_http(server_of(Broken({}))) as http:
        refused = await http.ask("subscriptions/listen", notifications={"taskIds": ["x", "y"]})
    assert (refused["status"], refused["error"]) == (200, {"code": INTERNAL_ERROR, "message": "broken"})


@pytest.mark.parametrize("task_ids", ["one", [7], {"one": 1}, [None], [*map(str, range(MAX_MCP_TASKS + 1))]])
async def test_a_filter_that_makes_no_sense_is_an_invalid_parameter(task_ids: object) -> None:
    async with over_http(server_of(memory())) as http:
        refused = await http.ask("subscriptions/listen", notifications={"taskIds": task_ids})
    assert (refused["status"], refused["error"]["code"]) == (400, INVALID_PARAMS)


async def test_a_filter_needs_the_declaration() -> None:
    """A client that did not declare the extension could not read what it would get."""
    async with over_http(server_of(memory())) as http:
        refused = await http.ask("subscriptions/listen", declare=False, notifications={"taskIds": ["x"]})
    assert (refused["status"], refused["error"]["code"]) == (400, MISSING)


@pytest.mark.parametrize("task_ids", [None, []])
async def test_an_empty_filter_needs_no_declaration(task_ids: object) -> None:
    async with over_http(server_of(memory())) as http, http.listen(taskIds=task_ids, toolsListChanged=True) as stream:
        assert (await stream.next())["params"]["notifications"] == {"toolsListChanged": True}


@pytest.mark.parametrize("known", [True, False])
async def test_what_the_sdk_says_of_a_stream_is_passed_on(*, known: bool) -> None:
    jobs = memory()
    async with over_http(server_of(jobs, False)) as http:
        task_id = await http.begin() if known else "unknown"
        refused = await http.ask("subscriptions/listen", notifications={"taskIds": [task_id]})
    assert (refused["status"], refused["error"]["code"], jobs.watching) == (404, METHOD_NOT_FOUND, 0)

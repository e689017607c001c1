"""The extension as the SDK's own client sees it, over jobs in memory."""

from typing import Any

import pytest
from conformance.mcp_memory import POLL_MS, TTL_MS
from mcp import MCPError
from mcp.client.client import ConnectMode
from mcp_task_server import calling, memory
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND, MISSING_REQUIRED_CLIENT_CAPABILITY

from runway_mcp.mcp_server.tasks_extension.wire import EXTENSION_ID

MODES: tuple[ConnectMode, ...] = ("auto", "legacy")
METHODS: dict[str, dict[str, Any]] = {"tasks/get": {}, "tasks/update": {"inputResponses": {}}, "tasks/cancel": {}}


async def test_the_extension_is_advertised() -> None:
    async with calling(memory()) as caller:
        capabilities = caller.client.server_capabilities
    assert capabilities is not None
    assert capabilities.extensions == {EXTENSION_ID: {}}
    assert capabilities.tasks is None


async def test_a_call_becomes_an_mcp_task_that_can_be_asked_for_at_once() -> None:
    async with calling(memory()) as caller:
        created = await caller.ask("tools/call", name="succeed", arguments={})
        assert created["resultType"] == "task"
        assert (created["status"], created["ttlMs"], created["pollIntervalMs"]) == ("working", TTL_MS, POLL_MS)
        found = await caller.ask("tasks/get", taskId=created["taskId"])
    assert found == created | {"resultType": "complete"}


async def test_a_call_that_becomes_none_is_answered_by_its_tool() -> None:
    async with calling(memory()) as caller:
        result = await caller.ask("tools/call", name="other", arguments={})
    assert (result["resultType"], result["content"][0]["text"]) == ("complete", "at once")


@pytest.mark.parametrize("mode", MODES)
async def test_who_does_not_declare_the_extension_never_gets_an_mcp_task(mode: ConnectMode) -> None:
    async with calling(memory(), declare=False, mode=mode) as caller:
        result = await caller.client.call_tool("succeed")
    assert result.content[0].model_dump()["text"] == "at once"


async def test_an_older_revision_never_gets_an_mcp_task() -> None:
    """Not even where the client names the extension in its handshake."""
    async with calling(memory(), mode="legacy") as caller:
        result = await caller.client.call_tool("succeed")
    assert result.content[0].model_dump()["text"] == "at once"


async def test_what_a_tool_returns_is_inlined_once_it_is_done() -> None:
    jobs = memory()
    async with calling(jobs) as caller:
        found: dict[str, dict[str, Any]] = {}
        for tool in ("succeed", "fail", "break"):
            task_id = await caller.begin(tool)
            jobs.finish(task_id)
            found[tool] = await caller.ask("tasks/get", taskId=task_id)
    assert found["succeed"]["status"] == "completed"
    assert found["succeed"]["result"]["content"] == [{"type": "text", "text": "done"}]
    assert (found["fail"]["status"], found["fail"]["result"]["isError"]) == ("completed", True)
    assert (found["break"]["status"], found["break"]["error"]) == ("failed", {"code": -32603, "message": "broken"})
    assert "result" not in found["break"]


async def test_questions_are_answered_with_an_update() -> None:
    async with calling(memory()) as caller:
        task_id = await caller.begin("ask")
        asked = await caller.ask("tasks/get", taskId=task_id)
        assert asked["status"] == "input_required"
        assert asked["inputRequests"]["name"]["method"] == "elicitation/create"
        answer = {"name": {"action": "accept"}, "unknown": 1}
        assert await caller.ask("tasks/update", taskId=task_id, inputResponses=answer) == {"resultType": "complete"}
        assert (await caller.ask("tasks/get", taskId=task_id))["status"] == "completed"


async def test_cancelling_is_acknowledged_again_and_again() -> None:
    async with calling(memory()) as caller:
        task_id = await caller.begin()
        for _ in range(2):
            assert await caller.ask("tasks/cancel", taskId=task_id) == {"resultType": "complete"}
            assert (await caller.ask("tasks/get", taskId=task_id))["status"] == "cancelled"


@pytest.mark.parametrize("method", METHODS)
async def test_who_does_not_declare_the_extension_is_told_what_is_missing(method: str) -> None:
    """Even of an MCP task that exists: it is the request's own declaration that counts."""
    jobs = memory()
    async with calling(jobs) as declaring:
        task_id = await declaring.begin()
    async with calling(jobs, declare=False) as caller:
        with pytest.raises(MCPError) as raised:
            await caller.ask(method, taskId=task_id, **METHODS[method])
    assert raised.value.code == MISSING_REQUIRED_CLIENT_CAPABILITY
    assert raised.value.data == {"requiredCapabilities": {"extensions": {EXTENSION_ID: {}}}}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task_id", ["unknown", "../x", "", 7, None])
async def test_an_unknown_or_malformed_id_is_an_invalid_parameter(method: str, task_id: object) -> None:
    async with calling(memory()) as caller:
        with pytest.raises(MCPError) as raised:
            await caller.ask(method, taskId=task_id, **METHODS[method])
    assert raised.value.code == INVALID_PARAMS
    assert "../x" not in raised.value.message


@pytest.mark.parametrize("method", METHODS)
async def test_older_revisions_do_not_have_the_methods(method: str) -> None:
    """Another draft gave some of the names another meaning there."""
    async with calling(memory(), mode="legacy") as caller:
        with pytest.raises(MCPError) as raised:
            await caller.ask(method, taskId="any", **METHODS[method])
    assert raised.value.code == METHOD_NOT_FOUND

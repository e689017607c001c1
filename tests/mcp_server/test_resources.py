"""A task as a resource: read, completed, subscribed to in both eras of the protocol."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.server.subscriptions import ResourceUpdated, ServerEvent, ToolsListChanged
from mcp_types import (
    ResourceTemplateReference,
    ResourceUpdatedNotification,
    TextResourceContents,
)
from support.faulty import FaultyWire, faulty_client
from support.scripted import ID, Script, Step, context_of, reply, scripted_client, task
from support.waiting import until

from runway_mcp.mcp_server.resources import MAX_SUBSCRIPTIONS, TaskResources
from runway_mcp.mcp_server.server import LOCAL, build_server
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import CallerRegistry
from runway_mcp.web.app import build_app
from runway_mcp.web.origin_policy import OriginPolicy

URI = f"runway://tasks/{ID}"
RUNNING = [reply(200, task("RUNNING", progress=tenth / 10)) for tenth in range(10)]
DONE = reply(200, task("SUCCEEDED"))


@asynccontextmanager
async def connected(
    *steps: Step, mode: Literal["auto", "legacy"] = "auto", **options: Any
) -> AsyncGenerator[tuple[Script, Client]]:
    """A client in memory, of a server over a script that polls without pause."""
    script = Script(*steps)
    with anyio.fail_after(20):
        server = build_server(CallerRegistry(lambda _: scripted_client(script), poll_seconds=0.02))
        async with Client(server, mode=mode, **options) as client:
            yield script, client


async def test_a_task_can_be_read_as_a_resource() -> None:
    """The template is listed; its text is the API's own JSON, fresh for the five seconds of a task."""
    async with connected(RUNNING[5]) as (_, client):
        (template,) = (await client.list_resource_templates()).resource_templates
        assert template.uri_template == "runway://tasks/{taskId}"
        assert template.mime_type == "application/json"
        result = await client.read_resource(URI)
    (contents,) = result.contents
    assert isinstance(contents, TextResourceContents)
    assert json.loads(contents.text) == task("RUNNING", progress=0.5)
    assert (result.ttl_ms, result.cache_scope) == (5000, "private")


async def test_what_the_server_offers_may_be_kept_for_an_hour() -> None:
    """Lists of tools and resources don't change while it runs."""
    async with connected(DONE) as (_, client):
        assert (await client.list_tools()).ttl_ms == 3_600_000
        assert (await client.list_resource_templates()).ttl_ms == 3_600_000


@pytest.mark.parametrize(
    ("uri", "step", "words"),
    [
        ("runway://tasks/nonsense", DONE, "UUID"),
        ("runway://tasks/%2e%2e%2forganization", DONE, "runway://tasks"),
        (URI, reply(404, {"error": "gone"}), "no such task"),
        (URI, reply(401, {"error": "no"}), "does not accept the API key"),
    ],
)
async def test_a_resource_that_cannot_be_read_says_why(uri: str, step: Step, words: str) -> None:
    """A protocol error with our words; nothing is sent for what is no id."""
    async with connected(step) as (script, client):
        with pytest.raises(MCPError, match=words):
            await client.read_resource(uri)
        assert len(script.requests) == (1 if uri == URI else 0)


async def test_an_id_is_completed_from_those_that_were_read() -> None:
    """The latest first; other arguments and references have no completions."""
    wire = FaultyWire()
    reference = ResourceTemplateReference(uri="runway://tasks/{taskId}")
    with anyio.fail_after(20):
        async with Client(build_server(CallerRegistry(lambda _: faulty_client(wire)))) as client:

            async def complete(begun: str, ref: ResourceTemplateReference = reference) -> list[str]:
                argument = {"name": "taskId", "value": begun}
                return (await client.complete(ref, argument)).completion.values

            assert await complete("") == []
            for name in ("pending", "running"):
                await client.call_tool("runway_getTask", {"taskId": SAMPLES[name].id})
            assert await complete("0000") == [SAMPLES["running"].id, SAMPLES["pending"].id]
            assert await complete(SAMPLES["pending"].id[:-1].upper()) == [SAMPLES["running"].id, SAMPLES["pending"].id]
            assert await complete("f") == []
            assert await complete("", ResourceTemplateReference(uri="other://{x}")) == []


async def test_a_listen_stream_hears_of_each_change_until_the_end() -> None:
    """One loop serves two streams, and ends with them."""
    async with connected(*RUNNING, DONE) as (script, client):
        async with (
            client.listen(resource_subscriptions=[URI, "other://x", "runway://tasks/x"]) as one,
            client.listen(resource_subscriptions=[URI]) as other,
        ):
            for stream in (one, other):
                assert await anext(aiter(stream)) == ResourceUpdated(uri=URI)
            await until(lambda: len(script.requests) == len(RUNNING) + 1, "the last look")
        asked = len(script.requests)
        await anyio.sleep(0.1)
        assert len(script.requests) == asked


async def test_closing_the_stream_ends_the_watch() -> None:
    """Nobody listens, nothing is asked."""
    async with connected(*RUNNING * 1000) as (script, client):
        async with client.listen(resource_subscriptions=[URI]) as stream:
            await anext(aiter(stream))
        await anyio.wait_all_tasks_blocked()
        asked = len(script.requests)
        await anyio.sleep(0.1)
        assert len(script.requests) <= asked + 1


@pytest.mark.filterwarnings("ignore:resources/")
async def test_an_older_client_is_told_on_its_connection() -> None:
    """Subscribing twice is once; unsubscribing ends it."""
    heard: list[str] = []

    async def on_message(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            heard.append(str(message.params.uri))

    async with connected(*RUNNING * 1000, mode="legacy", message_handler=on_message) as (script, client):
        # What the SDK deprecates for the present revision is what older ones have.
        subscribe = client.session.subscribe_resource  # pyright: ignore[reportDeprecated]
        unsubscribe = client.session.unsubscribe_resource  # pyright: ignore[reportDeprecated]
        await subscribe(URI)
        await subscribe(URI)
        await until(lambda: len(heard) > 3, "changes")
        assert set(heard) == {URI}
        await unsubscribe(URI)
        await unsubscribe(URI)
        await anyio.wait_all_tasks_blocked()
        asked = len(script.requests)
        await anyio.sleep(0.1)
        assert len(script.requests) <= asked + 1
        with pytest.raises(MCPError, match="can be subscribed to"):
            await subscribe("runway://tasks/x")


@pytest.mark.filterwarnings("ignore:resources/")
async def test_subscriptions_are_bounded() -> None:
    """Neither a stream nor an older connection can have any number of tasks watched."""
    uris = [f"runway://tasks/00000000-0000-4000-8000-{number:012}" for number in range(MAX_SUBSCRIPTIONS + 1)]
    async with connected(DONE) as (script, client):
        with pytest.raises(MCPError, match="At most 100 tasks"):
            async with client.listen(resource_subscriptions=uris):
                pass
        assert script.requests == []
    async with connected(DONE, mode="legacy") as (_, client):
        subscribe = client.session.subscribe_resource  # pyright: ignore[reportDeprecated]
        for uri in uris[:-1]:
            await subscribe(uri)
        with pytest.raises(MCPError, match="At most 100 tasks"):
            await subscribe(uris[-1])


async def test_a_listen_stream_for_something_else_watches_nothing() -> None:
    """Only who asks for a task has it watched."""
    async with connected(DONE) as (script, client):
        async with client.listen(tools_list_changed=True):
            await anyio.wait_all_tasks_blocked()
        assert script.requests == []


async def test_an_older_client_over_http_is_told_what_to_use_instead() -> None:
    """Without a session there is no way back to it, so a subscription would never be heard of."""
    server = build_server(CallerRegistry(lambda _: scripted_client(Script(DONE))))
    app = build_app(server, origin_policy=OriginPolicy(), path="/mcp", caller=LOCAL)
    message = {"jsonrpc": "2.0", "id": 1, "method": "resources/subscribe", "params": {"uri": URI}}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
    with anyio.fail_after(10):
        async with (
            server.session_manager.run(),
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1") as http,
        ):
            answer = (await http.post("/mcp", json=message, headers=headers)).text
    assert "subscriptions/listen" in answer
    assert '"error"' in answer


async def test_what_concerns_everyone_is_heard_by_each_callers_streams() -> None:
    """A list that changed; a task's change goes to its own caller alone."""
    bus = TaskResources().bus
    heard: list[str] = []

    def listener(name: str) -> Callable[[ServerEvent], None]:
        return lambda _: heard.append(name)

    async with scripted_client(Script(DONE)) as client, context_of(client) as one, context_of(client) as other:
        for name, context in (("one", one), ("other", other)):
            with bus.heard_by(context):
                bus.subscribe(listener(name))
        await bus.publish(ToolsListChanged())
        await bus.of(other).publish(ResourceUpdated(uri=URI))
    assert heard == ["one", "other", "other"]

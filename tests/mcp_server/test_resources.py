"""A task as a resource: read, completed, subscribed to in both eras of the protocol."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.server.subscriptions import ResourceUpdated, ServerEvent, ToolsListChanged
from mcp_types import ResourceTemplateReference, ResourceUpdatedNotification, TextContent, TextResourceContents
from support.faulty import FaultyWire, faulty_client
from support.scripted import ID, Script, Step, reply, scripted_client, task
from support.virtual_time import VIRTUAL_TIME
from support.waiting import until

from runway_mcp.mcp_server.resources import MAX_SUBSCRIPTIONS, TaskResources
from runway_mcp.mcp_server.server import LOCAL, build_server
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import CallerRegistry
from runway_mcp.tasks.poll_loop import TaskState
from runway_mcp.tasks.poller import MAX_FOLLOWED
from runway_mcp.web.app import build_app
from runway_mcp.web.origin_policy import OriginPolicy

URI = f"runway://tasks/{ID}"
RUNNING = [reply(200, task("RUNNING", progress=tenth / 10)) for tenth in range(10)]
DONE = reply(200, task("SUCCEEDED"))
GONE = reply(404, {"error": "gone"})


Mode = Literal["auto", "legacy"]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Seconds pass at once."""
    return VIRTUAL_TIME


@asynccontextmanager
async def connected(
    *steps: Step, mode: Mode = "auto", poll_seconds: float = 0.02, **options: Any
) -> AsyncGenerator[tuple[Script, Client]]:
    script = Script(*steps)
    with anyio.fail_after(20):
        server = build_server(CallerRegistry(lambda _: scripted_client(script), poll_seconds=poll_seconds))
        async with Client(server, mode=mode, **options) as client:
            yield script, client


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # the SDK renders a resource in a thread
async def test_a_task_can_be_read_as_a_resource() -> None:
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
    async with connected(DONE) as (_, client):
        assert (await client.list_tools()).ttl_ms == 3_600_000
        assert (await client.list_resource_templates()).ttl_ms == 3_600_000


@pytest.mark.parametrize(
    ("uri", "step", "words"),
    [
        ("runway://tasks/nonsense", DONE, "UUID"),
        ("runway://tasks/%2e%2e%2forganization", DONE, "runway://tasks"),
        (URI, GONE, "no such task"),
        (URI, reply(401, {"error": "no"}), "does not accept the API key"),
    ],
)
async def test_a_resource_that_cannot_be_read_says_why(uri: str, step: Step, words: str) -> None:
    async with connected(step) as (script, client):
        with pytest.raises(MCPError, match=words):
            await client.read_resource(uri)
        assert len(script.requests) == (1 if uri == URI else 0)


async def test_an_id_is_completed_from_those_that_were_read() -> None:
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
    async with connected(*RUNNING, DONE) as (script, client):
        async with (
            client.listen(resource_subscriptions=[URI, "other://x", "runway://tasks/x"]) as one,
            client.listen(resource_subscriptions=[URI]) as other,
        ):
            for stream in (one, other):
                assert await anext(aiter(stream)) == ResourceUpdated(uri=URI)
            await until(lambda: len(script.requests) == len(RUNNING) + 1, "the last poll")
        assert await polls_after(script) == 0


async def test_closing_the_stream_ends_the_polls() -> None:
    async with connected(*RUNNING * 1000) as (script, client):
        async with client.listen(resource_subscriptions=[URI]) as stream:
            await anext(aiter(stream))
        assert await polls_after(script) <= 1


async def polls_after(script: Script) -> int:
    """Count the polls of several intervals that begin when nothing is left to do."""
    await anyio.wait_all_tasks_blocked()
    before = len(script.requests)
    await anyio.sleep(0.1)
    return len(script.requests) - before


class OlderClient:
    """Hears of changes on its connection; subscribing is deprecated in the SDK, but what older clients do."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def on_message(self, message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            self.heard.append(str(message.params.uri))

    @asynccontextmanager
    async def connected(self, *steps: Step, **options: Any) -> AsyncGenerator[tuple[Script, Client]]:
        async with connected(*steps, mode="legacy", message_handler=self.on_message, **options) as connection:
            yield connection

    @staticmethod
    async def subscribe(client: Client, uri: str = URI) -> None:
        await client.session.subscribe_resource(uri)  # pyright: ignore[reportDeprecated]


@pytest.mark.filterwarnings("ignore:resources/")
async def test_an_older_client_is_told_on_its_connection() -> None:
    older = OlderClient()
    async with older.connected(*RUNNING * 1000) as (script, client):
        unsubscribe = client.session.unsubscribe_resource  # pyright: ignore[reportDeprecated]
        await older.subscribe(client)
        await older.subscribe(client)
        await until(lambda: len(older.heard) > 3, "changes")
        assert set(older.heard) == {URI}
        await unsubscribe(URI)
        await unsubscribe(URI)
        assert await polls_after(script) <= 1
        with pytest.raises(MCPError, match="can be subscribed to"):
            await older.subscribe(client, "runway://tasks/x")


@pytest.mark.filterwarnings("ignore:resources/")
@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("end", [reply(200, task("CANCELLED")), GONE], ids=["cancelled", "gone"])
async def test_who_subscribes_beside_a_wait_hears_of_the_end(end: Step, mode: Mode) -> None:
    """Also where a cancelled task can't be read any more."""
    older = OlderClient()
    is_over = False

    def answer(request: httpx2.Request) -> httpx2.Response:
        nonlocal is_over
        is_over |= request.method == "DELETE"
        step = reply(204) if request.method == "DELETE" else end if is_over else RUNNING[0]
        assert callable(step)
        return step(request)

    options: dict[str, Any] = {"message_handler": older.on_message, "poll_seconds": 30, "mode": mode}
    async with connected(answer, **options) as (script, client), anyio.create_task_group() as calls:
        calls.start_soon(client.call_tool, "runway_waitForTask", {"taskId": ID})
        await until(lambda: script.requests, "a poll")
        await anyio.wait_all_tasks_blocked()
        if mode == "legacy":
            await older.subscribe(client)
            await client.call_tool("runway_cancelTask", {"taskId": ID})
            await until(lambda: older.heard, "the end")
        else:
            async with client.listen(resource_subscriptions=[URI]) as stream:
                await client.call_tool("runway_cancelTask", {"taskId": ID})
                assert await anext(aiter(stream)) == ResourceUpdated(uri=URI)
            async with client.listen(resource_subscriptions=[URI]) as late:
                assert await anext(aiter(late)) == ResourceUpdated(uri=URI)


def numbered(number: int) -> str:
    return f"runway://tasks/00000000-0000-4000-8000-{number:012}"


@pytest.mark.filterwarnings("ignore:resources/")
async def test_subscriptions_are_bounded() -> None:
    uris = [numbered(number) for number in range(MAX_SUBSCRIPTIONS + 1)]
    async with connected(DONE) as (script, client):
        with pytest.raises(MCPError, match="At most 100 tasks"):
            async with client.listen(resource_subscriptions=uris):
                pass
        assert script.requests == []
    async with OlderClient().connected(reply(503), poll_seconds=30) as (_, client):
        for uri in uris[:-1]:
            await OlderClient.subscribe(client, uri)
        with pytest.raises(MCPError, match="At most 100 tasks"):
            await OlderClient.subscribe(client, uris[-1])
    async with connected(reply(503), poll_seconds=30) as (script, client), AsyncExitStack() as streams:
        for first in range(0, MAX_FOLLOWED, MAX_SUBSCRIPTIONS):
            uris = [numbered(first + number) for number in range(MAX_SUBSCRIPTIONS)]
            await streams.enter_async_context(client.listen(resource_subscriptions=uris))
        with pytest.raises(MCPError, match="You follow 1000 tasks"):
            async with client.listen(resource_subscriptions=[URI]):
                pass
        (block,) = (await client.call_tool("runway_waitForTask", {"taskId": ID})).content
        assert isinstance(block, TextContent)
        assert "You follow 1000 tasks" in block.text


@pytest.mark.filterwarnings("ignore:resources/")
async def test_a_subscription_that_has_ended_can_be_renewed_and_does_not_count() -> None:
    """A task is gone or a key refused: an older client hears of it, and may subscribe to any number of others."""
    older = OlderClient()
    refused = reply(401, {"error": "no"})
    async with older.connected(*[GONE, refused] * MAX_SUBSCRIPTIONS) as (_, client):
        for number in [*range(MAX_SUBSCRIPTIONS + 1), 0]:
            older.heard.clear()
            await older.subscribe(client, numbered(number))
            await until(lambda: older.heard, "the end")


async def test_a_listen_stream_for_something_else_watches_nothing() -> None:
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


async def test_what_concerns_everyone_is_heard_by_every_stream() -> None:
    bus = TaskResources().bus
    heard: list[str] = []

    def listener(name: str) -> Callable[[ServerEvent], None]:
        return lambda _: heard.append(name)

    for name in ("one", "other"):
        with bus.opened() as stream:
            bus.subscribe(listener(name))
    await bus.publish(ToolsListChanged())
    await stream.send(URI, TaskState())
    assert heard == ["one", "other", "other"]

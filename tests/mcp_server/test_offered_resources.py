"""What hosts show in their pickers: the latest tasks, the files saved of them, and ids to complete."""

from base64 import b64decode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp_types import BlobResourceContents, PromptReference, Resource, ResourceTemplateReference
from pydantic import SecretStr
from support.scripted import Script, Step, reply, scripted_client
from support.serving import authorized, served

from runway_mcp.history.task_records import SavedOutput
from runway_mcp.mcp_server.offered_resources import MAX_FILE, MAX_TASKS
from runway_mcp.mcp_server.server import LOCAL, build_server
from runway_mcp.mcp_server.viewer.app_page import URI
from runway_mcp.tasks.callers import ANONYMOUS, Caller, CallerContext, CallerRegistry
from runway_mcp.web.app import build_app
from runway_mcp.web.auth import Authentication, CallerToken
from runway_mcp.web.origin_policy import OriginPolicy

TEMPLATE = ResourceTemplateReference(uri="runway://tasks/{taskId}")
PROMPT = PromptReference(name="explain_failure")


def identified(number: int) -> str:
    return str(UUID(int=number, version=4))


class Runway:
    """Runway with tasks 1, 2, 3 … which all are PENDING."""

    def __init__(self) -> None:
        self.started = 0
        self.reads = 0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            self.started += 1
            return httpx2.Response(200, json={"id": identified(self.started), "estimatedCost": {"credits": 60}})
        self.reads += 1
        return httpx2.Response(200, json={"id": request.url.path.rpartition("/")[2], "status": "PENDING"})


@asynccontextmanager
async def connected(
    runway: Step, history: Path | None = None, mode: str = "auto"
) -> AsyncGenerator[tuple[Client, CallerContext]]:
    callers = CallerRegistry(lambda _: scripted_client(Script(runway)), history=history)
    with anyio.fail_after(20):
        async with Client(build_server(callers), mode=mode) as client:
            yield client, await callers.of(LOCAL)


async def start(client: Client, *prompts: str) -> None:
    for prompt in prompts:
        wish = {"promptText": prompt, "ratio": "1280:720", "duration": 5}
        await client.call_tool("runway_startTask", {"type": "text_to_video", "input": wish, "wait": False})


async def save(context: CallerContext, path: Path, content: bytes = b"film", number: int = 1) -> str:
    """Save a file as the first output of a start, and return its URI."""
    await anyio.Path(path).write_bytes(content)
    output = SavedOutput(1, str(path), len(content), "video/mp4", "ab" * 32)
    await (await context.ledger.history()).tasks.record_saved(number, [output])
    return path.as_uri()


async def listed(client: Client) -> list[Resource]:
    """The tasks and files that are offered; the viewer stands after them."""
    *found, viewer = (await client.list_resources()).resources
    assert viewer.uri == URI
    return found


async def offered(client: Client) -> list[str]:
    return [resource.uri for resource in await listed(client)]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_latest_tasks_are_offered_by_prompt_at_no_request(mode: str) -> None:
    runway = Runway()
    async with connected(runway, mode=mode) as (client, _):
        assert await offered(client) == []
        await start(client, "A red kite " * 9, *["A boat"] * MAX_TASKS)
        reads = runway.reads
        found = await listed(client)
        assert runway.reads == reads
    assert [resource.uri for resource in found] == [f"runway://tasks/{identified(n)}" for n in range(21, 1, -1)]
    first = found[0]
    assert (first.name, first.title, first.mime_type) == ("A boat", "A boat", "application/json")
    assert first.description == "text_to_video gen4.5, PENDING, ~60 credits"


async def test_names_are_short_and_hide_nothing() -> None:
    async with connected(Runway()) as (client, _):
        await start(client, "A red\u202e kite " * 9)
        (found,) = await listed(client)
    assert found.name == "A red kite A red kite A red kite A red kite A red kite A red…"
    assert "\u202e" not in (found.title or "")


async def test_a_start_without_a_price_or_a_prompt_is_offered_by_its_type_and_one_without_an_id_is_not() -> None:
    steps = (
        reply(200, {"id": identified(1)}),
        reply(503),
        reply(503),
        reply(503),
        reply(503),
        httpx2.ReadError("lost"),
    )
    wish = {"type": "frame_interpolation", "input": {"videoUri": "https://example.com/a.mp4"}, "wait": False}
    callers = CallerRegistry(lambda _: scripted_client(Script(*steps)))
    with anyio.fail_after(20):
        async with Client(build_server(callers)) as client:
            for _ in range(2):
                await client.call_tool("runway_startTask", wish)
            (found,) = await listed(client)
    assert (found.name, found.description) == (
        "frame_interpolation",
        "frame_interpolation frame_interpolation_v1, PENDING",
    )


async def test_saved_files_are_offered_and_read_on_this_machine(tmp_path: Path) -> None:
    async with connected(Runway()) as (client, context):
        await start(client, "A red kite")
        uri = await save(context, tmp_path / "2026-11-25 red kite 100%.mp4")
        task, file = await listed(client)
        assert task.uri == f"runway://tasks/{identified(1)}"
        assert (file.uri, file.name, file.mime_type, file.size) == (uri, Path(file.name).name, "video/mp4", 4)
        assert file.description == "Output 1 of: A red kite"
        for spelt in (uri, uri.replace("%20", " ")):
            (content,) = (await client.read_resource(spelt)).contents
            assert isinstance(content, BlobResourceContents)
            assert (b64decode(content.blob), content.mime_type) == (b"film", "video/mp4")
        (tmp_path / "2026-11-25 red kite 100%.mp4").unlink()
        assert await offered(client) == [task.uri]
        with pytest.raises(MCPError, match=r"red kite 100%\.mp4.* can't be read: No such file.* Nothing was changed"):
            await client.read_resource(uri)


async def test_only_saved_files_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    async with connected(Runway()) as (client, context):
        await start(client, "A red kite")
        await save(context, tmp_path / "kite.mp4")
        await save(context, tmp_path / "kite.mp4")
        for path in ("secret", "kite.mp4/../secret", "../etc/passwd"):
            with pytest.raises(MCPError, match="no file that was saved"):
                await client.read_resource(f"{tmp_path.as_uri()}/{path}")


async def test_a_link_in_the_place_of_a_saved_file_or_its_folder_is_not_followed(tmp_path: Path) -> None:
    folder, secrets = tmp_path / "films", tmp_path / "secrets"
    folder.mkdir()
    secrets.mkdir()
    (secrets / "kite.mp4").write_text("secret")

    def link_file() -> None:
        (folder / "kite.mp4").unlink()
        (folder / "kite.mp4").symlink_to(secrets / "kite.mp4")

    def link_folder() -> None:
        folder.rename(tmp_path / "moved")
        folder.symlink_to(secrets)

    async with connected(Runway()) as (client, context):
        await start(client, "A red kite")
        uri = await save(context, folder / "kite.mp4")
        for put in (link_file, link_folder):
            put()
            assert uri not in await offered(client)
            with pytest.raises(MCPError, match="can't be read"):
                await client.read_resource(uri)


async def test_a_large_file_is_offered_and_named_but_not_read(tmp_path: Path) -> None:
    async with connected(Runway()) as (client, context):
        await start(client, "A red kite")
        uri = await save(context, tmp_path / "kite.mp4", bytes(MAX_FILE + 1))
        assert uri in await offered(client)
        with pytest.raises(MCPError, match=r"kite\.mp4.* has 10,000,001 bytes, a resource at most 10,000,000"):
            await client.read_resource(uri)


async def test_over_http_no_files_are_offered(tmp_path: Path) -> None:
    callers = CallerRegistry(lambda _: scripted_client(Script(Runway())))
    server = build_server(callers, local=ANONYMOUS)
    app = build_app(
        server, origin_policy=OriginPolicy(), path="/mcp", caller=ANONYMOUS, authentication=Authentication(Ann())
    )
    with anyio.fail_after(20):
        async with served(app) as url, authorized(f"{url}/mcp", "ann") as client:
            await start(client, "A red kite")
            uri = await save(await callers.of(ANN), tmp_path / "kite.mp4")
            assert await offered(client) == [f"runway://tasks/{identified(1)}"]
            with pytest.raises(MCPError, match="Unknown resource"):
                await client.read_resource(uri)


ANN = Caller("ann", key=SecretStr("key"))


class Ann:
    """Knows one token, Ann's."""

    async def verify_token(self, token: str) -> CallerToken | None:
        return CallerToken.of(ANN) if token == "ann" else None


@pytest.mark.parametrize("reference", [TEMPLATE, PROMPT])
async def test_an_id_is_completed_by_its_beginning_or_by_words_of_the_prompt(reference: Any) -> None:
    async with connected(Runway()) as (client, _):
        await start(client, "A red kite", "A boat", "The KITE again")
        other = "17f20503-6c24-4c16-946b-35dbbce2af2f"
        await client.call_tool("runway_getTask", {"taskId": other})

        async def complete(text: str) -> list[str]:
            return (await client.complete(reference, {"name": "taskId", "value": text})).completion.values

        assert await complete("") == [*map(identified, (3, 2, 1)), other]
        assert await complete(" kite") == [*map(identified, (3, 1))]
        assert await complete(identified(2)[:-1].upper()) == [*map(identified, (3, 2, 1))]
        assert await complete(identified(2)) == [identified(2)]
        assert await complete("nothing") == []


async def test_without_a_usable_history_nothing_is_offered_and_the_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "history").write_bytes(b"no database" * 1000)
    async with connected(Runway(), tmp_path / "history") as (client, _):
        with pytest.raises(MCPError, match=r"damaged.* Nothing was changed"):
            await client.list_resources()
        with pytest.raises(MCPError, match="damaged"):
            await client.complete(TEMPLATE, {"name": "taskId", "value": ""})

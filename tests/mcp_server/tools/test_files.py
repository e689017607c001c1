"""Inputs from the disk and outputs to it: as a model sees them, and where they may lie."""

import json
import os
from base64 import b64decode
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from anyio.abc import TaskGroup
from mcp import Client
from mcp.client.context import ClientRequestContext
from mcp_types import CallToolResult, ErrorData, ImageContent, ListRootsResult, Root, TextContent
from PIL import Image
from pydantic import FileUrl, JsonValue
from support.faulty import FaultyWire, faulty_client
from support.scripted import ID, Script, scripted_client, task
from support.scripted import reply as scripted
from support.serving import Names, authorized, served
from support.upstream import reply, upstream
from support.waiting import until

from runway_mcp.config.settings import SettingsError
from runway_mcp.config.sources import load
from runway_mcp.files.download import DownloadLimits
from runway_mcp.files.downloads import CallerFiles
from runway_mcp.files.file_client import open_file_client
from runway_mcp.files.file_errors import UnexpectedStatusError, UrlNotAllowedError
from runway_mcp.files.folders import Folders
from runway_mcp.mcp_server.access import scope_of
from runway_mcp.mcp_server.server import build_server
from runway_mcp.mcp_server.tools.files import FILES
from runway_mcp.sandbox import SAMPLES
from runway_mcp.sandbox.output_files import OUTPUTS
from runway_mcp.tasks.callers import ANONYMOUS, READ, WRITE, Caller, CallerRegistry
from runway_mcp.web.app import build_app
from runway_mcp.web.auth import Authentication
from runway_mcp.web.origin_policy import OriginPolicy
from runway_mcp.wiring.file_access import open_files, warn_of_missing_folders

ERAS = ("auto", "legacy")
PNG = OUTPUTS["image"].path.read_bytes()
VIDEO, FAILED, RUNNING = "succeeded_video", "failed_moderation", "running_long"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An allowed folder with a picture in it."""
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "kite.png").write_bytes(PNG)
    return allowed


@asynccontextmanager
async def connected(
    *roots: Path,
    wire: httpx2.AsyncBaseTransport | None = None,
    takes_roots: bool = False,
    call_seconds: float = 45,
    **options: Any,
) -> AsyncGenerator[tuple[Client, FaultyWire]]:
    """A client in memory, of a server to which the operator allows folders; `wire` carries files in another way."""
    api = FaultyWire()

    @asynccontextmanager
    async def files(tasks: TaskGroup) -> AsyncGenerator[Callable[[Caller], CallerFiles]]:
        async with open_file_client(own_origin="http://sandbox.localhost", own_transport=wire or api) as client:
            limits = DownloadLimits(call_seconds=call_seconds)
            yield lambda _: CallerFiles(lambda: Folders(roots), client, tasks, takes_roots=takes_roots, limits=limits)

    callers = CallerRegistry(lambda _: faulty_client(api), files=files)
    with anyio.fail_after(30):
        async with Client(build_server(callers), **options) as client:
            yield client, api


def text(result: CallToolResult) -> str:
    """All that a result says."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def names_in(folder: Path) -> set[str]:
    """What is in a folder."""
    return {file.name for file in folder.iterdir()}


async def save(client: Client, sample: str = VIDEO, **more: Any) -> CallToolResult:
    """Save the outputs of a sample task."""
    return await client.call_tool("runway_downloadOutput", {"taskId": SAMPLES[sample].id} | more)


async def upload(client: Client, path: str = "kite.png") -> CallToolResult:
    """Upload a file."""
    return await client.call_tool("runway_uploadFile", {"path": path})


def found(result: CallToolResult) -> dict[str, Any]:
    """The structured content."""
    assert result.structured_content is not None
    return result.structured_content


def saved(result: CallToolResult) -> list[dict[str, Any]]:
    """What became of each output."""
    data: dict[str, Any] = json.loads(text(result).splitlines()[1 if result.is_error else 0])
    if result.structured_content is not None:
        assert result.structured_content == data | ({"note": found(result)["note"]} if "note" in found(result) else {})
    return data["files"]


async def test_a_picture_from_the_disk_becomes_a_video_on_the_disk(folder: Path) -> None:
    """Uploaded, named as an input, saved; with paths, sizes, types, digests and progress."""
    told: list[str | None] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        assert total is not None
        assert progress <= total
        told.append(message)

    async with connected(folder) as (client, wire):
        uploaded = await client.call_tool("runway_uploadFile", {"path": "kite.png"}, progress_callback=note)
        assert (found(uploaded)["size"], found(uploaded)["contentType"]) == (len(PNG), "image/png")
        wanted = {"promptImage": found(uploaded)["uri"], "promptText": "it rises", "ratio": "1280:720", "duration": 5}
        started = await client.call_tool("runway_startTask", {"type": "image_to_video", "input": wanted})
        task_id = found(started)["id"]
        assert "the task is PENDING" in text(await client.call_tool("runway_downloadOutput", {"taskId": task_id}))
        wire.now += 600
        await anyio.lowlevel.checkpoint()
        for was_there in (False, True):
            result = await client.call_tool(
                "runway_downloadOutput", {"taskId": SAMPLES[VIDEO].id}, progress_callback=note
            )
            (file,) = saved(result)
            path = Path(file["path"])
            assert path == folder / f"{SAMPLES[VIDEO].id}-1.mp4"
            content = await anyio.Path(path).read_bytes()
            assert (file["size"], file["sha256"]) == (len(content), sha256(content).hexdigest())
            assert (file["contentType"], file["wasThere"]) == ("video/mp4", was_there)
            assert [block.type for block in result.content] == ["text"]
    assert names_in(folder) == {"kite.png", path.name}
    assert any(" kB" in (message or "") for message in told)


async def test_a_file_that_is_named_in_another_form_is_told_by_its_name(folder: Path) -> None:
    async with connected(folder) as (client, _):
        exact, other = await upload(client), await upload(client, "'kite%2Epng'")
    assert "Took the file" not in text(exact)
    assert """Took the file "kite.png" from "'kite%2Epng'".""" in text(other)


async def test_a_folder_within_is_made_and_one_without_refused(folder: Path, tmp_path: Path) -> None:
    """Nothing is read or written outside, and what is allowed is said."""
    (tmp_path / "secret.png").write_bytes(PNG)
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "out").symlink_to(tmp_path)
    async with connected(folder) as (client, wire):
        (file,) = saved(await save(client, directory="my/videos"))
        assert Path(file["path"]).parent == folder / "my" / "videos"
        for refused in ("..", "out", str(tmp_path), "file:///etc", "~"):
            result = await save(client, directory=refused)
            assert result.is_error
            assert f"Allowed: {folder}" in text(result)
        for refused in ("../secret.png", "out/secret.png", "link.png", str(tmp_path / "secret.png"), "/etc/hostname"):
            result = await upload(client, refused)
            assert result.is_error
            assert "Nothing was read." in text(result)
        assert "POST" not in wire.methods
    assert names_in(tmp_path) == {folder.name, "secret.png"}


async def test_without_a_folder_it_is_said_how_to_allow_one() -> None:
    """And nothing is sent; so it is where nothing is said of files at all."""
    async with Client(build_server(CallerRegistry(lambda _: faulty_client(FaultyWire())))) as client:
        assert "--files-root FOLDER" in text(await save(client))
    async with connected() as (client, wire):
        for result in (await save(client), await upload(client, "/etc/hostname")):
            assert result.is_error
            assert "--files-root FOLDER" in text(result)
    assert wire.methods == []


class Host:
    """A host that names its folders when asked."""

    def __init__(self, *uris: str) -> None:
        self.asked = 0
        self._uris = uris

    async def __call__(self, context: ClientRequestContext) -> ListRootsResult:  # noqa: ARG002 - the SDK's names
        self.asked += 1
        return ListRootsResult(roots=[Root(uri=FileUrl(uri)) for uri in self._uris])


@pytest.mark.parametrize("mode", ERAS)
async def test_the_hosts_own_folders_are_allowed_where_the_operator_names_none(folder: Path, mode: str) -> None:
    """Asked for with each call; what is no folder of this machine is passed over."""
    host = Host("file://other.example/share", folder.as_uri())
    async with connected(takes_roots=True, mode=mode, list_roots_callback=host) as (client, _):
        assert not (await upload(client)).is_error
        assert Path(saved(await save(client))[0]["path"]).parent == folder
    assert host.asked == 2


class Workspace:
    """A host of the older protocol that answers as it likes."""

    def __init__(self, answer: ListRootsResult | ErrorData | None) -> None:
        self._answer = answer

    async def __call__(self, context: ClientRequestContext) -> ListRootsResult | ErrorData:  # noqa: ARG002 - the SDK's names
        if self._answer is None:
            raise RuntimeError("a fault of the host's")
        return self._answer


@pytest.mark.parametrize("answer", ["remote", "refused", "broken", "nothing"])
async def test_a_host_that_tells_no_usable_folder_is_one_without(answer: str, folder: Path) -> None:
    """An error of the host's, or a remote workspace, with which the SDK refuses all, is not the call's."""
    remote = Root.model_construct(uri="vscode-vfs://github/a/b")
    answers = {
        "remote": ListRootsResult.model_construct(roots=[remote, Root(uri=FileUrl(folder.as_uri()))]),
        "refused": ErrorData(code=-32601, message="Method not found"),
        "broken": None,
        "nothing": ListRootsResult(roots=[]),
    }
    host = Workspace(answers[answer])
    async with connected(takes_roots=True, mode="legacy", list_roots_callback=host) as (client, _):
        result = await upload(client)
    assert result.is_error
    assert "--files-root FOLDER" in text(result)


async def test_what_is_refused_in_a_folder_of_the_hosts_says_that_the_flag_replaces_it(folder: Path) -> None:
    async with connected(takes_roots=True, list_roots_callback=Host(folder.as_uri())) as (client, _):
        assert "--files-root FOLDER replaces these" in text(await upload(client, "/etc/hostname"))


@pytest.mark.parametrize("takes_roots", [True, False])
async def test_the_operators_folders_stand_against_the_hosts(folder: Path, tmp_path: Path, takes_roots: bool) -> None:
    host = Host(tmp_path.as_uri())
    async with connected(*[folder] * takes_roots, takes_roots=takes_roots, list_roots_callback=host) as (client, _):
        assert (await save(client, directory=str(tmp_path))).is_error
    assert host.asked == 0


async def test_small_pictures_come_inline_too(folder: Path) -> None:
    """Of images, and of a video the one that Runway has; what has none is named."""
    async with connected(folder) as (client, _):
        for sample, count in (("succeeded_images", 2), ("succeeded_video", 1), ("succeeded_audio", 0)):
            result = await save(client, sample, inline=True)
            images = [block for block in result.content if isinstance(block, ImageContent)]
            assert [image.mime_type for image in images] == ["image/jpeg"] * count
            for image in images:
                assert max(Image.open(BytesIO(b64decode(image.data))).size) <= 512
            assert ("Not inline: output 1." in text(result)) is (count == 0)
            saved(result)


@pytest.mark.parametrize(
    ("preview", "shown"),
    [(PNG, 1), (b"no picture", 0), (PNG + bytes(10_000_000), 0), (None, 0)],
    ids=["picture", "text", "too large", "refused"],
)
async def test_a_preview_that_can_not_be_shown_is_told(preview: bytes | None, shown: int, folder: Path) -> None:
    """It never costs the output itself."""

    class Previews(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            data = OUTPUTS["video"].path.read_bytes()
            if "preview" in request.url.path:
                if preview is None:
                    return httpx2.Response(403, content=b"")
                data = preview
            return httpx2.Response(200, headers={"Content-Length": str(len(data))}, stream=httpx2.ByteStream(data))

    async with connected(folder, wire=Previews()) as (client, _):
        result = await save(client, inline=True)
    assert not result.is_error
    assert sum(isinstance(block, ImageContent) for block in result.content) == shown
    assert ("Not inline: output 1." in text(result)) is not shown


@pytest.mark.parametrize(
    ("outputs", "previews", "shown"),
    [(1, ["a", "b"], [1]), (2, ["a", "b"], [1, 2]), (2, ["a", None], [1]), (2, ["a"], []), (1, [], []), (1, None, [])],
)
async def test_a_preview_is_of_the_output_in_its_place(
    outputs: int, previews: JsonValue, shown: list[int], folder: Path
) -> None:
    class Both(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            data = OUTPUTS["video"].path.read_bytes() if "video" in request.url.path else PNG
            return httpx2.Response(200, headers={"Content-Length": str(len(data))}, stream=httpx2.ByteStream(data))

    urls: list[JsonValue] = [f"http://sandbox.localhost/{number}.video" for number in range(outputs)]
    if isinstance(previews, list):
        previews = [name and f"http://sandbox.localhost/{name}" for name in previews]
    script = Script(scripted(200, task("SUCCEEDED", output=urls, previewUrls=previews)))
    callers = CallerRegistry(
        lambda _: scripted_client(script), files=partial(open_files, load({"files_root": [folder]}), Both())
    )
    async with Client(build_server(callers)) as client:
        result = await client.call_tool("runway_downloadOutput", {"taskId": ID, "inline": True})
    assert sum(isinstance(block, ImageContent) for block in result.content) == len(shown)
    for number in range(1, outputs + 1):
        assert (f"{number}" in text(result).partition("Not inline: output")[2].partition(".")[0]) is (
            number not in shown
        )


class Storage(httpx2.AsyncBaseTransport):
    """A host of pictures that refuses some of them, by number from 0."""

    def __init__(self, refused: Iterable[int]) -> None:
        self._refused = [f"/{number}.png" for number in refused]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if any(request.url.path.endswith(name) for name in self._refused):
            return httpx2.Response(403, stream=httpx2.ByteStream(b""))
        return httpx2.Response(200, headers={"Content-Length": str(len(PNG))}, stream=httpx2.ByteStream(PNG))


@pytest.mark.parametrize(("refused", "is_error"), [([0], False), (range(9), True)])
async def test_an_output_that_does_not_come_is_told_beside_the_others(
    refused: Iterable[int], is_error: bool, folder: Path
) -> None:
    """It is an error where none came; the same call can be made again."""
    async with connected(folder, wire=Storage(refused)) as (client, _):
        result = await save(client, "succeeded_images", inline=True)
    files = saved(result)
    assert result.is_error is is_error
    assert "403" in files[0]["error"]
    assert ("path" in files[1]) is not is_error
    assert "Not saved: output 1" in text(result)
    assert "Repeat the call" in text(result)
    assert "_jwt" not in text(result)


class Stuck(Storage):
    """A host of pictures whose last bytes come when it is `released`."""

    def __init__(self) -> None:
        super().__init__([])
        self.released = anyio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await super().handle_async_request(request)
        answer.stream = Halves(self.released)
        return answer


class Halves(httpx2.AsyncByteStream):
    """A picture in two halves."""

    def __init__(self, released: anyio.Event) -> None:
        self._released = released

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield PNG[:500]
        await self._released.wait()
        yield PNG[500:]


async def test_a_download_that_takes_too_long_for_a_call_goes_on(folder: Path) -> None:
    """It is no error; the same call tells where the file is."""
    async with connected(folder, wire=(storage := Stuck()), call_seconds=0.2) as (client, _):
        result = await save(client, "succeeded_images")
        assert not result.is_error
        assert {"index": 1, "downloaded": 500, "total": len(PNG)} in saved(result)
        assert "Still downloading: output 1" in text(result)
        assert "Repeat the call" in text(result)
        storage.released.set()
        await until(lambda: f"{SAMPLES['succeeded_images'].id}-1.png" in names_in(folder), "the picture")
        (file, *_) = saved(await save(client, "succeeded_images"))
        assert (file["size"], file["wasThere"]) == (len(PNG), False)


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (FAILED, "the task is FAILED, and only one that has SUCCEEDED has outputs. runway_getTask says why."),
        (RUNNING, "the task is RUNNING"),
        ("cancelled", "the task is CANCELLED"),
    ],
)
async def test_only_what_succeeded_is_saved(sample: str, words: str, folder: Path) -> None:
    """Otherwise it is said how the task stands."""
    async with connected(folder) as (client, _):
        result = await save(client, sample)
    assert result.is_error
    assert f"Nothing was saved: {words}" in text(result)
    assert names_in(folder) == {"kite.png"}


@pytest.mark.parametrize("output", [[], None, "https://outputs.example/a.png"])
async def test_a_task_that_succeeded_without_outputs_is_no_task_to_wait_for(output: JsonValue, folder: Path) -> None:
    script = Script(scripted(200, task("SUCCEEDED", output=output)))
    callers = CallerRegistry(
        lambda _: scripted_client(script), files=partial(open_files, load({"files_root": [folder]}), None)
    )
    async with Client(build_server(callers)) as client:
        result = await client.call_tool("runway_downloadOutput", {"taskId": ID})
    assert result.is_error
    assert "has SUCCEEDED, but Runway names no output of it" in text(result)


async def test_a_drawing_is_saved_and_not_shown_inline(folder: Path) -> None:
    """Hosts refuse images of a type that a model can't see."""
    vector: dict[str, JsonValue] = {"model": "recraft_v4_1_vector", "promptText": "A kite"}
    async with connected(folder) as (client, api), faulty_client(api) as elsewhere:
        created = await elsewhere.create_task("/v1/text_to_image", vector)
        api.now += 3600
        result = await client.call_tool("runway_downloadOutput", {"taskId": created.id, "inline": True})
        (file,) = saved(result)
        assert (file["contentType"], Path(file["path"]).suffix) == ("image/svg+xml", ".svg")
        assert "Not inline: output 1." in text(result)
        assert not any(isinstance(block, ImageContent) for block in result.content)


async def test_an_image_that_somebody_took_away_is_not_shown_inline(folder: Path) -> None:
    class Removing(Storage):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.url.path.endswith("/1.png"):
                first = folder / f"{SAMPLES['succeeded_images'].id}-1.png"
                await until(first.exists, "the first image to be saved")
                await anyio.Path(first).unlink()
            return await super().handle_async_request(request)

    async with connected(folder, wire=Removing([])) as (client, _):
        result = await save(client, "succeeded_images", inline=True)
    assert not result.is_error
    assert "Not inline: output 1." in text(result)
    assert len([block for block in result.content if isinstance(block, ImageContent)]) == 1


async def test_a_folder_that_went_away_is_named(folder: Path) -> None:
    async with connected(folder / "gone") as (client, _):
        assert f"The allowed folder {folder / 'gone'} does not exist. Nothing was saved." in text(await save(client))


async def test_a_name_that_no_text_can_hold_ends_in_an_error_and_nothing_else(folder: Path) -> None:
    """The server goes on: such a name could not be told to anybody."""
    odd = os.fsencode(folder) + b"/caf\xe9"
    os.mkdir(odd)  # noqa: PTH102 - a Path can't be made of it
    (folder / "link").symlink_to(os.fsdecode(odd))
    async with connected(folder) as (client, _):
        result = await save(client, directory="link")
        assert result.is_error
        assert "can't be shown or used" in text(result)
        assert not (await save(client)).is_error
    async with connected(Path(os.fsdecode(odd))) as (client, _):
        assert "No folder is allowed" in text(await save(client))


async def test_what_can_not_be_read_or_uploaded_is_an_error(folder: Path) -> None:
    """A wrong id, a task that is gone, a file of no use, a key that is refused."""
    (folder / "notes.txt").write_text("a" * 1000)
    async with connected(folder) as (client, wire):
        wrong = await client.call_tool("runway_downloadOutput", {"taskId": "../x"})
        assert "UUID" in text(wrong)
        wire.faults["GET"].append(404)
        assert "removed task can't be brought back" in text(await save(client))
        assert "is no image" in text(await upload(client, "notes.txt"))
        assert f"does not exist in {folder}" in text(await upload(client, "none.png"))
        for url in ("https://a.example/b.png", "runway://17f20503", "data:image/png;base64,aa"):
            assert "It is a URL: pass a URL to the input as it is." in text(await upload(client, url))
        wire.faults["POST"].append(401)
        refused = await upload(client)
        assert refused.is_error
        assert "Nothing was uploaded, and nothing is charged." in text(refused)


async def test_they_need_the_scope_to_write_and_are_not_offered_read_only() -> None:
    assert {scope_of(tool) for tool in FILES.tools} == {WRITE}
    callers = CallerRegistry(lambda _: faulty_client(FaultyWire()))
    async with Client(build_server(callers, read_only=True)) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
    assert names.isdisjoint(tool.name for tool in FILES.tools)


@asynccontextmanager
async def opened(
    flags: dict[str, object], sandbox: httpx2.AsyncBaseTransport | None = None
) -> AsyncGenerator[Callable[[Caller], CallerFiles]]:
    """What settings make of files."""
    async with anyio.create_task_group() as tasks, open_files(load(flags), sandbox, tasks) as files:
        yield files


@pytest.mark.parametrize(("flags", "takes_roots"), [({}, True), ({"transport": "streamable-http"}, False)])
async def test_only_over_stdio_the_hosts_folders_count(
    flags: dict[str, object], takes_roots: bool, folder: Path
) -> None:
    """Over HTTP a client would name folders of another machine, or of this one that are not its own."""
    async with opened(flags) as files:
        assert files(Caller("local")).takes_roots is takes_roots
        assert not await files(Caller("local")).folders()
    async with opened({**flags, "files_root": [folder]}) as files:
        assert (await files(Caller("local")).folders()).paths == (folder,)


async def test_each_of_several_callers_has_files_of_their_own(folder: Path, tmp_path: Path) -> None:
    """A folder that bears their name, whatever that is, and turns; the same name of another issuer is another."""
    tokens = tmp_path / "tokens.toml"
    tokens.write_text("")
    flags: dict[str, object] = {"transport": "streamable-http", "auth": "token", "tokens_file": tokens}
    callers = [Caller("Ann Lee"), Caller("../../etc"), Caller("…"), Caller("Ann Lee", "https://issuer.example")]
    async with opened({**flags, "files_root": [folder]}) as files:
        found = [files(caller) for caller in callers]
        assert files(Caller("Ann Lee", scopes=frozenset({READ}))) is found[0]
        assert len({one.client for one in found}) == len({one.downloads for one in found}) == len(callers)
        assert names_in(folder) == {"kite.png"}
        paths = [(await one.folders()).paths[0] for one in found]
    assert [path.parent for path in paths] == [folder] * 4
    assert len(set(paths)) == 4
    assert paths[0].name.startswith("ann-lee-")
    assert all(path.is_dir() for path in paths)


async def test_over_http_nobody_reaches_what_was_not_allowed_to_them(folder: Path, tmp_path: Path) -> None:
    """Not the folder of another caller, nor, where the operator allows none, any that their host names."""
    tokens = tmp_path / "tokens.toml"
    tokens.write_text("")
    flags = {"transport": "streamable-http", "auth": "token", "tokens_file": tokens}
    host = Host(folder.as_uri())
    for roots in ([folder], []):
        wire = FaultyWire()

        settings = load({**flags, "files_root": roots})
        callers = CallerRegistry(lambda _, wire=wire: faulty_client(wire), files=partial(open_files, settings, wire))
        app = build_app(
            build_server(callers, local=ANONYMOUS),
            origin_policy=OriginPolicy(),
            path="/mcp",
            caller=ANONYMOUS,
            authentication=Authentication(Names()),
        )
        async with (
            served(app) as url,
            authorized(f"{url}/mcp", "ann", list_roots_callback=host) as ann,
            authorized(f"{url}/mcp", "bob", list_roots_callback=host) as bob,
        ):
            if not roots:
                for result in (await save(ann), await upload(ann, str(folder / "kite.png"))):
                    assert "No folder is allowed" in text(result)
                continue
            (file,) = saved(await save(ann))
            assert Path(file["path"]).parent.parent == folder
            assert Path(file["path"]).parent.name.startswith("ann-")
            for refused in (
                await upload(bob, file["path"]),
                await upload(bob, str(folder / "kite.png")),
                await save(bob, directory=str(Path(file["path"]).parent)),
                await save(bob, directory=str(folder)),
            ):
                assert "does not lie in a folder" in text(refused)
                assert "ann-" not in text(refused).split("Allowed:")[1]
            (other,) = saved(await save(bob))
            assert Path(other["path"]).parent.name.startswith("bob-")
    assert host.asked == 0


@pytest.mark.parametrize("is_own", [True, False])
async def test_an_api_on_this_machine_may_keep_files_there(is_own: bool) -> None:
    """It is the sandbox. No other address of this machine is ever connected to."""
    async with upstream([reply(404)]) as storage:
        base_url = f"{storage.url}/api" if is_own else "https://api.example.com"
        async with opened({"base_url": base_url}) as files:
            with pytest.raises(UnexpectedStatusError if is_own else UrlNotAllowedError):
                async with files(Caller("local")).client.get(f"{storage.url}/outputs/a"):
                    pass
    assert len(storage.requests) == is_own


async def test_a_folder_that_is_not_there_is_told_where_it_is_used(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The server starts, and logs its name; the others can be used; a home folder may be written as ~."""
    settings = load({"files_root": [str(folder), str(tmp_path / "none"), str(tmp_path / ("x" * 300))]})
    warn_of_missing_folders(settings)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"--files-root: {root} does not exist or is no folder; nothing can be read or saved there"
        for root in settings.files_root[1:]
    ]
    async with connected(*settings.files_root) as (client, _):
        assert not (await upload(client)).is_error
        for result in (
            await upload(client, f"{tmp_path}/none/kite.png"),
            await save(client, directory=f"{tmp_path}/none/new"),
        ):
            assert result.is_error
            assert "none does not exist" in text(result)
    assert not (tmp_path / "none").exists()
    for relative in ("", ".", "folder"):
        with pytest.raises(SettingsError, match="ROOT: it is not a whole path"):
            load({"files_root": [relative]})
    with pytest.raises(SettingsError, match="number 2 of 2 is not a whole path"):
        load({"files_root": [str(folder), "folder"]})
    assert load({"files_root": ["~"]}).files_root == (Path.home(),)

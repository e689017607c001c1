"""Inputs by name: an output of an earlier task, and a file of this machine, in place of a URL."""

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from anyio.abc import TaskGroup
from mcp import Client
from mcp.client.context import ClientRequestContext
from mcp.client.session import ListRootsFnT
from mcp_types import (
    CallToolResult,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    ListRootsResult,
    Root,
)
from pydantic import FileUrl
from support.faulty import FaultyWire, faulty_client
from support.media import sound, video
from support.scripted import texts

from runway_mcp.files.downloads import CallerFiles
from runway_mcp.files.file_client import open_file_client
from runway_mcp.files.folders import Folders
from runway_mcp.history.records import Limits
from runway_mcp.history.task_records import SavedOutput
from runway_mcp.mcp_server.server import LOCAL, OURS, build_server
from runway_mcp.mcp_server.tools.files import FILES
from runway_mcp.mcp_server.tools.toolset import Toolset
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import Caller, CallerContext, CallerRegistry

PNG = b"\x89PNG\r\n\x1a\n" + bytes(1000)
OTHER_PNG = b"\x89PNG\r\n\x1a\n" + bytes(1001)
IMAGES, VIDEO = SAMPLES["succeeded_images"].id, SAMPLES["succeeded_video"].id
RUNNING, FAILED = SAMPLES["running_long"].id, SAMPLES["failed_moderation"].id
ANIMATE: dict[str, Any] = {"promptText": "it rises", "ratio": "1280:720", "duration": 5}
SLOT, STORE, CREATE = "POST /v1/uploads", "POST /storage", "POST /v1/image_to_video"
ERAS = ("auto", "legacy")


class Wire(FaultyWire):
    """The sandbox, with what was asked of it; `on` is called before each request of its path."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.sent: list[dict[str, Any]] = []
        self.on: dict[str, Callable[[], Any]] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.calls.append(f"{request.method} {request.url.path}")
        if self.calls[-1].startswith("POST /v1/") and self.calls[-1] != SLOT:
            self.sent.append(json.loads(await request.aread()))
        if (act := self.on.get(request.url.path)) is not None and (waiting := act()) is not None:
            await waiting
        return await super().handle_async_request(request)

    @property
    def posts(self) -> list[str]:
        return [call for call in self.calls if call.startswith("POST")]


class Person:
    def __init__(self, *, says: bool = True, then: Callable[[], object] = bool) -> None:
        self.asked: list[str] = []
        self.says, self.then = says, then

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:  # noqa: ARG002 - the SDK's names
        assert isinstance(params, ElicitRequestFormParams)
        self.asked.append(params.message)
        self.then()
        return ElicitResult(action="accept", content={"start": self.says})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An allowed folder with a picture, a video of two and a half seconds, a sound, and a text."""
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    for name, content in {
        "kite.png": PNG,
        "copy.png": PNG,
        "other.png": OTHER_PNG,
        "film.mp4": video(2.5),
        "wind.wav": sound(3),
        "notes.txt": b"text" * 200,
    }.items():
        (allowed / name).write_bytes(content)
    (tmp_path / "secret.png").write_bytes(PNG)
    return allowed


@asynccontextmanager
async def connected(
    *folders: Path,
    wire: FaultyWire | None = None,
    limits: Limits | None = None,
    person: Person | None = None,
    toolsets: Sequence[Toolset] = OURS,
    read_only: bool = False,
    history: Path | None = None,
    mode: str = "auto",
    poll_seconds: float = 5,
    roots: ListRootsFnT | None = None,
) -> AsyncGenerator[tuple[Client, CallerContext]]:
    wire = wire or Wire()

    @asynccontextmanager
    async def files(tasks: TaskGroup) -> AsyncGenerator[Callable[[Caller], CallerFiles]]:
        async with open_file_client(own_origin="http://sandbox.localhost", own_transport=wire) as client:
            yield lambda _: CallerFiles(lambda: Folders(folders), client, tasks, takes_roots=True)

    callers = CallerRegistry(
        lambda _: faulty_client(wire),
        files=files,
        limits=limits or Limits(),
        history=history,
        poll_seconds=poll_seconds,
    )
    with anyio.fail_after(30):
        server = build_server(callers, toolsets=toolsets, read_only=read_only)
        async with Client(server, mode=mode, elicitation_callback=person, list_roots_callback=roots) as client:
            yield client, await callers.of(LOCAL)


def said(result: CallToolResult) -> str:
    return "\n".join(texts(result))


async def animate(client: Client, image: Any, /, **more: Any) -> CallToolResult:
    wanted = {"type": "image_to_video", "input": {"promptImage": image} | ANIMATE}
    return await client.call_tool("runway_startTask", wanted | more)


async def estimate(client: Client, kind: str, **wanted: Any) -> dict[str, Any]:
    result = await client.call_tool("runway_estimateCost", {"type": kind, "input": wanted})
    assert not result.is_error, said(result)
    return found(result)


async def start(client: Client, kind: str, **wanted: Any) -> dict[str, Any]:
    result = await client.call_tool("runway_startTask", {"type": kind, "input": wanted})
    assert not result.is_error, said(result)
    return found(result)


def begun(result: CallToolResult) -> str:
    assert not result.is_error, said(result)
    return str(found(result)["id"])


def found(result: CallToolResult) -> dict[str, Any]:
    return dict(result.structured_content or {})


async def test_a_file_is_uploaded_on_the_way_once_for_its_content(folder: Path) -> None:
    wire = Wire()
    async with connected(folder, wire=wire) as (client, _):
        first = await animate(client, "kite.png")
        assert 'Uploaded "kite.png" (2 kB) for promptImage.' in said(first)
        assert wire.posts == [SLOT, STORE, CREATE]
        assert wire.sent[0]["promptImage"].startswith("runway://")
        for path in (str(folder / "kite.png"), (folder / "copy.png").as_uri(), ' "kite.png" ', "./copy.png"):
            again = await animate(client, path)
            assert "Used the earlier upload of" in said(again)
            assert wire.sent[-1] == wire.sent[0]
        await animate(client, "other.png")
    assert wire.posts.count(STORE) == 2


@pytest.mark.parametrize(
    ("kind", "wanted", "places"),
    [
        ("text_to_image", {"model": "gen4_image", "referenceImages": ["kite.png", "task:" + IMAGES]}, 2),
        ("text_to_image", {"model": "gen4_image", "referenceImages": [{"uri": "kite.png", "tag": "kite"}]}, 1),
        ("text_to_image", {"model": "gen4_image", "reference_images": "kite.png"}, 1),
        ("image_to_video", {"model": "veo3.1", "promptImage": [{"uri": "kite.png", "position": "first"}]}, 1),
        (
            "image_to_video",
            {"model": "hailuo3", "ratio": "adaptive", "promptImage": [{"uri": "kite.png"}, {"uri": "task:" + IMAGES}]},
            2,
        ),
    ],
)
async def test_a_name_stands_wherever_a_medium_can(
    folder: Path, kind: str, wanted: dict[str, Any], places: int
) -> None:
    wire = Wire()
    async with connected(folder, wire=wire) as (client, _):
        note = (await start(client, kind, **{"promptText": "a kite", "ratio": "1280:720"} | wanted))["note"]
    assert "referenceImages[0].uri." in note or "promptImage[0].uri." in note
    assert note.count("Uploaded") + note.count(": output 1 of task") == places


@pytest.mark.parametrize(
    ("kind", "text", "words"), [("text_to_video", "x" * 1001, "1000"), ("sound_effect", "", "promptText is missing")]
)
async def test_words_of_a_wrong_length_are_no_name(folder: Path, kind: str, text: str, words: str) -> None:
    async with connected(folder) as (client, _):
        wanted: dict[str, Any] = {"promptText": text, "ratio": "1280:720", "duration": 5}
        result = await client.call_tool("runway_estimateCost", {"type": kind, "input": wanted})
    assert result.is_error
    assert words in said(result)
    assert "folder" not in said(result)


async def test_an_output_of_an_earlier_task_is_named_by_its_id(folder: Path) -> None:
    """A link that is fresh, and none that was read before the files had gone."""
    wire = Wire()
    async with connected(folder, wire=wire) as (client, _):
        for name, number in ((f"task:{IMAGES}", 1), (f" TASK:{IMAGES.upper()}#2", 2), (f"task://{IMAGES} #02", 2)):
            result = await animate(client, name)
            assert f"promptImage: output {number} of task {IMAGES}." in said(result)
            assert f"/outputs/{IMAGES}/{number - 1}.png" in wire.sent[-1]["promptImage"]
    assert wire.calls.count(f"GET /v1/tasks/{IMAGES}") == 1
    assert STORE not in wire.calls


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("task:00000000-0000-4000-8000-00000000ffff", "Runway has no such task."),
        (f"task:{RUNNING}", "only one that has SUCCEEDED has outputs. runway_waitForTask waits for it."),
        (f"task:{FAILED}", "the task is FAILED, and only one that has SUCCEEDED has outputs. runway_getTask says why."),
        (f"task:{IMAGES}#3", "but the task has 2 outputs."),
        (f"task:{SAMPLES['succeeded_video'].id}#2", "but the task has 1 output."),
        (f"task:{VIDEO}", "which is a video; the field takes an image."),
        ("task:kite", "an earlier output is task:<id>, or task:<id>#2 for the second, with the task's whole id"),
        (f"task:{IMAGES}#0", "an earlier output is task:<id>"),
        (f"task:{IMAGES[:-1]}", "an earlier output is task:<id>"),
        ("film.mp4", 'promptImage names "film.mp4", which is a video; the field takes an image.'),
        ("wind.wav", "which is an audio file; the field takes an image."),
        ("notes.txt", '"notes.txt" is no image'),
        ("none.png", "does not exist in"),
        ("../secret.png", 'It holds "..".'),
        ("{outside}", "It does not lie in a folder that this server may use."),
        ("~/kite.png", "~ is not expanded"),
        ("", "promptImage is missing"),
        ("http://example.com/kite.png", "did you mean https://"),
        ("attachment:kite.png", "a picture attached to the chat is not on this machine"),
    ],
)
async def test_what_can_not_be_used_is_told_and_nothing_is_sent(folder: Path, image: str, words: str) -> None:
    wire = Wire()
    async with connected(folder, wire=wire) as (client, _):
        result = await animate(client, image.format(outside=folder.parent / "secret.png"))
    assert result.is_error
    assert words in said(result)
    assert "Nothing was" in said(result)
    assert wire.posts == []


@pytest.mark.parametrize("read_only", [False, True])
async def test_a_path_is_refused_as_ever_where_no_file_is_uploaded(folder: Path, *, read_only: bool) -> None:
    wire = Wire()
    toolsets = OURS if read_only else [one for one in OURS if one is not FILES]
    async with connected(folder, wire=wire, toolsets=toolsets, read_only=read_only) as (client, _):
        for image, is_told in ((str(folder / "kite.png"), True), ("kite", False)):
            wanted = {"type": "image_to_video", "input": {"promptImage": image} | ANIMATE}
            result = await client.call_tool("runway_estimateCost", wanted)
            assert result.is_error
            assert "begins otherwise; it must be https://" in said(result)
            assert ("runway_uploadFile makes a runway:// URI of a file." in said(result)) is is_told
        priced = await estimate(client, "image_to_video", promptImage=f"task:{IMAGES}", **ANIMATE)
        assert priced["credits"] == 60
    assert wire.calls == []


@pytest.mark.parametrize(
    ("limits", "more", "words"),
    [
        (Limits(), {"maxCredits": 59}, "maxCredits allows 59"),
        (Limits(task=59), {}, "--max-credits-per-task"),
        (Limits(day=59), {}, "--max-credits-per-day"),
        (Limits(confirm_over=59), {}, "this host has no way to ask"),
        (Limits(), {"input": {"promptImage": "kite.png"} | ANIMATE | {"duration": 50}}, "duration"),
    ],
)
async def test_nothing_is_uploaded_for_a_start_that_is_not_allowed(
    folder: Path, limits: Limits, more: dict[str, Any], words: str
) -> None:
    wire = Wire()
    async with connected(folder, wire=wire, limits=limits) as (client, _):
        result = await animate(client, "kite.png", **more)
    assert result.is_error
    assert words in said(result)
    assert wire.calls == []


@pytest.mark.parametrize("mode", ERAS)
async def test_a_person_is_asked_before_anything_is_uploaded(folder: Path, mode: str) -> None:
    wire = Wire()
    person = Person(then=lambda: asked_after.append(list(wire.calls)))
    asked_after: list[list[str]] = []
    async with connected(folder, wire=wire, limits=Limits(confirm_over=1), person=person, mode=mode) as (client, _):
        begun(await animate(client, "kite.png"))
        person.says = False
        refused = await animate(client, "other.png")
        absent = await animate(client, f"task:{RUNNING}")
    digest = sha256(PNG).hexdigest()[:16]
    assert f'Uploads "kite.png" (2 kB, SHA-256 {digest}) from this server\'s disk. Input: "{{' in person.asked[0]
    assert "'promptImage':'kite.png'" in person.asked[0]
    assert asked_after[0] == []
    assert refused.is_error
    assert absent.is_error
    assert len(person.asked) == 2
    assert wire.posts == [SLOT, STORE, CREATE]


@pytest.mark.parametrize("mode", ERAS)
async def test_an_approval_is_for_the_contents_that_were_told(folder: Path, mode: str) -> None:
    """A file that changes while a person thinks is not sent without another yes."""
    wire = Wire()

    def change() -> None:
        if len(person.asked) == 1:
            (folder / "kite.png").write_bytes(OTHER_PNG)

    person = Person(then=change)
    async with connected(folder, wire=wire, limits=Limits(confirm_over=1), person=person, mode=mode) as (client, _):
        result = await animate(client, "kite.png")
    if mode == "legacy":
        assert "was changed meanwhile" in said(result)
        assert wire.posts == []
    else:
        begun(result)
        assert sha256(OTHER_PNG).hexdigest()[:16] in person.asked[1]


async def test_a_token_stands_for_the_same_start_though_links_and_uploads_differ(folder: Path) -> None:
    wire = Wire()
    async with connected(folder, wire=wire, poll_seconds=0.001) as (client, _):
        for image, same, other in (
            ("kite.png", str(folder / "copy.png"), "other.png"),
            (f"task:{IMAGES}", f"task:{IMAGES}#1", f"task:{IMAGES}#2"),
        ):
            first = begun(await animate(client, image, clientToken=image))
            wire.now += 60
            before = list(wire.posts)
            again = await animate(client, same, clientToken=image)
            assert begun(again) == first
            assert "nothing new was bought" in said(again)
            assert ("Uploaded" in said(again), "output 1 of" in said(again)) == (False, False)
            refused = await animate(client, other, clientToken=image)
            assert "This clientToken was used within 24 hours for a start with another type or input" in said(refused)
            assert wire.posts == before
            priced = await estimate(client, "image_to_video", promptImage=same, **ANIMATE)
            assert (priced["credits"], priced["basis"]) == (60, "history")


async def test_another_content_under_the_same_path_is_another_start(folder: Path) -> None:
    wire = Wire()
    async with connected(folder, wire=wire) as (client, _):
        begun(await animate(client, "kite.png", clientToken="mine"))
        (folder / "kite.png").write_bytes(OTHER_PNG)
        refused = await animate(client, "kite.png", clientToken="mine")
    assert "for a start with another type or input" in said(refused)
    assert wire.posts == [SLOT, STORE, CREATE]


@pytest.mark.parametrize("place", ["/v1/uploads", "/storage", "/v1/image_to_video"])
@pytest.mark.parametrize("other", ["kite.png", "copy.png", "other.png"])
async def test_a_token_that_is_repeated_meanwhile_buys_one_task(folder: Path, place: str, other: str) -> None:
    """Before the upload, during it, and before Runway's answer; with the same content or another."""
    wire, held, go = Wire(), anyio.Event(), anyio.Event()

    async def hold() -> None:
        held.set()
        await go.wait()

    wire.on[place] = lambda: None if held.is_set() else hold()
    results: list[CallToolResult] = []
    async with connected(folder, wire=wire) as (client, _):

        async def call(path: str) -> None:
            results.append(await animate(client, path, clientToken="mine"))

        async with anyio.create_task_group() as calls:
            calls.start_soon(call, "kite.png")
            await held.wait()
            calls.start_soon(call, other)
            await anyio.wait_all_tasks_blocked()
            go.set()
    assert wire.posts.count(CREATE) == 1
    assert wire.posts.count(STORE) <= (2 if other == "other.png" else 1)
    refused = [result for result in results if result.is_error]
    assert len(refused) == (1 if other == "other.png" else 0)
    assert all("for a start with another type or input" in said(result) for result in refused)


@pytest.mark.parametrize("place", ["/v1/uploads", "/storage"])
async def test_a_call_that_is_cancelled_while_it_uploads_buys_nothing(folder: Path, place: str) -> None:
    wire, held = Wire(), anyio.Event()

    async def hold() -> None:
        held.set()
        await anyio.sleep_forever()

    wire.on[place] = hold
    async with connected(folder, wire=wire, limits=Limits(day=60)) as (client, _):
        async with anyio.create_task_group() as calls:
            calls.start_soon(lambda: animate(client, "kite.png", clientToken="mine"))
            await held.wait()
            calls.cancel_scope.cancel()
        del wire.on[place]
        assert CREATE not in wire.posts
        begun(await animate(client, "kite.png", clientToken="mine"))
    assert wire.posts.count(CREATE) == 1


async def test_a_start_that_a_token_stood_for_until_just_now_is_made_ready_before_it_is_sent(folder: Path) -> None:
    """The earlier one is refused by Runway, which frees its token, while the other waits for its answer."""
    wire = Wire()
    wire.faults["POST"].extend([None, None, 400])
    async with connected(folder, wire=wire) as (client, _):
        assert (await animate(client, "kite.png", clientToken="mine")).is_error
        begun(await animate(client, "kite.png", clientToken="mine"))
    assert wire.posts == [SLOT, STORE, CREATE, CREATE]
    assert wire.sent[1]["promptImage"].startswith("runway://")


async def test_uploads_are_told_though_the_start_fails(folder: Path) -> None:
    wire = Wire()
    wire.faults["POST"].extend([None, None, 400])
    async with connected(folder, wire=wire) as (client, _):
        refused = await animate(client, "kite.png")
        assert refused.is_error
        assert 'Uploaded "kite.png" (2 kB) for promptImage.' in said(refused)
        assert "Nothing was started" in said(refused)
        wire.faults["POST"].append(401)
        failed = await animate(client, "other.png")
        assert "promptImage: Runway does not accept the API key" in said(failed)
    assert wire.posts.count(CREATE) == 1


async def test_a_file_that_changes_while_it_is_uploaded_starts_nothing(folder: Path) -> None:
    wire = Wire()
    wire.on["/storage"] = lambda: (folder / "kite.png").write_bytes(OTHER_PNG[: len(PNG) - 1] + b"\1") and None
    async with connected(folder, wire=wire) as (client, _):
        result = await animate(client, "kite.png")
    assert '"kite.png" was changed meanwhile. Repeat the call to use what it holds now.' in said(result)
    assert CREATE not in wire.posts


@pytest.mark.parametrize(
    ("kind", "wanted", "cost"),
    [
        ("video_upscale", {"model": "enhance_frame_rate", "targetFramerate": "60", "videoUri": "film.mp4"}, 2),
        ("video_to_video", {"model": "aleph2", "videoUri": "film.mp4", "promptText": "snow"}, 70),
        ("voice_isolation", {"audioUri": "wind.wav"}, 1),
    ],
)
async def test_a_price_by_the_length_of_a_file_is_exact_and_nothing_is_uploaded_for_it(
    folder: Path, kind: str, wanted: dict[str, Any], cost: int
) -> None:
    wire = Wire()
    async with connected(folder, wire=wire) as (client, _):
        priced = await estimate(client, kind, **wanted)
        assert (priced["credits"], priced["basis"], "atLeast" in priced) == (cost, "table", False)
        assert wire.calls == []
        started = await start(client, kind, **wanted)
        assert started["estimatedCost"]["credits"] == cost


async def test_an_upload_by_its_uri_is_measured_too(folder: Path) -> None:
    wanted = {"model": "aleph2", "promptText": "snow"}
    async with connected(folder) as (client, _):
        uploaded = await client.call_tool("runway_uploadFile", {"path": "film.mp4"})
        priced = await estimate(client, "video_to_video", videoUri=found(uploaded)["uri"], **wanted)
        assert (priced["credits"], "atLeast" in priced) == (70, False)
        unknown = await estimate(client, "video_to_video", videoUri="runway://unknown", **wanted)
        assert unknown["atLeast"]
        again = await start(client, "video_to_video", videoUri="film.mp4", **wanted)
        assert 'Used the earlier upload of "film.mp4"' in again["note"]


async def test_an_earlier_output_is_as_long_as_its_saved_file_or_as_was_asked_for(folder: Path) -> None:
    wanted = {"model": "aleph2", "promptText": "snow"}
    wire = Wire()
    async with connected(folder, wire=wire) as (client, context):
        made = (await start(client, "text_to_video", **ANIMATE))["id"]
        for image, is_known in ((made, True), (VIDEO, False)):
            priced = await estimate(client, "video_to_video", videoUri=f"task:{image}", **wanted)
            assert ("atLeast" not in priced) is is_known
        assert (await estimate(client, "video_to_video", videoUri=f"task:{made}", **wanted))["credits"] == 140
        tasks = (await context.ledger.history()).tasks
        record = await tasks.find(context.ledger.account, context.ledger.caller, made)
        assert record is not None
        film = folder / "film.mp4"
        saved = SavedOutput(1, str(film), film.stat().st_size, "video/mp4", "")
        await tasks.record_saved(record.number, [saved])
        assert (await estimate(client, "video_to_video", videoUri=f"task:{made}", **wanted))["credits"] == 70
        film.write_bytes(video(9))
        assert (await estimate(client, "video_to_video", videoUri=f"task:{made}", **wanted))["credits"] == 140
        film.unlink()
        assert (await estimate(client, "video_to_video", videoUri=f"task:{made}", **wanted))["credits"] == 140
        refused = await animate(client, f"task:{made}")
        assert "which is a video; the field takes an image." in said(refused)
        image = (await start(client, "text_to_image", promptText="a kite", ratio="1280:720", model="gen4_image"))["id"]
        refused = await client.call_tool(
            "runway_startTask", {"type": "video_to_video", "input": wanted | {"videoUri": f"task:{image}"}}
        )
        assert "which is an image; the field takes a video." in said(refused)
        assert wire.posts == ["POST /v1/text_to_video", "POST /v1/text_to_image"]


async def test_a_medium_that_is_too_long_is_refused_before_it_is_uploaded(folder: Path) -> None:
    (folder / "long.mp4").write_bytes(video(40))
    wire = Wire()
    async with connected(folder, wire=wire) as (client, _):
        wanted = {"type": "video_to_video", "input": {"model": "aleph2", "videoUri": "long.mp4"}}
        result = await client.call_tool("runway_startTask", wanted)
    assert "measured: 40.0 s" in said(result)
    assert wire.calls == []


async def test_a_file_that_runway_has_no_more_is_uploaded_anew_after_it_says_so(folder: Path) -> None:
    wire = Wire()
    async with connected(folder, wire=wire) as (client, _):
        begun(await animate(client, "kite.png"))
        wire.now += 25 * 3600  # of Runway's clock, not of ours
        refused = await animate(client, "kite.png")
        assert "There is no such upload, or it has expired." in said(refused)
        assert 'Uploaded "kite.png"' in said(await animate(client, "kite.png"))


@pytest.mark.parametrize("change", ["other", "text", "none"])
async def test_an_upload_whose_file_changes_meanwhile_is_not_taken_for_it(folder: Path, change: str) -> None:
    wire = Wire()

    def act() -> None:
        if change != "none":
            (folder / "film.mp4").write_bytes(video(9) if change == "other" else b"text" * 10_000)

    wire.on["/storage"] = act
    async with connected(folder, wire=wire) as (client, _):
        uploaded = await client.call_tool("runway_uploadFile", {"path": "film.mp4"})
        assert not uploaded.is_error
        wanted = {"model": "aleph2", "videoUri": found(uploaded)["uri"]}
        priced = await estimate(client, "video_to_video", **wanted)
        assert ("atLeast" in priced) is (change != "none")


async def test_an_upload_that_can_not_be_remembered_is_one_all_the_same(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    history = tmp_path / "history.sqlite3"
    history.write_bytes(b"no database" * 1000)
    async with connected(folder, history=history) as (client, _):
        uploaded = await client.call_tool("runway_uploadFile", {"path": "kite.png"})
        assert not uploaded.is_error
        assert "An upload can't be recorded: HistoryDamagedError" in caplog.text
        refused = await client.call_tool(
            "runway_estimateCost", {"type": "image_to_video", "input": {"promptImage": f"task:{IMAGES}"} | ANIMATE}
        )
        assert "The history of started tasks is damaged" in said(refused)


@pytest.mark.parametrize("mode", ERAS)
async def test_a_path_may_lie_in_a_folder_that_the_host_names(folder: Path, mode: str) -> None:
    asked: list[str] = []

    async def roots(context: ClientRequestContext) -> ListRootsResult:  # noqa: ARG001 - the SDK's name
        asked.append("roots")
        return ListRootsResult(roots=[Root(uri=FileUrl(folder.as_uri()))])

    async with connected(mode=mode, roots=roots) as (client, _):
        begun(await animate(client, f"task:{IMAGES}"))
        assert asked == []
        assert 'Uploaded "kite.png"' in said(await animate(client, "kite.png"))
        assert "It does not lie in a folder" in said(await animate(client, str(folder.parent / "secret.png")))
        assert asked == ["roots", "roots"]
    async with connected(mode=mode) as (client, _):
        assert "No folder is allowed, so nothing was read." in said(await animate(client, "kite.png"))

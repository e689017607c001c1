"""Files handed in ahead of a create: a place in the storage, the form that fills it, and what its URI is good for."""

import io
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from xml.etree import ElementTree as ET

import httpx2
import pytest
from sandbox_client import FILE, HEADERS, Client, Clock, body_for, connected
from sandbox_wires import client_of, serving
from support.media import sound, video
from support.served import connection
from support.waiting import until

from runway_mcp.catalogue.pricing import list_price
from runway_mcp.catalogue.validation import prepare
from runway_mcp.media_length import media_seconds
from runway_mcp.sandbox import create_app

_NONE = "There is no such upload, or it has expired."


def _part(name: str, value: str) -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def _file(name: str = "file", content: bytes = FILE) -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n%s\r\n' % (name.encode(), content)


def _fields(slot: Mapping[str, Any], **replaced: str | None) -> bytes:
    fields = {**slot["fields"], **replaced}
    return b"".join(_part(name, value) for name, value in fields.items() if value is not None)


async def _post(client: Client, content: bytes | AsyncIterator[bytes], **headers: str) -> httpx2.Response:
    typed = {"Content-Type": "multipart/form-data; boundary=b"} | {n.replace("_", "-"): v for n, v in headers.items()}
    request = client.http.build_request("POST", "/storage", content=content, headers=typed)
    if "Authorization" not in headers:
        del request.headers["Authorization"]
    return await client.http.send(request)


def _code(answer: httpx2.Response) -> str:
    assert answer.headers["Content-Type"] == "application/xml"
    root = ET.fromstring(answer.text)  # noqa: S314 - the sandbox's own
    assert (root.tag, [child.tag for child in root]) == ("Error", ["Code", "Message"])
    return str(root.findtext("Code"))


async def _refusal(client: Client, path: str, **changed: object) -> tuple[list[str | int], str]:
    answer = await client.start(path, **changed)
    assert answer.status_code == 400
    [issue] = answer.json()["issues"]
    return issue["path"], issue["message"]


async def _charged(client: Client, path: str, **changed: object) -> float:
    answer = await client.start(path, **changed)
    assert answer.status_code == 200, answer.text
    return float(answer.json()["estimatedCost"]["credits"])


@pytest.mark.parametrize(
    ("filename", "wrong"),
    [
        *((name, 0) for name in ("a.png", "A.JPG", "x.jpeg", "a b.webp", "ü.mp4", "a.tar.mov", "a.mp3", ".wav")),
        *((name, 1) for name in ("a.txt", "a.gif", "a.svg", "png", "ab.", "a.png.zip", "x" * 252 + ".png", 5, None)),
        ("x" * 251 + ".png", 0),
        ("", 1),
    ],
)
async def test_a_place_is_for_a_file_with_a_mediums_extension(client: Client, filename: object, wrong: int) -> None:
    there = "https://sandbox.example:8443"
    answer = await client.http.post(f"{there}/v1/uploads", json={"filename": filename, "type": "ephemeral"})
    assert answer.status_code == (400 if wrong else 200)
    assert [issue["path"] for issue in answer.json().get("issues", [])] == [["filename"]] * wrong
    if not wrong:
        other = await client.slot("a.png")
        assert answer.json()["uploadUrl"] == f"{there}/storage"
        assert answer.json()["runwayUri"] != other["runwayUri"]


@pytest.mark.parametrize(
    ("filename", "kind"), [("a.png", "image"), ("a.webp", "image"), ("a.mov", "video"), ("a.mp3", "audio")]
)
async def test_an_upload_is_an_input_of_its_kind(client: Client, filename: str, kind: str) -> None:
    uri = await client.upload(filename)
    fields = {"image": ("image_upscale", "imageUri"), "video": ("video_upscale", "videoUri")}
    for wanted, (path, field) in (fields | {"audio": ("voice_isolation", "audioUri")}).items():
        if wanted == kind:
            await client.create(f"/v1/{path}", **{field: uri})
        else:
            refusal = await _refusal(client, f"/v1/{path}", **{field: uri})
            assert refusal == ([field], f"The upload is of kind {kind}: expected {wanted}.")


async def test_an_upload_that_is_not_there_is_no_input(client: Client) -> None:
    empty = (await client.slot())["runwayUri"]
    images = [{"uri": empty}, {"uri": await client.upload()}, {"uri": "runway://unknown"}]
    answer = await client.start("/v1/text_to_image", referenceImages=images)
    assert answer.status_code == 400
    assert [(issue["path"], issue["code"], issue["message"]) for issue in answer.json()["issues"]] == [
        (["referenceImages", 0, "uri"], "custom", _NONE),
        (["referenceImages", 2, "uri"], "custom", _NONE),
    ]
    assert (await client.organization())["creditBalance"] == 100_000
    routed = {"promptText": "rain", "referenceImages": [{"uri": empty, "role": "first"}]}
    where, _ = await _refusal(client, "/v1/generate/video", input=routed)
    assert where == ["input", "referenceImages", 0, "uri"]


async def test_an_upload_expires_a_day_after_it_was_made(client: Client, clock: Clock) -> None:
    uri = await client.upload()
    for seconds in (0, 86_399):
        clock.now += seconds
        await client.create("/v1/image_upscale", imageUri=uri)
    clock.now += 1
    assert await _refusal(client, "/v1/image_upscale", imageUri=uri) == (["imageUri"], _NONE)


async def test_an_upload_is_an_input_wherever_a_file_is(client: Client) -> None:
    image, video = await client.upload(), await client.upload("a.mp4")
    await client.create("/v1/image_to_video", promptImage=[{"uri": image, "position": "first"}])
    await client.create("/v1/video_to_video", videoUri=video, keyframes=[{"uri": image, "at": 1}])
    character = {"type": "video", "uri": video}
    await client.create("/v1/character_performance", character=character, reference=character)
    await client.create("/v1/text_to_video", promptText="runway://unknown-or-not")
    refusal = await _refusal(client, "/v1/lip_sync", input=image, audio=video)
    assert refusal == (["audio"], "The upload is of kind video: expected audio.")
    voice = await client.upload("a.wav")
    await client.create("/v1/lip_sync", input=video, audio=voice)
    refusal = await _refusal(client, "/v1/lip_sync", input=voice, audio=voice)
    assert refusal == (["input"], "The upload is of kind audio: expected image or video.")


@pytest.mark.parametrize(
    ("filename", "content", "path", "field"),
    [
        ("a.mp4", video(3.5), "/v1/video_to_video", "videoUri"),
        ("a.mov", video(3.5, "mov"), "/v1/video_to_video", "videoUri"),
        ("a.wav", sound(14.5), "/v1/voice_isolation", "audioUri"),
        ("a.mp4", FILE, "/v1/video_to_video", "videoUri"),
    ],
)
async def test_a_task_costs_what_its_uploads_length_makes_of_the_estimate(
    client: Client, filename: str, content: bytes, path: str, field: str
) -> None:
    """A file that says no length counts as a second in both."""
    uri = await client.upload(filename, content)
    seconds = media_seconds(io.BytesIO(content))
    prepared = prepare(path.removeprefix("/v1/"), body_for(path, **{field: uri}))
    price = list_price(prepared.with_lengths({uri: seconds} if seconds else {}))
    assert price is not None
    assert price.at_least is (seconds is None)
    assert await _charged(client, path, **{field: uri}) == price.credits
    if seconds:
        assert price.credits > await _charged(client, path, **{field: "https://example.com/a"})


async def test_an_output_is_an_input_of_the_second_that_it_lasts(client: Client, clock: Clock) -> None:
    task_id = await client.create("/v1/text_to_video")
    clock.now += 60
    [uri] = (await client.http.get(f"https://sandbox.example/v1/tasks/{task_id}")).json()["output"]
    prepared = prepare("video_upscale", {"model": "enhance_frame_rate", "targetFramerate": 60, "videoUri": uri})
    seconds = media_seconds(io.BytesIO((await client.http.get(uri)).content))
    assert seconds == 1
    price = list_price(prepared.with_lengths({uri: seconds}))
    assert price is not None
    assert not price.at_least
    assert await _charged(client, "/v1/video_upscale", **prepared.body) == price.credits


async def test_a_slot_expires_after_an_hour_and_belongs_to_its_sandbox(client: Client, clock: Clock) -> None:
    slot = await client.slot()
    clock.now += 3599
    assert (await client.store(slot)).status_code == 204
    clock.now += 1
    answer = await client.store(slot)
    assert (answer.status_code, _code(answer)) == (403, "AccessDenied")
    async with connected(create_app(clock=clock)) as other:  # which signs with a key of its own
        assert _code(await client.store(await other.slot())) == "AccessDenied"


@pytest.mark.parametrize(
    "changed",
    [
        {"policy": None},
        {"policy": "nonsense"},
        {"key": "11111111-1111-4111-8111-111111111111"},
        {"key": None},
        {"Content-Type": "video/mp4"},
        {"acl": "public-read"},
    ],
)
async def test_a_field_that_is_not_the_slots_is_refused(client: Client, changed: Mapping[str, str | None]) -> None:
    slot = await client.slot()
    answer = await _post(client, _fields(slot, **changed) + _file() + b"--b--\r\n")
    assert (answer.status_code, _code(answer)) == (403, "AccessDenied")
    assert await _refusal(client, "/v1/image_upscale", imageUri=slot["runwayUri"]) == (["imageUri"], _NONE)


_END = b"--b--\r\n"
_BROKEN: Mapping[str, tuple[Callable[[bytes], bytes], str]] = {
    "nothing": (lambda _: b"", "InvalidArgument"),
    "no file": (lambda fields: fields + _END, "InvalidArgument"),
    "file before the fields": (lambda fields: _file() + fields + _END, "InvalidArgument"),
    "field after the file": (lambda fields: fields + _file() + _part("metadata", "x") + _END, "InvalidArgument"),
    "file under another name": (lambda fields: fields + _file("data") + _END, "InvalidArgument"),
    "file as a mere field": (lambda fields: fields + _part("file", "x" * 600) + _END, "InvalidArgument"),
    "two files": (lambda fields: fields + _file() + _file() + _END, "MalformedPOSTRequest"),
    "no boundary": (lambda fields: b"x" + fields + _file() + _END, "MalformedPOSTRequest"),
    "too many fields": (lambda fields: _part("x", "y") * 20 + fields + _file(), "MalformedPOSTRequest"),
    "511 bytes": (lambda fields: fields + _file(content=bytes(511)) + _END, "EntityTooSmall"),
}


@pytest.mark.parametrize(("form", "code"), _BROKEN.values(), ids=_BROKEN)
async def test_a_form_of_another_shape_is_refused(client: Client, form: Callable[[bytes], bytes], code: str) -> None:
    slot = await client.slot()
    answer = await _post(client, form(_fields(slot)))
    assert (answer.status_code, _code(answer)) == (400, code)
    assert await _refusal(client, "/v1/image_upscale", imageUri=slot["runwayUri"]) == (["imageUri"], _NONE)


async def test_a_key_does_not_belong_into_the_storage(client: Client) -> None:
    form = _fields(await client.slot()) + _file() + b"--b--\r\n"
    answer = await _post(client, form, Authorization=HEADERS["Authorization"])
    assert (answer.status_code, _code(answer)) == (400, "InvalidArgument")
    assert (await _post(client, form)).status_code == 204


async def test_the_storage_wants_to_know_the_length(client: Client) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield _fields(await client.slot()) + _file() + b"--b--\r\n"

    answer = await _post(client, chunks())
    assert (answer.status_code, _code(answer)) == (411, "MissingContentLength")
    answer = await _post(client, chunks(), Content_Length=str(202 * 1024 * 1024))
    assert (answer.status_code, _code(answer)) == (400, "EntityTooLarge")


async def test_an_upload_that_breaks_off_leaves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(create_app()) as (url, server), client_of(url) as client:
        slot = await client.slot()
        head = "POST /storage HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        async with connection(int(url.rpartition(":")[2])) as (_, writer):
            writer.write(f"{head}Content-Length: 9999\r\n\r\n".encode() + _fields(slot) + _file())
            await until(lambda: len(server.server_state.tasks) == 1, "the form to be read")
        await until(lambda: not server.server_state.tasks, "the request to end")
        where, _ = await _refusal(client, "/v1/image_upscale", imageUri=slot["runwayUri"])
        assert where == ["imageUri"]
    assert [record for record in caplog.records if record.levelname in {"WARNING", "ERROR", "CRITICAL"}] == []

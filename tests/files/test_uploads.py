"""Files that are uploaded: to a sandbox as a whole, and to storages that fail in every way."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any, cast

import anyio
import httpx2
import pytest
from pydantic import JsonValue, SecretStr
from support.scripted import KEY, Sleeper
from support.serving import served
from support.upstream import HANG, RESET, Reply, Request, Upstream, reply, upstream
from support.waiting import until

from runway_mcp.api.client import RunwayClient, open_client
from runway_mcp.api.errors import AuthenticationError, UnexpectedReplyError
from runway_mcp.files.file_client import FileClient, open_file_client
from runway_mcp.files.file_errors import (
    UnsuitableFileError,
    UploadError,
    UploadTimeoutError,
    UrlNotAllowedError,
)
from runway_mcp.files.folders import Folders, InputFile
from runway_mcp.files.uploads import CHUNK, MAX_BYTES, Uploaded, upload
from runway_mcp.mcp_server.file_messages import explain
from runway_mcp.sandbox import create_app
from runway_mcp.sandbox.output_files import OUTPUTS

PNG = OUTPUTS["image"].path.read_bytes()
LONG = PNG + bytes(3 * CHUNK)
TAKEN = reply(204)
REFUSED = reply(
    403, b"<Error><Code>AccessDenied</Code><Message>s3cret</Message></Error>", Content_Type="application/xml"
)


@asynccontextmanager
async def clients(
    url: str, transport: httpx2.AsyncBaseTransport | None = None
) -> AsyncGenerator[tuple[RunwayClient, FileClient]]:
    """What uploads go by, to one server that is Runway and its storage alike."""
    async with (
        open_client(api_key=SecretStr(KEY), base_url=url, api_version="2024-11-06", transport=transport) as api,
        open_file_client(own_origin=url, own_transport=transport) as client,
    ):
        yield api, client


@dataclass(slots=True)
class Storage:
    """A Runway whose storage answers each form with the next reply; remembers what came."""

    replies: list[Reply]
    server: Upstream = field(init=False)
    slots: int = 0

    def answer(self, request: Request) -> Reply:
        if request.path == "/v1/uploads":
            self.slots += 1
            fields: dict[str, JsonValue] = {
                "key": f"uploads/{self.slots}",
                "Content-Type": "image/x-png",
                "policy": "p0licy",
            }
            link = f"{self.server.url}/storage/{self.slots}?signature=s3cret"
            return reply(200, {"uploadUrl": link, "fields": fields, "runwayUri": f"runway://{self.slots}"})
        return self.replies.pop(0)

    @property
    def forms(self) -> list[Request]:
        return [request for request in self.server.requests if request.path.startswith("/storage/")]


@asynccontextmanager
async def storage(*replies: Reply) -> AsyncGenerator[tuple[Storage, RunwayClient, FileClient]]:
    """A Runway with such a storage, and what uploads to it go by."""
    found = Storage(list(replies))
    async with upstream(found.answer) as found.server, clients(found.server.url) as (api, client):
        yield found, api, client


def given(folder: Path, content: bytes, name: str = "a.png") -> InputFile:
    """A file on the disk, open for reading."""
    (folder / name).write_bytes(content)
    return Folders([folder]).open_input(name)


async def failing(
    folder: Path, *replies: Reply, content: bytes = PNG, timeout: float = 20
) -> tuple[Storage, Sleeper, str]:
    """Upload a file that is not taken in the end; return what is said of it."""
    sleeper = Sleeper()
    async with storage(*replies) as (found, api, client):
        with given(folder, content) as file, pytest.raises(UploadError) as caught:
            await upload(api, client, file, timeout=timeout, sleep=sleeper, random=lambda: 0.0)
    said = explain(caught.value)
    assert len(said) < 500
    assert "s3cret" not in said
    assert "harged" in said
    return found, sleeper, said


async def test_a_file_becomes_an_input_of_the_sandbox(tmp_path: Path) -> None:
    """Over a real socket and in the same process: what comes back is taken by a create."""
    transport = httpx2.ASGITransport(create_app())
    async with served(create_app()) as url:
        for where in (clients(url), clients("http://sandbox.example", transport)):
            async with where as (api, client):
                with given(tmp_path, LONG) as file:
                    found = await upload(api, client, file)
                assert found == Uploaded(found.uri, len(LONG), "image/png")
                body = {"model": "gen4_turbo", "promptImage": found.uri, "ratio": "1280:720", "duration": 5}
                assert await api.create_task("/v1/image_to_video", body)


def parts(request: Request) -> list[tuple[Message, bytes]]:
    """The parts of a form, by a parser that is not ours."""
    message = message_from_bytes(f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode() + request.body)
    assert message.is_multipart()
    return [(one, cast("bytes", one.get_payload(decode=True))) for one in cast("list[Message]", message.get_payload())]


async def test_a_form_is_what_the_storage_wants(tmp_path: Path) -> None:
    """Every field as it was given, the file last, of the type that the place is for; its length, but no key."""
    async with storage(TAKEN) as (found, api, client):
        with given(tmp_path, LONG, "Mein Büro (1).jpeg") as file:
            assert await upload(api, client, file) == Uploaded("runway://1", len(LONG), "image/png")
    (form,) = found.forms
    assert int(form.headers["content-length"]) == len(form.body)
    assert not form.headers.keys() & {"authorization", "cookie", "x-runway-version", "transfer-encoding"}
    assert KEY not in str(form)
    *fields, (last, content) = parts(form)
    assert [(one.get_param("name", header="Content-Disposition"), value.decode()) for one, value in fields] == [
        ("key", "uploads/1"),
        ("Content-Type", "image/x-png"),
        ("policy", "p0licy"),
    ]
    assert content == LONG
    assert last.get_content_type() == "image/x-png"
    assert last.get_param("name", header="Content-Disposition") == "file"
    assert last.get_filename() == "Mein_B_ro_1.png"
    asked = found.server.requests[0].body
    assert asked == b'{"filename":"Mein_B_ro_1.png","type":"ephemeral"}'


@pytest.mark.parametrize("name", ["☃.png", "...", "x" * 200 + ".png", "a.png\\x.exe"])
async def test_any_name_becomes_a_plain_one(tmp_path: Path, name: str) -> None:
    """Of letters, digits, hyphens and underscores, with the extension of what the file is."""
    async with clients("http://sandbox.example", httpx2.ASGITransport(create_app())) as (api, client):
        with given(tmp_path, PNG) as file:
            assert await upload(api, client, replace(file, name=name))


async def test_how_far_it_has_come_is_told(tmp_path: Path) -> None:
    """In bytes of the file, up to all of them, and never fewer than before, though a second attempt begins anew."""
    told: list[tuple[int, int]] = []

    async def report(gone: int, size: int) -> None:
        told.append((gone, size))

    async with storage(reply(500), TAKEN) as (_, api, client):
        with given(tmp_path, LONG) as file:
            await upload(api, client, file, report=report, sleep=Sleeper())
    assert told == [(min(n * CHUNK, len(LONG)), len(LONG)) for n in range(1, 5)]


@pytest.mark.parametrize("failure", [reply(500), reply(503), REFUSED, reply(302, Location="http://x"), RESET], ids=str)
async def test_where_the_storage_fails_a_new_place_is_asked_for(tmp_path: Path, failure: Reply) -> None:
    """Up to three in all; the file is sent whole each time."""
    sleeper = Sleeper()
    async with storage(failure, failure, TAKEN) as (found, api, client):
        with given(tmp_path, LONG) as file:
            uploaded = await upload(api, client, file, sleep=sleeper, random=lambda: 0.0)
    assert uploaded.uri == "runway://3"
    assert [parts(form)[-1][1] for form in found.forms] == [LONG] * 3
    assert [form.path.partition("?")[0] for form in found.forms] == ["/storage/1", "/storage/2", "/storage/3"]
    assert sleeper.slept == [0.5, 1.0]


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (REFUSED, "in 3 attempts. The storage answered 403 (AccessDenied). Nothing was charged"),
        (reply(500, b"oops s3cret"), "The storage answered 500. Nothing was charged"),
        (RESET, "in 3 attempts. The connection to"),
    ],
    ids=str,
)
async def test_a_storage_that_takes_nothing_is_told_as_such(tmp_path: Path, failure: Reply, said: str) -> None:
    """After three attempts; nothing was bought by any of them."""
    found, sleeper, error = await failing(tmp_path, failure, failure, failure)
    assert len(found.forms) == 3
    assert sleeper.slept == [0.5, 1.0]
    assert said in error


async def test_an_upload_has_a_deadline(tmp_path: Path) -> None:
    """However often the storage lets it begin anew: told how far it came, and whose silence it was."""
    _, _, error = await failing(tmp_path, HANG, content=LONG, timeout=0.3)
    assert "within 0.3 s. The whole file was sent, but the storage did not answer" in error

    async def wait(gone: int, size: int) -> None:
        assert gone < size
        await anyio.sleep_forever()

    async with storage() as (_, api, client):
        with given(tmp_path, LONG) as file, pytest.raises(UploadTimeoutError) as caught:
            await upload(api, client, file, timeout=0.3, report=wait)
    assert "bytes were sent. Use a smaller file" in explain(caught.value)
    async with upstream([HANG]) as server, clients(server.url) as (api, client):
        with given(tmp_path, PNG) as file, pytest.raises(UploadTimeoutError) as caught:
            await upload(api, client, file, timeout=0.3)
    assert "Runway or its storage did not answer" in explain(caught.value)


async def test_a_place_that_is_not_public_gets_nothing(tmp_path: Path) -> None:
    async with storage() as (found, api, _), open_file_client() as strict:
        with given(tmp_path, PNG) as file, pytest.raises(UrlNotAllowedError, match="not_https"):
            await upload(api, strict, file)
    assert found.slots == 1
    assert found.forms == []


async def test_runways_own_refusal_stays_what_it_is(tmp_path: Path) -> None:
    for answer, kind in ((reply(401, {"error": "no"}), AuthenticationError), (reply(200, {}), UnexpectedReplyError)):
        async with upstream([answer]) as server, clients(server.url) as (api, client):
            with given(tmp_path, PNG) as file, pytest.raises(kind):
                await upload(api, client, file)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (PNG[:511], "has 511 bytes"),
        (b"", "has 0 bytes"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>" + bytes(600), "is no image"),
        (b"AWS_SECRET_ACCESS_KEY=abc\n" * 40, "is no image"),
        (b"GIF89a" + bytes(600), "is no image"),
    ],
)
async def test_what_runway_does_not_take_is_not_sent(tmp_path: Path, content: bytes, said: str) -> None:
    """Too small, or by its content something else than its name says: refused before anything is asked."""
    found, _, error = await failing(tmp_path, content=content)
    assert said in error
    assert found.server.requests == []


async def test_what_is_too_large_is_not_sent(tmp_path: Path) -> None:
    """One byte over 200 MB, by a file that takes no space."""
    given(tmp_path, PNG).file.close()
    os.truncate(tmp_path / "a.png", MAX_BYTES + 1)
    async with storage() as (found, api, client):
        with Folders([tmp_path]).open_input("a.png") as file, pytest.raises(UnsuitableFileError) as caught:
            await upload(api, client, file)
    assert "200 MB" in explain(caught.value)
    assert found.server.requests == []


async def test_a_file_that_can_not_be_read_to_its_end_is_not_passed_off_as_whole(tmp_path: Path) -> None:
    """It became shorter, or the system refuses; told as such, and not tried again."""
    async with storage(TAKEN, TAKEN) as (found, api, client):
        with given(tmp_path, LONG) as file:
            os.truncate(tmp_path / "a.png", len(PNG) + CHUNK)
            with pytest.raises(UnsuitableFileError) as caught:
                await upload(api, client, file)
        assert "became shorter" in explain(caught.value)
        assert (found.slots, found.forms) == (1, [])
        with (
            given(tmp_path, PNG) as file,
            (tmp_path / "b").open("wb") as unreadable,
            pytest.raises(UnsuitableFileError) as caught,
        ):
            await upload(api, client, replace(file, file=cast("Any", unreadable)))
        assert "can't be read: " in explain(caught.value)


async def test_a_cancelled_upload_ends_at_once(tmp_path: Path) -> None:
    """Its connection to the storage too; the one to Runway is kept for the next request."""
    async with storage(HANG) as (found, api, client):
        with given(tmp_path, PNG) as file, anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(upload, api, client, file)
                await found.server.asked("POST", 2)
                tasks.cancel_scope.cancel()
            await until(lambda: found.server.connections == 1, "the connection to the storage to be closed")
        assert found.server.count("POST") == 2

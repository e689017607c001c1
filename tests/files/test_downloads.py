"""Outputs on their way to the disk: named, checked, resumed, and never in anything's place."""

import errno
from collections import deque
from pathlib import Path

import anyio
import httpx2
import pytest
from support.outputs import PICTURE, SOUND, STEM, VIDEO, Host, failed, names, save_to, saved, saving
from support.scripted import Sleeper
from support.upstream import HANG, Reply, Request, reply, upstream

from runway_mcp.files.arrivals import RESUMES
from runway_mcp.files.downloads import MOST, Failed, Saved, download
from runway_mcp.files.folders import Folder, Folders
from runway_mcp.files.parts import Part
from runway_mcp.files.safe_open import THIS_SYSTEM, Directory
from runway_mcp.files.transfers import AT_ONCE, open_transfers

ARCHIVE = b"PK\3\4\x14\0\0\0" + bytes(100)


async def test_outputs_are_named_by_their_task_their_place_and_their_content(tmp_path: Path) -> None:
    """Whatever the link and the host call them."""
    data = (VIDEO, PICTURE, SOUND, ARCHIVE)
    async with saving(Host(*data), tmp_path, 4) as (_, save):
        found = [saved(one) for one in await save()]
    assert [(one.index, one.path.name, one.content_type, one.was_there) for one in found] == [
        (1, f"{STEM}-1.mp4", "video/mp4", False),
        (2, f"{STEM}-2.png", "image/png", False),
        (3, f"{STEM}-3.wav", "audio/wav", False),
        (4, f"{STEM}-4.zip", "application/zip", False),
    ]
    assert [one.path.read_bytes() for one in found] == list(data)
    assert names(tmp_path) == [one.path.name for one in found]


NO_OUTPUTS = {
    "a page": (b"<!doctype html><title>Log in</title>", "What came is no image, video, sound or ZIP archive."),
    "an error": (b'{"error": "expired"}', "What came is no image, video, sound or ZIP archive."),
    "nothing": (b"", "The host sends an empty file."),
}


@pytest.mark.parametrize("what", NO_OUTPUTS)
async def test_what_is_no_output_is_not_saved(tmp_path: Path, what: str) -> None:
    """Though the host says that all is well; nothing of it stays, and a fresh link may help."""
    content, said = NO_OUTPUTS[what]
    async with saving(Host(content), tmp_path) as (_, save):
        told = failed((await save())[0])
    assert told == f"{said} The same call asks for it by a fresh link. Nothing of it is kept."
    assert names(tmp_path) == []


async def test_an_output_without_a_link_keeps_its_place(tmp_path: Path) -> None:
    """The others are saved under the numbers that they have in the task."""
    async with upstream(Host(PICTURE)) as api, open_transfers(own_origin=api.url) as transfers:
        first, second = await save_to(tmp_path, transfers, [None, f"{api.url}/1.exe?_jwt=secret"])
    assert failed(first, retryable=False) == "The task names no link here, so nothing was asked for."
    assert (first.index, saved(second).index, saved(second).path.name) == (1, 2, f"{STEM}-2.png")


async def test_a_call_saves_so_many_outputs_and_tells_of_the_others(tmp_path: Path) -> None:
    """In one sentence for all of them."""
    async with upstream(Host(PICTURE)) as api, open_transfers(own_origin=api.url) as transfers:
        urls = [f"{api.url}/1.exe?_jwt=secret"] * (MOST + 20)
        *found, last = await save_to(tmp_path, transfers, urls)
        assert api.count("GET") == MOST
    assert [saved(one).index for one in found] == list(range(1, MOST + 1))
    assert failed(last, retryable=False).startswith(f"Outputs {MOST + 1} to {MOST + 20} were left out")
    assert last.index == MOST + 1


async def test_the_same_output_is_saved_once(tmp_path: Path) -> None:
    """A second call finds the first one's file, and two at once make one."""
    async with saving(Host(VIDEO), tmp_path) as (_, save):
        both = list[Saved | Failed]()

        async def one() -> None:
            both.extend(await save())

        async with anyio.create_task_group() as calls:
            calls.start_soon(one)
            calls.start_soon(one)
        assert sorted(saved(each).was_there for each in both) == [False, True]
        again = saved((await save())[0])
        assert (again.was_there, again.path.name) == (True, f"{STEM}-1.mp4")
    assert names(tmp_path) == [f"{STEM}-1.mp4"]


async def test_nothing_else_is_written_over(tmp_path: Path) -> None:
    """Neither another file, of whatever size, nor a folder; the next free name is taken."""
    (tmp_path / f"{STEM}-1.png").write_bytes(b"mine")
    (tmp_path / f"{STEM}-1-2.png").mkdir()
    (tmp_path / f"{STEM}-1-3.png").write_bytes(bytes(len(PICTURE)))
    async with saving(Host(PICTURE), tmp_path) as (_, save):
        for was_there in (False, True):
            found = saved((await save())[0])
            assert (found.path.name, found.was_there) == (f"{STEM}-1-4.png", was_there)
    assert (tmp_path / f"{STEM}-1.png").read_bytes() == b"mine"
    assert len(names(tmp_path)) == 4


async def test_one_that_fails_does_not_spoil_the_others(tmp_path: Path) -> None:
    """Each has its own end, in the order of the task's outputs."""
    host = Host(PICTURE, b"", SOUND)

    def lacking(request: Request) -> Reply:
        return reply(403) if request.path.startswith("/2.") else host(request)

    async with saving(lacking, tmp_path, 3) as (api, save):
        first, second, third = await save()
        assert (saved(first).index, saved(third).index) == (1, 3)
        assert "it has expired" in failed(second)
        assert second.index == 2
        assert api.count("GET") == 3


async def test_a_host_that_is_overloaded_is_asked_again(tmp_path: Path) -> None:
    """A little later each time; one that stays so is told."""
    replies = [reply(503), reply(429), reply(500), Host(PICTURE)(Request("GET", "/1.exe?_jwt=secret", {}, b""))]
    async with upstream(replies) as api, open_transfers(own_origin=api.url) as transfers:
        with Folders([tmp_path]).folder(None) as folder:
            sleep = Sleeper()
            (found,) = await download(transfers, folder, [api.url], stem=STEM, timeout=20, sleep=sleep)
    saved(found)
    assert len(sleep.slept) == 3
    assert sleep.slept == sorted(sleep.slept)
    async with saving([reply(503)], tmp_path) as (api, save):
        assert "answers 503 instead of the file" in failed((await save())[0])
        assert api.count("GET") == RESUMES + 1


async def test_an_output_that_is_too_large_is_not_saved(tmp_path: Path) -> None:
    """Neither one that says so nor one that does not; nothing of it stays."""
    async with saving(Host(VIDEO), tmp_path) as (_, save):
        limit = len(VIDEO) - 1
        said = failed((await save(largest=limit))[0], retryable=False)
        assert said == f"It has {len(VIDEO)} bytes, which is over the limit of {limit}."
        assert names(tmp_path) == []
    chunk = b"%x\r\n" % len(VIDEO) + VIDEO + b"\r\n"
    endless = Reply(b'HTTP/1.1 200 OK\r\nETag: "1"\r\nTransfer-Encoding: chunked\r\n\r\n' + chunk, then="hang")
    async with saving([endless], tmp_path) as (_, save):
        assert failed((await save(largest=limit))[0], retryable=False) == (
            f"More than {limit} bytes came, so it was given up. Nothing of it is kept."
        )
    assert names(tmp_path) == []


class Liar(httpx2.AsyncBaseTransport):
    """Answers with a picture in this process, where nothing else sees to a body's length."""

    def __init__(self, length: int) -> None:
        self._length = length

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Announce so many bytes, and send as many as there are."""
        assert request.method == "GET"
        headers = {"Content-Length": str(self._length), "ETag": '"1"'}
        return httpx2.Response(200, headers=headers, stream=httpx2.ByteStream(PICTURE))


async def test_a_body_is_as_long_as_was_said(tmp_path: Path) -> None:
    """Neither shorter nor longer."""
    origin = "http://sandbox.localhost"
    size = len(PICTURE)
    for length, said in (
        (size + 1, "ended before the file did"),
        (size - 1, f"More than {size - 1} bytes"),
        (size, ""),
    ):
        async with open_transfers(own_origin=origin, own_transport=Liar(length)) as transfers:
            (found,) = await save_to(tmp_path, transfers, [origin])
            if said:
                assert said in failed(found, retryable=length > size)
            else:
                assert saved(found).size == size


class FullPart(Part):
    """A file on a disk that takes nothing more."""

    error = errno.ENOSPC

    def write(self, data: bytes) -> None:
        """Take half of it."""
        super().write(data[: len(data) // 2])
        raise OSError(self.error, "as the system says")


class FullFolder(Folder):
    """A folder on such a disk."""

    def __init__(self, path: Path, error: int) -> None:
        self._full = Directory.descend(path.resolve(), (), make=False, abilities=THIS_SYSTEM)
        super().__init__(self._full)
        self._error = error

    def open_part(self, name: str) -> Part:
        """Open a file that can't be written."""
        part = FullPart(self._full, name)
        part.error = self._error
        return part


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EFBIG, "the file system takes no file of this size"),
        (errno.EIO, 'the system says "as the system says"'),
    ],
)
async def test_a_disk_that_takes_nothing_more_is_told(tmp_path: Path, error: int, said: str) -> None:
    """And nothing is left on it."""
    async with upstream(Host(VIDEO)) as api, open_transfers(own_origin=api.url) as transfers:
        with FullFolder(tmp_path, error) as folder:
            url = f"{api.url}/1.exe?_jwt=secret"
            (found,) = await download(transfers, folder, [url], stem=STEM, timeout=20)
    assert failed(found, retryable=False) == f"It could not be saved: {said}. Nothing of it is kept."
    assert names(tmp_path) == []


NEVER = {
    "a redirect": reply(302, Location="https://files.example/"),
    "gone": reply(404),
    "compressed": reply(200, VIDEO, Content_Encoding="gzip"),
    "without its length": Reply(b"HTTP/1.1 200 OK\r\n\r\n" + VIDEO, then="close"),
}


@pytest.mark.parametrize("what", NEVER)
async def test_what_can_never_come_is_told_as_such(tmp_path: Path, what: str) -> None:
    """It is asked for once, and what had come of it is removed."""
    async with saving([NEVER[what]], tmp_path) as (api, save):
        failed((await save())[0], retryable=False)
        assert api.count("GET") == 1
    host = Host(VIDEO, cuts=[1_000])
    async with saving(lambda request: NEVER[what] if host.cuts != deque([1_000]) else host(request), tmp_path) as (
        _,
        save,
    ):
        assert failed((await save())[0], retryable=False).endswith(" Nothing of it is kept.")
    assert names(tmp_path) == []


async def test_a_link_that_leads_nowhere_allowed_is_told_as_such(tmp_path: Path) -> None:
    """Nothing was sent, and nothing will be."""
    async with open_transfers() as transfers:
        for found in await save_to(tmp_path, transfers, ["http://files.example/1", "https://127.0.0.1/1", ""]):
            assert "nothing was sent" in failed(found, retryable=False)


async def test_only_a_few_are_fetched_at_once(tmp_path: Path) -> None:
    """The others wait for their turn."""
    async with saving([HANG], tmp_path, AT_ONCE + 2) as (api, save), anyio.create_task_group() as calls:
        calls.start_soon(save)
        await api.asked("GET", AT_ONCE)
        await anyio.wait_all_tasks_blocked()
        assert api.count("GET") == AT_ONCE
        calls.cancel_scope.cancel()


async def test_progress_counts_all_outputs_and_never_goes_back(tmp_path: Path) -> None:
    """Even where one begins anew; the total is told once it is known of all."""
    large = VIDEO + bytes(3 * 1024 * 1024)
    total = len(large) + len(VIDEO)
    told = list[tuple[int, int | None]]()

    async def report(come: int, of: int | None) -> None:
        told.append((come, of))

    async with saving(Host(large, VIDEO, cuts=[None, 1_000], marks=False), tmp_path, 2) as (_, save):
        for found in await save(report=report):
            saved(found)
    come = [done for done, _ in told]
    assert come == sorted(set(come))
    assert {of for _, of in told} == {None, total}
    assert told[-1] == (total, total)
    assert len(told) > 4

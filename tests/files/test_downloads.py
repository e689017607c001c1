"""Outputs on their way to the disk: named, checked, resumed, and never in anything's place."""

import errno
import hashlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest
from support.upstream import HANG, Reply, Request, Script, Upstream, reply, upstream

from runway_mcp.files.directories import THIS_SYSTEM, Directory
from runway_mcp.files.downloads import AT_ONCE, LARGEST, RESUMES, Failed, Report, Saved, download
from runway_mcp.files.folders import Folder, Folders
from runway_mcp.files.parts import Part
from runway_mcp.files.transfers import Transfers, open_transfers
from runway_mcp.sandbox.media import render

STEM = "08388106-1b46-4f5c-bd46-1c1d7ee86892"
VIDEO, PICTURE, SOUND = render("video", 0), render("image", 1), render("audio", 2)


class Host:
    """Serves `content` by its path, with marks and ranges, or as badly as told; a `script` of `upstream`.

    Attributes:
        content: The file behind each path.
        cuts: Bytes of the body after which the next answers break off; None lets one through.
        marks: Whether files have an ETag.
        ranges: Whether a part can be asked for.
        stuck: Whether the connection stays open where an answer breaks off.
    """

    def __init__(self, *content: bytes, cuts: Sequence[int | None] = (), marks: bool = True) -> None:
        self.content = {f"/{number}.exe?_jwt=secret": data for number, data in enumerate(content, 1)}
        self.cuts = deque(cuts)
        self.marks = marks
        self.ranges = True
        self.stuck = False

    def __call__(self, request: Request) -> Reply:
        """Answer one request."""
        data = self.content[request.path]
        mark = f'"{hashlib.sha256(data).hexdigest()}"'
        asked = request.headers.get("range", "")
        start = int(asked[6:-1]) if asked and self.ranges and request.headers["if-range"] == mark else 0
        headers = {"ETag": mark} if self.marks else {}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        answer = reply(206 if start else 200, data[start:], after=0, Content_Type="text/html", **headers)
        cut = self.cuts.popleft() if self.cuts else None
        if cut is None:
            return answer
        end = len(answer.data) - len(data[start:]) + cut
        return Reply(answer.data[:end], then="hang" if self.stuck else "close")


class Sleeper:
    """Notes what was waited for, and takes no time."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """Wait for nothing."""
        self.slept.append(seconds)


Call = Callable[..., Coroutine[object, object, list[Saved | Failed]]]


@asynccontextmanager
async def saving(script: Script, path: Path, outputs: int = 1) -> AsyncGenerator[tuple[Upstream, Call]]:
    """A host, and what saves its outputs to `path`."""
    async with upstream(script) as api, open_transfers(own_origin=api.url) as transfers:
        urls = [f"{api.url}/{number}.exe?_jwt=secret" for number in range(1, outputs + 1)]

        async def save(
            within: float = 20, largest: int = LARGEST, report: Report | None = None
        ) -> list[Saved | Failed]:
            return await save_to(path, transfers, urls, within=within, largest=largest, report=report)

        with anyio.fail_after(20):
            yield api, save


async def save_to(
    path: Path,
    transfers: Transfers,
    urls: Sequence[str],
    *,
    within: float = 20,
    largest: int = LARGEST,
    report: Report | None = None,
) -> list[Saved | Failed]:
    """Save to a folder, without waiting before what is tried anew."""
    with Folders([path]).folder(None) as folder:
        return await download(
            transfers, folder, urls, stem=STEM, within=within, largest=largest, report=report, sleep=Sleeper()
        )


def names(path: Path) -> list[str]:
    """The names in a folder, hidden ones last and as one word each."""
    return sorted((entry.name for entry in path.iterdir()), key=lambda name: (name.startswith("."), name))


def saved(found: Saved | Failed) -> Saved:
    """The output, which was saved, and whose file is what is told of it."""
    assert isinstance(found, Saved), found
    data = found.path.read_bytes()
    assert (found.size, found.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    return found


def failed(found: Saved | Failed) -> str:
    """Why it was not saved; nothing of a link is told."""
    assert isinstance(found, Failed), found
    assert "secret" not in found.error
    assert found.error.endswith(".")
    return found.error


async def test_outputs_are_named_by_their_task_their_place_and_their_content(tmp_path: Path) -> None:
    """Whatever the link and the host call them."""
    data = (VIDEO, PICTURE, SOUND, b"<html>")
    async with saving(Host(*data), tmp_path, 4) as (_, save):
        found = [saved(one) for one in await save()]
    assert [(one.index, one.path.name, one.content_type, one.was_there) for one in found] == [
        (1, f"{STEM}-1.mp4", "video/mp4", False),
        (2, f"{STEM}-2.png", "image/png", False),
        (3, f"{STEM}-3.wav", "audio/wav", False),
        (4, f"{STEM}-4.bin", "application/octet-stream", False),
    ]
    assert [one.path.read_bytes() for one in found] == list(data)
    assert names(tmp_path) == [one.path.name for one in found]


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


async def test_an_answer_that_breaks_off_is_gone_on_with(tmp_path: Path) -> None:
    """From where it broke, by Range and If-Range."""
    async with saving(Host(VIDEO, cuts=[1_000, 500]), tmp_path) as (api, save):
        saved((await save())[0])
        assert [request.headers.get("range") for request in api.requests] == [None, "bytes=1000-", "bytes=1500-"]
    assert (tmp_path / f"{STEM}-1.mp4").read_bytes() == VIDEO


async def test_a_file_without_a_mark_begins_anew(tmp_path: Path) -> None:
    """For the rest might be another file's; and where it fails for good, nothing is kept."""
    async with saving(Host(VIDEO, cuts=[1_000], marks=False), tmp_path) as (api, save):
        saved((await save())[0])
        assert [request.headers.get("range") for request in api.requests] == [None, None]
    assert (tmp_path / f"{STEM}-1.mp4").read_bytes() == VIDEO
    (tmp_path / f"{STEM}-1.mp4").unlink()
    async with saving(Host(VIDEO, cuts=[1_000] * 9, marks=False), tmp_path) as (_, save):
        assert "Nothing of it is kept, for the host has no mark" in failed((await save())[0])
    assert names(tmp_path) == []


async def test_a_host_that_knows_no_ranges_is_asked_for_the_whole(tmp_path: Path) -> None:
    """And what was there is thrown away."""
    host = Host(VIDEO, cuts=[1_000])
    host.ranges = False
    async with saving(host, tmp_path) as (api, save):
        saved((await save())[0])
        assert api.count("GET") == 2
    assert (tmp_path / f"{STEM}-1.mp4").read_bytes() == VIDEO


async def test_two_files_are_never_mixed(tmp_path: Path) -> None:
    """One that changes midway comes whole, and what was there of the other is gone."""
    host = Host(VIDEO, cuts=[1_000])

    def change(request: Request) -> Reply:
        answer = host(request)
        host.content[request.path] = PICTURE
        return answer

    async with saving(change, tmp_path) as (_, save):
        found = saved((await save())[0])
    assert found.path.read_bytes() == PICTURE
    assert names(tmp_path) == [f"{STEM}-1.png"]


async def test_a_part_of_another_length_is_not_gone_on_with(tmp_path: Path) -> None:
    """A host that gives the same mark to something longer is asked for it whole."""
    host = Host(VIDEO, cuts=[1_000])
    longer = len(VIDEO) + 1

    def lie(request: Request) -> Reply:
        answer = host(request)
        if "range" not in request.headers:
            return answer
        span = f"bytes 1000-{longer - 1}/{longer}"
        return reply(206, bytes(longer - 1_000), ETag=request.headers["if-range"], Content_Range=span)

    async with saving(lie, tmp_path) as (api, save):
        assert saved((await save())[0]).path.read_bytes() == VIDEO
        assert [request.headers.get("range") for request in api.requests] == [None, "bytes=1000-", None]


async def test_what_breaks_off_too_often_is_gone_on_with_by_the_next_call(tmp_path: Path) -> None:
    """It is said how far it came, and a later call asks for the rest."""
    host = Host(VIDEO, cuts=[1_000] * (RESUMES + 1))
    async with saving(host, tmp_path) as (api, save):
        there = 1_000 * (RESUMES + 1)
        said = failed((await save())[0])
        assert f" {there} of {len(VIDEO)} bytes are kept: the same call goes on from there." in said
        assert len(names(tmp_path)) == 1
        saved((await save())[0])
        assert [request.headers.get("range") for request in api.requests[-2:]] == [None, f"bytes={there}-"]
    assert (tmp_path / f"{STEM}-1.mp4").read_bytes() == VIDEO
    assert names(tmp_path) == [f"{STEM}-1.mp4"]


async def test_the_time_that_is_up_keeps_what_has_come(tmp_path: Path) -> None:
    """It is said how far it came, and that the same call goes on."""
    host = Host(VIDEO, cuts=[1_000])
    host.stuck = True
    async with saving(host, tmp_path) as (api, save):
        said = failed((await save(within=0.5))[0])
        assert "The time was up" in said
        assert f"1000 of {len(VIDEO)} bytes are kept" in said
        saved((await save())[0])
        assert api.requests[-1].headers["range"] == "bytes=1000-"


async def test_a_cancelled_call_keeps_what_has_come(tmp_path: Path) -> None:
    """Also what had not been written yet."""
    host = Host(VIDEO, cuts=[1_000])
    host.stuck = True
    async with saving(host, tmp_path) as (api, save):
        async with anyio.create_task_group() as calls:
            begun = anyio.Event()

            async def report(_come: int, _total: int | None) -> None:
                begun.set()

            calls.start_soon(save, 20, LARGEST, report)
            await begun.wait()
            await anyio.wait_all_tasks_blocked()
            calls.cancel_scope.cancel()
        saved((await save())[0])
        assert api.requests[-1].headers["range"] == "bytes=1000-"


async def test_what_was_whole_but_not_yet_named_is_not_fetched_again(tmp_path: Path) -> None:
    """A call that was cancelled at the very end left all of it."""
    async with saving(Host(VIDEO), tmp_path) as (api, save):
        with anyio.CancelScope() as scope:

            async def report(come: int, total: int | None) -> None:
                if come == total:
                    scope.cancel()

            await save(report=report)
        assert names(tmp_path)[0].startswith(".")
        found = saved((await save())[0])
        assert not found.was_there
        assert api.requests[-1].headers.get("range") is None
    assert names(tmp_path) == [f"{STEM}-1.mp4"]


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
            (found,) = await download(transfers, folder, [api.url], stem=STEM, within=20, sleep=sleep)
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
        assert failed((await save(largest=limit))[0]).startswith(f"It has {len(VIDEO)} bytes, which is over the limit")
        assert names(tmp_path) == []
    chunk = b"%x\r\n" % len(VIDEO) + VIDEO + b"\r\n"
    endless = Reply(b'HTTP/1.1 200 OK\r\nETag: "1"\r\nTransfer-Encoding: chunked\r\n\r\n' + chunk, then="hang")
    async with saving([endless], tmp_path) as (_, save):
        assert failed((await save(largest=limit))[0]).startswith(f"More than {limit} bytes came")
    assert names(tmp_path) == []


async def test_an_output_of_unknown_length_is_kept_all_the_same(tmp_path: Path) -> None:
    """As far as it came."""
    chunked = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nTransfer-Encoding: chunked\r\n\r\n'
    endless = Reply(chunked + b"5\r\nhello\r\n", then="hang")
    async with saving([endless], tmp_path) as (_, save):
        assert failed((await save(within=0.4))[0]).endswith(" 5 bytes are kept: the same call goes on from there.")
    async with saving([Reply(chunked + b"5\r\nhello\r\n0\r\n\r\n")], tmp_path) as (_, save):
        assert saved((await save())[0]).size == 5


class Liar(httpx2.AsyncBaseTransport):
    """Answers in this process, where nothing else sees to a body's length."""

    def __init__(self, length: int) -> None:
        self._length = length

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Announce so many bytes, and send eleven."""
        assert request.method == "GET"
        headers = {"Content-Length": str(self._length), "ETag": '"1"'}
        return httpx2.Response(200, headers=headers, stream=httpx2.ByteStream(b"hello world"))


async def test_a_body_is_as_long_as_was_said(tmp_path: Path) -> None:
    """Neither shorter nor longer."""
    origin = "http://sandbox.localhost"
    for length, said in ((12, "ended before the file did"), (10, "More than 10 bytes came"), (11, None)):
        async with open_transfers(own_origin=origin, own_transport=Liar(length)) as transfers:
            (found,) = await save_to(tmp_path, transfers, [origin])
            if said:
                assert said in failed(found)
            else:
                assert saved(found).size == 11


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
            (found,) = await download(transfers, folder, [url], stem=STEM, within=20)
    assert failed(found) == f"It could not be saved: {said}. Nothing of it is kept."
    assert names(tmp_path) == []


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
    large = bytes(3 * 1024 * 1024)
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

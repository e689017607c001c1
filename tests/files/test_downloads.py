"""Outputs on their way to the disk: named, checked, resumed, joined by the next call, and never in anything's place."""

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx2
import pytest
from support.outputs import PICTURE, SOUND, STEM, VIDEO, Host, Saving, failed, links, names, saved, saving
from support.upstream import HANG, RESET, Reply, Request, reply
from support.waiting import until

from runway_mcp.files.download import RETRIES, InProgress, Output
from runway_mcp.files.downloads import MAX_DOWNLOADS, MAX_OUTPUTS
from runway_mcp.files.file_client import MAX_CONCURRENT
from runway_mcp.files.file_errors import (
    MissingLinkError,
    SaveFailedError,
    TooLargeError,
    TooManyDownloadsError,
    TooManyOutputsError,
    TransferInterruptedError,
    TransferTimeoutError,
    UnexpectedContentError,
    UnexpectedStatusError,
    UrlNotAllowedError,
)
from runway_mcp.files.folders import Destination, Folders
from runway_mcp.files.safe_open import THIS_SYSTEM, Directory

ARCHIVE = b"PK\3\4\x14\0\0\0" + bytes(100)
FINAL = f"{STEM}-1.mp4"


async def test_outputs_are_named_by_their_task_their_place_and_their_content(tmp_path: Path) -> None:
    """Whatever the link and the host call them; one without a link keeps its place."""
    data = (VIDEO, PICTURE, SOUND, ARCHIVE)
    async with saving(Host(*data), tmp_path, 4) as save:
        save.urls = [*save.urls, None]
        *outputs, last = await save()
    found = [saved(one) for one in outputs]
    assert [(one.index, one.path.name, one.content_type, one.was_there) for one in found] == [
        (1, FINAL, "video/mp4", False),
        (2, f"{STEM}-2.png", "image/png", False),
        (3, f"{STEM}-3.wav", "audio/wav", False),
        (4, f"{STEM}-4.zip", "application/zip", False),
    ]
    assert isinstance(failed(last, retryable=False), MissingLinkError)
    assert last.index == 5
    assert [one.path.read_bytes() for one in found] == list(data)
    assert names(tmp_path) == [one.path.name for one in found]


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"<!doctype html>", "not_media"), (b'{"error": "expired"}', "not_media"), (b"", "empty")],
)
async def test_what_is_no_output_is_not_saved(tmp_path: Path, content: bytes, problem: str) -> None:
    """Though the host says that all is well; a fresh link may help."""
    async with saving(Host(content), tmp_path) as save:
        error = failed((await save())[0])
    assert isinstance(error, UnexpectedContentError)
    assert error.problem == problem
    assert names(tmp_path) == []


async def test_a_call_saves_so_many_outputs_and_tells_of_the_others(tmp_path: Path) -> None:
    async with saving(Host(PICTURE), tmp_path) as save:
        save.urls = list(save.urls) * (MAX_OUTPUTS + 20)
        *found, last = await save()
        assert save.api.count("GET") == MAX_OUTPUTS
    assert [saved(one).index for one in found] == list(range(1, MAX_OUTPUTS + 1))
    error = failed(last, retryable=False)
    assert isinstance(error, TooManyOutputsError)
    assert (error.first, error.last, last.index) == (MAX_OUTPUTS + 1, MAX_OUTPUTS + 20, MAX_OUTPUTS + 1)


async def test_the_same_output_is_saved_once(tmp_path: Path) -> None:
    """Two calls at once share a download; a later one finds its file, by the bytes."""
    async with saving(Host(VIDEO), tmp_path) as save, anyio.create_task_group() as calls:
        calls.start_soon(save)
        assert not saved((await save())[0]).was_there
        assert save.api.count("GET") == 1
        again = saved((await save())[0])
        assert (again.was_there, again.path.name) == (True, FINAL)
    assert names(tmp_path) == [FINAL]


async def test_one_that_fails_does_not_spoil_the_others(tmp_path: Path) -> None:
    """Each has its own end, in the order of the task's outputs; an expired link is not tried again."""
    host = Host(PICTURE, b"", SOUND)

    def lacking(request: Request) -> Reply:
        return reply(403) if request.path.startswith("/2.") else host(request)

    async with saving(lacking, tmp_path, 3) as save:
        first, second, third = await save()
        assert (saved(first).index, saved(third).index) == (1, 3)
        assert isinstance(failed(second), UnexpectedStatusError)
        assert second.index == 2
        assert save.api.count("GET") == 3


async def test_a_failing_host_is_asked_again(tmp_path: Path) -> None:
    """A little later each time; one that stays so is told."""
    replies = [reply(503), reply(429), RESET, Host(PICTURE)(Request("GET", "/1.exe?_jwt=secret", {}, b""))]
    async with saving(replies, tmp_path) as save:
        saved((await save())[0])
        assert len(save.sleep.slept) == 3
        assert save.sleep.slept == sorted(save.sleep.slept)
    async with saving([reply(503)], tmp_path) as save:
        assert isinstance(failed((await save())[0]), UnexpectedStatusError)
        assert save.api.count("GET") == RETRIES + 1


async def test_an_answer_that_breaks_off_is_resumed(tmp_path: Path) -> None:
    """By Range and If-Range, as long as each answer brings something."""
    async with saving(Host(VIDEO, cuts=[100] * (RETRIES + 3)), tmp_path) as save:
        saved((await save())[0])
        assert save.ranges == [None, *(f"bytes={100 * n}-" for n in range(1, RETRIES + 4))]
    assert (tmp_path / FINAL).read_bytes() == VIDEO


@pytest.mark.parametrize("marks", [True, False])
async def test_a_host_that_can_not_resume_is_asked_for_the_whole(tmp_path: Path, marks: bool) -> None:
    """For the rest might be another file's; where it breaks off for good, nothing is left."""
    host = Host(VIDEO, cuts=[1_000], marks=marks)
    host.ranges = False
    async with saving(host, tmp_path) as save:
        assert saved((await save())[0]).path.read_bytes() == VIDEO
        assert save.api.count("GET") == 2
        (tmp_path / FINAL).unlink()
        host.marks = False
        host.cuts.extend([1_000] * 9)
        assert isinstance(failed((await save())[0]), TransferInterruptedError)
        assert save.api.count("GET") == 2 + RETRIES + 1
    assert names(tmp_path) == []


async def test_two_files_are_never_mixed(tmp_path: Path) -> None:
    """One that changes midway comes whole, and what was there of the other is gone."""
    host = Host(VIDEO, cuts=[1_000])

    def change(request: Request) -> Reply:
        answer = host(request)
        host.content[request.path] = PICTURE
        return answer

    async with saving(change, tmp_path) as save:
        assert saved((await save())[0]).path.read_bytes() == PICTURE
    assert names(tmp_path) == [f"{STEM}-1.png"]


LYING_PARTS: dict[str, tuple[int, dict[str, str]]] = {
    "a longer file": (len(VIDEO) + 1, {"ETag": "same"}),
    "no mark": (len(VIDEO), {}),
    "a weak mark": (len(VIDEO), {"ETag": 'W/"1"'}),
    "another mark": (len(VIDEO), {"ETag": '"2"'}),
    "refused": (403, {}),
    "gone": (404, {}),
    "not satisfiable": (416, {}),
    "compressed": (len(VIDEO), {"ETag": "same", "Content_Encoding": "gzip"}),
}


@pytest.mark.parametrize("what", LYING_PARTS)
async def test_a_wrong_rest_is_not_taken_for_its_own(tmp_path: Path, what: str) -> None:
    """A lying 206 or a refusal: the whole is requested instead, and never the rest again."""
    host = Host(VIDEO, cuts=[1_000, 1_000])
    number, marks = LYING_PARTS[what]

    def lie(request: Request) -> Reply:
        if "range" not in request.headers:
            return host(request)
        if number < 500:
            return reply(number)
        given = {name: request.headers["if-range"] if mark == "same" else mark for name, mark in marks.items()}
        return reply(206, bytes(number - 1_000), after=0, Content_Range=f"bytes 1000-{number - 1}/{number}", **given)

    async with saving(lie, tmp_path) as save:
        assert saved((await save())[0]).path.read_bytes() == VIDEO
        assert save.ranges == [None, "bytes=1000-", None, None]


async def test_a_rest_that_comes_in_parts_is_put_together(tmp_path: Path) -> None:
    """As often as the host wants to be asked; no waiting in between."""
    host, step = Host(VIDEO, cuts=[1_000]), len(VIDEO) // 7

    def piecemeal(request: Request) -> Reply:
        if "range" not in request.headers:
            return host(request)
        start = int(request.headers["range"][6:-1])
        end = min(start + step, len(VIDEO))
        span, mark = f"bytes {start}-{end - 1}/{len(VIDEO)}", request.headers["if-range"]
        return reply(206, VIDEO[start:end], Content_Range=span, ETag=mark)

    async with saving(piecemeal, tmp_path) as save:
        assert saved((await save())[0]).path.read_bytes() == VIDEO
        assert save.api.count("GET") > RETRIES + 2
        assert len(save.sleep.slept) == 1


async def test_a_file_whose_length_is_told_later_is_resumed(tmp_path: Path) -> None:
    """In chunks at first, with its length where the rest is requested."""
    head = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n'

    def chunked(request: Request) -> Reply:
        if "range" not in request.headers:
            return Reply(head + VIDEO[:1_000] + b"\r\n", then="close")
        span = f"bytes 1000-{len(VIDEO) - 1}/{len(VIDEO)}"
        return reply(206, VIDEO[1_000:], Content_Range=span, ETag='"1"')

    async with saving(chunked, tmp_path) as save:
        assert saved((await save())[0]).path.read_bytes() == VIDEO
        assert save.ranges == [None, "bytes=1000-"]


async def test_an_output_that_is_too_large_is_not_saved(tmp_path: Path) -> None:
    limit = len(VIDEO) - 1
    chunk = b"%x\r\n" % len(VIDEO) + VIDEO + b"\r\n"
    endless = Reply(b'HTTP/1.1 200 OK\r\nETag: "1"\r\nTransfer-Encoding: chunked\r\n\r\n' + chunk, then="hang")
    for script, size in ((Host(VIDEO), len(VIDEO)), ([endless], None)):
        async with saving(script, tmp_path, max_bytes=limit) as save:
            error = failed((await save())[0], retryable=False)
        assert isinstance(error, TooLargeError)
        assert (error.size, error.limit) == (size, limit)
        assert names(tmp_path) == []


class Liar(httpx2.AsyncBaseTransport):
    """Answers with a picture in this process, where nothing else sees to a body's length."""

    def __init__(self, length: int) -> None:
        self._length = length

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        assert request.method == "GET"
        headers = {"Content-Length": str(self._length), "ETag": '"1"'}
        return httpx2.Response(200, headers=headers, stream=httpx2.ByteStream(PICTURE))


@pytest.mark.parametrize(("more", "error"), [(1, TransferInterruptedError), (-1, TooLargeError), (0, None)])
async def test_a_body_is_as_long_as_was_said(tmp_path: Path, more: int, error: type[Exception] | None) -> None:
    async with saving(Liar(len(PICTURE) + more), tmp_path) as save:
        (found,) = await save()
    if error is None:
        assert saved(found).size == len(PICTURE)
    else:
        assert isinstance(failed(found, retryable=more > 0), error)


class ReadOnly(Directory):
    """A directory whose new files take nothing."""

    def open_file(self, name: str, flags: int) -> int:
        os.close(super().open_file(name, flags))
        return super().open_file(name, os.O_RDONLY)


class ReadOnlyDestination(Destination):
    def open(self) -> Directory:
        return ReadOnly.descend(self.path, (), make=False, abilities=self.abilities)


async def test_a_disk_that_does_not_take_an_output_is_told(tmp_path: Path) -> None:
    async with saving(Host(VIDEO), tmp_path) as save:
        destination = ReadOnlyDestination(tmp_path, tmp_path, ".", THIS_SYSTEM)
        (found,) = await save.downloads.save(destination, links(save.urls), task=STEM, timeout=20)
    error = failed(found, retryable=False)
    assert isinstance(error, SaveFailedError)
    assert error.error.errno == errno.EBADF
    assert names(tmp_path) == []


async def test_a_link_that_leads_nowhere_allowed_makes_no_folder(tmp_path: Path) -> None:
    """Nothing was sent, and a folder is made only when there is something to save."""
    async with saving([], tmp_path) as save:
        save.urls = ["http://files.example/1", "https://127.0.0.1/1", ""]
        destination = Folders([tmp_path]).destination("new")
        for found in await save.downloads.save(destination, links(save.urls), task=STEM, timeout=20):
            assert isinstance(failed(found, retryable=False), UrlNotAllowedError)
    assert names(tmp_path) == []


async def test_progress_counts_all_outputs_and_never_goes_back(tmp_path: Path) -> None:
    """Even where one begins anew; the total is told once it is known of all."""
    large = VIDEO + bytes(3 * 1024 * 1024)
    total = len(large) + len(VIDEO)
    told = list[tuple[int, int | None]]()

    async def report(come: int, of: int | None) -> None:
        told.append((come, of))

    async with saving(Host(large, VIDEO, cuts=[None, 1_000], marks=False), tmp_path, 2) as save:
        for found in await save(report=report):
            saved(found)
    come = [done for done, _ in told]
    assert come == sorted(set(come))
    assert told[-1] == (total, total)
    assert len(told) > 3


class Slow(httpx2.AsyncBaseTransport):
    """A host of videos that stop midway until they are `released`.

    Attributes:
        content: Each video.
        requests: How many came.
        released: Lets the second halves go.
    """

    content = VIDEO + bytes(4 * 1024 * 1024)

    def __init__(self) -> None:
        self.requests = 0
        self.released = anyio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        assert request.method == "GET"
        self.requests += 1
        headers = {"Content-Length": str(len(self.content)), "ETag": '"1"'}
        return httpx2.Response(200, headers=headers, stream=Halves(self))


class Halves(httpx2.AsyncByteStream):
    """The body of such a video."""

    def __init__(self, host: Slow) -> None:
        self._host = host

    async def __aiter__(self) -> AsyncIterator[bytes]:
        half = len(self._host.content) // 2
        yield self._host.content[:half]
        await self._host.released.wait()
        yield self._host.content[half:]


async def begun(save: Saving, outputs: int = 1) -> list[Output]:
    """Call, and leave as soon as something of the first outputs is on the disk; call once more without waiting."""
    come = anyio.Event()

    async def report(done: int, total: int | None) -> None:
        assert total in {None, outputs * len(Slow.content)}
        if done:
            come.set()

    async with anyio.create_task_group() as calls:
        calls.start_soon(save, 20, report)
        await come.wait()
        calls.cancel_scope.cancel()
    return await save(timeout=0)


async def test_a_download_outlives_its_call_and_the_next_one_joins_it(tmp_path: Path) -> None:
    """Whether the call was cancelled or its time was up; the next one tells how far it is, and gets the file."""
    async with saving(host := Slow(), tmp_path) as save:
        (found,) = await begun(save)
        assert found == InProgress(1, len(host.content) // 2, len(host.content))
        assert names(tmp_path)[0].startswith(f".runway-{STEM}-1.")
        host.released.set()
        file = saved((await save())[0])
        assert (file.path.name, file.was_there, host.requests) == (FINAL, False, 1)
    assert names(tmp_path) == [FINAL]


async def test_what_ended_between_two_calls_is_not_fetched_again(tmp_path: Path) -> None:
    """Its path is told by the next call, once; unless somebody removed the file meanwhile."""
    async with saving(host := Slow(), tmp_path) as save:
        await begun(save)
        host.released.set()
        await until(lambda: not save.downloads.running, "the end")
        assert not saved((await save())[0]).was_there
        assert host.requests == 1
        assert saved((await save())[0]).was_there
        assert host.requests == 2
        host.released = anyio.Event()
        (tmp_path / FINAL).unlink()
        await begun(save)
        host.released.set()
        await until(lambda: not save.downloads.running, "the end")
        (tmp_path / FINAL).unlink()
        assert saved((await save())[0]).path.exists()
        assert host.requests == 4


async def test_a_failure_between_two_calls_is_tried_again(tmp_path: Path) -> None:
    async with saving([reply(403), Host(PICTURE)(Request("GET", "/1.exe?_jwt=secret", {}, b""))], tmp_path) as save:
        assert isinstance((await save(timeout=0))[0], InProgress)
        await save.api.asked("GET")
        await anyio.wait_all_tasks_blocked()
        await until(lambda: not save.downloads.running, "the failure")
        saved((await save())[0])


async def test_the_end_of_the_server_leaves_nothing_half_written(tmp_path: Path) -> None:
    """A download in the background is cancelled; after a restart it begins anew."""
    async with saving(Slow(), tmp_path) as save:
        await begun(save)
        assert len(names(tmp_path)) == 1
    assert names(tmp_path) == []


async def test_a_download_has_a_deadline_of_its_own(tmp_path: Path) -> None:
    async with saving(Slow(), tmp_path, max_seconds=0.2) as save:
        error = failed((await save())[0])
        assert isinstance(error, TransferTimeoutError)
        assert error.seconds == 0.2
    assert names(tmp_path) == []


class Faulty(httpx2.AsyncBaseTransport):
    """Fails as nobody foresaw."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        raise RuntimeError(request.url.path)


async def test_what_nobody_foresaw_is_the_calls_error_and_not_the_servers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged without the link, for the call may have left."""
    async with saving(Faulty(), tmp_path) as save:
        with pytest.raises(RuntimeError, match=r"/1\.exe"):
            await save()
    assert caplog.messages == ["A download ended with RuntimeError"]


async def test_only_a_few_are_fetched_at_once(tmp_path: Path) -> None:
    async with saving([HANG], tmp_path, MAX_CONCURRENT + 2) as save:
        assert all(isinstance(found, InProgress) for found in await save(timeout=0))
        await save.api.asked("GET", MAX_CONCURRENT)
        await anyio.wait_all_tasks_blocked()
        assert save.api.count("GET") == MAX_CONCURRENT


async def test_a_caller_has_so_many_downloads(tmp_path: Path) -> None:
    """More are refused while these run; a result that nobody asked for makes room."""
    async with saving(host := Slow(), tmp_path) as save:
        destination = Folders([tmp_path]).destination(None)

        async def start(number: int) -> Output:
            (found,) = await save.downloads.save(destination, links(save.urls), task=f"task-{number}", timeout=0)
            return found

        for number in range(MAX_DOWNLOADS):
            assert isinstance(await start(number), InProgress)
        assert isinstance(failed(await start(MAX_DOWNLOADS)), TooManyDownloadsError)
        host.released.set()
        await until(lambda: save.downloads.running < MAX_DOWNLOADS, "the end of one")
        assert isinstance(await start(MAX_DOWNLOADS), InProgress)

"""Outputs that do not come at once: gone on with, begun anew, kept for a later call, never mixed with others."""

import hashlib
from pathlib import Path

import anyio
import pytest
from support.outputs import PICTURE, STEM, VIDEO, Host, failed, names, saved, saving
from support.upstream import Reply, Request, reply

from runway_mcp.files.arrivals import RESUMES
from runway_mcp.files.downloads import LARGEST

NOTHING_KEPT = "Nothing of it is kept, for the host gives no rest that is sure to be of the same file."


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
        assert failed((await save())[0]).endswith(f" {NOTHING_KEPT}")
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


async def test_the_rest_of_a_file_like_it_is_not_taken_for_its_own(tmp_path: Path) -> None:
    """A part with a mark that other bytes may share, with none or with another one: the whole is asked for."""
    for mark in ({}, {"ETag": 'W/"1"'}, {"ETag": '"2"'}):
        host = Host(VIDEO, cuts=[1_000])

        def lie(request: Request, host: Host = host, mark: dict[str, str] = mark) -> Reply:
            answer = host(request)
            if "range" not in request.headers:
                return answer
            span = f"bytes 1000-{len(VIDEO) - 1}/{len(VIDEO)}"
            return reply(206, bytes(len(VIDEO) - 1_000), after=0, Content_Range=span, **mark)

        async with saving(lie, tmp_path) as (api, save):
            assert saved((await save())[0]).path.read_bytes() == VIDEO
            assert [request.headers.get("range") for request in api.requests] == [None, "bytes=1000-", None]
        (tmp_path / f"{STEM}-1.mp4").unlink()


@pytest.mark.parametrize("status", [403, 404, 416])
async def test_a_host_that_refuses_the_rest_is_asked_for_the_whole(tmp_path: Path, status: int) -> None:
    """For what came just now, and for what an earlier call had kept; what breaks off then is not kept."""
    host = Host(VIDEO, cuts=[1_000] * (RESUMES + 1))
    async with saving(host, tmp_path) as (_, save):
        there = 1_000 * (RESUMES + 1)
        assert f" {there} of" in failed((await save())[0])

    def refuse(request: Request) -> Reply:
        return reply(status) if "range" in request.headers else host(request)

    async with saving(refuse, tmp_path) as (api, save):
        saved((await save())[0])
        assert [request.headers.get("range") for request in api.requests] == [None, f"bytes={there}-", None]
        (tmp_path / f"{STEM}-1.mp4").unlink()
        host.cuts.append(1_000)
        assert saved((await save())[0]).path.read_bytes() == VIDEO
        assert [request.headers.get("range") for request in api.requests[3:]] == [None, "bytes=1000-", None]
        (tmp_path / f"{STEM}-1.mp4").unlink()
        host.cuts.extend([1_000] * (RESUMES + 1))
        assert failed((await save())[0]).endswith(f" {NOTHING_KEPT}")
    assert names(tmp_path) == []


async def test_what_was_kept_outlives_a_link_that_is_refused(tmp_path: Path) -> None:
    """One that expires midway: the whole is refused as the rest is, and a fresh link brings the rest."""
    host = Host(VIDEO, cuts=[1_000])
    async with saving(lambda request: reply(403) if api.count("GET") in {2, 3} else host(request), tmp_path) as (
        api,
        save,
    ):
        said = failed((await save())[0])
        assert "it has expired" in said
        assert said.endswith(f" 1000 of {len(VIDEO)} bytes are kept: the same call goes on from there.")
        saved((await save())[0])
        assert [request.headers.get("range") for request in api.requests[3:]] == [None, "bytes=1000-"]
    assert (tmp_path / f"{STEM}-1.mp4").read_bytes() == VIDEO


async def test_a_rest_that_comes_in_parts_is_put_together(tmp_path: Path) -> None:
    """As often as the host wants to be asked; no waiting in between."""
    host, step = Host(VIDEO, cuts=[1_000]), len(VIDEO) // 7

    def piecemeal(request: Request) -> Reply:
        if "range" not in request.headers:
            return host(request)
        start = int(request.headers["range"][6:-1])
        end = min(start + step, len(VIDEO))
        span, mark = f"bytes {start}-{end - 1}/{len(VIDEO)}", request.headers["if-range"]
        return reply(206, VIDEO[start:end], after=0, Content_Range=span, ETag=mark)

    async with saving(piecemeal, tmp_path) as (api, save):
        saved((await save())[0])
        assert api.count("GET") > RESUMES + 2
    assert (tmp_path / f"{STEM}-1.mp4").read_bytes() == VIDEO


async def test_a_file_whose_length_is_told_later_is_gone_on_with(tmp_path: Path) -> None:
    """In chunks at first, with its length where the rest is asked for; by this call and the next."""
    step = len(VIDEO) // 5
    head = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n'

    def chunked(request: Request) -> Reply:
        if "range" not in request.headers:
            return Reply(head + VIDEO[:1_000] + b"\r\n", then="close")
        first = int(request.headers["range"][6:-1])
        span = f"bytes {first}-{len(VIDEO) - 1}/{len(VIDEO)}"
        answer = reply(206, VIDEO[first:], Content_Range=span, ETag='"1"')
        return Reply(answer.data[: len(answer.data) - len(VIDEO) + first + step], then="close")

    async with saving(chunked, tmp_path) as (api, save):
        there = 1_000 + RESUMES * step
        assert f" {there} of {len(VIDEO)} bytes are kept" in failed((await save())[0])
        assert len(names(tmp_path)) == 1
        saved((await save())[0])
        asked = [request.headers.get("range") for request in api.requests[RESUMES + 1 :]]
        assert asked == [None, f"bytes={there}-", f"bytes={there + step}-"]
    assert (tmp_path / f"{STEM}-1.mp4").read_bytes() == VIDEO
    assert names(tmp_path) == [f"{STEM}-1.mp4"]


async def test_a_host_that_marks_each_answer_anew_leaves_one_part(tmp_path: Path) -> None:
    """What was kept of an older version goes once another begins."""
    host, marks = Host(VIDEO, cuts=[1_000] * 99), iter(range(99))

    def anew(request: Request) -> Reply:
        answer = host(request)
        old = hashlib.sha256(VIDEO).hexdigest().encode()
        return Reply(answer.data.replace(old, b"%064d" % next(marks)), then=answer.then)

    async with saving(anew, tmp_path) as (_, save):
        for _ in range(2):
            assert f"1000 of {len(VIDEO)} bytes are kept" in failed((await save())[0])
            assert len(names(tmp_path)) == 1


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
        said = failed((await save(timeout=0.5))[0])
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


async def test_an_output_of_unknown_length_is_kept_all_the_same(tmp_path: Path) -> None:
    """As far as it came."""
    chunked = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nTransfer-Encoding: chunked\r\n\r\n'
    endless = Reply(chunked + b"5\r\nhello\r\n", then="hang")
    async with saving([endless], tmp_path) as (_, save):
        assert failed((await save(timeout=0.4))[0]).endswith(" 5 bytes are kept: the same call goes on from there.")
    picture = b"%x\r\n" % len(PICTURE) + PICTURE + b"\r\n0\r\n\r\n"
    async with saving([Reply(chunked.replace(b'"1"', b'"2"') + picture)], tmp_path) as (_, save):
        assert saved((await save())[0]).path.read_bytes() == PICTURE

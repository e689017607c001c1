"""An output can be had in parts, and each part belongs to the whole."""

import httpx2
import pytest
from sandbox_client import Client

from runway_mcp.sandbox import SAMPLES


@pytest.fixture
async def link(sampled: Client) -> str:
    """A link to the video, opened without a key."""
    link = (await sampled.task(SAMPLES["succeeded_video"].id))["output"][0]
    sampled.http.headers.clear()
    return str(link)


@pytest.fixture
async def whole(sampled: Client, link: str) -> httpx2.Response:
    """The video, had at once."""
    return await sampled.http.get(link)


def _is(part: httpx2.Response, whole: httpx2.Response, start: int, end: int) -> None:
    size = len(whole.content)
    assert (part.status_code, part.content) == (206, whole.content[start:end])
    assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
    assert part.headers["Content-Length"] == str(end - start)
    for name in ("Accept-Ranges", "ETag", "Content-Type"):
        assert part.headers[name] == whole.headers[name]


async def test_a_whole_file_says_that_it_has_parts(sampled: Client, link: str, whole: httpx2.Response) -> None:
    """It has a strong entity tag that is the same each time, and not that of another file."""
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert whole.headers["ETag"].startswith('"')
    again = await sampled.http.get(link)
    assert (again.headers, again.content) == (whole.headers, whole.content)


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("Bytes=1-99", slice(1, 100)),
        ("bytes=100-", slice(100, None)),
        ("bytes=-100", slice(-100, None)),
        ("bytes=5-999999999", slice(5, None)),
    ],
)
async def test_a_range_is_a_part(sampled: Client, link: str, whole: httpx2.Response, asked: str, part: slice) -> None:
    """From one byte to another, from one on, or the last ones; what lies beyond the end is left out."""
    start, end, _ = part.indices(len(whole.content))
    _is(await sampled.http.get(link, headers={"Range": asked}), whole, start, end)


async def test_more_than_all_is_all(sampled: Client, link: str, whole: httpx2.Response) -> None:
    """More last bytes than there are is the whole file, as a part."""
    part = await sampled.http.get(link, headers={"Range": "bytes=-999999999"})
    _is(part, whole, 0, len(whole.content))


@pytest.mark.parametrize("asked", ["{size}-", "{size}-{size}", "-0", "999999999-"])
async def test_a_range_that_the_file_does_not_have_is_refused(
    sampled: Client, link: str, whole: httpx2.Response, asked: str
) -> None:
    """The answer tells the size."""
    size = len(whole.content)
    answer = await sampled.http.get(link, headers={"Range": "bytes=" + asked.format(size=size)})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize(
    "asked", ["bytes=5-4", "bytes=0-1,5-6", "bytes=", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=\u0660-\u0661", "0-1"]
)
async def test_what_is_no_single_range_gets_the_whole(
    sampled: Client, link: str, whole: httpx2.Response, asked: str
) -> None:
    """Several ranges too; a server may answer so, and a client must notice."""
    answer = await sampled.http.get(link, headers=[(b"Range", asked.encode())])
    assert (answer.status_code, answer.content) == (200, whole.content)
    assert "Content-Range" not in answer.headers


async def test_a_part_is_of_the_same_file_or_there_is_none(sampled: Client, link: str, whole: httpx2.Response) -> None:
    """If-Range with another tag, a weak one or a date gets the whole file, whatever the range."""
    same = {"Range": "bytes=10-", "If-Range": whole.headers["ETag"]}
    _is(await sampled.http.get(link, headers=same), whole, 10, len(whole.content))
    for other in ('"other"', f"W/{whole.headers['ETag']}", "Wed, 21 Oct 2026 07:28:00 GMT"):
        for asked in ("bytes=10-", "bytes=999999999-"):
            answer = await sampled.http.get(link, headers={"Range": asked, "If-Range": other})
            assert (answer.status_code, answer.headers) == (200, whole.headers)


async def test_head_tells_of_the_whole(sampled: Client, link: str, whole: httpx2.Response) -> None:
    """A range is something of GET's."""
    answer = await sampled.http.head(link, headers={"Range": "bytes=0-9"})
    assert (answer.status_code, answer.headers, answer.content) == (200, whole.headers, b"")

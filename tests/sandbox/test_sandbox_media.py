"""Outputs are real files behind links that expire."""

import hashlib
import io
import struct
import wave
import zlib
from collections.abc import Iterator

import pytest
from sandbox_client import Client, Clock

from runway_mcp.sandbox import SAMPLES
from runway_mcp.sandbox.media import FORMATS, render

# ffmpeg decodes the video of this digest without a complaint; another one has to be shown to it first
_DECODED_VIDEO = "ae8f23dcce6fddcba45a0bd3191790ac8e3f61b7d5637f55666580c1532aefae"
_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl"}


async def _links(client: Client, sample: str = "succeeded_video") -> list[str]:
    return list((await client.task(SAMPLES[sample].id))["output"])


@pytest.mark.parametrize(
    ("sample", "suffixes", "content_type", "magic"),
    [
        ("succeeded_video", [".mp4"], "video/mp4", b"\0\0\0\x20ftypisom"),
        ("succeeded_images", [".png", ".png"], "image/png", b"\x89PNG\r\n\x1a\n"),
        ("succeeded_audio", [".wav"], "audio/wav", b"RIFF"),
    ],
)
async def test_an_output_link_opens_the_file_without_a_key(
    sampled: Client, sample: str, suffixes: list[str], content_type: str, magic: bytes
) -> None:
    """GET gives the file with its type and length; HEAD the same without the file."""
    links = await _links(sampled, sample)
    assert [link.partition("?")[0][-4:] for link in links] == suffixes
    sampled.http.headers.clear()
    files: set[bytes] = set()
    for link in links:
        answer = await sampled.http.get(link)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == content_type
        assert answer.headers["Content-Length"] == str(len(answer.content))
        assert answer.content.startswith(magic)
        files.add(answer.content)
        head = await sampled.http.head(link)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers == answer.headers
    assert len(files) == len(links)


async def test_links_lead_back_to_where_the_request_went(sampled: Client) -> None:
    """Scheme and host are those the client used."""
    path = f"https://sandbox.example:8443/v1/tasks/{SAMPLES['succeeded_video'].id}"
    answer = await sampled.http.get(path)
    assert answer.json()["output"][0].startswith("https://sandbox.example:8443/outputs/")


async def test_a_link_expires_after_a_day_and_a_new_one_can_be_had(sampled: Client, clock: Clock) -> None:
    """The old link is refused, the fresh one opens the same file."""
    [old] = await _links(sampled)
    clock.now += 86_399
    before = await sampled.http.get(old)
    clock.now += 1
    [new] = await _links(sampled)
    after = await sampled.http.get(new)
    assert (await sampled.http.get(old)).status_code == 403
    assert (before.status_code, after.status_code, before.content) == (200, 200, after.content)


@pytest.mark.parametrize("token", ["", "?_jwt=", "?_jwt=nonsense", "?_jwt=a.b.c", "?_jwt=%C3%A9.%00.%FF"])
async def test_a_wrong_token_opens_nothing(sampled: Client, token: str) -> None:
    """Missing, malformed or made elsewhere: refused, in the API's form."""
    [link] = await _links(sampled)
    answer = await sampled.http.get(link.partition("?")[0] + token)
    assert answer.status_code == 403
    assert set(answer.json()) == {"error"}


async def test_a_token_opens_one_file_only(sampled: Client) -> None:
    """The token of one image is no token for the other."""
    first, second = await _links(sampled, "succeeded_images")
    answer = await sampled.http.get(first.partition("?")[0] + "?" + second.partition("?")[2])
    assert answer.status_code == 403


async def test_deleting_a_task_deletes_its_output(sampled: Client) -> None:
    """A link that was good a moment ago finds nothing."""
    [link] = await _links(sampled)
    await sampled.delete(SAMPLES["succeeded_video"].id)
    assert (await sampled.http.get(link)).status_code == 404


def test_files_are_the_same_each_time() -> None:
    """Made again, a file does not differ by a byte."""
    before = [render(kind, 0) for kind in ("video", "image", "audio")]
    render.cache_clear()
    assert [render(kind, 0) for kind in ("video", "image", "audio")] == before


def test_files_of_a_task_differ() -> None:
    """As many as a task can have."""
    for kind in FORMATS:
        assert len({render(kind, index) for index in range(10)}) == 10


def test_the_image_is_a_png() -> None:
    """Each chunk's checksum holds, and the pixels fill the stated size."""
    png = render("image", 0)
    at, chunks = 8, list[tuple[bytes, bytes]]()
    while at < len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        data = png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length)[0] == zlib.crc32(name + data)
        chunks.append((name, data))
        at += 12 + length
    assert [name for name, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour = struct.unpack_from(">IIBB", chunks[0][1])
    assert (depth, colour) == (8, 2)
    assert len(zlib.decompress(chunks[1][1])) == height * (1 + 3 * width)


def test_the_sound_is_a_wav() -> None:
    """One second of 16-bit mono that is not silence."""
    with wave.open(io.BytesIO(render("audio", 0))) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
        assert sound.getnframes() == sound.getframerate()
        assert any(sound.readframes(100))


def _boxes(data: bytes, start: int, end: int, path: str = "") -> Iterator[tuple[str, int, bytes]]:
    """Every box as its path, where its content begins, and the content."""
    while start < end:
        size, name = struct.unpack_from(">I4s", data, start)
        assert 8 <= size <= end - start
        here = f"{path}/{name.decode()}"
        yield here, start + 8, data[start + 8 : start + size]
        if name in _CONTAINERS:
            yield from _boxes(data, start + 8, start + size, here)
        start += size


def test_the_video_is_an_mp4_of_h264_frames() -> None:
    """The boxes nest, the tables agree, and each sample is one whole key frame that differs from the last."""
    video = render("video", 0)
    boxes = {path: (at, content) for path, at, content in _boxes(video, 0, len(video))}
    assert [path for path in boxes if path.count("/") == 1] == ["/ftyp", "/moov", "/mdat"]
    table = "/moov/trak/mdia/minf/stbl"
    assert {f"{table}/{name}" for name in ("stsd", "stts", "stsc", "stsz", "stco")} <= boxes.keys()
    assert boxes[f"{table}/stsd"][1][12:16] == b"avc1"
    assert b"avcC\x01\x42\xc0\x14" in boxes[f"{table}/stsd"][1]

    sizes = boxes[f"{table}/stsz"][1]
    (count,) = struct.unpack_from(">I", sizes, 8)
    (at,) = struct.unpack_from(">I", boxes[f"{table}/stco"][1], 8)
    (time_scale, duration) = struct.unpack_from(">2I", boxes["/moov/mvhd"][1], 12)
    assert (count, duration) == (time_scale, time_scale)
    assert at == boxes["/mdat"][0]
    frames: set[bytes] = set()
    for size in struct.unpack_from(f">{count}I", sizes, 12):
        assert struct.unpack_from(">IB", video, at) == (size - 4, 0x65)
        frames.add(video[at : at + size])
        at += size
    assert at == len(video)
    assert len(frames) == count


def test_the_video_is_the_one_a_decoder_has_accepted() -> None:
    """The bits inside a frame are beyond these tests, so they are pinned to what was decoded by hand."""
    assert hashlib.sha256(render("video", 0)).hexdigest() == _DECODED_VIDEO


def test_no_start_code_is_hidden_in_a_frame() -> None:
    """Three bytes that a decoder would take for a new unit never stand in one."""
    video = render("video", 0)
    (mdat,) = [content for path, _, content in _boxes(video, 0, len(video)) if path == "/mdat"]
    (size,) = struct.unpack_from(">I", mdat)
    assert not {b"\0\0\0", b"\0\0\1", b"\0\0\2"} & {mdat[at : at + 3] for at in range(4, size + 2)}

"""Outputs are real files behind links that expire, and can be had in parts."""

from typing import Any

import av
import pytest
from sandbox_client import Client, Clock
from sandbox_wires import Wire, wires

from runway_mcp.sandbox import SAMPLES
from runway_mcp.sandbox.endpoints import read_data
from runway_mcp.sandbox.output_files import FORMATS

_GEN: dict[str, Any] = {"model": "gen4.5", "promptText": "A kite", "ratio": "1280:720", "duration": 5}


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
    links = await _links(sampled, sample)
    assert [link.partition("?")[0][-4:] for link in links] == suffixes
    elsewhere = await sampled.http.get(f"https://sandbox.example:8443/v1/tasks/{SAMPLES[sample].id}")
    assert elsewhere.json()["output"][0].startswith("https://sandbox.example:8443/outputs/")
    sampled.http.headers.clear()
    for link in links:
        answer = await sampled.http.get(link)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type)
        assert answer.headers["Content-Length"] == str(len(answer.content))
        assert answer.content.startswith(magic)
        head = await sampled.http.head(link)
        assert (head.status_code, head.content, head.headers) == (200, b"", answer.headers)


async def test_a_video_has_a_preview_and_nothing_else_has(sampled: Client) -> None:
    """A picture, behind a link that expires like the others."""
    (link,) = (await sampled.task(SAMPLES["succeeded_video"].id))["previewUrls"]
    answer = await sampled.http.get(link)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    assert answer.content.startswith(b"\x89PNG\r\n\x1a\n")
    assert (await sampled.http.get(link.replace("preview", "other"))).status_code == 403
    for sample in ("succeeded_images", "succeeded_audio"):
        assert "previewUrls" not in await sampled.task(SAMPLES[sample].id)


@pytest.mark.parametrize(
    ("path", "body", "content_type"),
    [
        ("text_to_image", {"model": "recraft_v4_1_vector", "promptText": "A kite"}, "image/svg+xml"),
        ("text_to_image", {"model": "recraft_v4_1_flash", "promptText": "A", "ratio": "1024:1024"}, "image/png"),
        ("text_to_video", {**_GEN, "outputFormat": "mp4"}, "video/mp4"),
        ("text_to_video", {**_GEN, "outputFormat": "hdr10"}, "video/mp4"),
        ("text_to_video", {**_GEN, "outputFormat": "hdr_prores"}, "video/quicktime"),
        ("text_to_video", {**_GEN, "outputFormat": "hdr_exr_sequence"}, "application/zip"),
        ("video_to_hdr", {"model": "ruby", "videoUri": "https://example.com/a.mp4"}, "video/mp4"),
        (
            "video_to_hdr",
            {"model": "ruby", "videoUri": "https://example.com/a.mp4", "outputFormat": "hdr_exr_acescg_sequence_1_3"},
            "application/zip",
        ),
        (
            "video_to_audio",
            {"model": "mirelo_sfx_2_0", "videoUri": "https://example.com/a.mp4", "duration": 4},
            "audio/wav",
        ),
    ],
)
async def test_an_output_is_of_the_format_that_was_asked_for(
    client: Client, clock: Clock, path: str, body: dict[str, Any], content_type: str
) -> None:
    created = await client.http.post(f"/v1/{path}", json=body)
    clock.now += 3600
    [link] = (await client.task(created.json()["id"]))["output"]
    answer = await client.http.get(link)
    assert answer.headers["Content-Type"].partition(";")[0] == content_type
    assert answer.content == next(one for one in FORMATS.values() if one.content_type == content_type).path.read_bytes()


def test_every_format_of_the_catalogue_has_a_file() -> None:
    assert set(read_data("catalogue.json")["files"].values()) <= FORMATS.keys()


@pytest.mark.parametrize(("name", "codec"), [("mp4", "h264"), ("mov", "h264"), ("png", "png"), ("wav", "pcm_u8")])
def test_a_player_opens_every_format_of_output(name: str, codec: str) -> None:
    file = FORMATS[name].path
    with av.open(file, "r", options={"err_detect": "explode"}) as opened:
        (stream,) = opened.streams
        assert stream.codec_context.name == codec
        assert list(opened.decode(stream))


@wires
async def test_a_part_belongs_to_the_whole(wire: Wire) -> None:
    async with wire() as client:
        [link] = await _links(client)
        client.http.headers.clear()
        whole = await client.http.get(link)
        size, tag = len(whole.content), whole.headers["ETag"]
        part = await client.http.get(link, headers={"Range": "bytes=1000-", "If-Range": tag})
        assert (part.status_code, part.content) == (206, whole.content[1000:])
        assert part.headers["Content-Range"] == f"bytes 1000-{size - 1}/{size}"
        other = await client.http.get(link, headers={"Range": "bytes=1000-", "If-Range": '"other"'})
        assert (other.status_code, other.content) == (200, whole.content)
        beyond = await client.http.get(link, headers={"Range": f"bytes={size}-"})
        assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")


async def test_a_link_expires_after_a_day_and_a_new_one_can_be_had(sampled: Client, clock: Clock) -> None:
    [old] = await _links(sampled)
    clock.now += 86_399
    assert (await sampled.http.get(old)).status_code == 200
    clock.now += 1
    [new] = await _links(sampled)
    assert [(await sampled.http.get(link)).status_code for link in (old, new)] == [403, 200]


async def test_a_token_opens_its_own_file_only(sampled: Client) -> None:
    first, second = await _links(sampled, "succeeded_images")
    own = second.partition("?")[2]
    for token in ("", "_jwt=", "_jwt=nonsense", "_jwt=%C3%A9.%00.%FF", f"{own}0", own):
        answer = await sampled.http.get(f"{first.partition('?')[0]}?{token}")
        assert (answer.status_code, set(answer.json())) == (403, {"error"})

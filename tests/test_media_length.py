"""How long a video or sound lasts by its own bytes, and that no bytes can do harm."""

import io
import itertools
import struct
import time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.media import sound, video

from runway_mcp.media_length import media_seconds
from runway_mcp.sandbox.output_files import FORMATS, OUTPUTS

ADTS = b"\xff\xf1\x50\x40\x00\xff\xfc"
"""An empty frame of AAC."""
MP3 = b"\xff\xfb\x90\xc4"
WHOLE = {
    "mp4": video(2.5),
    "mov": video(2.5, "mov"),
    "m4v": video(2.5, "ipod"),
    "m4a": sound(2.5, "ipod", "aac"),
    "wav": sound(2.5),
    "flac": sound(2.5, "flac", "flac"),
    "ogg": sound(2.5, "ogg", "libopus"),
    "aac": sound(2.5, "adts", "aac"),
    "mp3": sound(2.5, "mp3", "libmp3lame"),
}
BARE_MOV = WHOLE["mov"][20:]


def seconds(data: bytes) -> Decimal | None:
    return media_seconds(io.BytesIO(data))


def wave(size: int, rate: int = 48_000) -> bytes:
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 0, b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16, b"data", size
    )
    return head + bytes(64)


@pytest.mark.parametrize("form", WHOLE)
def test_a_video_or_sound_says_how_long_it_lasts(form: str, tmp_path: Path) -> None:
    """MP3 and raw AAC count whole frames, of which the last is filled up."""
    (file := tmp_path / "a").write_bytes(WHOLE[form])
    found = media_seconds(file)
    assert found is not None
    assert found == seconds(WHOLE[form])
    assert found == Decimal("2.5") if form not in {"aac", "mp3"} else Decimal("2.5") <= found < Decimal("2.56")


def test_what_the_sandbox_makes_lasts_a_second() -> None:
    assert [media_seconds(FORMATS[name].path) for name in ("mp4", "mov", "wav")] == [1, 1, 1]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ID",
        b"a text",
        b"ID3 is how a text began",
        OUTPUTS["image"].path.read_bytes(),
        FORMATS["zip"].path.read_bytes(),
        video(1, "matroska"),
        video(1, movflags="frag_keyframe+empty_moov"),
        sound(1, "ogg", "flac"),
        WHOLE["mp4"][: len(WHOLE["mp4"]) // 2],
        b"\0\0\0\x1cftypheic" + WHOLE["mp4"][12:],
        wave(2**32 - 1),
        wave(0),
        sound(1, "mp3", "libmp3lame", write_xing="0"),
        ADTS[:3] + b"\0" * 40,
        b"\xff\xf1\x7c" + ADTS[3:],
        b"\0\0\0\x10ftypisom\0\0\0\1" + b"\0\0\0\1moov" + b"\xff" * 8,
    ],
    ids=map(str, itertools.count()),  # the bytes differ from process to process
)
def test_what_states_no_length_has_none(data: bytes) -> None:
    """Images, texts, archives, unfinished streams, half a file, and MP3 whose frames nobody has counted."""
    assert seconds(data) is None


def test_an_old_mov_begins_without_its_type() -> None:
    assert BARE_MOV[4:8] == b"wide"
    assert seconds(BARE_MOV) == Decimal("2.5")


def test_a_file_that_is_not_there_or_closed_has_no_length(tmp_path: Path) -> None:
    assert media_seconds(tmp_path / "gone.mp4") is None
    assert media_seconds(tmp_path) is None
    (file := io.BytesIO(WHOLE["mp4"])).close()
    assert media_seconds(file) is None


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\x10ftypisom\0\0\0\1" + b"\0\0\0\x08free" * 2_000_000,
        b"\0\0\0\x10ftypisom\0\0\0\1" + b"\x08\0\0\x08moov\x07\0\0\0mvhd" + bytes(2**26),
        MP3 + b"\0" * 4_000_000,
        ADTS * 1_000_000,
        (b"OggS" + bytes(22) + b"\xff" + b"\xff" * 255 + bytes(255 * 255)) * 1_000,
        b"RIFF\0\0\0\0WAVEfmt \xff\xff\xff\x7f" + bytes(2**26),
        b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 2_000_000,
    ],
    ids=["mp4 of many atoms", "mp4 of one atom", "mp3", "aac", "ogg", "wav of one chunk", "wav of many chunks"],
)
def test_bytes_that_are_made_to_be_read_for_long_are_given_up(data: bytes) -> None:
    begun = time.process_time()
    assert seconds(data) is None
    assert time.process_time() - begun < 5


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_no_damage_is_more_than_a_missing_length(form: str, data: st.DataObject) -> None:
    damaged = bytearray(WHOLE[form][: data.draw(st.integers(0, 400)) or None])
    for place in data.draw(st.lists(st.integers(0, max(0, min(len(damaged), 200) - 1)), max_size=6)):
        damaged[place] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
    found = seconds(bytes(damaged))
    assert found is None or 0 < found <= 10_800


@given(st.sampled_from([data[:12] for data in WHOLE.values()]), st.binary(max_size=300))
def test_any_bytes_behind_a_known_beginning_are_read_safely(head: bytes, rest: bytes) -> None:
    found = seconds(head + rest)
    assert found is None or 0 < found <= 10_800

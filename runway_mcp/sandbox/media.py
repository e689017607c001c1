"""The sandbox's output files: small, valid and made by code, so that a download can be opened.

One second of picture or sound each, the same bytes for the same arguments; nothing is made
before somebody asks for it.
"""

import io
import math
import struct
import wave
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal

from runway_mcp.sandbox.mp4 import encode_mp4

Kind = Literal["video", "image", "audio"]


@dataclass(frozen=True, slots=True)
class Format:
    """How files of one kind are named and announced."""

    suffix: str
    content_type: str


FORMATS: Mapping[Kind, Format] = MappingProxyType(
    {
        "video": Format("mp4", "video/mp4"),
        "image": Format("png", "image/png"),
        "audio": Format("wav", "audio/wav"),
    }
)

_WIDTH, _HEIGHT = 256, 144
_SAMPLE_RATE = 8000


@cache
def render(kind: Kind, index: int) -> bytes:
    """Make the file number ``index`` (from 0) of a task's output; numbers differ visibly or audibly."""
    if kind == "video":
        return encode_mp4(phase=index)
    return _png(phase=index) if kind == "image" else _wav(hertz=440 + 110 * index)


def _png(phase: int) -> bytes:
    """Draw a two-way colour gradient, 8-bit RGB."""
    blue = 64 + 37 * phase % 192
    rows = b"".join(
        b"\0" + bytes(v for x in range(_WIDTH) for v in (x * 255 // _WIDTH, y * 255 // _HEIGHT, blue))
        for y in range(_HEIGHT)
    )
    header = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def _wav(hertz: int) -> bytes:
    """Sound one second of a quiet sine tone, 16-bit mono."""
    tone = (round(8000 * math.sin(2 * math.pi * hertz * n / _SAMPLE_RATE)) for n in range(_SAMPLE_RATE))
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_SAMPLE_RATE)
        sound.writeframes(struct.pack(f"<{_SAMPLE_RATE}h", *tone))
    return file.getvalue()

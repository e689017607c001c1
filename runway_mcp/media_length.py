"""How long a video or sound lasts, by what its own file says."""

import re
from decimal import Decimal
from os import SEEK_CUR, SEEK_SET
from pathlib import Path
from typing import IO, BinaryIO, cast

MAX_SECONDS = 10_800
"""The longest length that is believed; streams that were never finished claim more."""

_MAX_READS = 300_000
_MAX_BYTES = 32 * 1024**2
"""What is read of a file at most; it takes about a second."""

_HEAD = 16
_ADTS_HEADER = 7
_MP3_HEAD = 1024**2
_TOLD = re.compile(rb"Xing|Info|VBRI")
"""What marks the header of an MP3 that counts its frames; a tag with a picture may come before it."""
_ADTS_RATES = dict(
    enumerate((96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350))
)
_READERS = {
    "mp4": rb".{4}(moov|mdat|wide|ftyp(iso|mp4|avc1|M4[ABV]|dash|MSNV|f4v |cmf|XAVC|qt  ))",
    "wav": rb"RIFF.{4}WAVE",
    "flac": rb"fLaC",
    "ogg": rb"OggS",
    "aac": rb"\xff[\xf0\xf1\xf8\xf9]",
    "mp3": rb"ID3[\x02-\x04]|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]",
}
"""The first bytes of the files that can be measured, by the extension that names their kind."""


def media_seconds(file: Path | IO[bytes]) -> Decimal | None:
    """Return the seconds that a video or sound lasts; run it in a worker thread.

    None for an image, and for what can't be read: another kind of file, a damaged one, one of no stated length.
    MP4, MOV, M4A, WAV, FLAC, Ogg, AAC and MP3 are read; an MP3 only if a header counts its frames.
    A file that is passed open is left at any place.
    """
    try:
        if isinstance(file, Path):
            with file.open("rb") as opened:
                return _seconds(opened)
        return _seconds(file)
    except (OSError, ValueError):
        return None


def _seconds(file: IO[bytes]) -> Decimal | None:
    file.seek(0)
    head = file.read(_HEAD)
    kind = next((kind for kind, signature in _READERS.items() if re.match(signature, head, re.DOTALL)), None)
    if kind is None:
        return None
    if kind == "mp3" and not _TOLD.search(file.read(_MP3_HEAD)):
        return None  # its frames may change their bitrate, and there is no header that counts them
    file.seek(0)
    sparing = _Sparing(file)
    found = _adts_seconds(sparing) if kind == "aac" else _read_duration(sparing, kind)
    seconds = Decimal(str(found or 0))
    return seconds if 0 < seconds <= MAX_SECONDS else None


def _read_duration(file: "_Sparing", kind: str) -> float | None:
    from tinytag import TinyTag, TinyTagException  # noqa: PLC0415 - only who measures a file pays for it

    try:
        return TinyTag.get(f"a.{kind}", cast("BinaryIO", file), tags=False).duration
    except TinyTagException as error:
        raise ValueError(kind) from error


def _adts_seconds(file: "_Sparing") -> float:
    """Return the seconds of raw AAC, which tinytag takes for MP3: each frame tells its own size."""
    samples = rate = 0
    while len(header := file.read(_ADTS_HEADER)) == _ADTS_HEADER:
        size = int.from_bytes(header[3:6], "big") >> 5 & 0x1FFF
        if header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or size < _ADTS_HEADER:  # noqa: PLR2004 - the format's sign
            break
        rate = _ADTS_RATES.get(header[2] >> 2 & 0xF, 0)
        samples += 1024 * ((header[6] & 3) + 1)
        file.seek(size - _ADTS_HEADER, SEEK_CUR)
    return samples / rate if rate else 0


class _Sparing:
    """A file that refuses to be read without end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._reads, self._bytes = _MAX_READS, _MAX_BYTES
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        self._reads -= 1
        if self._reads < 0 or not 0 <= size <= self._bytes:
            raise OSError("too much of the file would be read")
        self._bytes -= size
        return self._file.read(size)

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        return self._file.seek(offset, whence)

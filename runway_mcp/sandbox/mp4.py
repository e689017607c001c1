"""A one-second MP4 without an encoder, so that the sandbox's video plays in any player.

H.264 baseline (ITU-T H.264), every frame intra-coded on its own. The top row of macroblocks holds
raw samples (I_PCM) of a moving colour gradient, the rows below predict vertically from it with no
residual: the whole picture for the price of one row and no arithmetic beyond Exp-Golomb codes.
Box layout after ISO/IEC 14496-12, the ``avcC`` record after 14496-15.
"""

import math
import re
import struct

_COLUMNS, _ROWS = 16, 9  # macroblocks of 16x16 pixels: 256x144, so that nothing needs cropping
_WIDTH, _HEIGHT = _COLUMNS * 16, _ROWS * 16
_FRAMES = 12  # also the time scale: one second
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def encode_mp4(phase: int) -> bytes:
    """Make the file; ``phase`` turns the colour wheel, so that two files differ."""
    frames = [_sample(_frame(number, phase)) for number in range(_FRAMES)]
    sizes = [len(frame) for frame in frames]
    head = _box(b"ftyp", b"isom", struct.pack(">I", 0x200), b"isomiso2avc1mp41")
    # moov stands before mdat, so that a player can start on the first bytes; its size does not depend on
    # the offset it holds
    offset = len(head) + len(_moov(sizes, 0)) + 8
    return head + _moov(sizes, offset) + _box(b"mdat", *frames)


def _ue(value: int) -> str:
    """Exp-Golomb code of an unsigned number, as a string of bits."""
    bits = f"{value + 1:b}"
    return "0" * (len(bits) - 1) + bits


def _bytes(bits: str) -> bytes:
    """Pack bits, padding the last byte with zeros."""
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _nal(header: int, payload: bytes) -> bytes:
    """Make a NAL unit; 03 is put in wherever the payload would look like a start code."""
    return bytes([header]) + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", payload)


def _sequence_parameters() -> bytes:
    order_by_decoding, no_references = _ue(2), _ue(0)
    size = _ue(_COLUMNS - 1) + _ue(_ROWS - 1)
    # after the size: frames only, direct 8x8, no cropping, no VUI, and the stop bit
    bits = _ue(0) + _ue(0) + order_by_decoding + no_references + "0" + size + "11001"
    return _nal(0x67, bytes([66, 0xC0, 20]) + _bytes(bits))


def _picture_parameters() -> bytes:
    # two ids, CAVLC, one slice group, one reference, no weighting, three zero QP offsets, then the flag
    # that lets a slice switch the deblocking filter off, two flags off, and the stop bit
    return _nal(0x68, _bytes(_ue(0) * 2 + "00" + _ue(0) * 3 + "000" + _ue(0) * 3 + "1001"))


def _frame(number: int, phase: int) -> bytes:
    """Code one picture as an IDR slice."""
    pcm, vertical = _ue(25), _ue(1) + _ue(2) + _ue(0)  # macroblock types; the latter with chroma and QP delta
    # slice: first macroblock, type I, parameter set, frame number, alternating IDR id, two marking flags,
    # no QP delta, no deblocking
    bits = _ue(0) + _ue(7) + _ue(0) + "0000" + _ue(number % 2) + "00" + _ue(0) + _ue(1)
    payload = b""
    for column in range(_COLUMNS):
        payload += _bytes(bits + pcm) + _raw_macroblock(number, column, phase)
        bits = ""
    # "no coefficients" is coded by the neighbours' counts: I_PCM above counts as 16, the others as 0
    below_raw, below_flat = vertical + "000011", vertical + "1"
    tail = below_raw * _COLUMNS + below_flat * _COLUMNS * (_ROWS - 2) + "1"
    return _nal(0x65, payload + _bytes(tail))


def _raw_macroblock(number: int, column: int, phase: int) -> bytes:
    """256 luma and 2 x 64 chroma samples, in the range of video levels."""
    luma = bytes(64 + (column * 16 + x) * 128 // _WIDTH for x in range(16)) * 16
    angle = 2 * math.pi * (number / _FRAMES + column / _COLUMNS / 2 + phase / 10)
    blue, red = (round(128 + 80 * turn) for turn in (math.cos(angle), math.sin(angle)))
    return luma + bytes([blue]) * 64 + bytes([red]) * 64


def _sample(nal: bytes) -> bytes:
    """Prefix a NAL unit with its length, as MP4 stores it."""
    return struct.pack(">I", len(nal)) + nal


def _box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + name + body


def _full_box(name: bytes, *parts: bytes, flags: int = 0) -> bytes:
    """Make a box that begins with a version (0) and flags."""
    return _box(name, struct.pack(">I", flags), *parts)


def _moov(sizes: list[int], offset: int) -> bytes:
    """Describe one video track of frames of these sizes, stored from ``offset`` on."""
    times = struct.pack(">4I", 0, 0, _FRAMES, _FRAMES)
    movie = _full_box(b"mvhd", times, struct.pack(">IH10x", 0x10000, 0x100), _MATRIX, bytes(24), struct.pack(">I", 2))
    track = _full_box(
        b"tkhd",
        struct.pack(">5I", 0, 0, 1, 0, _FRAMES),
        bytes(16),
        _MATRIX,
        struct.pack(">2I", _WIDTH << 16, _HEIGHT << 16),
        flags=3,
    )
    language = struct.pack(">HH", 0x55C4, 0)  # "und" in three five-bit letters
    handler = _full_box(b"hdlr", bytes(4), b"vide", bytes(12), b"video\0")
    media = _box(b"mdia", _full_box(b"mdhd", times, language), handler, _media_information(sizes, offset))
    return _box(b"moov", movie, _box(b"trak", track, media))


def _media_information(sizes: list[int], offset: int) -> bytes:
    """Say where the samples lie (in this file, as one chunk) and how long each lasts (one tick)."""
    count = len(sizes)
    in_this_file = _full_box(b"url ", flags=1)
    tables = _box(
        b"stbl",
        _full_box(b"stsd", struct.pack(">I", 1), _sample_entry()),
        _full_box(b"stts", struct.pack(">3I", 1, count, 1)),
        _full_box(b"stsc", struct.pack(">4I", 1, 1, count, 1)),
        _full_box(b"stsz", struct.pack(f">2I{count}I", 0, count, *sizes)),
        _full_box(b"stco", struct.pack(">2I", 1, offset)),
    )
    reference = _box(b"dinf", _full_box(b"dref", struct.pack(">I", 1), in_this_file))
    return _box(b"minf", _full_box(b"vmhd", bytes(8), flags=1), reference, tables)


def _sample_entry() -> bytes:
    """The ``avc1`` entry with the decoder's configuration."""
    sequence, picture = _sequence_parameters(), _picture_parameters()
    configuration = _box(
        b"avcC",
        b"\1" + sequence[1:4] + b"\xff\xe1",  # four-byte NAL lengths, one sequence parameter set
        struct.pack(">H", len(sequence)) + sequence,
        b"\1" + struct.pack(">H", len(picture)) + picture,
    )
    return _box(
        b"avc1",
        struct.pack(">6xH16x2H", 1, _WIDTH, _HEIGHT),
        struct.pack(">3IH32xHH", 72 << 16, 72 << 16, 0, 1, 24, 0xFFFF),
        configuration,
    )

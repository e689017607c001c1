"""Small pictures of images: of every kind and size, and of no file that harms."""

import struct
from io import BytesIO
from random import Random
from zlib import crc32

import pytest
from PIL import Image

from runway_mcp.files.thumbnails import MAX_BYTES, MAX_PIXELS, MAX_SIDE, thumbnail

RED = (200, 30, 30)


def file_of(image: Image.Image, kind: str, **more: object) -> BytesIO:
    image.save(found := BytesIO(), kind, **more)
    return BytesIO(found.getvalue())


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that no format makes smaller, the same each time."""
    return Random(seed).randbytes(size)  # noqa: S311 - nothing is secret


def small(file: BytesIO) -> Image.Image:
    data = thumbnail(file)
    assert data is not None
    assert len(data) < MAX_BYTES
    image = Image.open(BytesIO(data), formats=["JPEG"])
    assert max(image.size) <= MAX_SIDE
    return image


def is_near(image: Image.Image, expected: tuple[int, int, int]) -> bool:
    """Whether an image has a colour, about."""
    extremes = image.getextrema()
    return all(
        isinstance(of, tuple) and abs(of[0] - wanted) < 12 and abs(of[1] - wanted) < 12
        for of, wanted in zip(extremes, expected, strict=True)
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize(
    ("size", "shown"), [((2000, 1000), (512, 256)), ((300, 3000), (51, 512)), ((40, 30), (40, 30))]
)
def test_an_image_of_any_size_becomes_a_small_picture(kind: str, size: tuple[int, int], shown: tuple[int, int]) -> None:
    image = small(file_of(Image.new("RGB", size, RED), kind))
    assert image.size == shown
    assert is_near(image, RED)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_an_image_of_any_kind_of_colour_is_shown(mode: str) -> None:
    assert small(file_of(Image.new(mode, (600, 600)), "JPEG" if mode == "CMYK" else "PNG")).mode == "RGB"


def test_grey_of_16_bits_keeps_its_shades() -> None:
    grey = Image.frombytes("I;16", (600, 300), (30_000).to_bytes(2, "little") * 180_000)
    assert is_near(small(file_of(grey, "PNG")), (117, 117, 117))


def test_what_is_transparent_is_white_and_what_is_turned_stands_upright() -> None:
    assert is_near(small(file_of(Image.new("RGBA", (9, 9), (0, 0, 0, 0)), "PNG")), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6
    assert small(file_of(Image.new("RGB", (1000, 500), RED), "JPEG", exif=exif)).size == (256, 512)


def test_of_a_moving_image_the_first_frame_is_shown() -> None:
    frames = [Image.new("RGB", (50, 50), colour) for colour in (RED, (0, 0, 0), (0, 0, 255))]
    for kind in ("GIF", "WEBP"):
        image = small(file_of(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True))
        assert is_near(image, RED)


def test_the_busiest_image_is_small_enough_and_carries_nothing_else() -> None:
    """Neither a comment nor a profile, which may be of any size."""
    busy = Image.frombytes("RGB", (600, 600), noise(600 * 600 * 3))
    image = small(file_of(busy, "JPEG", quality=95, comment=b"secret" * 9_000, icc_profile=b"secret" * 30_000))
    assert image.size == (512, 512)
    assert not {"comment", "icc_profile", "exif"} & image.info.keys()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc32(name + data))


@pytest.mark.parametrize("side", [MAX_PIXELS, 2**31 - 1])
def test_an_image_that_would_fill_the_memory_is_not_decoded(side: int) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, 2, 8, 2, 0, 0, 0))
    assert thumbnail(BytesIO(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b""))) is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_a_file_that_was_cut_off_or_damaged_is_not_shown_or_harmless(kind: str) -> None:
    data = file_of(Image.frombytes("RGB", (64, 64), noise(64 * 64 * 3)), kind).getvalue()
    assert thumbnail(BytesIO(data[: len(data) // 2])) is None
    for seed in range(60):
        damaged = bytearray(data)
        for place, value in zip(noise(8, seed), noise(8, -seed - 1), strict=True):
            damaged[place * len(data) // 256] = value
        thumbnail(BytesIO(damaged))


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "PPM"])
def test_no_other_format_is_opened(kind: str) -> None:
    """Fewer decoders, fewer faults: an output is none of these."""
    assert thumbnail(file_of(Image.new("RGB", (9, 9)), kind)) is None


@pytest.mark.parametrize("data", [b"", b"text", b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_what_is_no_image_is_not_shown(data: bytes) -> None:
    assert thumbnail(BytesIO(data)) is None

"""Small pictures of images, made from files that nobody vouches for."""

from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE = 512
"""Pixels of a small picture's longer side."""
MAX_BYTES = 100_000
"""Below this many bytes is a small picture."""
MAX_PIXELS = 100_000_000
"""Pixels of an image that is decoded: up to 400 MB, whatever its file's size."""

_FORMATS = ("JPEG", "PNG", "GIF", "WEBP")
_QUALITIES = (85, 70, 50, 30, 10)


def thumbnail(file: BinaryIO) -> bytes | None:
    """Return a small JPEG of an image, of its first frame where it moves; None where the file can't be shown. Blocks.

    What is transparent is white.
    """
    from PIL import Image as images  # noqa: N813, PLC0415 - only who looks at images pays for it
    from PIL import ImageOps  # noqa: PLC0415 - as above

    images.MAX_IMAGE_PIXELS = None  # ours is counted below; Pillow's own only warns
    try:
        with images.open(file, formats=_FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                return None
            image = opened.convert("RGBA") if opened.mode == "P" else opened
            image.thumbnail((MAX_SIDE, MAX_SIDE))
            if image.mode.startswith("I"):  # grey of 16 bits, which Pillow would cut off at 255
                image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")  # pyright: ignore[reportUnknownMemberType] - it is half typed
            colours = ImageOps.exif_transpose(image).convert("RGBA")
    except Exception:  # noqa: BLE001 - a broken file makes Pillow raise almost anything
        return None
    flat = images.new("RGB", colours.size, "white")
    flat.paste(colours, mask=colours.getchannel("A"))
    encoded = (_jpeg(flat, quality) for quality in _QUALITIES)
    return next((data for data in encoded if len(data) < MAX_BYTES), None)


def _jpeg(image: "Image", quality: int) -> bytes:
    image.save(found := BytesIO(), "JPEG", quality=quality)
    return found.getvalue()

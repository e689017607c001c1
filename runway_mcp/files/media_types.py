"""What a file is by its own first bytes, whatever its name or a header says of it.

A table of our own: of real files, `filetype` took a video in Ogg for sound and a text that begins with
"ID3" for an MP3, `puremagic` missed an MP3 and took M4A for a video; both name types as Runway does not.
Only what Runway takes or gives is here, so that everything else is nothing, text and programs included.
"""

import re
from dataclasses import dataclass

HEAD = 1024
"""Bytes of a file that tell its type."""


@dataclass(frozen=True, slots=True)
class ContentType:
    """A type of file: its name as in a `Content-Type` header, and the extension of its files, without the dot."""

    name: str
    extension: str


_TYPES = tuple(
    (re.compile(signature, re.DOTALL), ContentType(name, extension))
    for name, extension, signature in (
        ("image/jpeg", "jpg", rb"\xff\xd8\xff"),
        ("image/png", "png", rb"\x89PNG\r\n\x1a\n"),
        ("image/gif", "gif", rb"GIF8[79]a"),
        ("image/webp", "webp", rb"RIFF.{4}WEBP"),
        ("video/mp4", "mp4", rb".{4}ftyp(iso|mp4|avc1|M4V|dash|MSNV|f4v |cmf|XAVC)"),
        ("video/quicktime", "mov", rb".{4}ftypqt  |\0.{3}(moov|mdat|wide)"),
        ("video/webm", "webm", rb"\x1a\x45\xdf\xa3.{0,60}webm"),
        ("video/x-matroska", "mkv", rb"\x1a\x45\xdf\xa3.{0,60}matroska"),
        ("video/ogg", "ogv", rb"OggS.*\x80theora"),
        ("audio/ogg", "ogg", rb"OggS"),
        ("audio/mp4", "m4a", rb".{4}ftypM4[AB] "),
        ("audio/wav", "wav", rb"(RIFF|RF64).{4}WAVE"),
        ("audio/flac", "flac", rb"fLaC"),
        ("audio/mpeg", "mp3", rb"ID3[\x02-\x04].{2}[\0-\x7f]{4}|\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]"),
        ("audio/aac", "aac", rb"\xff[\xf0\xf1\xf8\xf9]"),
    )
)

_ARCHIVE = ContentType("application/zip", "zip")
_DRAWING = ContentType("image/svg+xml", "svg")
_SVG = re.compile(
    rb"(\xef\xbb\xbf)?\s*((<\?xml[^>]*\?>|<!--.*?-->|<!DOCTYPE\s+svg[^>\[]*(\[.*?\]\s*)?>)\s*)*<(svg:)?svg[\s>]",
    re.DOTALL,
)


def detect(head: bytes) -> ContentType | None:
    """Return what a file is that begins with `head`, its first `HEAD` bytes or all that it has.

    An MP4 or WebM is a video even where it holds nothing but sound. None for everything that is no image,
    video or sound of the kinds that Runway takes or gives.
    """
    return next((found for signature, found in _TYPES if signature.match(head)), None)


def detect_output(head: bytes) -> ContentType | None:
    """Return the same of an output of Runway's, which may also be an SVG, or a ZIP archive: a video as images."""
    if head.startswith(b"PK\3\4"):
        return _ARCHIVE
    return _DRAWING if _SVG.match(head) else detect(head)

"""The media types of files that Runway takes as inputs: uploaded, or in a data URI."""

from collections.abc import Mapping, Sequence

INPUT_TYPES: Mapping[str, Sequence[str]] = {
    "image/jpeg": ("image/jpg",),
    "image/png": (),
    "image/webp": (),
    "video/mp4": ("video/x-m4v",),
    "video/quicktime": ("video/mov",),
    "video/webm": (),
    "video/x-matroska": ("video/matroska", "video/mkv"),
    "video/ogg": (),
    "audio/mpeg": ("audio/mp3", "audio/x-mp3"),
    "audio/wav": ("audio/wave", "audio/x-wav", "audio/vnd.wave"),
    "audio/mp4": ("audio/m4a", "audio/x-m4a"),
    "audio/aac": ("audio/x-aac",),
    "audio/flac": ("audio/x-flac",),
    "audio/ogg": ("audio/opus",),
    "audio/webm": (),
}
"""Each type, and other names for it."""

IN_WORDS = "image (JPEG, PNG, WebP), video (MP4, MOV, WebM, MKV, OGV) or sound (MP3, WAV, M4A, AAC, FLAC, OGG)"
"""The same types, as people call them; follows "no"."""


def is_input_type(name: str) -> bool:
    """Return whether Runway takes files of a media type, by any of its names."""
    return any(name.lower() in (known, *others) for known, others in INPUT_TYPES.items())

"""The files that tasks make, one for each format, and the signed links to them."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["video", "image", "audio"]

LIFETIME = 86_400.0
"""Seconds that a link to an output is good for, the shortest that the API promises."""

_FILES = Path(__file__).with_name("files")


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file of one second or one picture."""

    path: Path
    content_type: str


FORMATS: Mapping[str, OutputFile] = {
    "mp4": OutputFile(_FILES / "video.mp4", "video/mp4"),
    "mov": OutputFile(_FILES / "video.mov", "video/quicktime"),
    "zip": OutputFile(_FILES / "frames.zip", "application/zip"),
    "png": OutputFile(_FILES / "image.png", "image/png"),
    "svg": OutputFile(_FILES / "image.svg", "image/svg+xml"),
    "wav": OutputFile(_FILES / "audio.wav", "audio/wav"),
}
"""The files by their extensions; each that the catalogue's data names has one."""

PREVIEW = "preview.png"
"""What the name of a video's preview ends with, after its number."""

USUAL_FORMATS: Mapping[Kind, str] = {"video": "mp4", "image": "png", "audio": "wav"}

OUTPUTS: Mapping[Kind, OutputFile] = {kind: FORMATS[name] for kind, name in USUAL_FORMATS.items()}


def sign(key: bytes, subject: str, expires: float) -> str:
    """Make a token that gives the right to `subject` until a time in UNIX seconds."""
    return f"{expires}.{hmac.digest(key, f'{subject}.{expires}'.encode(), 'sha256').hex()}"


def admits(key: bytes, token: str, subject: str, now: float) -> bool:
    """Return whether a token was made with this key for this subject, and has not expired."""
    expires, _, signature = token.rpartition(".")
    expected = hmac.digest(key, f"{subject}.{expires}".encode(), "sha256").hex()
    return hmac.compare_digest(signature.encode(), expected.encode()) and now < float(expires)

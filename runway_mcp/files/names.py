"""Names of saved files: readable, and safe on every system.

What one system refuses, hides or reads differently is in no name on any: folders are synchronised and shared.
"""

import re
import unicodedata

from runway_mcp.files.file_errors import UnusableNameError
from runway_mcp.files.paths import is_device_name

MAX_NAME_BYTES = 255
"""Bytes of a name that common file systems take."""
MAX_STEM_BYTES = 200
"""Bytes of a name before its number and its extension."""
MAX_WORDS = 60
"""Characters of a text that become a name."""

EXTENSIONS = "jpe?g|png|gif|webp|avif|heic|bmp|tiff?|svg|mp4|m4v|mov|webm|mkv|avi|ogv|mp3|m4a|wav|flac|aac|ogg|opus|zip"
"""The extensions of media files, as a regular expression."""

_EXTENSION = re.compile(rf"\s*\.({EXTENSIONS})$", re.IGNORECASE)
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn"}
_BETWEEN = re.compile(r"(?<=\w)[/\\|:](?=\w)")
_REFUSED = re.compile(r'[/\\|:<>"?*]')
_SAFE = re.compile(r'(?![.~\s])[^/\\|:<>"?*]+(?<![.\s])')


def check_name(name: str) -> str:
    """Return a file's name.

    Raises:
        ValueError: Some system refuses it, hides it, or reads it as something else.
    """
    is_seen = all(unicodedata.category(char) not in _UNSEEN for char in name)
    if not is_seen or _SAFE.fullmatch(name) is None or len(name.encode()) > MAX_NAME_BYTES or is_device_name(name):
        raise ValueError("a file's name has only signs that every system takes, and at most 255 bytes")
    return name


def safe_stem(text: str) -> str:
    """Return a text as the name of a file, without an extension; empty where nothing is left of it."""
    return _trimmed(_plain(text))


def given_stem(name: str) -> str:
    """Return the name that somebody has given a file, without the extension of a media file.

    Raises:
        UnusableNameError: It leads to a folder, or nothing is left of it.
    """
    if "/" in name or "\\" in name:
        raise UnusableNameError(name, "folder")
    stem = _trimmed(_EXTENSION.sub("", _plain(name).rstrip(" .")))
    if not stem:
        raise UnusableNameError(name, "empty")
    return stem


def title(text: str) -> str:
    """Return the first words of a text as the name of a file; maybe empty."""
    words = safe_stem(text)
    if len(words) > MAX_WORDS:
        start = words[: MAX_WORDS + 1].rpartition(" ")[0]
        words = start if len(start) > MAX_WORDS // 2 else _whole(words, MAX_WORDS)
    return words.rstrip(" .,;-\u2013\u2014\u2026")


def _plain(text: str) -> str:
    shown = (" " if char.isspace() else char for char in unicodedata.normalize("NFC", text))
    plain = "".join(char for char in shown if unicodedata.category(char) not in _UNSEEN)
    return " ".join(_REFUSED.sub(" ", _BETWEEN.sub("-", plain)).split())


def _trimmed(text: str) -> str:
    stem = text.lstrip(" .~-")
    stem = _whole(stem, len(stem.encode()[:MAX_STEM_BYTES].decode(errors="ignore"))).rstrip(" .")
    return f"_{stem}" if is_device_name(stem) else stem


def _whole(text: str, end: int) -> str:
    """Return the first characters of a text, and no half of one that is made of several."""
    while end and end < len(text) and unicodedata.category(text[end]).startswith("M"):
        end -= 1
    return text[:end]

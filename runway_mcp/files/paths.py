"""From the text of a path or a file URI to a path that names nothing but a place in a folder.

Only the text is looked at, nothing on the disk: what could mean a device, another machine or another
folder is refused before the operating system hears of it.
"""

import os
import re
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from urllib.parse import unquote_to_bytes, urlsplit

LONGEST = 3500
"""Characters of a path, so that a name can still follow it."""
DEEPEST = 32
"""Names of a path."""

_CONTROL = re.compile(r"[\0-\x1f\x7f]")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|data:")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_WINDOWS_DEVICE = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)
_WINDOWS_REFUSED = re.compile(r'[<>:"|?*]|[. ]$')


def parse_path(text: str, *, windows: bool = os.name == "nt") -> PurePath:
    """Return the path that a text or a `file:` URI names.

    Args:
        text: As it came.
        windows: Whether it is a path of Windows.

    Raises:
        ValueError: It is none that can be used; the message says why, as the end of a sentence.
    """
    if not text or len(text) > LONGEST:
        raise ValueError(f"a path has 1 to {LONGEST} characters")
    if _CONTROL.search(text) or not is_encodable(text):
        raise ValueError("it holds characters that no path can have")
    if text[:5].lower() == "file:":
        text = _path_of_uri(text, windows=windows)
    elif _URL.match(text):
        raise ValueError("it is a URL, which an input takes as it is")
    if text.startswith("~"):
        raise ValueError("~ is not replaced by a home folder: give the whole path")
    path = _windows_path(text) if windows else _posix_path(text)
    if ".." in path.parts:
        raise ValueError('it holds ".."')
    if len(path.parts) > DEEPEST:
        raise ValueError(f"it is over {DEEPEST} folders deep")
    return path


def is_encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8, as names on some disks can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _path_of_uri(uri: str, *, windows: bool) -> str:
    parts = urlsplit(uri)
    if parts.netloc.lower() not in {"", "localhost"} or not parts.path.startswith("/"):
        raise ValueError("a file URI names a whole path on this machine: file:///folder/name")
    if parts.query or parts.fragment:
        raise ValueError("in a file URI, ? and # are written %3F and %23")
    try:
        path = unquote_to_bytes(parts.path).decode()
    except UnicodeDecodeError:
        path = "\0"
    if _CONTROL.search(path):
        raise ValueError("it holds characters that no path can have")
    return path[1:] if windows else path


def _posix_path(text: str) -> PurePath:
    if _WINDOWS_PATH.match(text):
        raise ValueError("it is a path of Windows, which this machine does not run")
    return PurePosixPath(text)


def _windows_path(text: str) -> PurePath:
    path = PureWindowsPath(text)
    if path.drive.startswith("\\\\"):
        raise ValueError("it names another machine or a device")
    if bool(path.drive) != bool(path.root):
        raise ValueError(r"it is neither a whole path (C:\folder\name) nor one without a drive or a slash at its start")
    for name in path.parts[1 if path.drive else 0 :]:
        if _WINDOWS_DEVICE.match(name) or (name != ".." and _WINDOWS_REFUSED.search(name)):
            raise ValueError("it holds a name that Windows keeps for itself")
    return path

"""The text of a path or a file URI, parsed into a path that can only name a place in a folder.

Only the text is checked, nothing on the disk. What could mean a device, another machine or a parent is refused.
"""

import os
import re
import unicodedata
from contextlib import suppress
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Literal
from urllib.parse import unquote, unquote_to_bytes, urlsplit

MAX_LENGTH = 3500
"""Characters of a path, so that a name can still follow it."""
MAX_DEPTH = 32
"""Names of a path."""

_TextProblem = Literal[
    "length", "blank", "characters", "url", "elsewhere", "home", "parent", "depth", "uri_host", "uri_query"
]
PathProblem = _TextProblem | Literal["windows", "device", "drive", "reserved_name"]


class InvalidPathError(ValueError):
    """A text that can't be used as a path, for the reason `problem`."""

    def __init__(self, problem: PathProblem) -> None:
        super().__init__(problem)
        self.problem: PathProblem = problem


_CONTROL = re.compile(r"[\0-\x1f\x7f]")
_URL = re.compile(r"[a-z][a-z0-9+.-]+://|(attachment|blob|cid|data|sandbox):", re.IGNORECASE)
_INPUT_URL = re.compile(r"(https?|runway)://|data:", re.IGNORECASE)
_QUOTED = re.compile(r"[\"'`\u2018\u201c\xab<](.*)[\"'`\u2019\u201d\xbb>]", re.DOTALL)
_ESCAPED = re.compile(r"\\([\s!\"#$&'()*;<>?\[\]`{|}~])")
_PLAIN_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_WINDOWS_DEVICE = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)
_WINDOWS_REFUSED = re.compile(r'[<>:"|?*]|[. ]$')


def spellings(text: str, *, windows: bool = os.name == "nt") -> list[str]:
    """Return a path as it is given, and further without what a chat, a shell or a URL has added to it.

    That is white space and quotation marks around it, a backslash before a sign, and %20: the last one has none.
    """
    bare = text.strip("\ufeff\u200b").strip()
    while quoted := _QUOTED.fullmatch(bare):
        bare = quoted[1].strip()
    plain = bare if windows else _ESCAPED.sub(r"\1", bare)
    decoded = plain
    if plain[:5].lower() != "file:":  # a URI, which is decoded anyway
        with suppress(UnicodeDecodeError):
            decoded = unquote(plain, errors="strict")
    return list(dict.fromkeys((text, bare, plain, decoded)))


def comparable(name: str) -> str:
    """Return a name as people see it: names that differ only in how Unicode writes them have the same."""
    text = unicodedata.normalize("NFKC", name).translate(_PLAIN_QUOTES)
    kinds = ((char, unicodedata.category(char)) for char in text)
    return " ".join("".join("-" if kind == "Pd" else char for char, kind in kinds if kind != "Cf").split())


def is_device_name(name: str) -> bool:
    """Whether Windows takes a file's name for a device, whatever its extension."""
    return _WINDOWS_DEVICE.match(name) is not None


def parse_path(text: str, *, windows: bool = os.name == "nt") -> PurePath:
    """Return the path that a text or a `file:` URI names; by the rules of Windows where `windows` is true.

    Raises:
        InvalidPathError: It can't be used.
    """
    if not text.strip():
        raise InvalidPathError("blank")
    if len(text) > MAX_LENGTH:
        raise InvalidPathError("length")
    if _CONTROL.search(text) or not is_encodable(text):
        raise InvalidPathError("characters")
    if text[:5].lower() == "file:":
        text = _path_of_uri(text, windows=windows)
    elif _URL.match(text):
        raise InvalidPathError("url" if _INPUT_URL.match(text) else "elsewhere")
    if text.startswith("~"):
        raise InvalidPathError("home")
    if not windows and _WINDOWS_PATH.match(text):
        raise InvalidPathError("windows")
    path = _windows_path(text) if windows else PurePosixPath(text)
    if ".." in path.parts:
        raise InvalidPathError("parent")
    if len(path.parts) > MAX_DEPTH:
        raise InvalidPathError("depth")
    return path


def is_encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8; names on some disks can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _path_of_uri(uri: str, *, windows: bool) -> str:
    parts = urlsplit(uri)
    if parts.netloc.lower() not in {"", "localhost"} or not parts.path.startswith("/"):
        raise InvalidPathError("uri_host")
    if parts.query or parts.fragment:
        raise InvalidPathError("uri_query")
    try:
        path = unquote_to_bytes(parts.path).decode()
    except UnicodeDecodeError:
        path = "\0"
    if _CONTROL.search(path):
        raise InvalidPathError("characters")
    return path[1:] if windows else path


def _windows_path(text: str) -> PurePath:
    path = PureWindowsPath(text)
    if path.drive.startswith("\\\\"):
        raise InvalidPathError("device")
    if bool(path.drive) != bool(path.root):
        raise InvalidPathError("drive")
    for name in path.parts[1 if path.drive else 0 :]:
        if is_device_name(name) or (name != ".." and _WINDOWS_REFUSED.search(name)):
            raise InvalidPathError("reserved_name")
    return path

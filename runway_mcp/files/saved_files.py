"""Files that were saved: which of them still exist, and what is in them. Everything here blocks."""

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from runway_mcp.files.safe_open import THIS_SYSTEM, Directory


class SavedFileTooLargeError(Exception):
    """A file has more bytes than are read."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"{size} bytes of {limit}")
        self.size, self.limit = size, limit


def existing(paths: Iterable[str]) -> dict[str, int]:
    """Return the paths at which a regular file is, reached by no link, each with its size in bytes."""
    found: dict[str, int] = {}
    for path in paths:
        with suppress(OSError, ValueError):
            _check_folder(path)
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode):
                found[path] = status.st_size
    return found


def read_saved(path: str, limit: int) -> bytes:
    """Return the content of a file that was saved at a path, which was free of links then.

    Raises:
        OSError: It is missing, reached by a link, or can't be read.
        SavedFileTooLargeError: It has more than `limit` bytes.
    """
    folder = _check_folder(path)
    with (
        Directory.descend(folder, (), make=False, abilities=THIS_SYSTEM) as directory,
        os.fdopen(directory.open_file(Path(path).name, os.O_RDONLY), "rb") as file,
    ):
        size = os.fstat(file.fileno()).st_size
        content = file.read(limit + 1)
    if len(content) > limit:
        raise SavedFileTooLargeError(size, limit)
    return content


def _check_folder(path: str) -> Path:
    folder = Path(path).parent
    if Path(os.path.realpath(folder)) != folder:
        raise OSError(errno.ELOOP, "a link leads to it")
    return folder

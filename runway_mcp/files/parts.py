"""A file while it is written: under a hidden name of its own until it is whole.

What a call had to leave unfinished is kept under a name that a later call finds. Whoever goes on with it
first renames it to a name that nobody else knows, so that no two ever write into the same file.
"""

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import time

from runway_mcp.files.directories import Directory

CHUNK = 1024 * 1024
"""Bytes that are read back at a time."""
STALE_SECONDS = 24 * 3600.0
"""Age from which on an unfinished file is removed."""

_PREFIX, _KEPT, _OPEN = ".runway-", ".part", ".writing"
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}(?<!\.)")


def check_name(name: str) -> str:
    """Return `name`, which is to be a file's.

    Raises:
        ValueError: It is not of ASCII letters, digits, dots, underscores and hyphens alone.
    """
    if _SAFE.fullmatch(name) is None:
        raise ValueError("a file's name has 1 to 151 letters, digits, dots, underscores and hyphens")
    return name


def remove_stale(directory: Directory) -> None:
    """Remove what was left unfinished longer than a day ago."""
    for name in directory.names():
        if name.startswith(_PREFIX) and name.endswith((_KEPT, _OPEN)):
            with suppress(OSError):  # another may have removed it first
                if directory.status(name).st_mtime < time() - STALE_SECONDS:
                    directory.unlink(name)


class Part:
    """A file that is being written. Made by `Folder.open_part`; ended by `publish`, `keep` or `discard`.

    Once it has ended, `keep` and `discard` do nothing. Not for two threads at once.

    Attributes:
        size: Bytes that it holds.
    """

    def __init__(self, directory: Directory, name: str) -> None:
        self._directory = directory
        self._kept = f"{_PREFIX}{check_name(name)}{_KEPT}"
        self._name = _unknown(name)
        descriptor = self._claim()
        if descriptor is None:
            self._name = _unknown(name)
            descriptor = directory.open_file(self._name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        self._identity = os.fstat(descriptor)
        self._has_ended = False
        self.size = self._file.seek(0, os.SEEK_END)

    def write(self, data: bytes) -> None:
        """Add `data` to its end.

        Raises:
            OSError: The disk is full, or does not take it; `size` tells how much it holds.
        """
        view = memoryview(data)
        while view:
            written = self._file.write(view)
            self.size += written
            view = view[written:]

    def restart(self) -> None:
        """Throw away what it holds, and begin anew."""
        self._file.seek(0)
        self._file.truncate()
        self.size = 0

    def read_back(self) -> Iterator[bytes]:
        """Yield what it holds, from its start."""
        self._file.seek(0)
        while chunk := self._file.read(CHUNK):
            yield chunk

    def publish(self, name: str) -> Path:
        """Have it on the disk for good, under its final name, and return where it is.

        After a `FileExistsError` it may be published under another name, kept or discarded.

        Raises:
            FileExistsError: The name is taken; what has it is untouched.
            OSError: It can't be done; nothing has the name.
        """
        check_name(name)
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()
        try:
            self._directory.link(self._name, name)
        except FileExistsError:
            raise
        except OSError:
            self._take_place(name)
        else:
            self._check_is_ours(name)
        self.discard()
        self._directory.sync()
        return self._directory.path / name

    def keep(self) -> None:
        """Leave what it holds for a later call to go on with."""
        if self._end() and self.size:
            self._directory.replace(self._name, self._kept)
        else:
            self.discard()

    def discard(self) -> None:
        """Remove it."""
        self._end()
        with suppress(OSError):
            self._directory.unlink(self._name)

    def _end(self) -> bool:
        """Close the file; return whether it had not ended yet."""
        self._file.close()
        had_ended, self._has_ended = self._has_ended, True
        return not had_ended

    def _claim(self) -> int | None:
        """Take over what an earlier call left, and return its descriptor; None where there is nothing to trust."""
        try:
            self._directory.replace(self._kept, self._name)
        except FileNotFoundError:
            return None
        with suppress(OSError):
            descriptor = self._directory.open_file(self._name, os.O_RDWR)
            if os.fstat(descriptor).st_nlink == 1:
                return descriptor
            os.close(descriptor)
        with suppress(OSError):
            self._directory.unlink(self._name)
        return None

    def _check_is_ours(self, name: str) -> None:
        if not os.path.samestat(self._identity, self._directory.status(name)):
            self._directory.unlink(name)
            raise OSError(errno.EIO, "It was exchanged while it was written")

    def _take_place(self, name: str) -> None:
        """Give it a free name where a file can't have two names: the name is taken first, then replaced."""
        os.close(self._directory.open_file(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        try:
            self._directory.replace(self._name, name)
        except OSError:
            self._directory.unlink(name)
            raise


def _unknown(name: str) -> str:
    return f"{_PREFIX}{name}.{secrets.token_hex(8)}{_OPEN}"

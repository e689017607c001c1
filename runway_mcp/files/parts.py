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

from runway_mcp.files.safe_open import Directory

CHUNK = 1024 * 1024
"""Bytes that are read back at a time."""
STALE_SECONDS = 24 * 3600.0
"""Age from which on an unfinished file is removed."""

_PREFIX, _KEPT, _OPEN = ".runway-", ".part", ".writing"
_MARK = "[0-9a-f]{16}"
_OURS = re.compile(
    rf"\.runway-[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}-[0-9]+-{_MARK}(\.part|\.{_MARK}\.writing)",
    re.IGNORECASE,
)
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
    """Remove what was left unfinished longer than a day ago: parts of a task's outputs, by the whole of their names."""
    for name in directory.names():
        if _OURS.fullmatch(name):
            with suppress(OSError):  # another may have removed it first
                if directory.status(name).st_mtime < time() - STALE_SECONDS:
                    directory.unlink(name)


class Part:
    """A file that is being written. Made by `Folder.open_part`; ended by `publish`, `keep` or `discard`.

    Once it has ended, `keep` and `discard` do nothing. Not for two threads at once.

    Args:
        directory: Where it is.
        name: What it is kept under; where it ends in a hyphen and 16 hexadecimal digits, they tell versions of
            the same output apart, and what was kept of the others is removed.

    Attributes:
        size: Bytes that it holds.
    """

    def __init__(self, directory: Directory, name: str) -> None:
        self._directory = directory
        self._kept = f"{_PREFIX}{check_name(name)}{_KEPT}"
        self._name = _unknown(name)
        descriptor = self._claim()
        self._remove_other_versions(name)
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
            self._settle()
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
        """Leave what it holds for a later call to go on with, once the disk has it.

        Raises:
            OSError: It can't be done; nothing is left.
        """
        try:
            if self.size and not self._has_ended:
                if not self._file.closed:
                    self._settle()
                self._directory.replace(self._name, self._kept)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove it."""
        self._has_ended = True
        self._file.close()
        with suppress(OSError):
            self._directory.unlink(self._name)

    def _settle(self) -> None:
        """Have its bytes survive a loss of power, and close the file."""
        os.fsync(self._file.fileno())
        self._file.close()

    def _remove_other_versions(self, name: str) -> None:
        output, _, mark = name.rpartition("-")
        if re.fullmatch(_MARK, mark) is None:
            return
        version = re.compile(re.escape(f"{_PREFIX}{output}-") + _MARK + re.escape(_KEPT))
        with suppress(OSError):  # what is not removed now is after a day
            for other in self._directory.names():
                if version.fullmatch(other) and other != self._kept:
                    self._directory.unlink(other)

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

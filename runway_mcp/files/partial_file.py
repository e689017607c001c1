"""A file while it is written: under a hidden name until it is whole.

A hidden file that a killed process left behind is removed once it is older than any download may be.
Everything here blocks: it is called in worker threads.
"""

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from time import time

from runway_mcp.files.file_errors import FilesError
from runway_mcp.files.media_types import HEAD, ContentType, detect_output
from runway_mcp.files.names import check_name
from runway_mcp.files.safe_open import Directory

STALE_SECONDS = 2 * 3600.0
"""Age from which on a hidden file is removed: well over the time that a download may take."""
RECORD_SECONDS = 10.0
"""Age from which on a file that is not recorded will not be: its process was killed, or could not record it."""
CHUNK = 1024 * 1024
"""Bytes of a file that are read at a time."""

_OURS = re.compile(r"\.runway-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-[0-9]{1,9}\.[0-9a-f]{16}\.part", re.IGNORECASE)


def remove_stale(directory: Directory) -> None:
    """Remove the hidden files of downloads that ended with their process."""
    for name in directory.names():
        if _OURS.fullmatch(name):
            with suppress(OSError):  # another process may have removed it first
                if directory.status(name).st_mtime < time() - STALE_SECONDS:
                    directory.unlink(name)


@dataclass(frozen=True, slots=True)
class Copy:
    """Another file that holds the same: what opens it, and its digest."""

    open: Callable[[], BufferedReader]
    sha256: str


class PartialFile:
    """A new file `.runway-{name}.{random}.part`, hashed while it is written. Not for two threads at once.

    It ends with `publish` or `discard`.
    """

    def __init__(self, directory: Directory, name: str) -> None:
        self._directory = directory
        self._name = f".runway-{check_name(name)}.{secrets.token_hex(8)}.part"
        descriptor = directory.open_file(self._name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        self._identity = os.fstat(descriptor)
        self._digest = hashlib.sha256()
        self._head = b""
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    @property
    def content_type(self) -> ContentType | None:
        return detect_output(self._head)

    def write(self, data: bytes) -> None:
        """Add `data` to its end.

        Raises:
            OSError: The disk does not take it; `size` still tells how much it has.
        """
        view = memoryview(data)
        while view:
            written = self._file.write(view)
            self.size += written
            self._digest.update(view[:written])
            self._head += bytes(view[: max(HEAD - len(self._head), 0)])
            view = view[written:]

    def take(self, copy: Copy) -> bool:
        """Take what another file holds; return False, and take nothing, where it is missing or was changed.

        Raises:
            OSError: The disk does not give or take it.
        """
        with suppress(FilesError), copy.open() as source:
            while data := source.read(CHUNK):
                self.write(data)
        if self.sha256 == copy.sha256:
            return True
        self.restart()
        return False

    def restart(self) -> None:
        """Throw its bytes away."""
        self._file.seek(0)
        self._file.truncate()
        self._digest = hashlib.sha256()
        self._head = b""
        self.size = 0

    def publish(self, stem: str, extension: str, others: Collection[Path] | None = None) -> tuple[Path, bool]:
        """Give it the first free name of `stem.extension`, `stem-2.extension`, …, durably.

        Return its path, and whether a file with the same bytes was there already and is used instead. `others` are
        files that certainly hold something else, where outputs are recorded: then one that was made just now may, too.

        Raises:
            OSError: It can't be done; nothing has the name.
        """
        number, name, was_there = 1, check_name(f"{stem}.{extension}"), False
        os.fsync(self._file.fileno())
        self._file.close()
        while not was_there:
            try:
                self._link(name)
                break
            except FileExistsError:
                was_there = (others is None or self._may_be_this(name, others)) and self._equals(name)
            if not was_there:
                number += 1
                name = f"{stem}-{number}.{extension}"
        self.discard()
        self._directory.sync()
        return self._directory.path / name, was_there

    def discard(self) -> None:
        """Remove it; after `publish` the final name stays."""
        with suppress(OSError):  # a full network disk may say so again
            self._file.close()
        with suppress(OSError):
            self._directory.unlink(self._name)

    def _link(self, name: str) -> None:
        try:
            self._directory.link(self._name, name)
        except FileExistsError:
            raise
        except OSError:
            self._take_place(name)
            return
        if not os.path.samestat(self._identity, self._directory.status(name)):
            self._directory.unlink(name)
            raise OSError(errno.EIO, "the file was exchanged while it was written")

    def _take_place(self, name: str) -> None:
        os.close(self._directory.open_file(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        try:
            self._directory.replace(self._name, name)
        except OSError:
            self._directory.unlink(name)
            raise

    def _may_be_this(self, name: str, others: Collection[Path]) -> bool:
        is_recorded = self._directory.path / name in others
        return not is_recorded and self._directory.status(name).st_mtime < time() - RECORD_SECONDS

    def _equals(self, name: str) -> bool:
        digest = hashlib.sha256()
        with suppress(OSError), os.fdopen(self._directory.open_file(name, os.O_RDONLY), "rb") as found:
            if os.fstat(found.fileno()).st_size == self.size:
                while data := found.read(CHUNK):
                    digest.update(data)
        return digest.digest() == self._digest.digest()

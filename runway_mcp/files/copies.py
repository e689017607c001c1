"""The copy of an output on this disk, as far as it has come: its bytes, what they are, and their final name.

Everything here blocks: it is called in worker threads.
"""

import hashlib
from contextlib import suppress
from pathlib import Path

from runway_mcp.files.folders import Folder
from runway_mcp.files.media_types import HEAD, ContentType, detect_output
from runway_mcp.files.parts import CHUNK


class Copy:
    """A file in the making, hashed as it grows; ended by `publish`, `keep` or `discard`.

    Args:
        folder: Where it is.
        part: What it is called until it is whole; what was kept under this name is gone on with.
    """

    def __init__(self, folder: Folder, part: str) -> None:
        self._folder = folder
        self._part = folder.open_part(part)
        self._digest = hashlib.sha256()
        self._head = b""
        for data in self._part.read_back():
            self._take(data)

    @property
    def size(self) -> int:
        """Bytes that it has."""
        return self._part.size

    @property
    def sha256(self) -> str:
        """The digest of its bytes, in hexadecimal."""
        return self._digest.hexdigest()

    @property
    def content_type(self) -> ContentType | None:
        """What its bytes are; None where they tell nothing."""
        return detect_output(self._head)

    def add(self, data: bytes) -> None:
        """Write what comes next; OSError where the disk does not take it."""
        self._part.write(data)
        self._take(data)

    def restart(self) -> None:
        """Throw away what it has."""
        self._part.restart()
        self._digest = hashlib.sha256()
        self._head = b""

    def publish(self, stem: str, extension: str) -> tuple[Path, bool]:
        """Give it the first name that is free, or find the same bytes under one that is not.

        Args:
            stem: What the name begins with; a number follows where it is taken.
            extension: What it ends in, after a dot.

        Returns:
            Where it is, and whether it was there before.

        Raises:
            OSError: It can't be done.
        """
        number, name = 1, f"{stem}.{extension}"
        while True:
            try:
                return self._part.publish(name), False
            except FileExistsError:
                if self._is_at(name):
                    self.discard()
                    return self._folder.path / name, True
            number += 1
            name = f"{stem}-{number}.{extension}"

    def keep(self) -> None:
        """Leave it for a later call."""
        self._part.keep()

    def discard(self) -> None:
        """Remove it."""
        self._part.discard()

    def _take(self, data: bytes) -> None:
        self._digest.update(data)
        self._head += data[: HEAD - len(self._head)]

    def _is_at(self, name: str) -> bool:
        digest = hashlib.sha256()
        with suppress(OSError), self._folder.open_file(name) as found:
            if found.size == self.size:
                while data := found.file.read(CHUNK):
                    digest.update(data)
        return digest.digest() == self._digest.digest()

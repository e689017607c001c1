"""An open directory, whose entries are reached through it and not through its path.

Where the operating system can (POSIX), a directory is held by a descriptor and opened from its parent's
without following a link: a link that is put into the path's place afterwards changes nothing. Where it
can't (Windows), the path is looked at before and after each step: a link is found, unless somebody puts it
there and takes it away again between two looks.
Every method raises `OSError`, as the operating system does.
"""

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NO_LINK
_FILE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)

MODE = 0o600
"""Permissions of the files that are made: the owner's alone."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """Whether the system reaches an entry through its open directory, and gives a file a second name."""

    descriptors: bool = os.open in os.supports_dir_fd
    hard_links: bool = True


THIS_SYSTEM = Abilities()


class Directory:
    """One open directory; a context manager that closes it. Its `path` was free of links when it was opened."""

    def __init__(self, path: Path, descriptor: int | None, abilities: Abilities) -> None:
        self.path = path
        self._descriptor = descriptor
        self._abilities = abilities

    @classmethod
    def descend(cls, root: Path, names: Iterable[str], *, make: bool, abilities: Abilities) -> "Directory":
        """Open `root`, a path free of links, and from there one directory after the other; `make` those missing."""
        directory = cls(root, os.open(root, _FOLDER) if abilities.descriptors else None, abilities)
        directory._check()
        for name in names:
            with directory:
                directory = directory._child(name, make=make)
        return directory

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def open_file(self, name: str, flags: int) -> int:
        """Open a regular file, never through a link and never waiting, and return its descriptor."""
        self._check()
        flags |= _FILE | (_NO_LINK if self._descriptor is not None else 0)
        descriptor = os.open(self._at(name), flags, MODE, dir_fd=self._descriptor)
        try:
            self._check_file(name, os.fstat(descriptor))
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def status(self, name: str) -> os.stat_result:
        """Return the status of an entry, of a link itself where it is one."""
        return os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)

    def names(self) -> list[str]:
        with os.scandir(self.path if self._descriptor is None else self._descriptor) as entries:
            return [entry.name for entry in entries]

    def replace(self, name: str, new: str) -> None:
        """Rename an entry, over whatever has the new name."""
        self._check()
        os.replace(self._at(name), self._at(new), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def link(self, name: str, new: str) -> None:
        """Give a file a second name, which must be free (`FileExistsError`)."""
        self._check()
        if not self._abilities.hard_links:
            raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
        os.link(
            self._at(name),
            self._at(new),
            src_dir_fd=self._descriptor,
            dst_dir_fd=self._descriptor,
            follow_symlinks=os.link not in os.supports_follow_symlinks,
        )

    def unlink(self, name: str) -> None:
        """Remove an entry that is no directory, or a link itself."""
        os.unlink(self._at(name), dir_fd=self._descriptor)

    def sync(self) -> None:
        """Have the names of the entries survive a loss of power, where the system can do that to a directory."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.fsync(self._descriptor)

    def _at(self, name: str) -> str:
        return name if self._descriptor is not None else str(self.path / name)

    def _child(self, name: str, *, make: bool) -> "Directory":
        try:
            return self._open_child(name)
        except FileNotFoundError:
            if not make:
                raise
        with suppress(FileExistsError):
            os.mkdir(self._at(name), dir_fd=self._descriptor)
        return self._open_child(name)

    def _open_child(self, name: str) -> "Directory":
        descriptor = None if self._descriptor is None else os.open(name, _FOLDER, dir_fd=self._descriptor)
        child = Directory(self.path / name, descriptor, self._abilities)
        child._check()
        return child

    def _check(self) -> None:
        if self._descriptor is None:
            if Path(os.path.realpath(self.path)) != self.path:
                raise _link_error()
            if not stat.S_ISDIR(os.lstat(self.path).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))

    def _check_file(self, name: str, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no ordinary file")
        self._check()
        if self._descriptor is None and not os.path.samestat(found, self.status(name)):
            raise _link_error()


def _link_error() -> OSError:
    return OSError(errno.ELOOP, os.strerror(errno.ELOOP))

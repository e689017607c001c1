"""The folders that a caller may read from and save to, and safe opening in them.

A path is checked as text, then resolved, then opened from its allowed folder downwards without following
links: neither "..", a link nor a swap in between leads out. Everything here blocks: it is called in worker threads.
"""

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Self

from runway_mcp.files.file_errors import NoFolderAllowedError, PathNotAllowedError, UnusablePathError
from runway_mcp.files.partial_file import check_name, remove_stale
from runway_mcp.files.paths import MAX_LENGTH, InvalidPathError, is_encodable, parse_path
from runway_mcp.files.safe_open import THIS_SYSTEM, Abilities, Directory


@dataclass(frozen=True, slots=True)
class InputFile:
    """A regular file, open for reading, of `size` bytes when it was opened; a context manager that closes it."""

    name: str
    size: int
    file: BinaryIO

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


@dataclass(frozen=True, slots=True)
class Destination:
    """A folder to save in that is allowed, and may be missing still: `path`, free of links, in `root`."""

    path: Path
    root: Path
    text: str
    abilities: Abilities

    def open(self) -> Directory:
        """Open the folder, made where it is missing; remove what killed processes left in it.

        Raises:
            UnusablePathError: The allowed folder is missing, or the system refuses.
        """
        with _unusable(self.text, "saved", self.root):
            names = self.path.relative_to(self.root).parts
            directory = Directory.descend(self.root, names, make=True, abilities=self.abilities)
            remove_stale(directory)
            return directory


class Folders:
    """The allowed folders, named by the host or by the operator, with everything below them. Immutable.

    A path is absolute, relative to the first folder, or a `file:` URI.
    """

    def __init__(self, roots: Iterable[Path], *, from_host: bool = False, abilities: Abilities = THIS_SYSTEM) -> None:
        given = [Path(os.path.abspath(root)) for root in roots]  # noqa: PTH100 - Path.resolve would follow links
        real = [(path, Path(os.path.realpath(path))) for path in given]
        self._roots = tuple(pair for pair in real if is_encodable(str(pair[1])))
        self._from_host = from_host
        self._abilities = abilities

    def __bool__(self) -> bool:
        return bool(self._roots)

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(real for _, real in self._roots)

    def open_input(self, path: str) -> InputFile:
        """Open a regular file inside for reading.

        Raises:
            NoFolderAllowedError: There is none.
            PathNotAllowedError: It lies outside.
            UnusablePathError: It is missing, no regular file, or can't be read.
        """
        root, names = self._locate(path)
        with (
            _unusable(path, "read", self.paths[0]),
            Directory.descend(root, names[:-1], make=False, abilities=self._abilities) as directory,
        ):
            return _input(directory, names[-1] if names else ".")

    def destination(self, directory: str | None) -> Destination:
        """Return a folder inside to save in, the first one if `directory` is None; nothing is made or opened yet.

        Raises:
            NoFolderAllowedError: There is none.
            PathNotAllowedError: It lies outside.
            UnusablePathError: An allowed folder is missing, or the path leads through something that is no folder.
        """
        text = "." if directory is None else directory
        root, names = self._locate(text)
        with _unusable(text, "saved", self.paths[0]):
            try:
                with Directory.descend(root, names, make=False, abilities=self._abilities):
                    pass
            except FileNotFoundError:
                if not root.exists():
                    raise
        return Destination(root.joinpath(*names), root, text, self._abilities)

    def _locate(self, text: str) -> tuple[Path, tuple[str, ...]]:
        if not self._roots:
            raise NoFolderAllowedError
        try:
            path = parse_path(text)
        except InvalidPathError as error:
            raise self._refusal(text, error.problem) from None
        for given, real in self._roots:
            for base in (given, real):
                if not path.is_absolute() or path.is_relative_to(base):
                    inside = real / (path.relative_to(base) if path.is_absolute() else path)
                    return self._inside(text, Path(os.path.realpath(inside)))
        raise self._refusal(text, "outside")

    def _inside(self, text: str, path: Path) -> tuple[Path, tuple[str, ...]]:
        if not is_encodable(str(path)) or len(str(path)) > MAX_LENGTH:
            raise self._refusal(text, "unusable_name")
        for _, real in self._roots:
            if path.is_relative_to(real):
                return real, path.relative_to(real).parts
        raise self._refusal(text, "outside")

    def _refusal(self, text: str, problem: str) -> PathNotAllowedError:
        return PathNotAllowedError(text, problem, self.paths, self._from_host)


def open_saved(directory: Directory, name: str) -> InputFile:
    """Open a file that was saved in a directory.

    Raises:
        ValueError: `name` could not be that of a saved file.
        OSError: It is missing, a link or no regular file, or can't be read.
    """
    return _input(directory, check_name(name))


@contextmanager
def _unusable(text: str, action: Literal["read", "saved"], folder: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        relative_to = None if parse_path(text).is_absolute() else folder
        raise UnusablePathError(text, action, error, relative_to, folder.is_dir()) from None


def _input(directory: Directory, name: str) -> InputFile:
    descriptor = directory.open_file(name, os.O_RDONLY)
    return InputFile(name, os.fstat(descriptor).st_size, os.fdopen(descriptor, "rb"))

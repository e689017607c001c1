"""The folders of this machine that may be read from and written to, and what is opened in them.

Whatever a caller names is first looked at as text, then freed of links, and only then opened from the
allowed folder downwards, so that neither "..", a link nor a swap in between leads out. Everything here
blocks: it is called in worker threads.

    FilesError
    ├── NotAllowedError      no folder is allowed, or the path does not lie in one
    └── UnusableFileError    it is missing, no ordinary file, or the system does not let us
"""

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from runway_mcp.api.errors import quote
from runway_mcp.files.parts import Part, check_name, remove_stale
from runway_mcp.files.paths import LONGEST, is_encodable, parse_path
from runway_mcp.files.safe_open import THIS_SYSTEM, Abilities, Directory

HOW_TO_ALLOW = "Start this server with --files-root FOLDER to allow one."
NAMED = 5
"""Allowed folders that an error names."""


class FilesError(Exception):
    """A file or folder that could not be used; says what was not done, and why."""


class NotAllowedError(FilesError):
    """A path outside the allowed folders, or none of them; says which are allowed or how to allow one."""


class UnusableFileError(FilesError):
    """A file or folder inside that is missing, of the wrong sort, or refused by the system."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A regular file, open for reading; a context manager that closes it.

    Attributes:
        name: Its name, without the folder.
        size: Bytes that it had when it was opened.
        file: Its content.
    """

    name: str
    size: int
    file: BinaryIO

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


class Folder:
    """A folder to save in, held open; a context manager that closes it. Made by `Folders.folder`.

    Attributes:
        path: Where it is, free of links.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.path = directory.path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.__exit__()

    def open_part(self, name: str) -> Part:
        """Begin a file, or go on with the one that was kept under the same `name`, which is no file's name yet.

        Raises:
            ValueError: `name` could not be a file's.
            OSError: It can't be made.
        """
        return Part(self._directory, name)

    def open_file(self, name: str) -> InputFile:
        """Open a file of the folder for reading.

        Raises:
            ValueError: `name` could not be a file's that was saved here.
            FileNotFoundError: There is none.
            OSError: It is a link or no regular file, or can't be read.
        """
        return _input(self._directory, check_name(name))


class Folders:
    """The folders that may be used, with everything below them. Immutable.

    Args:
        roots: The folders; the first is where relative paths begin and where is saved if nothing else is said.
        of_host: Whether the host has named them, and not the operator.
        abilities: What the operating system can do.
    """

    def __init__(self, roots: Iterable[Path], *, of_host: bool = False, abilities: Abilities = THIS_SYSTEM) -> None:
        given = [Path(os.path.abspath(root)) for root in roots]  # noqa: PTH100 - Path.resolve would follow links
        real = [(path, Path(os.path.realpath(path))) for path in given]
        self._roots = tuple(pair for pair in real if is_encodable(str(pair[1])))
        self._more = "--files-root sets others instead." if of_host else "--files-root FOLDER allows a further one."
        self._abilities = abilities

    def __bool__(self) -> bool:
        return bool(self._roots)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The folders, free of links."""
        return tuple(real for _, real in self._roots)

    def open_input(self, path: str) -> InputFile:
        """Open a regular file inside for reading.

        Args:
            path: Absolute, relative to the first folder, or a `file:` URI.

        Raises:
            NotAllowedError: It does not lie inside.
            UnusableFileError: It is missing, no regular file, or can't be read.
        """
        with self._explained(path, "nothing was read"):
            root, names = self._locate(path)
            with self._descend(root, names[:-1], make=False) as directory:
                return _input(directory, names[-1] if names else ".")

    def folder(self, directory: str | None) -> Folder:
        """Open a folder inside to save in, made where it is missing; what was left there unfinished is tidied up.

        Args:
            directory: Absolute, relative to the first folder, or a `file:` URI; the first folder if None.

        Raises:
            NotAllowedError: It does not lie inside.
            UnusableFileError: An allowed folder is missing, or the system does not let us.
        """
        with self._explained(directory or ".", "nothing was saved"):
            root, names = self._locate("." if directory is None else directory)
            opened = self._descend(root, names, make=True)
            remove_stale(opened)
            return Folder(opened)

    @contextmanager
    def _explained(self, path: str, undone: str) -> Generator[None]:
        try:
            yield
        except FileNotFoundError:
            if parse_path(path).is_absolute():
                raise UnusableFileError(f"{quote(path)} does not exist, so {undone}.") from None
            first = self.paths[0]
            if not first.is_dir():
                raise UnusableFileError(f"The allowed folder {first} does not exist, so {undone}.") from None
            raise UnusableFileError(f"{quote(path)} does not exist in {first}, so {undone}.") from None
        except NotADirectoryError:
            raise UnusableFileError(f"{quote(path)} leads through something that is no folder, so {undone}.") from None
        except OSError as error:
            raise UnusableFileError(f"{quote(path)} can't be used, so {undone}: {error.strerror}.") from None

    def _descend(self, root: Path, names: Iterable[str], *, make: bool) -> Directory:
        return Directory.descend(root, names, make=make, abilities=self._abilities)

    def _locate(self, text: str) -> tuple[Path, tuple[str, ...]]:
        """Return the allowed folder that a path lies in, and the names that lead from there to it, free of links."""
        if not self._roots:
            raise NotAllowedError(f"No folder is allowed, so no file was read or written. {HOW_TO_ALLOW}")
        try:
            path = parse_path(text)
        except ValueError as error:
            raise NotAllowedError(f"{quote(text)} can't be used as a path: {error}. {self._allowed()}") from None
        for given, real in self._roots:
            for base in (given, real):
                if not path.is_absolute() or path.is_relative_to(base):
                    inside = real / (path.relative_to(base) if path.is_absolute() else path)
                    return self._inside(text, Path(os.path.realpath(inside)))
        raise self._outside(text)

    def _inside(self, text: str, path: Path) -> tuple[Path, tuple[str, ...]]:
        if not is_encodable(str(path)) or len(str(path)) > LONGEST:
            raise NotAllowedError(f"{quote(text)} leads to a name that can't be told or used. {self._allowed()}")
        for _, real in self._roots:
            if path.is_relative_to(real):
                return real, path.relative_to(real).parts
        raise self._outside(text)

    def _outside(self, text: str) -> NotAllowedError:
        return NotAllowedError(f"{quote(text)} does not lie in a folder that this server may use. {self._allowed()}")

    def _allowed(self) -> str:
        named = ", ".join(str(path) for path in self.paths[:NAMED])
        more = f" and {len(self._roots) - NAMED} more" if len(self._roots) > NAMED else ""
        return f"Allowed: {named}{more}; {self._more} Nothing was read or written."


def _input(directory: Directory, name: str) -> InputFile:
    descriptor = directory.open_file(name, os.O_RDONLY)
    return InputFile(name, os.fstat(descriptor).st_size, os.fdopen(descriptor, "rb"))

"""The folders that a caller may read from and save to, and safe opening in them.

A path is checked as text, then resolved, then opened from its allowed folder downwards without following
links: neither "..", a link nor a swap in between leads out. Everything here blocks: it is called in worker threads.
"""

import hashlib
import os
import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Self

from runway_mcp.files import file_errors as errors
from runway_mcp.files.names import EXTENSIONS
from runway_mcp.files.partial_file import remove_stale
from runway_mcp.files.paths import MAX_LENGTH, InvalidPathError, comparable, is_encodable, parse_path, spellings
from runway_mcp.files.safe_open import THIS_SYSTEM, Abilities, Directory

_MEDIA_FILE = re.compile(rf"\.({EXTENSIONS})$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class InputFile:
    """A regular file, open for reading, of `size` bytes when it was opened; a context manager that closes it."""

    name: str
    size: int
    file: BufferedReader

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
        """Open a regular file inside for reading, by its exact path or another of its `spellings`.

        Raises:
            NoFolderAllowedError: There is none.
            PathNotAllowedError: It lies outside.
            AmbiguousNameError: It is missing, and several files are alike.
            UnusablePathError: It is missing, no regular file, or can't be read.
        """
        *others, plainest = spellings(path)
        for text in others:
            try:
                return self._open_input(text)
            except errors.PathNotAllowedError:
                pass
            except errors.UnusablePathError as error:
                if not isinstance(error.error, FileNotFoundError):
                    raise
        return self._open_input(plainest)

    def holds(self, path: Path, size: int, sha256: str) -> bool:
        """Return whether a file inside has this content."""
        try:
            with self.open_input(str(path)) as found:
                return found.size == size and hashlib.file_digest(found.file, "sha256").hexdigest() == sha256
        except (errors.FilesError, OSError):
            return False

    def destination(self, directory: str | None) -> Destination:
        """Return a folder inside to save in, the first one if `directory` is None; nothing is made or opened yet.

        Of its `spellings` the first one that exists is used, or the last one where none does.

        Raises:
            NoFolderAllowedError: There is none.
            PathNotAllowedError: It lies outside, or has the name of a media file.
            AmbiguousNameError: It is missing, and several folders are alike.
            UnusablePathError: An allowed folder is missing, or the path leads through something that is no folder.
        """
        *others, plainest = spellings("." if directory is None else directory)
        for text in others:
            with suppress(errors.PathNotAllowedError, errors.UnusablePathError):
                found = self._destination(text)
                if _is_folder(found.path):
                    return found
        return self._destination(plainest)

    def _open_input(self, text: str) -> InputFile:
        root, names = self._locate(text, "read")
        with (
            _unusable(text, "read", root),
            Directory.descend(root, names[:-1], make=False, abilities=self._abilities) as directory,
        ):
            name = names[-1] if names else "."
            descriptor = directory.open_file(name, os.O_RDONLY)
            return InputFile(name, os.fstat(descriptor).st_size, os.fdopen(descriptor, "rb"))

    def _destination(self, text: str) -> Destination:
        root, names = self._locate(text, "saved")
        path = root.joinpath(*names)
        folders = [root.joinpath(*names[:depth]) for depth, _ in enumerate(names, 1)]
        if any(_MEDIA_FILE.search(folder.name) and not os.path.lexists(folder) for folder in folders):
            raise self._refusal(text, "file_name", "saved")
        with _unusable(text, "saved", root):
            try:
                with Directory.descend(root, names, make=False, abilities=self._abilities):
                    pass
            except FileNotFoundError:
                if not root.exists():
                    raise
        return Destination(path, root, text, self._abilities)

    def _locate(self, text: str, action: errors.Action) -> tuple[Path, tuple[str, ...]]:
        if not self._roots:
            raise errors.NoFolderAllowedError(action)
        try:
            path = parse_path(text)
        except InvalidPathError as error:
            raise self._refusal(text, error.problem, action) from None
        if not path.is_absolute():
            return self._on_disk(text, self.paths[0] / path, action)
        for same in (os.path.normcase, comparable):
            for given, real in self._roots:
                for base in (given, real):
                    depth = len(base.parts)
                    if list(map(same, path.parts[:depth])) == list(map(same, base.parts)):
                        return self._on_disk(text, real.joinpath(*path.parts[depth:]), action)
        raise self._refusal(text, "outside", action)

    def _on_disk(self, text: str, path: Path, action: errors.Action) -> tuple[Path, tuple[str, ...]]:
        root, names = self._inside(text, Path(os.path.realpath(path)), action)
        found = os.path.lexists(root.joinpath(*names))
        return (root, names) if found else self._alike(text, root, names, action)

    def _alike(
        self, text: str, root: Path, names: tuple[str, ...], action: errors.Action
    ) -> tuple[Path, tuple[str, ...]]:
        # each name that is missing is the one name of its folder that looks the same, where there is one
        found: tuple[str, ...] = ()
        for name in names:
            entries = list[str]()
            with suppress(OSError), Directory.descend(root, found, make=False, abilities=self._abilities) as folder:
                entries = folder.names()
            alike = [entry for entry in entries if comparable(entry) == comparable(name)]
            if name in entries or not alike:
                alike = [name]
            if len(alike) > 1:
                raise errors.AmbiguousNameError(text, action, sorted(alike))
            root, found = self._inside(text, Path(os.path.realpath(root.joinpath(*found, *alike))), action)
        return root, found

    def _inside(self, text: str, path: Path, action: errors.Action) -> tuple[Path, tuple[str, ...]]:
        if not is_encodable(str(path)) or len(str(path)) > MAX_LENGTH:
            raise self._refusal(text, "unusable_name", action)
        for _, real in self._roots:
            if path.is_relative_to(real):
                return real, path.relative_to(real).parts
        raise self._refusal(text, "outside", action)

    def _refusal(self, text: str, problem: str, action: errors.Action) -> errors.PathNotAllowedError:
        return errors.PathNotAllowedError(text, problem, action, self.paths, self._from_host)


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises what is not to be seen, or too long


@contextmanager
def _unusable(text: str, action: errors.Action, root: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise errors.UnusablePathError(
            text, action, error, root, _is_folder(root), is_relative=not parse_path(text).is_absolute()
        ) from None

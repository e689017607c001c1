"""TOML files of the operator, which are read again when they change.

A file that has become unusable does not replace its earlier content: the log says what is wrong, and callers can
still call. An entry that was removed is gone.
"""

import logging
import re
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ValidationError

logger = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""How long a change of a file may go unnoticed."""
MAX_FIELD = 30
"""Characters of an unknown field's name that an error repeats; a longer one may be a secret in the wrong place."""

Entry = TypeVar("Entry", bound=BaseModel)
Content = TypeVar("Content")


class ReloadingFileError(Exception):
    """A file that can't be used. The message is one line and shows no value."""


class ReloadingFile(Generic[Content]):
    """The current content of a file, or its last usable content.

    Args:
        read: Parses the file; raises `ReloadingFileError` if it can't be used, also at the start.
    """

    def __init__(
        self, path: Path, read: Callable[[Path], Content], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._read = read
        self._clock = clock
        self._checked = clock()
        self._stamp = _stamp(path)
        self._content = read(path)

    def content(self) -> Content:
        now = self._clock()
        if now - self._checked >= CHECK_SECONDS:
            self._checked = now
            if _stamp(self._path) != self._stamp:
                self.reread()
        return self._content

    def reread(self) -> None:
        self._stamp = _stamp(self._path)
        try:
            self._content = self._read(self._path)
        except ReloadingFileError as error:
            logger.error("%s: %s. Its earlier content stays in force.", self._path, error)  # noqa: TRY400 - a traceback would say nothing more


def read_entries(path: Path, table: str, model: type[Entry], take: Callable[[Entry], object]) -> None:
    """Pass each entry of a file of `[[table]]`s to `take`, in order.

    Raises:
        ReloadingFileError: The file can't be read, or `model` or `take` refused an entry.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line \d+", str(error))
        raise ReloadingFileError(f"it is no TOML, as {place[0] if place else 'its end'} shows") from None
    except (FileNotFoundError, IsADirectoryError):
        raise ReloadingFileError("it is no file") from None
    except (OSError, ValueError, RecursionError):
        raise ReloadingFileError("it can't be read as UTF-8 text") from None
    if document.keys() - {table}:
        raise ReloadingFileError(f"it holds something beside [[{table}]] tables")
    entries: object = document.get(table, [])
    if not isinstance(entries, list):
        raise ReloadingFileError(f"its {table} is not written as [[{table}]] tables")
    for number, entry in enumerate(cast("list[object]", entries), 1):
        try:
            take(model.model_validate(entry))
        except ValidationError as error:
            raise ReloadingFileError(f"[[{table}]] {number}: {_what(error)}") from None
        except ReloadingFileError as error:
            raise ReloadingFileError(f"[[{table}]] {number}: {error}") from None


def matching(pattern: str, otherwise: str) -> AfterValidator:
    """Return a validator of texts that match `pattern` as a whole, with `otherwise` as its error."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text, re.ASCII) is None:
            raise ValueError(otherwise)
        return text

    return AfterValidator(check)


def _what(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    named = f"{field}: " if 0 < len(field) <= MAX_FIELD else ""
    return named + first["msg"].removeprefix("Value error, ")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino

"""TOML files of entries that the operator keeps, read again when they change.

A file that has become unusable does not replace what it held before: the log says what is wrong
with it, and whoever could call still can. An entry that was taken out is gone.
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

LOOK_SECONDS = 1.0
"""How long a change of a file may go unseen."""
MAX_FIELD = 30
"""Characters of an unknown field's name that are repeated; a longer one may be a secret in the wrong place."""

Entry = TypeVar("Entry", bound=BaseModel)
Content = TypeVar("Content")


class ReloadingFileError(Exception):
    """A file that can't be used, told in one line that shows no value."""


class ReloadingFile(Generic[Content]):
    """What a file holds, as it stands now.

    Args:
        path: The file.
        read: Makes of it what is kept; raises `ReloadingFileError` where it can't be used.
        clock: Seconds that only grow.

    Raises:
        EntriesError: The file can't be used as it is found at the start.
    """

    def __init__(
        self, path: Path, read: Callable[[Path], Content], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._read = read
        self._clock = clock
        self._looked = clock()
        self._stamp = _stamp(path)
        self._content = read(path)

    def content(self) -> Content:
        """Return what the file holds, or last held in a usable form."""
        now = self._clock()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            if _stamp(self._path) != self._stamp:
                self.reread()
        return self._content

    def reread(self) -> None:
        """Read the file now, whether it seems changed or not."""
        self._stamp = _stamp(self._path)
        try:
            self._content = self._read(self._path)
        except ReloadingFileError as error:
            logger.error("%s: %s. What it held before stays in force.", self._path, error)  # noqa: TRY400 - a traceback would say nothing more


def read_entries(path: Path, table: str, model: type[Entry], take: Callable[[Entry], object]) -> None:
    """Hand each entry of a file that holds nothing but `[[table]]`s to `take`, in order.

    Raises:
        EntriesError: It can't be read, or an entry is not a `model`, or `take` refused one by this error.
    """
    if not path.is_file():
        raise ReloadingFileError("it is no file")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line \d+", str(error))
        raise ReloadingFileError(f"it is no TOML, as {place[0] if place else 'its end'} shows") from None
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
    """A text that matches `pattern` as a whole; anything else is told as `otherwise`."""

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
    """What differs once a file was written or replaced; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino

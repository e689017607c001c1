"""Files of this machine as inputs: looked at before anything is sent, uploaded once, and remembered."""

import logging
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from hashlib import file_digest
from weakref import WeakValueDictionary

import anyio
from anyio import to_thread

from runway_mcp.files.file_errors import UnsuitableFileError
from runway_mcp.files.folders import Folders, InputFile
from runway_mcp.files.uploads import Uploaded, check_input, upload
from runway_mcp.history.records import HistoryError
from runway_mcp.history.task_records import UploadRecord
from runway_mcp.media_length import media_seconds
from runway_mcp.tasks.callers import CallerContext

logger = logging.getLogger(__name__)

KEPT_SECONDS = 3600.0
"""How long Runway must still have an upload that is used again."""

Report = Callable[[int, int], Awaitable[None]]
"""Takes the bytes that have gone, and those that the file has."""

_uploading: WeakValueDictionary[tuple[str, str, str], anyio.Semaphore] = WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class LocalFile:
    """What a file is: its content, whatever path leads to it.

    Attributes:
        size: Bytes.
        seconds: The length of a video or sound, where it can be measured.
    """

    name: str
    size: int
    content_type: str
    sha256: str
    seconds: Decimal | None


async def look_at(folders: Folders, path: str) -> LocalFile:
    """Return what the file at a path in an allowed folder is; nothing is sent.

    Raises:
        FilesError: It can't be read, or Runway does not take such a file.
    """
    with await to_thread.run_sync(folders.open_input, path) as file:
        return await _look(file)


async def upload_once(
    context: CallerContext,
    folders: Folders,
    path: str,
    seen: LocalFile,
    *,
    timeout: float,
) -> tuple[str, bool]:
    """Return the URI of a file's content, and whether it was uploaded now: Runway may have it already.

    Raises:
        FilesError: It can't be read or uploaded, or is no longer what was seen.
        HistoryError: Nobody can tell whether Runway has it.
        RunwayError: Runway gives no place for it.
    """
    ledger = context.ledger
    tasks = (await ledger.history()).tasks
    turn = _uploading.setdefault((ledger.account, ledger.caller, seen.sha256), anyio.Semaphore(1))
    async with turn:
        known = await tasks.find_upload(ledger.account, ledger.caller, sha256=seen.sha256, kept_seconds=KEPT_SECONDS)
        if known is not None:
            return known.uri, False
        with await to_thread.run_sync(folders.open_input, path) as file:
            await _check_same(file, seen)
            client = (await context.files()).client
            uploaded = await upload(context.api, client, file, timeout=timeout)
            await _check_same(file, seen)
        await _record(context, seen, uploaded.uri)
        return uploaded.uri, True


async def upload_anew(context: CallerContext, file: InputFile, report: Report) -> Uploaded:
    """Upload an open file, and remember it; raise what `upload` raises.

    A failure to remember it is none of the upload.
    """
    seen = await _look(file)
    uploaded = await upload(context.api, (await context.files()).client, file, report=report)
    with suppress(UnsuitableFileError):  # it changes: nobody knows which content was uploaded
        await _check_same(file, seen)
        await _record(context, seen, uploaded.uri)
    return uploaded


async def forget_upload(context: CallerContext, uri: str) -> None:
    """Have a content uploaded anew, for Runway may not have it any more."""
    with _logged_failure("be forgotten"):
        await (await context.ledger.history()).tasks.forget_upload(context.ledger.account, context.ledger.caller, uri)


async def _look(file: InputFile) -> LocalFile:
    found = await check_input(file)
    digest = await to_thread.run_sync(_digest, file)
    seconds = await to_thread.run_sync(media_seconds, file.file)
    return LocalFile(file.name, file.size, found.name, digest, seconds)


async def _check_same(file: InputFile, seen: LocalFile) -> None:
    if await to_thread.run_sync(_digest, file) != seen.sha256:
        raise UnsuitableFileError(file.name, "changed")


def _digest(file: InputFile) -> str:
    try:
        file.file.seek(0)
        return file_digest(file.file, "sha256").hexdigest()  # pyright: ignore[reportArgumentType] - BinaryIO will do
    except OSError as error:
        raise UnsuitableFileError(file.name, "unreadable", reason=error.strerror or type(error).__name__) from None


async def _record(context: CallerContext, seen: LocalFile, uri: str) -> None:
    ledger = context.ledger
    with _logged_failure("be recorded"):
        tasks = (await ledger.history()).tasks
        upload_ = UploadRecord(seen.sha256, uri, seen.size, seen.content_type, seen.seconds)
        await tasks.record_upload(ledger.account, ledger.caller, upload_)


@contextmanager
def _logged_failure(what: str) -> Generator[None]:
    try:
        yield
    except HistoryError as error:
        logger.warning("An upload can't %s: %s", what, error)

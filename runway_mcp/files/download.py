"""One output on its way to the disk. It resumes by HTTP Range, and gets its name once it is whole."""

import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import random
from typing import Protocol

import anyio
from anyio import to_thread

from runway_mcp.api import retry
from runway_mcp.files import file_errors as errors
from runway_mcp.files.file_client import DownloadResponse, FileClient
from runway_mcp.files.folders import Destination
from runway_mcp.files.media_types import HEAD, ContentType
from runway_mcp.files.partial_file import Copy, PartialFile

logger = logging.getLogger(__name__)

RETRIES = 3
"""Failed requests in a row, none of which brought anything, after which a download fails."""
WRITE = 1024 * 1024
"""Bytes that are written at a time."""
REPORT_SECONDS = 1.0
"""Seconds after which fewer are written, so that progress shows on a slow line."""


@dataclass(frozen=True, slots=True)
class Saved:
    """Output number `index`, from 1, on the disk; with its type by its content and its digest in hexadecimal."""

    index: int
    path: Path
    size: int
    content_type: str
    sha256: str
    was_there: bool
    """Whether an earlier download had saved the same bytes."""
    is_recorded: bool = True
    """Whether a later call finds it again."""


@dataclass(frozen=True, slots=True)
class InProgress:
    """An output of which `size` bytes have come, of `total` where the host says so; it goes on after the call."""

    index: int
    size: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Failed:
    """An output that was not saved; nothing of it is left on the disk."""

    index: int
    error: errors.FilesError


Output = Saved | InProgress | Failed


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """What bounds downloads: bytes of an output, seconds of a download, and seconds that a call waits for it."""

    max_bytes: int = 2 * 1024**3
    max_seconds: float = 1800.0
    call_seconds: float = 45.0
    """Below the 60 s after which common MCP hosts give up on a call."""
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep


@dataclass(frozen=True, slots=True)
class Link:
    """Output number `index`, from 1, where it is, and the name it gets, without an extension."""

    index: int
    url: str | None = field(repr=False)
    stem: str
    copy: Copy | None = None


class Records(Protocol):
    """Remembers where outputs of a task were saved."""

    async def others(self, path: Path, index: int) -> Collection[Path] | None:
        """Return the files that other outputs were saved to, of those whose path begins like this one.

        None where no output is recorded.
        """
        ...

    async def record(self, saved: Saved) -> bool:
        """Remember a saved output; return whether that could be done."""
        ...


class Download:
    """One output on its way to the disk. `run` runs once, in the background.

    `size` bytes have come, of `total` where the host says so. `changed` is set with the next change of these, and at
    the end; then replaced.
    """

    def __init__(
        self,
        client: FileClient,
        destination: Destination,
        link: Link,
        *,
        name: str,
        limits: DownloadLimits,
        publishing: anyio.Lock,
        records: Records | None,
    ) -> None:
        """Take what is saved where. `name` is that of the hidden file; files get their names one after another."""
        self.size = 0
        self.total: int | None = None
        self.changed = anyio.Event()
        self._client = client
        self._destination = destination
        self._link, self._url, self._name = link, link.url or "", name
        self._limits = limits
        self._publishing, self._records = publishing, records
        self._etag: str | None = None
        self._can_resume = True
        self._resources = ExitStack()
        self._file: PartialFile | None = None
        self._result: Saved | Failed | Exception | None = None

    @property
    def index(self) -> int:
        return self._link.index

    @property
    def is_done(self) -> bool:
        return self._result is not None

    def is_still_saved(self) -> bool:
        """Whether it has ended with a file that has not been removed since; blocks."""
        return isinstance(self._result, Saved) and self._result.path.is_file()

    def result(self) -> Saved | Failed:
        """Return how it ended; raise what nobody foresaw."""
        if isinstance(self._result, Saved | Failed):
            return self._result
        raise self._result or RuntimeError("the download has not ended")

    async def run(self) -> None:
        result: Saved | Failed | Exception | None = None
        try:
            with anyio.fail_after(self._limits.max_seconds):
                result = await self._save()
        except TimeoutError:
            result = Failed(self._link.index, errors.TransferTimeoutError(self._limits.max_seconds))
        except errors.FilesError as error:
            result = Failed(self._link.index, error)
        except OSError as error:
            result = Failed(self._link.index, errors.SaveFailedError(error))
        except Exception as error:  # noqa: BLE001 - raised in the call that asks for the result
            logger.error("A download ended with %s", type(error).__name__)  # noqa: TRY400 - its text may hold the URL
            result = error
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(self._resources.close)
            self._result = result
            self._notify()

    async def _save(self) -> Saved:
        copy = self._link.copy
        if copy is None or not await to_thread.run_sync((await self._opened()).take, copy):
            await self._fetch()
        file = await self._opened()
        content_type = file.content_type
        if content_type is None:
            raise errors.UnexpectedContentError("not_media" if file.size else "empty")
        async with self._publishing:
            return await self._publish(file, content_type)

    async def _publish(self, file: PartialFile, content_type: ContentType) -> Saved:
        index, stem = self._link.index, self._link.stem
        others = await self._records.others(self._destination.path / stem, index) if self._records else None
        saved: Saved | None = None
        with anyio.CancelScope(shield=True):  # what has its name is remembered
            path, was_there = await to_thread.run_sync(file.publish, stem, content_type.extension, others)
            saved = Saved(index, path, file.size, content_type.name, file.sha256, was_there)
            if self._records is not None and not await self._records.record(saved):
                saved = replace(saved, is_recorded=False)
        assert saved is not None  # noqa: S101 - a shielded scope swallows nothing
        return saved

    async def _fetch(self) -> None:
        failures = 0
        while True:
            before = self.size
            try:
                if await self._request():
                    return
            except errors.TransferError as error:
                has_advanced = self.size > before and self._etag is not None and self._can_resume
                failures = 1 if has_advanced else failures + 1
                if not error.temporary or failures > RETRIES:
                    raise
                await self._limits.sleep(retry.delay(failures, random))

    async def _request(self) -> bool:
        start = self.size if self._etag and self._can_resume else 0
        try:
            async with self._client.get(self._url, start=start, etag=self._etag) as response:
                return await self._receive(response)
        except errors.TransferError as error:
            if not start or error.temporary:
                raise
            self._can_resume = False  # the host does not give the rest: ask for the whole
            return False

    async def _receive(self, response: DownloadResponse) -> bool:
        limit = self._limits.max_bytes
        if response.total is not None and response.total > limit:
            raise errors.TooLargeError(response.total, limit)
        if response.start and None not in {response.total, self.total} and response.total != self.total:
            raise errors.UnexpectedContentError("wrong_range")
        file = await self._opened()
        if not response.start and file.size:
            await to_thread.run_sync(file.restart)
            self.size = 0
        self._etag, self.total = response.etag, response.total
        self._notify()
        await self._write(file, response, limit if response.end is None else response.end)
        return response.end == response.total

    async def _write(self, file: PartialFile, response: DownloadResponse, limit: int) -> None:
        waiting = bytearray()
        written = anyio.current_time()

        async def flush() -> None:
            data = bytes(waiting)
            waiting.clear()
            await to_thread.run_sync(file.write, data)
            self._notify()

        try:
            async for chunk in response.chunks:
                if self.size + len(chunk) > limit:
                    raise errors.TooLargeError(None, limit)
                self.size += len(chunk)
                waiting += chunk
                if len(waiting) >= WRITE or anyio.current_time() >= written + REPORT_SECONDS:
                    await flush()
                    written = anyio.current_time()
                    if file.size >= HEAD and file.content_type is None:
                        raise errors.UnexpectedContentError("not_media")
        finally:
            with anyio.CancelScope(shield=True):
                await flush()
        if response.end is not None and file.size < response.end:
            raise errors.TransferInterruptedError("broken", response.host)

    async def _opened(self) -> PartialFile:
        return self._file or await to_thread.run_sync(self._open)

    def _open(self) -> PartialFile:
        folder = self._resources.enter_context(self._destination.open())
        self._file = PartialFile(folder, self._name)
        self._resources.callback(self._file.discard)
        return self._file

    def _notify(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()

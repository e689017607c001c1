"""Outputs saved to a folder before their links expire: several at once, whole or resumed, never over another file.

What did not come whole is kept under a name that stands for the host's own mark of those bytes (a strong
ETag) and their number, so that only the same file is gone on with. That a file was saved before is known by
its bytes alone: it is fetched again and compared, and not saved twice.
"""

import errno
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from random import random

import anyio
from anyio import to_thread

from runway_mcp.api import retry
from runway_mcp.files.copies import Copy
from runway_mcp.files.folders import Folder
from runway_mcp.files.transfer_errors import BrokenError, StatusError, TransferError
from runway_mcp.files.transfers import Incoming, Transfers

LARGEST = 2 * 1024**3
"""Bytes that one output may have where nothing else is said."""
AT_ONCE = 4
RESUMES = 3
"""How often an output that breaks off is asked for anew within a call."""
WRITE = 1024 * 1024
"""Bytes that are written at a time."""

Report = Callable[[int, int | None], Awaitable[None]]
"""Hears of the bytes that are there, of all outputs together, and of how many there will be where that is known."""


@dataclass(frozen=True, slots=True)
class Saved:
    """An output on the disk.

    Attributes:
        index: Its place among the outputs, from 1.
        path: Where it is.
        size: Its bytes.
        content_type: Its MIME type, by its content; `application/octet-stream` where that tells nothing.
        sha256: The digest of its bytes, in hexadecimal.
        was_there: Whether an earlier call had saved it.
    """

    index: int
    path: Path
    size: int
    content_type: str
    sha256: str
    was_there: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """An output that was not saved.

    Attributes:
        index: Its place among the outputs, from 1.
        error: What happened, in sentences, and what is left of it.
    """

    index: int
    error: str


async def download(
    transfers: Transfers,
    folder: Folder,
    urls: Sequence[str],
    *,
    stem: str,
    within: float,
    largest: int = LARGEST,
    report: Report | None = None,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> list[Saved | Failed]:
    """Save outputs as `{stem}-{index}.{extension}`, and tell of each what became of it, in their order.

    Args:
        transfers: What fetches them.
        folder: Where they are saved.
        urls: Where they are.
        stem: What their names begin with, safe as a file's name: the id of their task.
        within: Seconds that it may take; what is unfinished then is kept, and gone on with by the same call.
        largest: Bytes that one output may have.
        report: Hears how it goes.
        sleep: Waits before something is tried anew.
    """
    progress = _Progress(report, len(urls))
    rules = _Rules(transfers, folder, anyio.current_time() + within, largest, sleep)
    outputs = [_Output(rules, progress, index, url, f"{stem}-{index}") for index, url in enumerate(urls, 1)]
    ended = dict[int, Saved | Failed]()
    places = anyio.Semaphore(AT_ONCE)

    async def save(output: _Output) -> None:
        async with places:
            ended[output.index] = await output.save()

    async with anyio.create_task_group() as tasks:
        for output in outputs:
            tasks.start_soon(save, output)
    return [ended[output.index] for output in outputs]


@dataclass(frozen=True, slots=True)
class _Rules:
    """What holds for all outputs of a call; `deadline` is a time of the event loop."""

    transfers: Transfers
    folder: Folder
    deadline: float
    largest: int
    sleep: Callable[[float], Awaitable[None]]


class _Progress:
    """What has come of all outputs; what is told of it never shrinks."""

    def __init__(self, report: Report | None, outputs: int) -> None:
        self._report = report
        self._outputs = outputs
        self._done = dict[int, int]()
        self._totals = dict[int, int]()
        self._told = -1

    async def note(self, index: int, done: int, total: int | None) -> None:
        self._done[index] = done
        if total is not None:
            self._totals[index] = total
        come = sum(self._done.values())
        if self._report is not None and come > self._told:
            self._told = come
            await self._report(come, sum(self._totals.values()) if len(self._totals) == self._outputs else None)


@dataclass(frozen=True, slots=True)
class _Version:
    """Which bytes the host says that it has."""

    etag: str | None
    total: int | None

    def part(self, name: str) -> str:
        """What they are called until they are all there; nobody's before where the host gives no mark."""
        if self.etag is None:
            return f"{name}-{secrets.token_hex(8)}"
        return f"{name}-{hashlib.sha256(f'{self.etag} {self.total}'.encode()).hexdigest()[:16]}"


class _UnwantedError(TransferError):
    """An output is not what is saved here, however often it is asked for."""


class _Output:
    """One output on its way."""

    def __init__(self, rules: _Rules, progress: _Progress, index: int, url: str, name: str) -> None:
        self.index = index
        self._rules = rules
        self._progress = progress
        self._url = url
        self._name = name
        self._version = _Version(None, None)
        self._copy: Copy | None = None

    async def save(self) -> Saved | Failed:
        """Fetch and name it; what is unfinished is kept where it can be gone on with, also when cancelled."""
        try:
            copy = await self._fetch()
            path, was_there = await to_thread.run_sync(copy.publish, self._name)
        except _UnwantedError as error:
            await self._drop()
            return Failed(self.index, f"{error} Nothing of it is kept.")
        except TransferError as error:
            return Failed(self.index, f"{error}{self._left()}")
        except OSError as error:
            await self._drop()
            return Failed(self.index, f"It could not be saved: {_describe(error)}. Nothing of it is kept.")
        else:
            content_type = copy.content_type.name if copy.content_type else "application/octet-stream"
            return Saved(self.index, path, copy.size, content_type, copy.sha256, was_there)
        finally:
            if self._copy is not None:
                end = self._copy.keep if self._version.etag else self._copy.discard
                with anyio.CancelScope(shield=True), suppress(OSError):
                    await to_thread.run_sync(end)

    async def _fetch(self) -> Copy:
        breaks = 0
        while True:
            try:
                if copy := await self._advance():
                    return copy
            except TransferError as error:
                breaks += 1
                wait = retry.delay(breaks, random)
                late = anyio.current_time() + wait >= self._rules.deadline
                if not _may_pass(error) or breaks > RESUMES or late:
                    raise
                await self._rules.sleep(wait)

    async def _advance(self) -> Copy | None:
        """Ask for what is missing, and return the copy once it is whole.

        None where an earlier call's beginning was found: the rest of it is to be asked for.
        """
        known, copy = self._version, self._copy
        start = copy.size if copy and known.etag else 0
        left = self._rules.deadline - anyio.current_time()
        async with self._rules.transfers.get(self._url, start=start, etag=known.etag, within=left) as incoming:
            self._version = _Version(incoming.etag, incoming.total)
            if incoming.total is not None and incoming.total > self._rules.largest:
                raise _UnwantedError(
                    f"It has {incoming.total} bytes, which is over the limit of {self._rules.largest}."
                )
            if copy is None or self._version != known:
                copy = await self._begin()
                if copy.size == incoming.total:
                    return copy
                if copy.size != incoming.start:
                    return None
            elif incoming.start != copy.size:
                await to_thread.run_sync(copy.restart)
            await self._receive(copy, incoming)
        return copy

    async def _begin(self) -> Copy:
        await self._drop()
        copy = await to_thread.run_sync(self._open)
        await self._progress.note(self.index, copy.size, self._version.total)
        return copy

    def _open(self) -> Copy:
        """Open the copy; known here already in the thread, so that it is ended even if the call is cancelled."""
        self._copy = Copy(self._rules.folder, self._version.part(self._name))
        return self._copy

    async def _drop(self) -> None:
        if self._copy is not None:
            await to_thread.run_sync(self._copy.discard)
            self._copy = None

    async def _receive(self, copy: Copy, incoming: Incoming) -> None:
        most = self._rules.largest if incoming.total is None else incoming.total
        waiting = bytearray()

        async def write() -> None:
            data = bytes(waiting)
            waiting.clear()
            await to_thread.run_sync(copy.add, data)

        try:
            async with aclosing(incoming.chunks) as chunks:
                async for chunk in chunks:
                    waiting += chunk
                    if copy.size + len(waiting) > most:
                        raise _UnwantedError(f"More than {most} bytes came, so it was given up.")
                    if len(waiting) >= WRITE:
                        await write()
                        await self._progress.note(self.index, copy.size, incoming.total)
        finally:
            with anyio.CancelScope(shield=True):
                await write()
        await self._progress.note(self.index, copy.size, incoming.total)
        if incoming.total is not None and copy.size < incoming.total:
            raise BrokenError("The answer ended before the file did.")

    def _left(self) -> str:
        """What is told of the bytes that have come, should it have failed."""
        if self._copy is None or not self._copy.size:
            return ""
        if self._version.etag is None:
            return " Nothing of it is kept, for the host has no mark by which the rest could be told."
        of = "" if self._version.total is None else f" of {self._version.total}"
        return f" {self._copy.size}{of} bytes are kept: the same call goes on from there."


def _may_pass(error: TransferError) -> bool:
    """Whether asking anew may help."""
    if isinstance(error, StatusError):
        return error.status == HTTPStatus.TOO_MANY_REQUESTS or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, BrokenError)


def _describe(error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "the disk is full"
        case errno.EFBIG:
            return "the file system takes no file of this size"
        case _:
            return f'the system says "{error.strerror or type(error).__name__}"'

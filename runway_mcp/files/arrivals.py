"""One output on its way to the disk: asked for, gone on with where it broke off, begun anew where it must be.

What did not come whole is kept under a name that stands for the host's own mark of those bytes (a strong
ETag), so that only the same file is gone on with. A host that does not give the rest of a file, or that of
another one, is asked for the whole once more.
"""

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from random import random

import anyio
from anyio import to_thread

from runway_mcp.api import retry
from runway_mcp.files.copies import Copy
from runway_mcp.files.file_errors import BrokenError, StatusError, TransferError, UnwantedError
from runway_mcp.files.folders import Folder
from runway_mcp.files.media_types import ContentType
from runway_mcp.files.transfers import Incoming, Transfers

RESUMES = 3
"""How often an output that breaks off is asked for anew within a call."""
WRITE = 1024 * 1024
"""Bytes that are written at a time."""

Note = Callable[[int, int | None], Awaitable[None]]
"""Hears of the bytes of the output that are there, and of how many it has where that is known."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for all outputs of a call.

    Attributes:
        transfers: What fetches them.
        folder: Where they are saved.
        deadline: The time of the event loop at which what is unfinished is given up.
        largest: Bytes that one output may have.
        sleep: Waits before something is tried anew.
    """

    transfers: Transfers
    folder: Folder
    deadline: float
    largest: int
    sleep: Callable[[float], Awaitable[None]]


class Arrival:
    """One output. Fetched by `fetch`, named by `publish`, ended by `end` in any case.

    Args:
        rules: What holds for it.
        url: Where it is.
        name: What its name begins with.
        note: Hears how far it has come.
    """

    def __init__(self, rules: Rules, url: str, name: str, note: Note) -> None:
        self._rules = rules
        self._url = url
        self._name = name
        self._note = note
        self._etag: str | None = None
        self._total: int | None = None
        self._in_parts = True
        self._can_go_on = False
        self._copy: Copy | None = None

    async def fetch(self) -> tuple[Copy, ContentType]:
        """Have all of it on the disk, under no final name yet; return the copy and what it is.

        Raises:
            TransferError: It did not come, or is not what is saved here.
            OSError: It could not be written.
        """
        breaks = 0
        while True:
            try:
                if copy := await self._advance():
                    return copy, _type_of(copy)
            except TransferError as error:
                breaks += 1
                wait = retry.delay(breaks, random)
                late = anyio.current_time() + wait >= self._rules.deadline
                if not _passes_soon(error) or breaks > RESUMES or late:
                    raise
                await self._rules.sleep(wait)

    async def publish(self, copy: Copy, content_type: ContentType) -> tuple[Path, bool]:
        """Give it its name; return where it is, and whether it was there before.

        Raises:
            OSError: It can't be done.
        """
        return await to_thread.run_sync(copy.publish, self._name, content_type.extension)

    async def drop(self) -> bool:
        """Remove what has come of it; return whether anything had."""
        copy, self._copy = self._copy, None
        if copy is None:
            return False
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(copy.discard)
        return True

    async def end(self) -> None:
        """Keep what has come of it where it can be gone on with, also when cancelled."""
        if self._copy is not None:
            end = self._copy.keep if self._can_go_on else self._copy.discard
            with anyio.CancelScope(shield=True), suppress(OSError):
                await to_thread.run_sync(end)

    def describe_rest(self) -> str:
        """Say what is left of the bytes that have come, if any, for a later call."""
        if self._copy is None or not self._copy.size:
            return ""
        if not self._can_go_on:
            return " Nothing of it is kept, for the host gives no rest that is sure to be of the same file."
        of = "" if self._total is None else f" of {self._total}"
        return f" {self._copy.size}{of} bytes are kept: the same call goes on from there."

    async def _advance(self) -> Copy | None:
        """Ask for what is missing, and return the copy once it is whole; None where there is more to be asked for."""
        start = self._copy.size if self._copy and self._etag and self._in_parts else 0
        left = self._rules.deadline - anyio.current_time()
        try:
            async with self._rules.transfers.get(self._url, start=start, etag=self._etag, timeout=left) as incoming:
                return await self._take(incoming)
        except StatusError as error:
            if not start or error.is_busy:
                raise
            self._in_parts = False
            return None

    async def _take(self, incoming: Incoming) -> Copy | None:
        """Receive what comes, if it is what the copy lacks."""
        if incoming.total is not None and incoming.total > self._rules.largest:
            raise UnwantedError(f"It has {incoming.total} bytes, which is over the limit of {self._rules.largest}.")
        copy = self._copy
        self._can_go_on = incoming.etag is not None and self._in_parts
        if copy is None or not self._is_same(incoming):
            copy = await self._begin(incoming)
            if copy.size == incoming.total:
                return copy
            if copy.size != incoming.start and self._in_parts:
                return None
        self._total = incoming.total or self._total
        if copy.size != incoming.start:
            await to_thread.run_sync(copy.restart)
        await self._receive(copy, incoming)
        return copy if incoming.end == incoming.total else None

    def _is_same(self, incoming: Incoming) -> bool:
        """Whether it is of the file that the copy is of, as far as the host tells."""
        return incoming.etag == self._etag and (None in {incoming.total, self._total} or incoming.total == self._total)

    async def _begin(self, incoming: Incoming) -> Copy:
        await self.drop()
        self._etag, self._total = incoming.etag, incoming.total
        copy = await to_thread.run_sync(self._open)
        await self._note(copy.size, self._total)
        return copy

    def _open(self) -> Copy:
        """Open the copy; known here already in the thread, so that it is ended even if the call is cancelled."""
        mark = hashlib.sha256(self._etag.encode()).hexdigest()[:16] if self._etag else secrets.token_hex(8)
        self._copy = Copy(self._rules.folder, f"{self._name}-{mark}")
        return self._copy

    async def _receive(self, copy: Copy, incoming: Incoming) -> None:
        most = self._rules.largest if incoming.end is None else incoming.end
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
                        raise UnwantedError(f"More than {most} bytes came, so it was given up.")
                    if len(waiting) >= WRITE:
                        await write()
                        await self._note(copy.size, self._total)
        finally:
            with anyio.CancelScope(shield=True):
                await write()
        await self._note(copy.size, self._total)
        if incoming.end is not None and copy.size < incoming.end:
            raise BrokenError("The answer ended before the file did.")


def _type_of(copy: Copy) -> ContentType:
    if not copy.size:
        raise UnwantedError("The host sends an empty file. The same call asks for it by a fresh link.", retryable=True)
    if copy.content_type is None:
        raise UnwantedError(
            "What came is no image, video, sound or ZIP archive. The same call asks for it by a fresh link.",
            retryable=True,
        )
    return copy.content_type


def _passes_soon(error: TransferError) -> bool:
    """Whether asking anew may help at once, by the same link."""
    return isinstance(error, BrokenError) or (isinstance(error, StatusError) and error.is_busy)

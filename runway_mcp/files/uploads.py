"""A local file put where Runway reads it: typed by its content, streamed, a new place where one fails.

The file goes as a form to the storage behind Runway (Amazon S3), which wants the fields of the place first,
the file last and the length beforehand. Neither a place nor a file in it costs anything.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import PurePath
from random import random as system_random

import anyio
import httpx2
from anyio import to_thread

from runway_mcp.api import retry
from runway_mcp.api.client import RunwayClient
from runway_mcp.api.errors import quote
from runway_mcp.api.models import UploadSlot
from runway_mcp.files.file_errors import RefusedError, TransferError
from runway_mcp.files.folders import InputFile
from runway_mcp.files.media_types import HEAD, ContentType, detect
from runway_mcp.files.transfers import Transfers

SMALLEST = 512
LARGEST = 200 * 1024 * 1024
"""Bytes of a file that Runway takes, at least and at most."""
WITHIN = 45.0
"""Seconds for everything: below the 60 s after which common MCP hosts give up on a tool call."""
CHUNK = 256 * 1024
"""Bytes that are read and sent at a time."""
MAX_NAME = 100

NOT_TAKEN = frozenset({"image/gif"})
"""Types that Runway gives but does not take."""

Report = Callable[[int, int], Awaitable[None]]
"""Hears of the bytes of the file that have gone, which never become fewer, and of how many it has."""

_CODE = re.compile(r"<Code>([A-Za-z]{1,40})</Code>")


class UploadError(Exception):
    """A file could not be uploaded: says why, that nothing was charged, and what can be done."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file that Runway has.

    Attributes:
        uri: What names it as an input for 24 hours, `runway://…`.
        size: Its bytes.
        content_type: Its MIME type, by its content.
    """

    uri: str
    size: int
    content_type: str


async def upload(
    client: RunwayClient,
    transfers: Transfers,
    file: InputFile,
    *,
    timeout: float = WITHIN,
    report: Report | None = None,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    random: Callable[[], float] = system_random,
) -> Uploaded:
    """Upload a file, anew where the storage fails.

    Args:
        client: Whose account gets it.
        transfers: What carries it.
        file: What is uploaded; not closed.
        timeout: Seconds for everything.
        report: Hears how far it has come.
        sleep: Waits before another attempt.
        random: Returns a number from 0 to 1, for the length of that wait.

    Raises:
        UploadError: It is not what Runway takes, or the storage did not take it.
        RunwayError: Runway gives no place for it.
    """
    sending = _Sending(file, await _check(file), report)
    failure: str | None = None
    try:
        with anyio.fail_after(timeout):
            for attempt in range(1, retry.RETRIES + 2):
                slot = await client.create_upload(sending.name)
                failure = await sending.send(transfers, slot, timeout)
                if failure is None:
                    return Uploaded(slot.uri, file.size, sending.content_type.name)
                if attempt <= retry.RETRIES:
                    await sleep(retry.delay(attempt, random))
    except TimeoutError:
        raise UploadError(
            f"{quote(file.name)} was not uploaded within {timeout:g} s: {sending.late()} Nothing was charged."
        ) from None
    raise UploadError(
        f"{quote(file.name)} could not be uploaded, in {retry.RETRIES + 1} attempts: {failure} Nothing was charged; "
        "calling again starts anew."
    )


async def _check(file: InputFile) -> ContentType:
    """Return the type of a file that Runway takes."""
    named = quote(file.name)
    if not SMALLEST <= file.size <= LARGEST:
        raise UploadError(
            f"{named} has {file.size:,} bytes, and Runway takes files of {SMALLEST} bytes to {LARGEST // 1024**2} MB. "
            "Nothing was sent or charged."
        )
    found = detect(await to_thread.run_sync(_read, file, 0, HEAD))
    if found is None or found.name in NOT_TAKEN:
        raise UploadError(
            f"{named} is by its content no image (JPEG, PNG, WebP), video (MP4, MOV, WebM, MKV, OGV) or sound (MP3, "
            "WAV, M4A, AAC, FLAC, OGG) that Runway takes. Nothing was sent or charged."
        )
    return found


@dataclass(slots=True)
class _Sending:
    """A file on its way, in as many attempts as it takes."""

    file: InputFile
    content_type: ContentType
    report: Report | None
    furthest: int = field(default=0, init=False)

    @property
    def name(self) -> str:
        """What Runway is told it is called: its own name in plain letters, with the extension of what it is."""
        stem = re.sub(r"[^A-Za-z0-9-]+", "_", PurePath(self.file.name).stem)[:MAX_NAME].strip("_")
        return f"{stem or 'file'}.{self.content_type.extension}"

    def late(self) -> str:
        """Say what it was that took too long."""
        match self.furthest:
            case 0:
                return "Runway or its storage did not answer. Calling again starts anew."
            case self.file.size:
                return "all of it had gone, but the storage did not answer. Calling again starts anew."
            case gone:
                return (
                    f"{gone:,} of its {self.file.size:,} bytes had gone. A smaller file goes faster; one that is on "
                    "the web can be named as an input by its https URL instead."
                )

    async def send(self, transfers: Transfers, slot: UploadSlot, timeout: float) -> str | None:
        """Put the file into one place; return why that failed, or None."""
        head, tail, form_type = self._form(slot)
        headers = {"Content-Type": form_type, "Content-Length": str(len(head) + self.file.size + len(tail))}
        try:
            async with aclosing(self._body(head, tail)) as body:
                answer = await transfers.post(slot.url, content=body, headers=headers, timeout=timeout)
        except RefusedError as error:
            raise UploadError(f"{quote(self.file.name)} was not uploaded, and nothing was charged. {error}") from None
        except TransferError as error:
            return str(error)
        if 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's successes
            return None
        code = _CODE.search(answer.text)
        return f"The storage answered {answer.status}{f' ({code[1]})' if code else ''}."

    def _form(self, slot: UploadSlot) -> tuple[bytes, bytes, str]:
        """Return what comes before and after the file's own bytes, and the type of the whole."""
        declared = {name.lower(): value for name, value in slot.fields.items()}.get("content-type")
        part = (self.name, b"", declared or self.content_type.name)
        form = httpx2.Request("POST", "https://storage", data=dict(slot.fields), files={"file": part})
        form_type = form.headers["Content-Type"]
        tail = f"\r\n--{form_type.partition('boundary=')[2]}--\r\n".encode()
        return form.read().removesuffix(tail), tail, form_type

    async def _body(self, head: bytes, tail: bytes) -> AsyncGenerator[bytes]:
        yield head
        gone = 0
        while gone < self.file.size:
            chunk = await to_thread.run_sync(_read, self.file, gone, min(CHUNK, self.file.size - gone))
            yield chunk
            gone += len(chunk)
            if gone > self.furthest:
                self.furthest = gone
                if self.report is not None:
                    await self.report(gone, self.file.size)
        yield tail


def _read(file: InputFile, start: int, size: int) -> bytes:
    try:
        file.file.seek(start)
        found = file.file.read(size)
    except OSError as error:
        raise UploadError(f"{quote(file.name)} can't be read: {error.strerror}. Nothing was charged.") from None
    if start + len(found) < min(start + size, file.size):
        raise UploadError(f"{quote(file.name)} became shorter while it was read. Nothing was charged.")
    return found

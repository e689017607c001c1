"""A local file sent to where Runway reads it: typed by its content, streamed, retried with a new slot.

The storage behind Runway (Amazon S3) takes a form: the slot's fields first, the file last, the length beforehand.
Neither a slot nor a file costs anything.
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
from runway_mcp.api.input_types import is_input_type
from runway_mcp.api.models import UploadSlot
from runway_mcp.files import file_errors as errors
from runway_mcp.files.file_client import FileClient
from runway_mcp.files.folders import InputFile
from runway_mcp.files.media_types import HEAD, ContentType, detect

MIN_BYTES = 512
MAX_BYTES = 200 * 1024 * 1024
"""Bytes of a file that Runway takes."""
TIMEOUT = 45.0
"""Seconds for everything: below the 60 s after which common MCP hosts give up on a tool call."""
CHUNK = 256 * 1024
"""Bytes that are read and sent at a time."""
MAX_NAME = 100

_CODE = re.compile(r"<Code>([A-Za-z]{1,40})</Code>")


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file of `size` bytes that Runway has; `uri` names it as an input for 24 hours."""

    uri: str
    size: int
    content_type: str


async def upload(
    api: RunwayClient,
    client: FileClient,
    file: InputFile,
    *,
    timeout: float = TIMEOUT,
    report: Callable[[int, int], Awaitable[None]] | None = None,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    random: Callable[[], float] = system_random,
) -> Uploaded:
    """Upload a file, anew where the storage fails, within `timeout` seconds; the file is not closed.

    `report` takes the bytes that have gone, which never become fewer, and those that the file has.

    Raises:
        UploadError: Runway does not take such a file, or the storage did not take it.
        UrlNotAllowedError: Runway names a place that nothing is sent to.
        UnusableNetworkError: This machine's network settings can't be used.
        RunwayError: Runway gives no place for it.
    """
    sending = _Sending(file, await check_input(file), report)
    attempt = 0
    try:
        with anyio.fail_after(timeout):
            while True:
                attempt += 1
                slot = await api.create_upload(sending.name)
                cause, code = await sending.send(client, slot)
                if cause is None:
                    return Uploaded(slot.uri, file.size, sending.content_type.name)
                if attempt > retry.RETRIES:
                    raise errors.UploadFailedError(file.name, cause, code)
                await sleep(retry.delay(attempt, random))
    except TimeoutError:
        raise errors.UploadTimeoutError(file.name, timeout, sending.furthest, file.size) from None


async def check_input(file: InputFile) -> ContentType:
    """Return what an open file is by its content, or raise an UnsuitableFileError where Runway takes no such file."""
    if not MIN_BYTES <= file.size <= MAX_BYTES:
        raise errors.UnsuitableFileError(file.name, "size", size=file.size)
    found = detect(await to_thread.run_sync(_read, file, 0, HEAD))
    if found is None or not is_input_type(found.name):
        raise errors.UnsuitableFileError(file.name, "type")
    return found


@dataclass(slots=True)
class _Sending:
    file: InputFile
    content_type: ContentType
    report: Callable[[int, int], Awaitable[None]] | None
    furthest: int = field(default=0, init=False)

    @property
    def name(self) -> str:
        stem = re.sub(r"[^A-Za-z0-9-]+", "_", PurePath(self.file.name).stem)[:MAX_NAME].strip("_")
        return f"{stem or 'file'}.{self.content_type.extension}"

    async def send(self, client: FileClient, slot: UploadSlot) -> tuple[errors.TransferError | int | None, str | None]:
        head, tail, form_type = self._form(slot)
        headers = {"Content-Type": form_type, "Content-Length": str(len(head) + self.file.size + len(tail))}
        try:
            async with aclosing(self._body(head, tail)) as body:
                answer = await client.post(slot.url, content=body, headers=headers)
        except (errors.UrlNotAllowedError, errors.UnusableNetworkError):
            raise
        except errors.TransferError as error:
            return error, None
        code = _CODE.search(answer.text)
        return None if 200 <= answer.status < 300 else answer.status, code and code[1]  # noqa: PLR2004 - HTTP's successes

    def _form(self, slot: UploadSlot) -> tuple[bytes, bytes, str]:
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
        raise errors.UnsuitableFileError(
            file.name, "unreadable", reason=error.strerror or type(error).__name__
        ) from None
    if start + len(found) < min(start + size, file.size):
        raise errors.UnsuitableFileError(file.name, "shortened")
    return found

"""Outputs saved to a folder before their links expire: several at once, whole or resumed, never over another file.

That a file was saved before is known by its bytes alone: it is fetched again and compared, and not saved twice.
"""

import errno
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio

from runway_mcp.files.arrivals import Arrival, Rules
from runway_mcp.files.file_errors import TransferError, UnwantedError
from runway_mcp.files.folders import Folder
from runway_mcp.files.transfers import Transfers

LARGEST = 2 * 1024**3
"""Bytes that one output may have where nothing else is said."""
MOST = 50
"""Outputs that a call saves: what is told of them has room in a host's 1,048,576 characters."""

Report = Callable[[int, int | None], Awaitable[None]]
"""Hears of the bytes that are there, of all outputs together, and of how many there will be where that is known."""


@dataclass(frozen=True, slots=True)
class Saved:
    """An output on the disk.

    Attributes:
        index: Its place among the outputs, from 1.
        path: Where it is.
        size: Its bytes.
        content_type: Its MIME type, by its content.
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
        may_pass: Whether the same call may bring it later, with nothing else changed.
    """

    index: int
    error: str
    retryable: bool


async def download(
    transfers: Transfers,
    folder: Folder,
    urls: Sequence[str | None],
    *,
    stem: str,
    timeout: float,
    largest: int = LARGEST,
    report: Report | None = None,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> list[Saved | Failed]:
    """Save outputs as `{stem}-{index}.{extension}`, and tell of each what became of it, in their order.

    Args:
        transfers: What fetches them.
        folder: Where they are saved.
        urls: Where they are, None for one without a link. Those beyond the first `MOST` are left out, which the
            last of what is returned tells.
        stem: What their names begin with, safe as a file's name: the id of their task.
        timeout: Seconds that it may take; what is unfinished then is kept, and gone on with by the same call.
        largest: Bytes that one output may have.
        report: Hears how it goes.
        sleep: Waits before something is tried anew.
    """
    rules = Rules(transfers, folder, anyio.current_time() + timeout, largest, sleep)
    few = urls[:MOST]
    progress = _Progress(report, sum(url is not None for url in few))
    ended = dict[int, Saved | Failed]()

    async def save(index: int, url: str) -> None:
        arrival = Arrival(rules, url, f"{stem}-{index}", partial(progress.note, index))
        ended[index] = await _save(arrival, index)

    async with anyio.create_task_group() as tasks:
        for index, url in enumerate(few, 1):
            if url is None:
                ended[index] = Failed(index, "The task names no link here, so nothing was asked for.", retryable=False)
            else:
                tasks.start_soon(save, index, url)
    if len(urls) > MOST:
        left = (
            f"Outputs {MOST + 1} to {len(urls)} were left out: a call saves {MOST} at most. Their links are the task's."
        )
        ended[MOST + 1] = Failed(MOST + 1, left, retryable=False)
    return [ended[index] for index in sorted(ended)]


async def _save(arrival: Arrival, index: int) -> Saved | Failed:
    """Fetch and name an output; what is unfinished is kept where it can be gone on with, also when cancelled."""
    try:
        copy, content_type = await arrival.fetch()
        path, was_there = await arrival.publish(copy, content_type)
    except TransferError as error:
        if error.retryable and not isinstance(error, UnwantedError):
            return Failed(index, f"{error}{arrival.describe_rest()}", retryable=True)
        left = " Nothing of it is kept." if await arrival.drop() else ""
        return Failed(index, f"{error}{left}", error.retryable)
    except OSError as error:
        await arrival.drop()
        return Failed(index, f"It could not be saved: {_describe(error)}. Nothing of it is kept.", retryable=False)
    else:
        return Saved(index, path, copy.size, content_type.name, copy.sha256, was_there)
    finally:
        await arrival.end()


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


def _describe(error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "the disk is full"
        case errno.EFBIG:
            return "the file system takes no file of this size"
        case _:
            return f'the system says "{error.strerror or type(error).__name__}"'

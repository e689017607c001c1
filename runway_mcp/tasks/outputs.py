"""A task's outputs saved to a folder: named, fetched by links that were read just before, and remembered."""

import logging
import os
import re
from collections.abc import AsyncGenerator, Collection, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from io import BufferedReader
from pathlib import Path

import anyio
from anyio import to_thread

from runway_mcp.api.errors import NotFoundError
from runway_mcp.api.models import Task, TaskId
from runway_mcp.files.download import Failed, InProgress, Link, Output, Saved
from runway_mcp.files.downloads import Report
from runway_mcp.files.file_errors import OutputGoneError, UnknownOutputError
from runway_mcp.files.folders import Destination, Folders
from runway_mcp.files.names import given_stem, title
from runway_mcp.files.partial_file import Copy
from runway_mcp.history.records import HistoryError
from runway_mcp.history.task_history import TaskHistory
from runway_mcp.history.task_records import CLAIM_SECONDS, SavedOutput, TaskRecord
from runway_mcp.tasks.callers import CallerContext

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""The time between two looks at a task whose outputs another call or process saves."""
RENEW_SECONDS = CLAIM_SECONDS / 3
"""The time after which a claim is renewed."""


class NoOutputError(Exception):
    """The task, as it was read, has not succeeded, or has no outputs."""

    def __init__(self, task: Task) -> None:
        super().__init__(f"Task {task.id} has no output that could be saved.")
        self.task = task


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a task is saved, where, and under which name; empty values leave it to the server.

    Attributes:
        outputs: Numbers of outputs, from 1.
    """

    directory: str = ""
    name: str = ""
    outputs: Sequence[int] = ()


EVERYTHING = Wanted()


async def save_outputs(
    context: CallerContext,
    task_id: TaskId,
    folders: Folders,
    wanted: Wanted = EVERYTHING,
    *,
    timeout: float | None = None,
    report: Report | None = None,
    is_claimed: bool = False,
) -> list[Output]:
    """Save outputs of a task; those that take longer than a call, or `timeout` seconds, go on in the background.

    An output that was saved before, and is still there, is not fetched again: where it is wanted in another place, it
    is copied. What is to be saved automatically is fetched under a claim; `is_claimed` tells that the caller has it.

    Raises:
        RunwayError: The task could not be read; a task that is gone is no error where an output of it was saved.
        NoOutputError: It has not succeeded, or has no outputs.
        FilesError: Nothing can be saved as it is wanted.
    """
    downloads = (await context.files()).downloads
    deadline = anyio.current_time() + (downloads.limits.call_seconds if timeout is None else timeout)
    name = given_stem(wanted.name) if wanted.name else ""
    destination = await to_thread.run_sync(folders.destination, wanted.directory or None)
    records = await _Records.of(context, task_id)
    gone: NotFoundError | None = None
    try:
        urls = await _links(context, task_id, wanted)
    except NotFoundError as error:
        gone, urls = error, dict.fromkeys(range(1, records.made + 1))
    numbers = sorted(set(wanted.outputs) or urls)
    place = _Place(folders, destination, name, wanted, len(urls))
    async with AsyncExitStack() as claim:
        while True:
            there, copies = await records.find(place, numbers)
            if gone and not there and not copies:
                raise gone
            stem = name or records.stem or task_id
            links = [
                Link(index, urls.get(index), _stem(stem, index, len(urls), task_id), copies.get(index))
                for index in numbers
                if index not in there and (not gone or index in copies)
            ]
            is_fetched = not is_claimed and any(
                link.copy is None and not downloads.is_fetching(destination, task_id, link) for link in links
            )
            if not is_fetched or await claim.enter_async_context(records.claimed()):
                break
            if anyio.current_time() >= deadline:
                return _sorted([*there.values(), *(InProgress(link.index, 0, None) for link in links)])
            await anyio.sleep(LOOK_SECONDS)
            records = await _Records.of(context, task_id)
        seconds = deadline - anyio.current_time()
        fetched = await downloads.save(
            destination, links, task=task_id, timeout=seconds, report=report, records=records
        )
    lost = set(numbers) - {*there, *(link.index for link in links)}
    return _sorted([*there.values(), *fetched, *(Failed(index, OutputGoneError()) for index in lost)])


def has_all(record: TaskRecord) -> bool:
    """Return whether all outputs of a task were saved, as far as it is known how many there are."""
    return len({output.position for output in record.outputs}) >= (record.made or 1)


@asynccontextmanager
async def claimed(tasks: TaskHistory, number: int, *, renew_seconds: float = RENEW_SECONDS) -> AsyncGenerator[bool]:
    """Claim the saving of a task while the context lasts; yield False where another call or process has the claim."""
    if not await tasks.claim(number):
        yield False
        return
    failure: Exception | None = None
    try:
        async with anyio.create_task_group() as renewing:
            renewing.start_soon(_renew, tasks, number, renew_seconds)
            try:
                yield True
            except Exception as error:  # noqa: BLE001 - raised below: the group would wrap it
                failure = error
            renewing.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            try:
                await tasks.release(number)
            except HistoryError as error:
                logger.warning("The claim on a task ends by itself: %s", error)
    if failure is not None:
        raise failure


async def _renew(tasks: TaskHistory, number: int, seconds: float) -> None:
    while True:
        await anyio.sleep(seconds)
        try:
            await tasks.claim(number, renew=True)
        except HistoryError as error:
            logger.warning("Another process may save the same task: %s", error)


def _sorted(outputs: Iterable[Output]) -> list[Output]:
    return sorted(outputs, key=lambda output: output.index)


def _stem(stem: str, index: int, count: int, task_id: TaskId) -> str:
    return f"{stem}-{index}" if count > 1 or stem == task_id else stem


async def _links(context: CallerContext, task_id: TaskId, wanted: Wanted) -> dict[int, str | None]:
    task = await context.tasks.get(task_id)
    urls = task.data.get("output")
    if task.status != "SUCCEEDED" or not urls or not isinstance(urls, list):
        raise NoOutputError(task)
    for number in wanted.outputs:
        if not 1 <= number <= len(urls):
            raise UnknownOutputError(number, len(urls))
    return {number: url if isinstance(url, str) else None for number, url in enumerate(urls, 1)}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where outputs of a task are wanted, and the name that was given for them; empty where none was."""

    folders: Folders
    destination: Destination
    name: str
    wanted: Wanted
    count: int

    def open(self, path: Path) -> BufferedReader:
        """Open a file in the folders; blocks."""
        return self.folders.open_input(str(path)).file

    def has(self, path: Path, index: int) -> bool:
        """Return whether a file is where this output is wanted; blocks."""
        if (self.name or self.wanted.directory) and path.parent != self.destination.path:
            return False
        stem = f"{self.name}-{index}" if self.count > 1 else self.name
        if not self.name or path.stem == stem:
            return True
        is_further = re.fullmatch(rf"{re.escape(stem)}-([2-9]|[1-9][0-9]+)", path.stem) is not None
        return is_further and os.path.lexists(path.with_name(stem + path.suffix))  # else the name itself is free


class _Records:
    """What the history knows of a task's files; nothing of a task that was not started here."""

    def __init__(self, tasks: TaskHistory | None, record: TaskRecord | None, *, is_unknown: bool) -> None:
        self._tasks, self._record, self._is_unknown = tasks, record, is_unknown

    @classmethod
    async def of(cls, context: CallerContext, task_id: TaskId) -> "_Records":
        ledger = context.ledger
        try:
            history = await ledger.begun()
            record = await history.tasks.find(ledger.account, ledger.caller, task_id) if history else None
        except HistoryError as error:
            logger.warning("Outputs of task %s are saved without the history: %s", task_id, error)
            return cls(None, None, is_unknown=True)
        return cls(history and history.tasks, record, is_unknown=False)

    @property
    def stem(self) -> str:
        """The name of the task's files; empty where only its id is known."""
        record = self._record
        if record is None:
            return ""
        date = datetime.fromtimestamp(record.begun, UTC).astimezone().date()
        return f"{date} {title(record.prompt) or title(' '.join(filter(None, (record.type, record.model))))}"

    @property
    def made(self) -> int:
        """How many outputs the task has, as far as that is known."""
        record = self._record
        return max((record.made or 0, *(saved.position for saved in record.outputs))) if record else 0

    @asynccontextmanager
    async def claimed(self) -> AsyncGenerator[bool]:
        """Claim what is to be saved automatically; yield False where another call or process saves it now."""
        if self._tasks is None or self._record is None or self._record.saving != "wanted":
            yield True
            return
        async with AsyncExitStack() as claim:
            is_claimed = True
            with suppress(HistoryError):  # then it is saved without one
                is_claimed = await claim.enter_async_context(claimed(self._tasks, self._record.number))
            yield is_claimed

    async def find(self, place: _Place, numbers: Collection[int]) -> tuple[dict[int, Saved], dict[int, Copy]]:
        """Return, by number, the outputs that were saved where they are wanted, and copies elsewhere of others.

        All are still there.
        """
        found: dict[int, Saved] = {}
        copies: dict[int, Copy] = {}
        for saved in self._record.outputs if self._record else ():
            index, path = saved.position, Path(saved.path)
            is_wanted = index in numbers and index not in found
            is_in_place = is_wanted and await to_thread.run_sync(place.has, path, index)
            if not is_wanted or (index in copies and not is_in_place):
                continue
            if not await to_thread.run_sync(place.folders.holds, path, saved.size, saved.sha256):
                continue
            if is_in_place:
                found[index] = Saved(index, path, saved.size, saved.content_type, saved.sha256, was_there=True)
            else:
                copies[index] = Copy(partial(place.open, path), saved.sha256)
        return found, {index: copy for index, copy in copies.items() if index not in found}

    async def others(self, path: Path, index: int) -> Collection[Path] | None:
        if self._tasks is None or self._record is None:
            return None
        try:
            return {Path(one) for one in await self._tasks.saved_by_others(self._record.number, index, str(path))}
        except HistoryError:  # `record` tells it
            return None

    async def record(self, saved: Saved) -> bool:
        if self._tasks is None or self._record is None:
            return not self._is_unknown
        output = SavedOutput(saved.index, str(saved.path), saved.size, saved.content_type, saved.sha256)
        try:
            await self._tasks.record_saved(self._record.number, [output])
        except HistoryError as error:
            logger.warning("It could not be recorded that %s was saved: %s", saved.path, error)
            return False
        return True

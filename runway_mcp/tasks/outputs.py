"""A task's outputs saved to a folder: named, fetched by links that were read just before, and remembered."""

import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread
from pydantic import JsonValue

from runway_mcp.api.errors import NotFoundError
from runway_mcp.api.models import Task, TaskId
from runway_mcp.files.download import Link, Output, Saved
from runway_mcp.files.downloads import Report
from runway_mcp.files.file_errors import UnknownOutputError
from runway_mcp.files.folders import Destination, Folders
from runway_mcp.files.names import given_stem, title
from runway_mcp.history.records import HistoryError
from runway_mcp.history.task_records import SavedOutput, TaskRecord
from runway_mcp.tasks.callers import CallerContext

if TYPE_CHECKING:
    from runway_mcp.history.task_history import TaskHistory

logger = logging.getLogger(__name__)


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
) -> list[Output]:
    """Save outputs of a task; those that take longer than a call, or `timeout` seconds, go on in the background.

    An output that was saved before, and is still there, is not fetched again.

    Raises:
        RunwayError: The task could not be read; a task that is gone is no error where its outputs were saved.
        NoOutputError: It has not succeeded, or has no outputs.
        FilesError: Nothing can be saved as it is wanted.
    """
    started = anyio.current_time()
    name = given_stem(wanted.name) if wanted.name else ""
    destination = await to_thread.run_sync(folders.destination, wanted.directory or None)
    records = await _Records.of(context, task_id)
    there = await records.find(name, folders, destination, wanted)
    try:
        urls = await _links(context, task_id, wanted)
    except NotFoundError:
        if there:
            return list(there.values())
        raise
    stem = name or records.stem or task_id
    several = len(urls) > 1 or stem == task_id
    links = [
        Link(number, url if isinstance(url := urls[number - 1], str) else None, f"{stem}-{number}" if several else stem)
        for number in sorted(set(wanted.outputs)) or range(1, len(urls) + 1)
    ]
    downloads = (await context.files()).downloads
    fetched = await downloads.save(
        destination,
        [link for link in links if link.index not in there],
        task=task_id,
        timeout=(downloads.limits.call_seconds if timeout is None else timeout) - (anyio.current_time() - started),
        report=report,
        records=records,
    )
    return sorted([*there.values(), *fetched], key=lambda output: output.index)


async def _links(context: CallerContext, task_id: TaskId, wanted: Wanted) -> list[JsonValue]:
    task = await context.tasks.get(task_id)
    urls = task.data.get("output")
    if task.status != "SUCCEEDED" or not urls or not isinstance(urls, list):
        raise NoOutputError(task)
    for number in wanted.outputs:
        if not 1 <= number <= len(urls):
            raise UnknownOutputError(number, len(urls))
    return urls


class _Records:
    """What the history knows of a task's files; nothing of a task that was not started here."""

    def __init__(self, tasks: "TaskHistory | None", record: TaskRecord | None, *, is_unknown: bool) -> None:
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

    async def find(self, name: str, folders: Folders, destination: Destination, wanted: Wanted) -> dict[int, Saved]:
        """Return, by number, the wanted outputs that were saved before where they are wanted, and are still there."""
        found: dict[int, Saved] = {}
        for saved in self._record.outputs if self._record else ():
            index, path = saved.position, Path(saved.path)
            is_wanted = index in (wanted.outputs or [index]) and _is_in_place(path, name, destination, wanted)
            if is_wanted and await to_thread.run_sync(folders.holds, path, saved.size, saved.sha256):
                found[index] = Saved(index, path, saved.size, saved.content_type, saved.sha256, was_there=True)
        return found

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


def _is_in_place(path: Path, name: str, destination: Destination, wanted: Wanted) -> bool:
    if (name or wanted.directory) and path.parent != destination.path:
        return False
    return not name or re.fullmatch(rf"{re.escape(name)}(-[0-9]+)*", path.stem) is not None

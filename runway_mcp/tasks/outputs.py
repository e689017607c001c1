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
    from runway_mcp.history.sqlite_tasks import TaskHistory

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
        RunwayError: The task could not be read.
        NoOutputError: It has not succeeded, or has no outputs.
        FilesError: Nothing can be saved as it is wanted.
    """
    started = anyio.current_time()
    stem = given_stem(wanted.name) if wanted.name else ""
    destination = await to_thread.run_sync(folders.destination, wanted.directory or None)
    task = await context.tasks.get(task_id)
    urls = task.data.get("output")
    if task.status != "SUCCEEDED" or not urls or not isinstance(urls, list):
        raise NoOutputError(task)
    for number in wanted.outputs:
        if not 1 <= number <= len(urls):
            raise UnknownOutputError(number, len(urls))
    records = await _Records.of(context, task_id)
    numbers = sorted(set(wanted.outputs)) or range(1, len(urls) + 1)
    several = len(urls) > 1 or not (stem or records.stem)
    stem = stem or records.stem or task_id
    links = [
        Link(number, url if isinstance(url := urls[number - 1], str) else None, f"{stem}-{number}" if several else stem)
        for number in numbers
    ]
    there = [saved for link in links if (saved := await records.find(link, folders, destination, wanted))]
    found = {saved.index for saved in there}
    downloads = (await context.files()).downloads
    fetched = await downloads.save(
        destination,
        [link for link in links if link.index not in found],
        task=task_id,
        timeout=(downloads.limits.call_seconds if timeout is None else timeout) - (anyio.current_time() - started),
        report=report,
        records=records,
    )
    return sorted([*there, *fetched], key=lambda output: output.index)


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

    async def find(self, link: Link, folders: Folders, destination: Destination, wanted: Wanted) -> Saved | None:
        """Return the output if it was saved before where it is wanted, and is still there."""
        for saved in self._record.outputs if self._record else ():
            if saved.position == link.index and _is_wanted(saved, link, destination, wanted):
                path = Path(saved.path)
                if await to_thread.run_sync(folders.holds, path, saved.size, saved.sha256):
                    return Saved(link.index, path, saved.size, saved.content_type, saved.sha256, was_there=True)
        return None

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


def _is_wanted(saved: SavedOutput, link: Link, destination: Destination, wanted: Wanted) -> bool:
    path = Path(saved.path)
    if (wanted.directory or wanted.name) and path.parent != destination.path:
        return False
    return not wanted.name or re.fullmatch(rf"{re.escape(link.stem)}(-[0-9]+)?", path.stem) is not None

"""A task's outputs saved to a folder, by URLs that were asked for just before."""

from typing import cast

from runway_mcp.api.models import Task, TaskId
from runway_mcp.files.downloads import Failed, Report, Saved, download
from runway_mcp.files.folders import Folder
from runway_mcp.tasks.service import TaskService

SAVING_SECONDS = 40.0
"""How long the outputs of one call may take, after the task itself was read; below a host's 60 s."""


class NoOutputError(Exception):
    """The task has no outputs that could be saved.

    Attributes:
        task: The task as it was seen.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(f"Task {task.id} has no output that could be saved.")
        self.task = task


async def save_outputs(
    service: TaskService, task_id: TaskId, folder: Folder, *, report: Report | None = None
) -> list[Saved | Failed]:
    """Save all outputs of a task that SUCCEEDED, named by its id; tell of each what became of it.

    Args:
        service: The caller's use cases.
        task_id: The task.
        folder: Where to.
        report: Hears of the bytes that have come.

    Raises:
        RunwayError: The task could not be read.
        NoOutputError: It has not succeeded, or has no outputs.
    """
    task = await service.get(task_id)
    match task.data.get("output"):
        case [str(), *_] as urls if task.status == "SUCCEEDED":
            pass
        case _:
            raise NoOutputError(task)
    return await download(
        (await service.files()).transfers,
        folder,
        [url for url in cast("list[object]", urls) if isinstance(url, str)],
        stem=task_id,
        within=SAVING_SECONDS,
        report=report,
    )

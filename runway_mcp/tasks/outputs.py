"""A task's outputs saved to a folder, by links that were read just before."""

from typing import cast

import anyio

from runway_mcp.api.models import Task, TaskId
from runway_mcp.files.download import Output
from runway_mcp.files.downloads import Report
from runway_mcp.files.folders import Destination
from runway_mcp.tasks.callers import CallerContext


class NoOutputError(Exception):
    """The task has not succeeded, or has no outputs.

    Attributes:
        task: The task as it was read.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(f"Task {task.id} has no output that could be saved.")
        self.task = task


async def save_outputs(
    context: CallerContext, task_id: TaskId, destination: Destination, *, report: Report | None = None
) -> list[Output]:
    """Save all outputs of a task, named by its id; those that take too long for a call go on in the background.

    Raises:
        RunwayError: The task could not be read.
        NoOutputError: It has not succeeded, or has no outputs.
    """
    started = anyio.current_time()
    task = await context.tasks.get(task_id)
    match task.data.get("output"):
        case [_, *_] as urls if task.status == "SUCCEEDED":
            pass
        case _:
            raise NoOutputError(task)
    downloads = (await context.files()).downloads
    return await downloads.save(
        destination,
        [url if isinstance(url, str) else None for url in cast("list[object]", urls)],
        stem=task_id,
        timeout=downloads.limits.call_seconds - (anyio.current_time() - started),
        report=report,
    )

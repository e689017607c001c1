"""A task's outputs saved to a folder, by links that were read just before."""

import anyio

from runway_mcp.api.models import Task, TaskId
from runway_mcp.files.download import Output
from runway_mcp.files.downloads import Report
from runway_mcp.files.folders import Destination
from runway_mcp.tasks.callers import CallerContext


class NoOutputError(Exception):
    """The task, as it was read, has not succeeded, or has no outputs."""

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
    urls = task.data.get("output")
    if task.status != "SUCCEEDED" or not urls or not isinstance(urls, list):
        raise NoOutputError(task)
    downloads = (await context.files()).downloads
    return await downloads.save(
        destination,
        [url if isinstance(url, str) else None for url in urls],
        stem=task_id,
        timeout=downloads.limits.call_seconds - (anyio.current_time() - started),
        report=report,
    )

"""A task's outputs saved to a folder, by URLs that were asked for just before."""

from typing import cast

import anyio

from runway_mcp.api.models import Task, TaskId
from runway_mcp.files.downloads import Failed, Report, Saved, download
from runway_mcp.files.folders import Folder
from runway_mcp.tasks.callers import CallerContext

WITHIN = 45.0
"""Seconds for everything: below the 60 s after which common MCP hosts give up on a tool call."""
LEAST = 5.0
"""Seconds that saving has, however long the task took to be read."""


class NoOutputError(Exception):
    """The task has no outputs that could be saved.

    Attributes:
        task: The task as it was seen.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(f"Task {task.id} has no output that could be saved.")
        self.task = task


async def save_outputs(
    context: CallerContext, task_id: TaskId, folder: Folder, *, report: Report | None = None
) -> list[Saved | Failed]:
    """Save all outputs of a task that SUCCEEDED, named by its id; tell of each what became of it.

    Args:
        context: The caller's use cases.
        task_id: The task.
        folder: Where to.
        report: Hears of the bytes that have come.

    Raises:
        RunwayError: The task could not be read.
        NoOutputError: It has not succeeded, or has no outputs.
    """
    until = anyio.current_time() + WITHIN
    task = await context.tasks.get(task_id)
    match task.data.get("output"):
        case [_, *_] as urls if task.status == "SUCCEEDED":
            pass
        case _:
            raise NoOutputError(task)
    return await download(
        (await context.files()).transfers,
        folder,
        [url if isinstance(url, str) else None for url in cast("list[object]", urls)],
        stem=task_id,
        timeout=max(until - anyio.current_time(), LEAST),
        report=report,
    )

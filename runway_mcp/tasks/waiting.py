"""Waiting for tasks to finish: with a deadline, for one or for many, and telling how it goes."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import anyio

from runway_mcp.api.errors import AuthenticationError
from runway_mcp.api.models import TaskId
from runway_mcp.tasks.poller import Poll, TaskPoller

REPORT_SECONDS = 9.0
"""Seconds after which a wait reports even where nothing was looked at: hosts extend on progress."""

Until = Literal["all", "any"]
Report = Callable[["Waited"], Awaitable[None]]


@dataclass(slots=True)
class Waited:
    """What a wait knows of its tasks, while it lasts and at its end.

    Attributes:
        task_ids: The tasks, in the order asked for.
        seconds: How long it has lasted.
        polls: What is known of each task.
    """

    task_ids: Sequence[TaskId]
    seconds: float = 0.0
    polls: Mapping[TaskId, Poll] = field(default_factory=dict[TaskId, Poll])

    def is_over(self, until: Until) -> bool:
        """Whether what was waited for has come."""
        ended = [poll.ended for poll in self.polls.values()]
        return any(ended) if until == "any" else all(ended)


async def wait(
    watcher: TaskPoller,
    task_ids: Sequence[TaskId],
    *,
    seconds: float,
    until: Until,
    report: Report,
    report_seconds: float = REPORT_SECONDS,
    under_way: set[anyio.CancelScope] | None = None,
) -> Waited:
    """Wait until all of the tasks, or any of them, are final; or until the time is up.

    Args:
        watcher: Where the tasks are watched; the wait shares its poll loops.
        task_ids: The tasks.
        seconds: How long to wait at most.
        until: What ends the wait before: all tasks final, or the first of them.
        report: Called after each look, and at least every `report_seconds`.
        report_seconds: How long no look may go without a report.
        under_way: Where the wait is found while it lasts; cancelling it there ends it as if its time were up.

    Returns:
        What is known at the end; a task among several that is gone, or was never seen, has only a trouble.

    Raises:
        AuthenticationError: The API key is not accepted, or there is none.
        RunwayError: None of the tasks could be looked at, up to the end, or all are gone.
    """
    started = anyio.current_time()
    waited = Waited(task_ids)
    scopes = set[anyio.CancelScope]() if under_way is None else under_way

    async def follow(poll: Poll) -> None:
        seen = 0
        while True:
            with anyio.move_on_after(report_seconds):
                seen = await poll.next(seen)
            waited.seconds = anyio.current_time() - started
            if isinstance(poll.trouble, AuthenticationError) or waited.is_over(until):
                followers.cancel_scope.cancel()
                return
            await report(waited)
            if poll.ended:
                return

    async with _watching(watcher, waited):
        with anyio.move_on_after(seconds) as lasting:
            scopes.add(lasting)
            try:
                async with anyio.create_task_group() as followers:
                    for poll in waited.polls.values():
                        followers.start_soon(follow, poll)
            finally:
                scopes.discard(lasting)
    waited.seconds = anyio.current_time() - started
    polls = list(waited.polls.values())
    for poll in polls:
        if isinstance(poll.trouble, AuthenticationError):
            raise poll.trouble.with_traceback(None)
    lost = [poll.lost for poll in polls if poll.lost]
    if len(lost) == len(polls):
        raise lost[0].with_traceback(None)
    return waited


@asynccontextmanager
async def _watching(watcher: TaskPoller, waited: Waited) -> AsyncGenerator[None]:
    """Hold the poll loop of each of the tasks."""
    async with AsyncExitStack() as stack:
        waited.polls = {task_id: await stack.enter_async_context(watcher.watch(task_id)) for task_id in waited.task_ids}
        yield

"""Waiting for tasks to finish: with a deadline, for one or for many, with reports of progress."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Literal

import anyio

from runway_mcp.api.errors import AuthenticationError, TransientError
from runway_mcp.api.models import TaskId
from runway_mcp.tasks.poll_loop import TaskState
from runway_mcp.tasks.poller import TaskPoller

REPORT_SECONDS = 9.0
"""Seconds after which a wait reports even without a poll: hosts extend their deadline on progress."""

Until = Literal["all", "any"]
Report = Callable[["Waited"], Awaitable[None]]


@dataclass(slots=True)
class Waited:
    """What a wait knows of its tasks, in the order asked for, after so many seconds."""

    task_ids: Sequence[TaskId]
    seconds: float = 0.0
    states: dict[TaskId, TaskState] = field(init=False)

    def __post_init__(self) -> None:
        self.states = dict.fromkeys(self.task_ids, TaskState())

    def is_over(self, until: Until) -> bool:
        """Whether what was waited for has come."""
        return (any if until == "any" else all)(state.is_final for state in self.states.values())


async def wait(
    poller: TaskPoller,
    task_ids: Sequence[TaskId],
    *,
    seconds: float,
    until: Until,
    report: Report,
    in_progress: set[anyio.CancelScope],
) -> Waited:
    """Wait until all of the tasks, or any of them, are final; or until the time is up.

    A `Retry-After` that goes beyond that time ends it at once.

    A report follows each poll, and comes at least every `REPORT_SECONDS`. `in_progress` holds the wait's scope while it
    lasts: cancelling it ends the wait as if its time were up. A task among several that is gone, or was never seen, is
    `unavailable` in what is returned.

    Raises:
        AuthenticationError: The API key is not accepted, or there is none.
        RunwayError: None of the tasks could be read up to the end, or all are gone.
    """
    started = anyio.current_time()
    waited = Waited(task_ids)

    async def follow(task_id: TaskId, states: AsyncIterator[TaskState]) -> None:
        while not waited.states[task_id].is_final:
            with anyio.move_on_after(REPORT_SECONDS):
                waited.states[task_id] = await anext(states)
            waited.seconds = anyio.current_time() - started
            if waited.is_over(until) or isinstance(waited.states[task_id].last_error, AuthenticationError):
                followers.cancel_scope.cancel()
                return
            if _asked_to_stay_away(waited.states[task_id], started + seconds - anyio.current_time()):
                return
            await report(waited)

    with ExitStack() as stack:
        followed = {task_id: stack.enter_context(poller.states(task_id)) for task_id in waited.states}
        with anyio.move_on_after(seconds) as scope:
            in_progress.add(scope)
            try:
                async with anyio.create_task_group() as followers:
                    for task_id, states in followed.items():
                        followers.start_soon(follow, task_id, states)
            finally:
                in_progress.discard(scope)
    waited.seconds = anyio.current_time() - started
    for state in waited.states.values():
        if isinstance(state.last_error, AuthenticationError):
            raise state.last_error.with_traceback(None)
    errors = [state.unavailable for state in waited.states.values()]
    if errors[0] is not None and None not in errors:
        raise errors[0].with_traceback(None)
    return waited


def _asked_to_stay_away(state: TaskState, seconds: float) -> bool:
    error = state.last_error
    return isinstance(error, TransientError) and (error.retry_after or 0) > seconds

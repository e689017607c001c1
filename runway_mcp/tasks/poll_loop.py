"""One poll loop of a task: what it knows, who follows it, and how long it pauses."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import anyio

from runway_mcp.api.errors import RunwayError, TransientError, UnexpectedReplyError
from runway_mcp.api.models import Task

_JITTER = 0.02
_SLOWER = ((120, 3.0), (24, 2.0))
"""After so many intervals, ten minutes and two at five seconds each, a long wait polls that much slower."""
PASSING = (TransientError, UnexpectedReplyError)
"""Errors after which the loop goes on; any other is final."""


def interval(
    poll_seconds: float, *, waited: float, throttled: bool, failures: int, random: Callable[[], float]
) -> float:
    """Return the seconds from one poll to the next: up to three intervals where a task is slow or can't be read.

    A task has been polled for `waited` seconds; its last `failures` polls have failed.
    """
    factor = next((factor for polls, factor in _SLOWER if waited >= polls * poll_seconds), 1.0)
    factor = max(factor, 2.0 if throttled else 1.0, min(1.0 + failures, 3.0))
    return poll_seconds * factor * (1 + _JITTER * random())


@dataclass(frozen=True, slots=True)
class TaskState:
    """What the polls of a task have brought so far.

    Attributes:
        task: The task as it was last seen.
        last_error: Why the last poll failed.
        is_final: Whether no poll follows: the task is terminal, or the error can't pass.
    """

    task: Task | None = None
    last_error: RunwayError | None = None
    is_final: bool = False

    @property
    def unavailable(self) -> RunwayError | None:
        """Why the task's present state is unknown: it was never seen, or can't be seen any more."""
        if self.task is None:
            return self.last_error or TransientError("no reply yet")
        return self.last_error if self.is_final else None


@dataclass(frozen=True, slots=True)
class PollResult:
    """What a request brought, a task or an error, and until when nothing else is sent for the same task."""

    task: Task | None
    error: RunwayError | None
    until: float

    @property
    def is_retry_after(self) -> bool:
        return isinstance(self.error, TransientError) and self.until > 0

    def task_or_raise(self) -> Task:
        if self.task is None:
            assert self.error is not None  # noqa: S101 - one of the two is there
            raise self.error.with_traceback(None)
        return self.task


class PollLoop:
    """A running poll loop, its latest state and its number of followers."""

    def __init__(self) -> None:
        self.state = TaskState()
        self.version = 0
        self.published = anyio.Event()
        self.followers = 0
        self.scope = anyio.CancelScope()
        self.poll_now = anyio.Event()

    def publish(self, result: PollResult) -> None:
        error = result.error
        is_final = not result.task.is_active if result.task else not isinstance(error, PASSING)
        self.state = TaskState(result.task or self.state.task, error, is_final)
        self.version += 1
        self.published.set()
        self.published = anyio.Event()


class FollowedStates(AsyncIterator[TaskState]):
    """One follower's way through the states of a loop. A cancelled `anext` loses nothing."""

    def __init__(self, loop: PollLoop) -> None:
        self._loop = loop
        self._seen = 0

    async def __anext__(self) -> TaskState:
        while self._loop.version == self._seen:
            if self._loop.state.is_final:
                raise StopAsyncIteration
            await self._loop.published.wait()
        self._seen = self._loop.version
        return self._loop.state

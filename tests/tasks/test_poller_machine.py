"""The poller under any interleaving of reads, waits, subscriptions, changes, errors and final states."""

import asyncio
from collections import Counter, deque
from collections.abc import Coroutine, Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.virtual_time import VirtualTimeLoop

from runway_mcp.api.client import RunwayClient
from runway_mcp.api.errors import (
    NotFoundError,
    RateLimitedError,
    RunwayError,
    UnavailableError,
    UnexpectedReplyError,
)
from runway_mcp.api.models import Task, TaskId, parse_task_id
from runway_mcp.tasks.background_tasks import open_background_tasks
from runway_mcp.tasks.operations import TaskOperations
from runway_mcp.tasks.poll_loop import TaskState
from runway_mcp.tasks.poller import POLL_SECONDS, TaskPoller

LATENCY = 0.25
LONG_ENOUGH = 300.0
"""Seconds after which every pause and every Retry-After is over."""


@dataclass(slots=True)
class Simulated:
    """A task at Runway, and when it may be polled again.

    Attributes:
        generation: How often it was changed through this server.
        in_flight: Polls in flight, by the generation in which they began.
        interested: Followers and readers that poll for a reason.
    """

    status: str | None = "RUNNING"
    progress: int = 0
    generation: int = 0
    faults: deque[RunwayError] = field(default_factory=deque[RunwayError])
    not_before: float = 0.0
    retry_at: float = 0.0
    in_flight: Counter[int] = field(default_factory=Counter[int])
    interested: int = 0

    @property
    def is_over(self) -> bool:
        return self.status != "RUNNING"

    def answered(self, generation: int, asked: float) -> None:
        if generation == self.generation:
            self.retry_at, self.not_before = 0.0, asked + POLL_SECONDS

    @contextmanager
    def interest(self) -> Generator[None]:
        self.interested += 1
        try:
            yield
        finally:
            self.interested -= 1


class Runway(RunwayClient):
    """Runway without a network; it notes each poll that breaks a rule."""

    def __init__(self) -> None:
        super().__init__(httpx2.AsyncClient)
        self.tasks: dict[TaskId, Simulated] = {}
        self.vanishes = False
        self.polls = 0
        self.broken: list[str] = []

    async def poll(self, task_id: TaskId) -> Task:
        one, now = self.tasks[task_id], anyio.current_time()
        generation = one.generation
        self.polls += 1
        if now < one.not_before:
            self.broken.append(f"polled {one.not_before - now:.1f} s too early")
        if one.in_flight[generation]:
            self.broken.append("two polls in flight")
        if not one.interested:
            self.broken.append("polled for nobody")
        one.in_flight[generation] += 1
        try:
            task = await self._answer(task_id, LATENCY)
        except RateLimitedError as error:
            one.retry_at = one.not_before = anyio.current_time() + (error.retry_after or 0)
            raise
        except NotFoundError:
            one.answered(generation, now)
            raise
        finally:
            one.in_flight[generation] -= 1
        one.answered(generation, now)
        return task

    async def get_task(self, task_id: TaskId, *, timeout: float | None = None) -> Task:  # noqa: ARG002 - as the client has it
        return await self._answer(task_id, 0)

    async def delete_task(self, task_id: TaskId) -> None:
        await anyio.lowlevel.checkpoint()
        self.tasks[task_id].status = None if self.vanishes else "CANCELLED"

    async def _answer(self, task_id: TaskId, seconds: float) -> Task:
        """Return a task as it was when it was asked for."""
        one = self.tasks[task_id]
        status = one.status
        data = {"progress": one.progress, "generation": one.generation, "at": anyio.current_time()}
        await anyio.sleep(seconds)
        if one.faults:
            raise one.faults.popleft()
        if status is None:
            raise NotFoundError("gone", status=404)
        return Task(task_id, status, data)


class ObservedPoller(TaskPoller):
    """Tells the simulated Runway of a change before the poller knows it."""

    def __init__(self, runway: Runway, loops: anyio.abc.TaskGroup) -> None:
        super().__init__(runway.poll, loops, random=lambda: 0.0)
        self._runway = runway

    def changed(self, task_id: TaskId) -> None:
        one = self._runway.tasks[task_id]
        one.generation += 1
        one.not_before = one.retry_at  # a poll is allowed at once, though not before the end of a Retry-After
        super().changed(task_id)


@dataclass(slots=True, eq=False)
class Follower:
    """Somebody who follows a task."""

    task_id: TaskId
    stop: Any = None
    heard: list[TaskState] = field(default_factory=list[TaskState])
    has_left: bool = False

    @property
    def is_active(self) -> bool:
        return not self.has_left and not any(state.is_final for state in self.heard)


PAUSE = st.sampled_from([0, LATENCY / 2, LATENCY, 5.0, 11.0, 40.0])
PICK = st.sampled_from([0, 0, 0, 1])


class PollerMachine(RuleBasedStateMachine):
    """Every follower hears the end once, and no poll is sent too early, twice, or for nobody."""

    @initialize()
    def open(self) -> None:
        self.loop = VirtualTimeLoop()
        self.runway = Runway()
        self.numbers = count()
        self.ids: list[TaskId] = []
        self.streams: list[Follower] = []
        self.subscriptions: list[Follower] = []
        self.closing = asyncio.Event()
        self.opened = asyncio.Event()
        self.calls: list[asyncio.Task[None]] = []
        self.serving = self.loop.create_task(self._serve())
        self.run(self.opened.wait())
        self.start()
        self.start()

    async def _serve(self) -> None:
        async with anyio.create_task_group() as loops, open_background_tasks() as background:
            self.poller = ObservedPoller(self.runway, loops)
            self.operations = TaskOperations(self.runway, background, self.poller, random=lambda: 0.0)
            self.opened.set()
            await self.closing.wait()
            loops.cancel_scope.cancel()

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something, and let its consequences take place."""

        async def run() -> None:
            await work
            for _ in range(10):
                await asyncio.sleep(0)

        self.loop.run_until_complete(run())

    def pick(self, pick: int) -> TaskId:
        return self.ids[-1 - pick]

    def call(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.loop.create_task(work)
        self.calls.append(task)
        self.run(asyncio.sleep(0))
        return task

    @precondition(lambda self: all(self.runway.tasks[task_id].is_over for task_id in self.ids[-2:]))
    @rule()
    def start(self) -> None:
        self.ids.append(parse_task_id(f"00000000-0000-4000-8000-{next(self.numbers):012x}"))
        self.runway.tasks[self.ids[-1]] = Simulated()

    @rule(seconds=PAUSE)
    def let_time_pass(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule(pick=PICK)
    def progress(self, pick: int) -> None:
        self.runway.tasks[self.pick(pick)].progress += 1

    @rule(pick=PICK, status=st.sampled_from(["SUCCEEDED", "FAILED", None]))
    def finish(self, pick: int, status: str | None) -> None:
        one = self.runway.tasks[self.pick(pick)]
        if not one.is_over or status is None:
            one.status = status

    @rule(
        pick=PICK,
        error=st.sampled_from(
            [
                lambda: RateLimitedError("slow down", status=429, retry_after=60.0),
                lambda: RateLimitedError("slow down", status=429, retry_after=2.0),
                lambda: UnavailableError("down", status=503),
                lambda: UnexpectedReplyError("a proxy's page"),
            ]
        ),
    )
    def fail_next(self, pick: int, error: Any) -> None:
        self.runway.tasks[self.pick(pick)].faults.append(error())

    @rule(pick=PICK, pauses=st.lists(PAUSE, min_size=1, max_size=4))
    def read(self, pick: int, pauses: list[float]) -> None:
        task_id = self.pick(pick)

        async def read() -> None:
            one, began = self.runway.tasks[task_id], anyio.current_time()
            generation = one.generation
            with one.interest(), suppress(RunwayError):
                data: dict[str, Any] = dict((await self.poller.read(task_id)).data)
                assert data["generation"] >= generation, "a read shows the task as it was before a change"
                assert data["at"] > began - POLL_SECONDS, "a read is older than the interval"

        async def read_repeatedly() -> None:
            for pause in pauses:
                await read()
                await anyio.sleep(pause)

        self.call(read_repeatedly())

    @rule(pick=PICK)
    def follow(self, pick: int) -> None:
        follower = Follower(self.pick(pick))
        others = [other for other in self.streams if other.task_id == follower.task_id and other.is_active]

        async def follow() -> None:
            with self.runway.tasks[follower.task_id].interest(), self.poller.states(follower.task_id) as states:
                async for state in states:
                    follower.heard.append(state)

        follower.stop = self.call(follow()).cancel
        self.streams.append(follower)
        if any(other.heard for other in others):
            assert follower.heard, "who joins is told of the present state at once"

    @rule(pick=PICK)
    def subscribe(self, pick: int) -> None:
        follower = Follower(self.pick(pick))
        one = self.runway.tasks[follower.task_id]

        async def hear(state: TaskState) -> None:
            follower.heard.append(state)
            if state.is_final:
                one.interested -= 1

        async def subscribe() -> None:
            one.interested += 1
            follower.stop = self.poller.subscribe(follower.task_id, hear)

        self.run(subscribe())
        self.subscriptions.append(follower)

    @rule(seconds=st.sampled_from([3.0, 45.0]), both=st.booleans())
    def wait(self, seconds: float, both: bool) -> None:
        async def wait() -> None:
            began = anyio.current_time()
            with ExitStack() as interests, suppress(RunwayError):
                for task_id in ids:
                    interests.enter_context(self.runway.tasks[task_id].interest())
                waited = await self.operations.wait(
                    ids, seconds=seconds, until="all", report=lambda _: anyio.lowlevel.checkpoint()
                )
                took = anyio.current_time() - began
                assert waited.is_over("all") or took >= seconds, "a wait ends with its tasks or its time"

        ids = self.ids[-2:] if both else self.ids[-1:]
        self.call(wait())

    @precondition(lambda self: any(one.is_active for one in self.streams + self.subscriptions))
    @rule(number=st.integers(0, 9))
    def leave(self, number: int) -> None:
        active = [one for one in self.streams + self.subscriptions if one.is_active]
        follower = active[number % len(active)]

        async def leave() -> None:
            follower.has_left = True
            if follower in self.subscriptions:
                self.runway.tasks[follower.task_id].interested -= 1
            follower.stop()

        self.run(leave())

    @rule(pick=PICK, vanishes=st.booleans())
    def cancel(self, pick: int, vanishes: bool) -> None:
        async def cancel() -> None:
            with suppress(RunwayError):
                await self.operations.cancel(task_id)

        task_id = self.pick(pick)
        self.runway.vanishes = vanishes
        self.call(cancel())

    @invariant()
    def nothing_is_broken(self) -> None:
        assert not self.runway.broken
        for call in self.calls:
            if call.done() and not call.cancelled():
                call.result()

    def teardown(self) -> None:
        for one in self.runway.tasks.values():
            one.status = one.status if one.is_over else "SUCCEEDED"
            one.faults.clear()
        self.run(asyncio.sleep(LONG_ENOUGH))
        self.nothing_is_broken()
        for follower in self.streams + self.subscriptions:
            ends = [state.is_final for state in follower.heard]
            assert follower.has_left or (ends.count(True) == 1 and ends[-1]), "every follower hears the end once"
        polls = self.runway.polls
        self.run(asyncio.sleep(LONG_ENOUGH))
        assert self.runway.polls == polls, "no loop outlives its last follower"
        self.closing.set()
        self.loop.run_until_complete(self.serving)
        self.loop.close()


TestPollerMachine = PollerMachine.TestCase
TestPollerMachine.settings = settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)

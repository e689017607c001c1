"""What holds for every order of starts, of two processes on one history, and of what goes wrong meanwhile."""

import math
import os
import sqlite3
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import anyio
import anyio.from_thread
import httpx2
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.scripted import Sleeper, poller_of, reply, scripted_client, task

from runway_mcp.api.errors import RunwayError
from runway_mcp.catalogue.validation import Prepared, prepare
from runway_mcp.files.downloads import CallerFiles
from runway_mcp.history.records import HistoryError, HistoryLockedError, Limits
from runway_mcp.history.sqlite import DAY, History, open_history
from runway_mcp.spending.start_errors import StartError
from runway_mcp.spending.starter import Started, Starter
from runway_mcp.tasks.background_tasks import open_background_tasks
from runway_mcp.tasks.callers import CallerContext, CallerLedger
from runway_mcp.tasks.operations import TaskOperations

T = TypeVar("T")

LIMITS = Limits(task=80, day=75, confirm_over=50)
PRICES = {2: 20, 4: 60, 5: 70, 8: 90}
"""Credits by duration: one under every limit, two that a person has to approve, one over the limit for a task."""
HOURS = (1, 5, 12)
LONGEST_HOURS = 23
"""All hours of an example together: its tokens stay valid, and midnight is passed."""

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a thousand transactions wait for a disk
TOKENS = st.sampled_from([None, "a", "b"])
DURATIONS = st.sampled_from(list(PRICES))
REPLIES = st.sampled_from(["priced"] * 5 + ["without price", "lost after", "lost before", "400", "429", "503"])
PROCESSES = st.sampled_from([0, 1])


@dataclass
class Purchase:
    """A task that Runway made.

    Attributes:
        is_blind: Whether its reply was lost, and nothing like it had told a price before.
    """

    token: str | None
    price: int
    day: int
    is_blind: bool
    is_cancelled: bool = False


class Runway(httpx2.AsyncBaseTransport):
    """The API: makes a task of each POST, unless it is told to fail. A task's place is part of its id."""

    def __init__(self) -> None:
        self.now = 20_000.5 * DAY
        self.answer = "priced"
        self.token: str | None = None
        self.posts = 0
        self.purchases: list[Purchase] = []
        self.priced: set[int] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            return self._create(request)
        number = int(request.url.path.rpartition("-")[2])
        purchase = self.purchases[number]
        if request.method == "DELETE":
            purchase.is_cancelled = True
            return reply(204)(request)
        self.priced.add(purchase.price)
        status, cost = ("CANCELLED", 0) if purchase.is_cancelled else ("PENDING", purchase.price)
        shown = task(status, estimatedCost={"credits": purchase.price}) | {"id": task_id(number)}
        return reply(200, shown | ({"cost": {"credits": cost}} if purchase.is_cancelled else {}))(request)

    def _create(self, request: httpx2.Request) -> httpx2.Response:
        self.posts += 1
        if self.answer in {"400", "429"}:
            return reply(int(self.answer), {"error": "no"})(request)
        is_lost = self.answer in {"lost after", "lost before", "503"}
        price = next(cost for seconds, cost in PRICES.items() if f'"duration":{seconds}' in request.read().decode())
        bought = Purchase(self.token, price, int(self.now // DAY), is_blind=is_lost and price not in self.priced)
        self.purchases.append(bought)
        if self.answer == "503":
            return reply(503)(request)
        if is_lost:
            bought.is_cancelled = self.answer == "lost before"
            raise httpx2.ReadError("broken")
        made: dict[str, Any] = {"id": task_id(len(self.purchases) - 1)}
        if self.answer == "priced":
            self.priced.add(price)
            made["estimatedCost"] = {"credits": price}
        return reply(200, made)(request)


def task_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


@asynccontextmanager
async def process(file: Path, runway: Runway, *, busy_seconds: float = 10) -> AsyncGenerator[CallerContext]:
    opened: list[History] = []

    def clock() -> float:
        return runway.now

    async def history() -> History:
        if not opened:
            opening = open_history(file, clock=clock, elapsed=clock, busy_seconds=busy_seconds)
            opened.append(await stack.enter_async_context(opening))
        return opened[0]

    async def no_files() -> CallerFiles:
        raise NotImplementedError

    async with (
        AsyncExitStack() as stack,
        scripted_client(runway) as client,  # pyright: ignore[reportArgumentType] - any transport
        poller_of(client, poll_seconds=1e-9) as poller,
        open_background_tasks() as background,
    ):
        tasks = TaskOperations(client, background, poller, sleep=Sleeper(), random=lambda: 0.0)
        ledger = CallerLedger(history, "account", "caller", LIMITS)
        yield CallerContext(client, tasks, poller, background, ledger, no_files)


def wanted(duration: int) -> Prepared:
    return prepare("text_to_video", {"promptText": "a cat", "ratio": "1280:720", "duration": duration})


class StarterMachine(RuleBasedStateMachine):
    """Two processes, one history, one Runway."""

    def __init__(self) -> None:
        super().__init__()
        self.runway, self.hours = Runway(), 0
        self.backup: bytes | None = None
        self.away: Path | None = None
        self.resources = ExitStack()
        folder = self.resources.enter_context(TemporaryDirectory(dir=MEMORY, ignore_cleanup_errors=True))
        self.file = Path(folder) / "history.sqlite3"
        self.portal = self.resources.enter_context(anyio.from_thread.start_blocking_portal())
        self.processes: list[tuple[AbstractContextManager[CallerContext], CallerContext]] = []

    def teardown(self) -> None:
        for context, _ in self.processes:
            context.__exit__(None, None, None)
        self.resources.close()

    @initialize()
    def begin(self) -> None:
        self.processes = [self._opened(), self._opened()]
        self._run(Starter(self.processes[0][1]).spent())

    @property
    def is_usable(self) -> bool:
        return self.backup is None and self.away is None

    @rule(number=PROCESSES, token=TOKENS, duration=DURATIONS, answer=REPLIES, approves=st.booleans())
    def start(self, number: int, token: str | None, duration: int, answer: str, approves: bool) -> None:
        """Start a task as the tool does: a person is asked where that is due, and may say no."""
        before = self.runway.posts
        started = self._run(self._start(self.processes[number][1], token, duration, answer, approves=approves))
        if not self.is_usable:
            assert self.runway.posts == before
        if started is not None:
            bought = self.runway.purchases[int(started.task_id.rpartition("-")[2])]
            assert (bought.token, bought.price, started.unrecorded) == (token, PRICES[duration], None)
            assert started.is_repeated == (self.runway.posts == before)
            assert not bought.is_cancelled

    @rule(token=TOKENS, duration=DURATIONS)
    def start_in_both_at_once(self, token: str | None, duration: int) -> None:
        async def both() -> None:
            async with anyio.create_task_group() as calls:
                for _, context in self.processes:
                    calls.start_soon(lambda to=context: self._start(to, token, duration, "priced", approves=True))

        before = self.runway.posts
        self._run(both())
        assert self.runway.posts - before <= (2 if token is None else 1)

    @rule(number=PROCESSES, token=TOKENS, duration=DURATIONS)
    def cancel_a_call_while_its_start_is_recorded(self, number: int, token: str | None, duration: int) -> None:
        context = self.processes[number][1]

        async def cancelled() -> None:
            async with anyio.create_task_group() as calls:
                with closing(sqlite3.connect(self.file, isolation_level=None)) as other:
                    if self.is_usable:
                        other.execute("BEGIN IMMEDIATE")
                    self.runway.answer, self.runway.token = "priced", token
                    starter = Starter(context, answer_seconds=0, queue_seconds=0)
                    calls.start_soon(self._attempt, starter, token, duration, math.inf)
                    await anyio.wait_all_tasks_blocked()
                    calls.cancel_scope.cancel()

        posts = self.runway.posts
        spent = self._run(Starter(context).spent()) if self.is_usable else None
        self._run(cancelled())
        assert self.runway.posts == posts
        assert self.is_usable is False or self._run(Starter(context).spent()) == spent

    @precondition(lambda self: self.is_usable)
    @rule(token=TOKENS, duration=DURATIONS)
    def find_the_file_locked(self, token: str | None, duration: int) -> None:
        async def refused() -> None:
            async with process(self.file, self.runway, busy_seconds=0.01) as context:
                await context.ledger.history()
                with closing(sqlite3.connect(self.file, isolation_level=None)) as other:
                    other.execute("BEGIN IMMEDIATE")
                    with pytest.raises(HistoryLockedError):
                        await Starter(context).start(wanted(duration), client_token=token)

        before = self.runway.posts
        self._run(refused())
        assert self.runway.posts == before

    @precondition(lambda self: self.away is None)
    @rule(number=PROCESSES)
    def restart(self, number: int) -> None:
        self.processes[number][0].__exit__(None, None, None)
        self.processes[number] = self._opened()

    @precondition(lambda self: self.is_usable)
    @rule(is_garbage=st.booleans())
    def damage(self, is_garbage: bool) -> None:
        self.backup = self.file.read_bytes()
        self.file.write_bytes(b"no database at all" * 2_000 if is_garbage else self.backup[: len(self.backup) // 2])

    @precondition(lambda self: self.backup is not None)
    @rule()
    def restore(self) -> None:
        assert self.backup is not None
        self.file.write_bytes(self.backup)
        self.backup = None
        for number in (0, 1):
            self.restart(number)

    @precondition(lambda self: self.is_usable and os.name == "posix")
    @rule(is_replaced=st.booleans())
    def move_away(self, is_replaced: bool) -> None:
        """Move the file away under the running processes, or put an empty one in its place. Windows forbids both."""
        for _, context in self.processes:
            self._run(Starter(context).spent())
        self.away = self.file.rename(self.file.with_name("away"))
        if is_replaced:
            self.file.touch()

    @precondition(lambda self: self.away is not None)
    @rule()
    def move_back(self) -> None:
        assert self.away is not None
        self.away.replace(self.file)
        self.away = None

    @precondition(lambda self: self.hours < LONGEST_HOURS)
    @rule(hours=st.sampled_from(HOURS))
    def pass_time(self, hours: int) -> None:
        hours = min(hours, LONGEST_HOURS - self.hours)
        self.hours += hours
        self.runway.now += hours * 3600

    @invariant()
    def no_token_buys_twice(self) -> None:
        tokens = [bought.token for bought in self.runway.purchases if bought.token and not bought.is_cancelled]
        assert len(tokens) == len(set(tokens))

    @invariant()
    def no_day_goes_over_its_limit(self) -> None:
        """What turned out to be too much was cancelled; after a start of unknown cost nothing more was sent."""
        for day in {bought.day for bought in self.runway.purchases}:
            todays = [bought for bought in self.runway.purchases if bought.day == day]
            assert not any(bought.is_blind for bought in todays[:-1])
            known = [bought.price for bought in todays if not (bought.is_cancelled or bought.is_blind)]
            assert sum(known) <= (LIMITS.day or 0)

    def _opened(self) -> tuple[AbstractContextManager[CallerContext], CallerContext]:
        context = self.portal.wrap_async_context_manager(process(self.file, self.runway))
        return context, context.__enter__()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        async def bounded() -> T:
            with anyio.fail_after(30):
                return await work
            raise AssertionError

        return self.portal.call(bounded)

    async def _start(
        self, context: CallerContext, token: str | None, duration: int, answer: str, *, approves: bool
    ) -> Started | None:
        self.runway.answer, self.runway.token = answer, token
        starter = Starter(context, answer_seconds=0, queue_seconds=0)
        approved = 0.0
        try:
            asked = await starter.approval_request(wanted(duration), client_token=token)
        except HistoryError:
            return None
        if asked is not None and approves:
            approved = math.inf if asked.credits is None else asked.credits
        return await self._attempt(starter, token, duration, approved)

    async def _attempt(self, starter: Starter, token: str | None, duration: int, approved: float) -> Started | None:
        try:
            started = await starter.start(wanted(duration), client_token=token, approved_credits=approved)
        except (StartError, HistoryError, RunwayError):
            return None
        if not started.is_repeated:
            assert started.credits is not None
            assert started.credits <= (LIMITS.task or 0)
            assert started.credits <= max(LIMITS.confirm_over or 0, approved)
        return started


StarterMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestStarter = StarterMachine.TestCase

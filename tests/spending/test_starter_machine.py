"""What holds for every order of starts, of two processes on one history, and of what goes wrong meanwhile."""

import json
import math
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from functools import partial
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
from pydantic import JsonValue
from support.scripted import Sleeper, poller_of, reply, scripted_client, task

from runway_mcp.api.errors import RunwayError
from runway_mcp.catalogue.validation import Prepared, prepare
from runway_mcp.files.downloads import CallerFiles
from runway_mcp.history.records import HistoryDamagedError, HistoryError, HistoryLockedError, Limits, NotOpenError
from runway_mcp.history.sqlite import open_history
from runway_mcp.history.start_history import DAY, History
from runway_mcp.spending.start_errors import LimitError, ReplyLostError, StartError
from runway_mcp.spending.starter import Started, Starter
from runway_mcp.tasks.background_tasks import open_background_tasks
from runway_mcp.tasks.callers import CallerContext, CallerLedger
from runway_mcp.tasks.operations import TaskOperations

T = TypeVar("T")

LIMITS = Limits(task=80, day=100, confirm_over=50)
UNLISTED = 3
DEARER = (4, 6)
PRICES = {2: 24, UNLISTED: 30, 4: 50, 5: 60, 6: 90, 8: 96}
"""Credits by duration: one under every limit, one of a model that the price table lacks, one that a person has to
approve, two that turn out dearer than the table's 48 and 72, and one over the limit for a task."""
MOST = st.sampled_from([None, None, 24, 48, 80])
"""Credits that a caller allows a start."""
HOURS = (1, 5, 12)
LONGEST_HOURS = 23
"""All hours of an example together: its tokens stay valid, and midnight is passed."""

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a thousand transactions wait for a disk
TOKENS = st.sampled_from([None, "a"])
DURATIONS = st.sampled_from(list(PRICES))
TRULY_LISTED = st.sampled_from([seconds for seconds in PRICES if seconds not in DEARER])
LOST = ("lost after", "lost before", "503")
REPLIES = st.sampled_from(["priced", "without price", "400", "429"])
PROCESSES = st.sampled_from([0, 1])
CALLERS = st.sampled_from(["one", "another"])
"""Two who share a Runway key, and so the day's credits, but no tokens."""


@dataclass
class Purchase:
    """A task that Runway made, or would have made of a request that was lost.

    Attributes:
        token: The caller and their client token, where they gave one.
        earlier: What Runway charges for the day's tasks before it.
        is_lost: Whether its reply was lost.
        is_blind: Whether it was, and nobody had told a price for it before.
        number: Its number in the history, where it was lost and nobody has settled it.
    """

    token: tuple[str, str] | None
    price: int
    day: int
    earlier: int
    is_lost: bool
    is_blind: bool
    is_cancelled: bool = False
    number: int | None = None


class Runway(httpx2.AsyncBaseTransport):
    """The API: makes a task of each POST, unless it is told to fail. A task's place is part of its id."""

    def __init__(self) -> None:
        self.now = 20_000.5 * DAY
        self.answer = "priced"
        self.on_answer: Callable[[], object] = bool
        self.token: tuple[str, str] | None = None
        self.posts = 0
        self.purchases: list[Purchase] = []
        self.priced: set[int] = set()
        self.links: set[int] = set()

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

    def charged(self, day: int) -> int:
        """What Runway charges for a day's tasks."""
        return sum(bought.price for bought in self.purchases if bought.day == day and not bought.is_cancelled)

    def _create(self, request: httpx2.Request) -> httpx2.Response:
        self.posts += 1
        self.links.add(json.loads(request.read())["link"])
        if self.answer in {"400", "429"}:
            return reply(int(self.answer), {"error": "no"})(request)
        is_lost = self.answer in LOST
        price = next(cost for seconds, cost in PRICES.items() if f'"duration":{seconds}' in request.read().decode())
        is_blind = is_lost and price == PRICES[UNLISTED] and price not in self.priced
        day = int(self.now // DAY)
        bought = Purchase(self.token, price, day, self.charged(day), is_lost=is_lost, is_blind=is_blind)
        self.purchases.append(bought)
        self.on_answer()
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
        ledger = CallerLedger(history, history, "account", "caller", LIMITS)
        yield CallerContext(client, tasks, poller, background, ledger, no_files)


def wanted(duration: int) -> Prepared:
    model = "unlisted" if duration == UNLISTED else "gen4.5"
    wish: dict[str, Any] = {"model": model, "promptText": "a cat", "ratio": "1280:720", "duration": duration}
    return prepare("text_to_video", wish, allow_unknown=True)


def named(caller: str, token: str | None) -> tuple[str, str] | None:
    return None if token is None else (caller, token)


def of(caller: str, context: CallerContext) -> CallerContext:
    return replace(context, ledger=replace(context.ledger, caller=caller))


class StarterMachine(RuleBasedStateMachine):
    """Two processes, two callers, one history, one Runway."""

    def __init__(self) -> None:
        super().__init__()
        self.runway, self.hours, self.links = Runway(), 0, 0
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

    @rule(
        number=PROCESSES,
        caller=CALLERS,
        token=TOKENS,
        duration=DURATIONS,
        answer=REPLIES,
        approves=st.booleans(),
        most=MOST,
    )
    def start(  # noqa: PLR0917 - hypothesis calls it by name
        self,
        number: int,
        caller: str,
        token: str | None,
        duration: int,
        answer: str,
        approves: bool,
        most: float | None = None,
    ) -> None:
        """Start a task as the tool does: a person is asked where that is due, and may say no."""
        before, bought_before = self.runway.posts, len(self.runway.purchases)
        is_known = duration != UNLISTED or PRICES[UNLISTED] in self.runway.priced
        context = of(caller, self.processes[number][1])
        links, sent = self.links, len(self.runway.links)
        started = self._run(self._start(context, token, duration, answer, approves=approves, most=most))
        assert self.links - links == len(self.runway.links) - sent
        if most is not None:
            assert is_known or self.runway.posts == before
            new = self.runway.purchases[bought_before:]
            assert all(bought.is_cancelled or bought.is_lost or bought.price <= most for bought in new)
        if started is not None:
            bought = self.runway.purchases[int(started.task_id.rpartition("-")[2])]
            assert (bought.token, bought.price, started.unrecorded) == (
                token and (caller, token),
                PRICES[duration],
                None,
            )
            assert started.is_repeated == (self.runway.posts == before)
            assert not bought.is_cancelled

    @rule(number=PROCESSES, caller=CALLERS, token=TOKENS, duration=TRULY_LISTED, answer=st.sampled_from(LOST))
    def lose_a_reply(self, number: int, caller: str, token: str | None, duration: int, answer: str) -> None:
        """Of a start whose listed price is the true one: it counts with that."""
        self.start(number, caller, token, duration, answer, approves=True)

    @rule(number=PROCESSES, data=st.data())
    def settle(self, number: int, data: st.DataObject) -> None:
        """Record by hand, truthfully, what became of a start of unknown outcome."""
        context = self.processes[number][1]
        open_starts = self._run(Starter(context).open_starts())
        lost = {bought.number: bought for bought in self.runway.purchases if bought.number is not None}
        assert {start.number for start in open_starts} == lost.keys()
        if lost:
            start = data.draw(st.sampled_from(sorted(lost)))
            self._run(self._settle(context, start, lost[start]))

    @rule(caller=CALLERS, token=TOKENS, duration=DURATIONS)
    def find_the_file_locked_when_the_answer_comes(self, caller: str, token: str | None, duration: int) -> None:
        """The task may be cancelled at once, or stand. Its token finds it as soon as the file is free."""

        async def start() -> None:
            async with process(self.file, self.runway, busy_seconds=0.01) as opened:
                context = of(caller, opened)
                await context.ledger.history()
                with closing(sqlite3.connect(self.file, isolation_level=None)) as other:
                    self.runway.on_answer = lambda: other.execute("BEGIN IMMEDIATE")
                    started = await self._start(context, token, duration, "priced", approves=True)
                assert started is None or started.is_repeated

        self._run(start())
        self.runway.on_answer = bool

    @rule(token=TOKENS, duration=DURATIONS)
    def start_in_both_at_once(self, token: str | None, duration: int) -> None:
        async def both() -> None:
            async with anyio.create_task_group() as calls:
                for _, opened in self.processes:
                    context = of("one", opened)
                    calls.start_soon(lambda to=context: self._start(to, token, duration, "priced", approves=True))

        before = self.runway.posts
        self._run(both())
        assert self.runway.posts - before <= (2 if token is None else 1)

    @rule(number=PROCESSES, token=TOKENS, duration=DURATIONS)
    def cancel_a_call_while_its_start_is_recorded(self, number: int, token: str | None, duration: int) -> None:
        context = of("one", self.processes[number][1])

        async def cancelled() -> None:
            async with anyio.create_task_group() as calls:
                with closing(sqlite3.connect(self.file, isolation_level=None)) as other:
                    other.execute("BEGIN IMMEDIATE")
                    self.runway.answer, self.runway.token = "priced", named("one", token)
                    starter = Starter(context, answer_seconds=0, queue_seconds=0)
                    calls.start_soon(self._attempt, starter, token, duration, math.inf)
                    await anyio.wait_all_tasks_blocked()
                    calls.cancel_scope.cancel()

        posts = self.runway.posts
        spent = self._run(Starter(context).spent())
        self._run(cancelled())
        assert self.runway.posts == posts
        assert self._run(Starter(context).spent()) == spent

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

    @rule(number=PROCESSES)
    def restart(self, number: int) -> None:
        self.processes[number][0].__exit__(None, None, None)
        self.processes[number] = self._opened()

    @rule(number=PROCESSES, how=st.sampled_from(["garbage", "half", "nothing", "moved", "replaced"]))
    def lose_the_file(self, number: int, how: str) -> None:
        """Damage the file or move it away: whoever has it open, or opens it, starts nothing. Windows forbids a move."""
        context = self.processes[number][1]
        if how in {"moved", "replaced"} and os.name != "posix":
            return
        self._run(Starter(context).spent())
        kept = self.file.with_name("kept")
        whole = self.file.read_bytes()
        if how in {"moved", "replaced"}:
            self.file.rename(kept)
        if how != "moved":
            self.file.write_bytes(
                {"garbage": b"no database at all" * 2_000, "half": whole[: len(whole) // 2]}.get(how, b"")
            )
        before = self.runway.posts

        async def refused() -> None:
            with pytest.raises((HistoryError, LimitError)):
                await Starter(context).start(wanted(2))
            if how != "moved":
                with pytest.raises(HistoryDamagedError):
                    async with open_history(self.file, busy_seconds=0.01):
                        pass

        self._run(refused())
        assert self.runway.posts == before
        if kept.exists():
            kept.replace(self.file)
        else:
            self.file.write_bytes(whole)
            for each in (0, 1):
                self.restart(each)

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
        """Nothing is sent when it is used up, and what turns out to be too much is cancelled, but for a lost start.

        After a start of unknown price nothing is sent before it is settled.
        """
        assert LIMITS.day is not None
        for bought in self.runway.purchases:
            assert bought.earlier < LIMITS.day
            assert bought.is_lost or bought.is_cancelled or bought.earlier + bought.price <= LIMITS.day
            day = [other for other in self.runway.purchases if other.day == bought.day]
            assert not (bought.is_blind and bought.number) or bought is day[-1]

    async def _settle(self, context: CallerContext, number: int, bought: Purchase) -> None:
        history = await context.ledger.history()
        known = None if bought.is_cancelled else task_id(self.runway.purchases.index(bought))
        await history.settle(number, task_id=known)
        assert (await history.find(number) is None) == bought.is_cancelled
        with pytest.raises(NotOpenError):
            await history.settle(number, task_id=None)
        bought.number = None

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
        self,
        context: CallerContext,
        token: str | None,
        duration: int,
        answer: str,
        *,
        approves: bool,
        most: float | None = None,
    ) -> Started | None:
        self.runway.answer, self.runway.token = answer, named(context.ledger.caller, token)
        starter = Starter(context, answer_seconds=0, queue_seconds=0)
        approved = 0.0
        try:
            asked = await starter.approval_request(wanted(duration), client_token=token, max_credits=most)
        except HistoryError:
            return None
        if asked is not None and approves:
            approved = asked.credits
        return await self._attempt(starter, token, duration, approved, most)

    async def _attempt(
        self, starter: Starter, token: str | None, duration: int, approved: float, most: float | None = None
    ) -> Started | None:
        try:
            started = await starter.start(
                wanted(duration),
                client_token=token,
                max_credits=most,
                approved_credits=approved,
                make_ready=partial(self._make_ready, duration),
            )
        except ReplyLostError as error:
            self.runway.purchases[-1].number = error.number
            return None
        except (StartError, HistoryError, RunwayError):
            return None
        if not started.is_repeated:
            cost = started.estimate.credits
            assert started.estimate.basis == "runway"
            assert cost is not None
            assert cost <= (LIMITS.task or 0)
            assert cost <= max(LIMITS.confirm_over or 0, approved)
        return started

    async def _make_ready(self, duration: int) -> dict[str, JsonValue]:
        self.links += 1
        return wanted(duration).body | {"link": self.links}


StarterMachine.TestCase.settings = settings(
    max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestStarter = StarterMachine.TestCase

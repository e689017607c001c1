"""The figures and limits of the poller and of waits. What holds for any interleaving is in test_poller_machine.py."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from support.scripted import ID
from support.virtual_time import VIRTUAL_TIME

from runway_mcp.api.errors import NotFoundError, RateLimitedError, RunwayError, UnavailableError
from runway_mcp.api.models import Task, TaskId, parse_task_id
from runway_mcp.tasks.poll_loop import TaskState, interval
from runway_mcp.tasks.poller import (
    MAX_FOLLOWED,
    MAX_REMEMBERED,
    MAX_REQUESTS,
    MAX_RETRY_AFTER,
    POLL_SECONDS,
    TaskPoller,
    TooManyFollowedTasksError,
)
from runway_mcp.tasks.waiting import Waited, wait

RUNNING, THROTTLED, DONE = (Task(ID, status, {"status": status}) for status in ("RUNNING", "THROTTLED", "SUCCEEDED"))
GONE = NotFoundError("gone", status=404)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL_TIME


class Api:
    """Answers each poll with the next outcome, after some seconds; the last one stays."""

    def __init__(self, *outcomes: Task | Exception, seconds: float = 0.0) -> None:
        self.outcomes: list[Task | Exception] = list(outcomes)
        self.seconds = seconds
        self.asked: list[float] = []
        self.in_flight = 0

    async def get_task(self, task_id: TaskId) -> Task:
        self.asked.append(anyio.current_time())
        outcome = self.outcomes[min(len(self.asked), len(self.outcomes)) - 1]
        self.in_flight += 1
        try:
            await anyio.sleep(self.seconds)
        finally:
            self.in_flight -= 1
        if isinstance(outcome, Exception):
            raise outcome
        return replace(outcome, id=task_id)


@asynccontextmanager
async def polling(api: Api, requests: anyio.Semaphore | None = None) -> AsyncGenerator[TaskPoller]:
    async with anyio.create_task_group() as loops:
        yield TaskPoller(api.get_task, loops, requests=requests, random=lambda: 0.0)
        loops.cancel_scope.cancel()


async def statuses(poller: TaskPoller, task_id: TaskId = ID) -> list[str]:
    with poller.states(task_id) as states:
        return [str(state.last_error or (state.task and state.task.status)) async for state in states]


def numbered(number: int) -> TaskId:
    return parse_task_id(f"00000000-0000-4000-8000-{number:012x}")


async def test_the_first_poll_is_at_once_and_the_next_after_the_interval() -> None:
    api = Api(RUNNING, RUNNING, UnavailableError("down"), UnavailableError("down"), RUNNING, DONE)
    async with polling(api) as poller:
        assert await statuses(poller) == ["RUNNING", "RUNNING", "down", "down", "RUNNING", "SUCCEEDED"]
    assert api.asked == [0, 5, 10, 20, 35, 40]


@pytest.mark.parametrize(("age", "request_seconds", "asked"), [(0, 2, [0, 5]), (4, 0, [0, 1]), (4, 0.5, [0, 1])])
async def test_an_interval_begins_when_the_state_was_read_here_or_by_another_replica(
    age: float, request_seconds: float, asked: list[float]
) -> None:
    """An end reaches whoever waits here as soon as those who wait where it is read."""
    api = Api(replace(RUNNING, age=age), DONE, seconds=request_seconds)
    async with polling(api) as poller:
        assert await statuses(poller) == ["RUNNING", "SUCCEEDED"]
    assert api.asked == asked


@pytest.mark.parametrize(
    ("waited", "throttled", "failures", "seconds"),
    [
        (0, False, 0, 5),
        (119, False, 0, 5),
        (120, False, 0, 10),
        (600, False, 0, 15),
        (0, True, 0, 10),
        (700, True, 0, 15),
        (0, False, 1, 10),
        (0, False, 2, 15),
        (0, True, 9, 15),
    ],
)
def test_a_slow_task_is_polled_less_often(*, waited: float, throttled: bool, failures: int, seconds: float) -> None:
    """THROTTLED, after two minutes, after ten, and after failures: up to 15 s, with a fiftieth of jitter at most."""
    for random, expected in ((0.0, seconds), (1.0, seconds * 1.02)):
        found = interval(5, waited=waited, throttled=throttled, failures=failures, random=lambda: random)  # noqa: B023
        assert found == pytest.approx(expected)


async def test_no_poll_comes_before_the_end_of_a_retry_after() -> None:
    limited = RateLimitedError("slow down", retry_after=60.0)
    api = Api(RUNNING, limited, DONE)
    async with polling(api) as poller, anyio.create_task_group() as followers:
        followers.start_soon(statuses, poller)
        await anyio.sleep(30)
        with pytest.raises(RateLimitedError):
            await poller.read(ID)
        poller.changed(ID)
        with pytest.raises(RateLimitedError):
            await poller.read(ID)
    assert api.asked == [0, 5, 65]


async def test_a_retry_after_of_days_hides_a_task_for_minutes() -> None:
    api = Api(RateLimitedError("slow down", retry_after=1e9), DONE)
    async with polling(api) as poller:
        for seconds, end in ((0, RateLimitedError), (MAX_RETRY_AFTER - 1, RateLimitedError), (2, None)):
            await anyio.sleep(seconds)
            with pytest.raises(end) if end else nullcontext():
                await poller.read(ID)
    assert api.asked == [0, MAX_RETRY_AFTER + 1]


async def test_a_subscriber_who_is_gone_ends_nobody_elses_poll(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_: TaskState) -> None:
        raise ConnectionError("gone")

    api = Api(RUNNING, DONE)
    async with polling(api) as poller:
        poller.subscribe(ID, fail)
        assert await statuses(poller) == ["RUNNING", "SUCCEEDED"]
    assert "could not be notified" in caplog.text


async def test_a_change_is_polled_at_once() -> None:
    api = Api(RUNNING, DONE)
    async with polling(api) as poller, anyio.create_task_group() as followers:
        followers.start_soon(statuses, poller)
        await anyio.sleep(1)
        poller.changed(ID)
    assert api.asked == [0, 1]


@pytest.mark.parametrize(("outcome", "end"), [(DONE, "SUCCEEDED"), (GONE, "gone, status 404")])
async def test_what_a_read_finds_reaches_the_followers_of_a_slow_loop(outcome: Task | Exception, end: str) -> None:
    """A loop that polls rarely does not make a read old, and learns from it without a poll of its own."""
    api = Api(THROTTLED, outcome)
    async with polling(api) as poller, anyio.create_task_group() as readers:

        async def read() -> None:
            await anyio.sleep(7)
            with suppress(NotFoundError):
                await poller.read(ID)

        readers.start_soon(read)
        assert await statuses(poller) == ["THROTTLED", end]
    assert api.asked == [0, 7]


async def test_a_follower_that_is_cancelled_leaves_nothing_in_flight() -> None:
    api = Api(RUNNING, seconds=3600)
    async with polling(api) as poller:
        with anyio.move_on_after(1):
            await statuses(poller)
        await anyio.sleep(1)
        assert (len(api.asked), api.in_flight, poller.remembered) == (1, 0, [])


async def test_closing_the_poller_ends_every_loop() -> None:
    """Also those that are still followed."""
    api = Api(RUNNING)
    async with AsyncExitStack() as stack:
        poller = await stack.enter_async_context(polling(api))
        following = poller.states(ID)
        await anext(following.__enter__())
        await stack.aclose()
        await anyio.sleep(60)
        following.__exit__(None, None, None)
    assert api.asked == [0]


async def test_reads_that_share_a_request_share_its_failure() -> None:
    failed: list[str] = []
    api = Api(UnavailableError("down"), seconds=1)

    async def read() -> None:
        with pytest.raises(UnavailableError) as caught:
            await poller.read(ID)
        failed.append(str(caught.value))

    async with polling(api) as poller, anyio.create_task_group() as readers:
        for _ in range(3):
            readers.start_soon(read)
    assert (failed, api.asked) == (["down"] * 3, [0])


async def test_who_joined_a_read_that_was_cancelled_reads_alone() -> None:
    api = Api(DONE, seconds=2)
    async with polling(api) as poller, anyio.create_task_group() as others:

        async def join() -> None:
            assert (await poller.read(ID)).status == "SUCCEEDED"

        with anyio.move_on_after(1):
            others.start_soon(join)
            others.start_soon(join)
            await poller.read(ID)
    assert api.asked == [0, 1]


async def test_a_bug_below_ends_the_wait_and_not_the_server(caplog: pytest.LogCaptureFixture) -> None:
    api = Api(LookupError("a bug"), LookupError("a bug"), DONE)
    async with polling(api) as poller:
        with pytest.raises(RunwayError, match="a poll failed unexpectedly"):
            await poller.read(ID)
        assert "a bug" in caplog.text
        assert "a poll failed unexpectedly" in (await statuses(poller))[0]
        assert (await poller.read(ID)).status == "SUCCEEDED"


async def test_what_is_remembered_is_bounded() -> None:
    api = Api(RUNNING)
    async with polling(api) as poller:
        for number in range(MAX_REMEMBERED + 1):
            await poller.read(numbered(number))
        assert poller.remembered[0] == numbered(MAX_REMEMBERED)
        await poller.read(numbered(0))
        assert len(api.asked) == MAX_REMEMBERED + 2
        api.outcomes = [GONE]
        poller.changed(numbered(0))
        with pytest.raises(NotFoundError):
            await poller.read(numbered(0))
        assert numbered(0) not in poller.remembered


async def test_followers_share_polls_and_a_caller_may_follow_so_many_tasks() -> None:
    api = Api(RUNNING)
    async with polling(api) as poller:
        with ExitStack() as stack:
            for number in range(MAX_FOLLOWED):
                states, *_ = [stack.enter_context(poller.states(numbered(number))) for _ in range(10)]
                assert not (await anext(states)).is_final
            with pytest.raises(TooManyFollowedTasksError, match="1000"), poller.states(ID):
                pass
            with pytest.raises(TooManyFollowedTasksError):
                poller.subscribe(ID, lambda _: anyio.lowlevel.checkpoint())
            with poller.states(numbered(0)) as states:
                assert (await anext(states)).task is not None
        assert len(api.asked) == MAX_FOLLOWED
        with poller.states(ID) as states:
            assert (await anext(states)).task is not None


async def test_callers_who_share_a_key_share_its_requests_fairly() -> None:
    slow, quick = Api(RUNNING, seconds=3600), Api(DONE, seconds=1)
    requests = anyio.Semaphore(MAX_REQUESTS)
    async with (
        polling(slow, requests) as busy,
        polling(quick, requests) as other,
        anyio.create_task_group() as readers,
    ):
        for number in range(2 * MAX_REQUESTS):
            readers.start_soon(busy.read, numbered(number))
        await anyio.sleep(10)
        assert slow.in_flight == MAX_REQUESTS // 2
        with anyio.fail_after(POLL_SECONDS):
            assert (await other.read(ID)).status == "SUCCEEDED"
        readers.cancel_scope.cancel()


async def test_a_wait_reports_even_between_two_polls() -> None:
    """A host hears that the wait goes on before it gives the call up."""
    reports: list[float] = []
    api = Api(RUNNING)

    async def report(waited: Waited) -> None:
        reports.append(waited.seconds)

    async with anyio.create_task_group() as loops:
        poller = TaskPoller(api.get_task, loops, poll_seconds=60)
        waited = await wait(poller, [ID], seconds=40, until="all", report=report, in_progress=set())
        assert (waited.seconds, anyio.current_time()) == (40, 40)
        loops.cancel_scope.cancel()
    assert reports == [0, 9, 18, 27, 36]
    assert api.asked == [0]

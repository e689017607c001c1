"""One poll loop per task, however many look."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import httpx2
import pytest
from support.faulty import FaultyWire, faulty_client
from support.scripted import ID, Script, Step, poller_of, reply, scripted_client, task

from runway_mcp.api.errors import AuthenticationError, NotFoundError, RunwayError, UnavailableError
from runway_mcp.api.models import TaskId, parse_task_id
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.poller import MAX_REMEMBERED, Poll, TaskPoller, interval

POLL = 0.05
RUNNING = reply(200, task("RUNNING", progress=0.5))
DONE = reply(200, task("SUCCEEDED"))


@asynccontextmanager
async def watching(*steps: Step, poll: float = POLL) -> AsyncGenerator[tuple[Script, TaskPoller]]:
    """A watcher over a script, without jitter."""
    script = Script(*steps)
    with anyio.fail_after(10):
        async with (
            scripted_client(script) as client,
            poller_of(client, poll_seconds=poll) as watcher,
        ):
            yield script, watcher


async def end_of(watcher: TaskPoller, task_id: TaskId = ID) -> str:
    """Wait for a task's end; return its status."""
    async with watcher.watch(task_id) as poll:
        while not poll.ended:
            await poll.next(poll.looks)
        assert poll.task is not None
        return poll.task.status


async def test_the_first_look_is_at_once_and_the_next_after_the_interval() -> None:
    """Two intervals, three looks, and the end is seen with the look that brings it."""
    async with watching(RUNNING, RUNNING, DONE) as (script, watcher):
        started = anyio.current_time()
        assert await end_of(watcher) == "SUCCEEDED"
        assert 2 * POLL <= anyio.current_time() - started < 2 * POLL + 1
        assert len(script.requests) == 3


async def test_any_number_of_waiters_share_one_loop() -> None:
    """A hundred who wait cost as much as one."""
    async with watching(RUNNING, RUNNING, DONE) as (script, watcher):
        async with anyio.create_task_group() as waiters:
            for _ in range(100):
                waiters.start_soon(end_of, watcher)
        assert len(script.requests) == 3


async def test_a_loop_ends_with_its_last_waiter() -> None:
    """Who leaves first does not end it; when the last has left nothing is asked any more."""
    async with watching(RUNNING) as (script, watcher):
        async with watcher.watch(ID) as first:
            async with watcher.watch(ID) as second:
                assert first is second
            await first.next(1)
        asked = len(script.requests)
        await anyio.sleep(3 * POLL)
        assert len(script.requests) == asked


async def test_a_waiter_that_is_cancelled_leaves_nothing_running() -> None:
    """Its request on the way is dropped with it."""
    reached = anyio.Event()
    dropped = anyio.Event()

    class Stuck(Script):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            reached.set()
            try:
                await anyio.sleep_forever()
            finally:
                dropped.set()
            return await super().handle_async_request(request)

    with anyio.fail_after(10):
        async with scripted_client(Stuck(RUNNING)) as client, poller_of(client) as watcher:
            async with anyio.create_task_group() as waiters:
                waiters.start_soon(end_of, watcher)
                await reached.wait()
                waiters.cancel_scope.cancel()
            await dropped.wait()
            assert watcher.remembered == []


async def test_closing_the_watcher_ends_every_loop() -> None:
    """Loops that are still held end with the process."""
    async with watching(RUNNING) as (script, watcher):
        held = watcher.watch(ID)
        poll = await held.__aenter__()
        await poll.next(0)
    asked = len(script.requests)
    await anyio.sleep(2 * POLL)
    assert len(script.requests) == asked


async def test_a_state_just_read_is_not_read_again() -> None:
    """Reads within the interval cost one request; after it another."""
    async with watching(RUNNING, DONE) as (script, watcher):
        states = [(await watcher.read(ID)).status for _ in range(10)]
        assert states == ["RUNNING"] * 10
        assert len(script.requests) == 1
        await anyio.sleep(POLL)
        assert (await watcher.read(ID)).status == "SUCCEEDED"


async def test_reads_at_the_same_moment_share_one_request() -> None:
    """None of them waits for a turn of its own."""
    async with watching(RUNNING) as (script, watcher):
        async with anyio.create_task_group() as readers:
            for _ in range(20):
                readers.start_soon(watcher.read, ID)
        assert len(script.requests) == 1


async def test_reads_that_share_a_request_share_its_failure() -> None:
    """Each is told of it, and none asks again."""
    failed: list[str] = []

    async def read(watcher: TaskPoller) -> None:
        with pytest.raises(NotFoundError) as caught:
            await watcher.read(ID)
        failed.append(str(caught.value))

    class Slow(Script):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            answer = await super().handle_async_request(request)
            await anyio.wait_all_tasks_blocked()
            return answer

    script = Slow(reply(404, {"error": "gone"}))
    with anyio.fail_after(10):
        async with (
            scripted_client(script) as client,
            poller_of(client) as watcher,
            anyio.create_task_group() as readers,
        ):
            for _ in range(3):
                readers.start_soon(read, watcher)
    assert len(script.requests) == 1
    assert len(failed) == 3


async def test_who_joined_a_read_that_was_called_off_reads_alone() -> None:
    """A caller who goes away takes nobody else's answer along."""
    found: list[str] = []

    class FirstHangs(Script):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            answer = await super().handle_async_request(request)
            if len(self.requests) == 1:
                await anyio.sleep_forever()
            return answer

    with anyio.fail_after(10):
        async with scripted_client(FirstHangs(DONE)) as client, poller_of(client) as watcher:

            async def join() -> None:
                found.append((await watcher.read(ID)).status)

            async with anyio.create_task_group() as others, anyio.create_task_group() as first:
                first.start_soon(watcher.read, ID)
                await anyio.wait_all_tasks_blocked()
                others.start_soon(join)
                await anyio.wait_all_tasks_blocked()
                first.cancel_scope.cancel()
    assert found == ["SUCCEEDED"]


async def test_a_change_made_here_is_seen_at_once() -> None:
    """What was known is forgotten, and whoever waits is looked for at once."""
    async with watching(RUNNING, DONE, poll=5) as (script, watcher):
        assert (await watcher.read(ID)).status == "RUNNING"
        watcher.changed(ID)
        assert (await watcher.read(ID)).status == "SUCCEEDED"
        assert len(script.requests) == 2
    async with watching(RUNNING, DONE, poll=5) as (script, watcher), watcher.watch(ID) as poll:
        await poll.next(0)
        watcher.changed(ID)
        await poll.next(1)
        assert poll.ended


async def test_a_read_that_began_before_a_change_is_not_remembered() -> None:
    """Its answer may be older than the change."""
    gate, reached = anyio.Event(), anyio.Event()

    class Slow(Script):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if not self.requests:
                reached.set()
                await gate.wait()
            return await super().handle_async_request(request)

    script = Slow(RUNNING, DONE)
    with anyio.fail_after(10):
        async with scripted_client(script) as client, poller_of(client) as watcher:
            async with anyio.create_task_group() as readers:
                readers.start_soon(watcher.read, ID)
                await reached.wait()
                watcher.changed(ID)
                gate.set()
            assert (await watcher.read(ID)).status == "SUCCEEDED"


async def test_a_read_beside_a_slow_loop_looks_for_itself() -> None:
    """A loop that polls rarely does not make a read old."""
    slow = reply(200, task("THROTTLED"))
    async with watching(slow, DONE, poll=0.3) as (script, watcher), watcher.watch(ID) as poll:
        await poll.next(0)
        await anyio.sleep(0.35)
        assert len(script.requests) == 1
        assert (await watcher.read(ID)).status == "SUCCEEDED"


async def test_passing_failures_are_ridden_out() -> None:
    """A page of a proxy and a 503 are troubles that go by; the wait goes on, less often."""
    odd = reply(200, b"<html>")
    async with watching(RUNNING, odd, *[reply(503)] * 3, DONE) as (script, watcher):
        async with watcher.watch(ID) as poll:
            await poll.next(1)
            assert isinstance(poll.trouble, RunwayError)
            assert poll.task is not None
            while not poll.ended:
                await poll.next(poll.looks)
            assert poll.trouble is None
            assert poll.task.status == "SUCCEEDED"
        assert len(script.requests) == 6


@pytest.mark.parametrize(("status", "kind"), [(401, AuthenticationError), (404, NotFoundError)])
async def test_a_failure_that_cannot_pass_ends_the_wait(status: int, kind: type[RunwayError]) -> None:
    """A refused key and a task that is gone are the end, at once."""
    async with watching(RUNNING, reply(status, {"error": "no"})) as (script, watcher):
        async with watcher.watch(ID) as poll:
            await poll.next(1)
            assert poll.ended
            assert isinstance(poll.trouble, kind)
        with pytest.raises(kind):
            await watcher.read(ID)
        assert len(script.requests) >= 2


async def test_a_read_that_fails_raises_what_happened() -> None:
    """Also a failure that a wait would ride out."""
    async with watching(reply(503)) as (_, watcher):
        with pytest.raises(UnavailableError, match="3 attempts"):
            await watcher.read(ID)


async def test_a_bug_below_ends_the_wait_and_not_the_server(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and told to who waits; other tasks are not touched."""

    def bug(_: httpx2.Request) -> httpx2.Response:
        raise LookupError("a bug")

    async with watching(bug, DONE) as (_, watcher):
        with pytest.raises(RunwayError, match="a fault of this server"):
            await watcher.read(ID)
        assert "a bug" in caplog.text
        assert (await watcher.read(ID)).status == "SUCCEEDED"


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
def test_what_does_not_hurry_is_polled_less_often(
    waited: float,
    throttled: bool,
    failures: int,
    seconds: float,
) -> None:
    """THROTTLED, after two minutes, after ten, and after failures: up to 15 s, with a tenth of jitter at most."""
    for random, expected in ((0.0, seconds), (1.0, seconds * 1.1)):
        found = interval(5, waited=waited, throttled=throttled, failures=failures, random=lambda: random)  # noqa: B023
        assert found == pytest.approx(expected)


async def test_what_is_remembered_is_bounded() -> None:
    """A read of the thousand-and-first task forgets the first."""

    def task_of(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json={"id": request.url.path.rpartition("/")[2], "status": "RUNNING"})

    async with watching(task_of, poll=60) as (script, watcher):
        await watcher.read(ID)
        for number in range(MAX_REMEMBERED):
            await watcher.read(parse_task_id(f"00000000-0000-4000-8000-{number:012x}"))
        await watcher.read(ID)
        assert len(script.requests) == MAX_REMEMBERED + 2


async def test_ten_thousand_waiters_of_a_thousand_tasks_cost_a_thousand_looks() -> None:
    """One look each per interval, and another call is answered meanwhile."""

    def task_of(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json={"id": request.url.path.rpartition("/")[2], "status": "RUNNING"})

    async with watching(task_of, poll=5) as (script, watcher):
        polls: list[Poll] = []
        async with AsyncExitStack() as waiters:
            for number in range(1_000):
                task_id = parse_task_id(f"00000000-0000-4000-8000-{number:012x}")
                polls += [await waiters.enter_async_context(watcher.watch(task_id)) for _ in range(10)]
            with anyio.fail_after(4):
                assert (await watcher.read(ID)).status == "RUNNING"
                for poll in polls:
                    await poll.next(0)
            assert len(script.requests) == 1_001
            assert len(set(polls)) == 1_000


async def test_a_sandbox_task_is_followed_to_its_end() -> None:
    """Progress grows from look to look until the task has succeeded."""
    wire = FaultyWire()

    def pass_time(_: int) -> None:
        wire.now += 15

    wire.between = pass_time
    seen: list[float] = []
    with anyio.fail_after(10):
        async with (
            faulty_client(wire) as client,
            poller_of(client, poll_seconds=0.01) as watcher,
            watcher.watch(parse_task_id(SAMPLES["running"].id)) as poll,
        ):
            while not poll.ended:
                await poll.next(poll.looks)
                assert poll.task is not None
                if isinstance(done := poll.task.data.get("progress"), float):
                    seen.append(done)
            assert poll.task is not None
            assert poll.task.status == "SUCCEEDED"
    assert len(seen) >= 3
    assert seen == sorted(seen)

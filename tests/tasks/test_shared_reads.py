"""Replicas over one database ask Runway once per interval for all of them."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import anyio
import anyio.lowlevel
import httpx2
import pytest
from support.databases import PostgresPlace
from support.scripted import ID, Script, reply, scripted_client, task
from support.waiting import Clock

from runway_mcp.api.errors import RunwayError
from runway_mcp.api.models import Task, TaskId
from runway_mcp.history.records import HistoryAwayError
from runway_mcp.history.shared_states import SharedStates
from runway_mcp.history.start_history import History
from runway_mcp.tasks.poller import MAX_REQUESTS
from runway_mcp.tasks.shared_reads import AWAY_SECONDS, DatabaseBreaker, SharedReads

RUNNING = reply(200, task("RUNNING"))
OWNER = "account", "caller"


@asynccontextmanager
async def replicas(
    script: Script, *owners: tuple[str, str], interval: float = 60
) -> AsyncGenerator[tuple[SharedReads, ...]]:
    """The reads of callers, each on a replica of its own over one database; two of one caller by default."""
    place = PostgresPlace()
    async with scripted_client(script) as client, AsyncExitStack() as stack:
        made: list[SharedReads] = []
        for owner in owners or (OWNER, OWNER):
            history = await stack.enter_async_context(place.open())
            breaker, requests = DatabaseBreaker(), anyio.Semaphore(MAX_REQUESTS)
            opens = partial(shared, history)
            made.append(SharedReads(client, owner, opens, interval, breaker=breaker, requests=requests))
        yield tuple(made)


async def shared(history: History) -> SharedStates:
    assert history.states is not None
    return history.states


async def test_replicas_that_read_at_once_ask_once() -> None:
    script, found = Script(RUNNING), list[Task]()

    async def read(one: SharedReads) -> None:
        found.append(await one.get_task(ID))

    with anyio.fail_after(60):
        async with replicas(script, *[OWNER] * 4) as several:
            async with anyio.create_task_group() as group:
                for one in several * 5:
                    group.start_soon(read, one)
            assert script.methods == ["GET"]
    assert [one.status for one in found] == ["RUNNING"] * 20
    assert max(one.age for one in found) > 0


async def test_after_an_interval_one_of_them_asks_again() -> None:
    script = Script(RUNNING, reply(200, task("SUCCEEDED")))
    with anyio.fail_after(60):
        async with replicas(script, interval=0.3) as (one, another):
            await one.get_task(ID)
            while (await another.get_task(ID)).status == "RUNNING":
                await anyio.lowlevel.checkpoint()
            assert (await one.get_task(ID)).status == "SUCCEEDED"
            assert len(script.methods) in {2, 3}


async def test_a_change_by_one_is_seen_by_the_other_at_once() -> None:
    script = Script(RUNNING, reply(204), reply(200, task("CANCELLED")))
    with anyio.fail_after(60):
        async with replicas(script) as (one, another):
            assert (await another.get_task(ID)).status == "RUNNING"
            await one.delete_task(ID)
            assert (await another.get_task(ID)).status == "CANCELLED"
            assert (await one.get_task(ID)).status == "CANCELLED"
            assert script.methods == ["GET", "DELETE", "GET"]


async def test_a_read_before_a_change_is_shared_with_nobody_but_tells_all() -> None:
    script = Script(RUNNING, reply(200, task("SUCCEEDED")))
    with anyio.fail_after(60):
        async with replicas(script) as (one, another):
            assert (await one.get_task(ID)).status == "RUNNING"
            assert (await another.get_task(ID, timeout=10)).status == "SUCCEEDED"
            assert (await one.get_task(ID)).status == "SUCCEEDED"


async def test_a_replica_that_gives_up_a_read_leaves_it_to_the_other() -> None:
    asked = anyio.Event()

    class Hanging(Script):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if not asked.is_set():
                asked.set()
                await anyio.sleep_forever()
            return await super().handle_async_request(request)

    with anyio.fail_after(60):
        async with replicas(Hanging(RUNNING)) as (one, another):
            async with anyio.create_task_group() as group:
                group.start_soon(one.get_task, ID)
                await asked.wait()
                group.cancel_scope.cancel()
            assert (await another.get_task(ID)).status == "RUNNING"


@pytest.mark.parametrize("status", [404, 429, 500])
async def test_a_read_that_fails_holds_up_no_other(status: int) -> None:
    steps = [reply(status)]

    def answer(request: httpx2.Request) -> httpx2.Response:
        return steps[-1](request)

    with anyio.fail_after(20):
        async with replicas(Script(answer)) as (one, another):
            for replica in (one, another):
                with pytest.raises(RunwayError):
                    await replica.get_task(ID)
            steps.append(RUNNING)
            assert (await one.get_task(ID)).status == "RUNNING"


async def test_only_requests_to_runway_take_a_place_and_a_caller_gets_half_of_them() -> None:
    """However many tasks are being read by another replica, the rest can be read."""
    go, in_flight = anyio.Event(), list[str]()

    class Held(Script):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            in_flight.append(request.url.path)
            await go.wait()
            return reply(200, {**task("RUNNING"), "id": request.url.path.rpartition("/")[2]})(request)

    ids = [TaskId(f"{number:08}{ID[8:]}") for number in range(MAX_REQUESTS)]
    with anyio.fail_after(60):
        async with replicas(Held(RUNNING)) as (one, another), anyio.create_task_group() as group:
            for task_id in ids:
                group.start_soon(one.get_task, task_id)
            while len(in_flight) < MAX_REQUESTS // 2:
                await anyio.lowlevel.checkpoint()
            for task_id in ids:
                group.start_soon(another.get_task, task_id)
            group.start_soon(another.get_task, ID)
            while len(in_flight) <= MAX_REQUESTS // 2:
                await anyio.lowlevel.checkpoint()
            assert in_flight[-1].endswith(ID)
            go.set()
    assert len(in_flight) == len(set(in_flight)) == MAX_REQUESTS + 1


async def test_callers_share_nothing() -> None:
    script = Script(RUNNING)
    with anyio.fail_after(60):
        async with replicas(script, OWNER, ("account", "somebody else")) as (one, another):
            await one.get_task(ID)
            await another.get_task(ID)
            assert script.methods == ["GET", "GET"]


async def test_without_the_database_each_reads_for_itself_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    script, tries = Script(RUNNING, RUNNING, RUNNING, reply(204)), list[None]()

    async def away() -> SharedStates:
        tries.append(None)
        raise HistoryAwayError("postgresql://db/films", "refused")

    async with scripted_client(script) as client:
        breaker = DatabaseBreaker()
        one = SharedReads(client, OWNER, away, 60, breaker=breaker, requests=anyio.Semaphore(1))
        for _ in range(2):
            assert (await one.get_task(ID)).status == "RUNNING"
        await one.get_task(ID, timeout=10)
        await one.delete_task(ID)
        assert breaker.is_open
    assert len(tries) == 2
    (message,) = caplog.messages
    assert message == (
        "The database can't be used: starts are refused, and each replica reads tasks for itself. "
        "HistoryAwayError: postgresql://db/films refused"
    )


async def test_a_database_that_goes_away_amid_a_read_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    tries = list[SharedStates]()
    with anyio.fail_after(60):
        async with PostgresPlace().open() as history, scripted_client(Script(RUNNING)) as client:

            async def away_after_one() -> SharedStates:
                if tries:
                    raise HistoryAwayError("postgresql://db/films", "refused")
                tries.append(await shared(history))
                return tries[0]

            one = SharedReads(client, OWNER, away_after_one, 60, breaker=DatabaseBreaker(), requests=anyio.Semaphore(1))
            assert (await one.get_task(ID)).status == "RUNNING"
    assert len(caplog.messages) == 1


async def test_what_is_read_while_the_database_goes_away_is_returned_without_asking_it_again() -> None:
    breaker, opened = DatabaseBreaker(), list[None]()

    class Away(Script):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            breaker.failed(HistoryAwayError("postgresql://db/films", "refused"))
            return await super().handle_async_request(request)

    with anyio.fail_after(60):
        async with PostgresPlace().open() as history, scripted_client(Away(RUNNING)) as client:

            async def states() -> SharedStates:
                opened.append(None)
                return await shared(history)

            one = SharedReads(client, OWNER, states, 60, breaker=breaker, requests=anyio.Semaphore(1))
            assert (await one.get_task(ID)).status == "RUNNING"
    assert len(opened) == 1


def test_each_outage_is_told_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """What was begun before it failed, and comes to an end afterwards, is no end of the outage."""
    clock, told = Clock(), list[str]()
    breaker = DatabaseBreaker(clock)
    caplog.set_level("INFO")
    for _ in range(2):
        for _ in range(3):
            breaker.failed(HistoryAwayError("postgresql://db/films", "refused"))
            assert (breaker.is_away, breaker.is_open) == (True, True)
            breaker.worked()
            clock.now += AWAY_SECONDS
            assert (breaker.is_away, breaker.is_open) == (True, False)
        for _ in range(3):
            breaker.worked()
            assert not breaker.is_away
        told += ["WARNING", "INFO"]
        assert [record.levelname for record in caplog.records] == told

"""What a caller has in progress on one replica counts on the others, until that replica is silent."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast
from uuid import uuid4

import anyio
import asyncpg  # pyright: ignore[reportMissingTypeStubs] - it has none
import pytest
from pydantic import SecretStr
from support.databases import PostgresPlace, postgres_url
from support.scripted import ID, Script, reply, scripted_client, task
from support.waiting import until

from runway_mcp.history.records import HistoryAwayError, HistoryUnusableError, StartRequest
from runway_mcp.history.start_history import History
from runway_mcp.tasks.callers import Caller, CallerRegistry
from runway_mcp.tasks.operations import TaskOperations, TooManyWaitsError
from runway_mcp.tasks.replica_counts import ReplicaCounts
from runway_mcp.tasks.shared_reads import DatabaseBreaker
from runway_mcp.tasks.waiting import Waited

RUNNING = reply(200, task("RUNNING"))
SOON = 0.02
"""Seconds between two exchanges."""


def opened(history: History) -> Callable[[], Awaitable[History]]:
    async def open_it() -> History:
        return history

    return open_it


@asynccontextmanager
async def exchanging(number: int) -> AsyncGenerator[tuple[PostgresPlace, list[ReplicaCounts]]]:
    """The counts of replicas over one database."""
    place, counts = PostgresPlace(), [ReplicaCounts(SOON) for _ in range(number)]
    with anyio.fail_after(60):
        async with AsyncExitStack() as stack, anyio.create_task_group() as group:
            for one in counts:
                history = await stack.enter_async_context(place.open())
                group.start_soon(one.run, opened(history), DatabaseBreaker())
            yield place, counts
            group.cancel_scope.cancel()


async def test_what_others_have_is_summed_for_each_kind_and_caller() -> None:
    async with exchanging(3) as (_, (one, another, third)):
        one.here["requests"] = lambda: {"ann": 3, "bob": 0}
        another.here["requests"] = lambda: {"ann": 4}
        another.here["waits"] = lambda: {("issuer", "ann"): 1}
        await until(lambda: third.elsewhere("requests", "ann") == 7, "the others' requests")
        await until(lambda: one.elsewhere("requests", "ann") == 4, "the other's requests")
        assert third.elsewhere("waits", ("issuer", "ann")) == 1
        assert third.elsewhere("requests", "bob") == third.elsewhere("waits", "ann") == 0
        one.here["requests"] = dict
        await until(lambda: third.elsewhere("requests", "ann") == 4, "the end of some")


async def test_a_replica_that_died_is_forgotten() -> None:
    async with exchanging(2) as (place, (one, dead)):
        dead.here["waits"] = lambda: {"ann": 2}
        await until(lambda: one.elsewhere("waits", "ann") == 2, "the other's waits")
        settings = {"search_path": place.schema}
        other = cast("Any", await asyncpg.connect(place.url, server_settings=settings))  # pyright: ignore[reportUnknownMemberType] - it has no types
        await other.execute(
            "INSERT INTO replicas SELECT 'silent', told + 3600, replace(counts, ': 2', ': 5') FROM replicas "
            "WHERE counts <> '{}'"
        )
        await until(lambda: one.elsewhere("waits", "ann") == 7, "the third one's waits")
        await other.execute("UPDATE replicas SET told = told - 3606 WHERE replica = 'silent'")
        await until(lambda: one.elsewhere("waits", "ann") == 2, "the third one to be forgotten")
        await other.execute("UPDATE replicas SET told = told - 60 WHERE replica = 'silent'")
        while await other.fetch("SELECT FROM replicas WHERE replica = 'silent'"):
            await anyio.lowlevel.checkpoint()
        assert await other.fetchval("SELECT count(*) FROM replicas") == 2
        await other.close()


@pytest.mark.parametrize("counts", ["no JSON", '{"ann": "many"}', "1"])
async def test_a_row_that_nobody_can_read_ends_no_replica(counts: str, caplog: pytest.LogCaptureFixture) -> None:
    async with exchanging(2) as (place, (one, another)), place.open() as other:
        told, exchanges = {"counts": counts}, list[None]()

        def count() -> dict[Hashable, int]:
            exchanges.append(None)
            return {}

        fresh = "INSERT INTO replicas VALUES ('newer', extract(epoch FROM clock_timestamp())::float8 + 3600, :counts)"
        await other.run(lambda transaction: transaction.execute(fresh, told))
        await until(lambda: caplog.text.count("can't be read; each limits its own callers") == 2, "the log")
        one.here["requests"] = count
        await until(lambda: len(exchanges) > 2, "what follows")
        await other.run(lambda transaction: transaction.execute("DELETE FROM replicas WHERE replica = 'newer'"))
        another.here["waits"] = lambda: {"ann": 2}
        await until(lambda: one.elsewhere("waits", "ann") == 2, "the other's waits")
    assert caplog.text.count("can't be read; each limits its own callers") == 2


async def test_without_the_database_each_replica_counts_for_itself() -> None:
    away, breaker, tries = False, DatabaseBreaker(), list[None]()

    async def open_it() -> History:
        tries.append(None)
        if away:
            raise HistoryAwayError("postgresql://db/films", "refused")
        return history

    async with exchanging(1) as (place, (other,)), place.open() as history, anyio.create_task_group() as group:
        other.here["waits"] = lambda: {"ann": 2}
        one = ReplicaCounts(SOON)
        group.start_soon(one.run, open_it, breaker)
        await until(lambda: one.elsewhere("waits", "ann") == 2, "the other's waits")
        away = True
        await until(lambda: breaker.is_away, "the failure")
        assert one.elsewhere("waits", "ann") == 0
        away, tried = False, len(tries)
        await until(lambda: not breaker.is_away, "the recovery")
        assert len(tries) > tried
        await until(lambda: one.elsewhere("waits", "ann") == 2, "the other's waits again")
        group.cancel_scope.cancel()


async def test_a_result_that_the_database_missed_is_written_without_another_call() -> None:
    """For a start on another replica may wait for it."""
    place = PostgresPlace()
    with anyio.fail_after(60):
        async with place.open() as other, place.open() as one, anyio.create_task_group() as group:
            record = await one.begin(StartRequest("account", "caller", "print", "text_to_video"), lambda _: None)
            await other.run(lambda transaction: transaction.execute("ALTER TABLE starts RENAME TO away"))
            with pytest.raises(HistoryUnusableError):
                await one.record_result(record.number, task_id=ID, cost=1)
            await other.run(lambda transaction: transaction.execute("ALTER TABLE away RENAME TO starts"))
            group.start_soon(ReplicaCounts(SOON).run, opened(one), DatabaseBreaker())
            found = record
            while found is None or found.state != "started":
                await anyio.sleep(SOON)
                found = await other.find(record.number)
            group.cancel_scope.cancel()


async def test_waits_on_another_replica_count_towards_a_callers_limit() -> None:
    caller, history = Caller("ann", key=SecretStr(f"key {uuid4()}")), SecretStr(postgres_url())

    @asynccontextmanager
    async def waiting(tasks: TaskOperations) -> AsyncGenerator[None]:
        """While a wait is in progress."""
        started = anyio.Event()

        async def report(_: Waited) -> None:
            started.set()

        async def wait() -> None:
            await tasks.wait([ID], seconds=60, until="all", report=report)

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await started.wait()
            yield
            tasks.end_waits()

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(anyio.create_task_group())
        stack.enter_context(anyio.fail_after(60))
        replicas = [
            CallerRegistry(
                lambda _: scripted_client(Script(RUNNING)),
                history=history,
                poll_seconds=SOON,
                max_waits=1,
                counts=ReplicaCounts(SOON),
            )
            for _ in range(2)
        ]
        for replica in replicas:
            await stack.enter_async_context(replica.running())
        one, other = [(await replica.of(caller)).tasks for replica in replicas]
        elsewhere = replicas[1].counts
        assert elsewhere is not None
        async with waiting(one):
            await until(lambda: elsewhere.elsewhere("waits", caller.identity), "the other's wait")
            with pytest.raises(TooManyWaitsError):
                await other.wait([ID], seconds=0, until="all", report=no_report)
            async with waiting((await replicas[1].of(Caller("bob", key=caller.key))).tasks):
                pass
        await until(lambda: not elsewhere.elsewhere("waits", caller.identity), "its end")
        async with waiting(other):
            pass


async def no_report(_: Waited) -> None:
    raise AssertionError

"""The history in PostgreSQL: what only a database on a network can do to it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar, cast
from urllib.parse import parse_qs, quote, urlsplit
from uuid import uuid4

import anyio
import anyio.abc
import anyio.lowlevel
import asyncpg  # pyright: ignore[reportMissingTypeStubs] - it has none
import pytest
from pydantic import SecretStr
from support.databases import PostgresPlace, postgres_url
from support.served import free_port

from runway_mcp.history.database import Database, Transaction
from runway_mcp.history.places import open_place
from runway_mcp.history.postgres import MAX_CONNECTIONS, open_postgres
from runway_mcp.history.postgres_schema import MIGRATIONS
from runway_mcp.history.records import (
    HistoryAwayError,
    HistoryError,
    HistoryLockedError,
    HistoryNewerError,
    HistoryRefusedError,
    HistoryUnusableError,
    Spend,
    StartRequest,
    place_of,
)
from runway_mcp.history.start_history import History
from runway_mcp.history.task_records import SavedOutput, Seen, TaskQuery

T = TypeVar("T")
START = StartRequest("account", "caller", "print", "text_to_video", client_token="mine", list_price=10, prompt="A kite")
SAVED = SavedOutput(1, "/films/kite.mp4", 1000, "video/mp4", "ab" * 32)


class TooMuchError(Exception):
    """What a limit raises."""


@asynccontextmanager
async def connection(place: PostgresPlace) -> AsyncGenerator[Any]:
    """A connection of somebody else, within the schema."""
    settings = {"search_path": place.schema}
    opened = cast("Any", await asyncpg.connect(place.url, server_settings=settings))  # pyright: ignore[reportUnknownMemberType] - it has no types
    try:
        yield opened
    finally:
        await opened.close()


def defaulting(isolation: str) -> PostgresPlace:
    """A place whose connections have this isolation where none is asked for."""
    url = postgres_url()
    return PostgresPlace(f"{url}{'&' if '?' in url else '?'}default_transaction_isolation={quote(isolation)}")


async def begin(one: History, start: StartRequest = START, limit: float = 1e9) -> bool:
    def allow(snapshot: Any) -> None:
        if snapshot.spent.credits + (start.list_price or 0) > limit:
            raise TooMuchError

    return (await one.begin(start, allow)).is_new


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
async def test_one_token_that_is_sent_to_four_replicas_at_once_buys_once(isolation: str) -> None:
    """Whichever isolation is the database's default."""
    place, bought = defaulting(isolation), list[bool]()

    async def replica() -> None:
        async with place.open() as one, anyio.create_task_group() as starts:
            for _ in range(25):
                starts.start_soon(note, one)

    async def note(one: History) -> None:
        bought.append(await begin(one))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as replicas:
            for _ in range(4):
                replicas.start_soon(replica)
    assert sorted(bought) == [False] * 99 + [True]


async def test_a_days_limit_holds_under_many_starts_of_several_replicas() -> None:
    place, allowed = PostgresPlace(), list[bool]()

    async def start(one: History, token: str) -> None:
        try:
            allowed.append(await begin(one, replace(START, client_token=token), limit=200))
        except TooMuchError:
            allowed.append(False)

    with anyio.fail_after(60):
        async with place.open() as one, place.open() as another, anyio.create_task_group() as starts:
            for number in range(50):
                for replica in (one, another):
                    starts.start_soon(start, replica, f"{number} {id(replica)}")
    assert sorted(allowed) == [False] * 80 + [True] * 20


async def test_accounts_do_not_wait_for_one_another() -> None:
    place = PostgresPlace()
    with anyio.fail_after(20):
        async with place.open() as one, connection(place) as other:
            transaction = other.transaction()
            await transaction.start()
            await other.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", "another account")
            assert await begin(one)
            with pytest.raises(HistoryLockedError):
                await begin(one, replace(START, account="another account"))
            await transaction.rollback()
            assert await begin(one, replace(START, account="another account"))


async def test_the_schema_is_made_once_by_many_replicas_at_once_and_a_newer_one_is_refused() -> None:
    place = PostgresPlace()

    async def open_it() -> None:
        async with place.open() as one:
            await one.spent("account")

    with anyio.fail_after(60):
        async with anyio.create_task_group() as replicas:
            for _ in range(4):
                replicas.start_soon(open_it)
        async with connection(place) as other:
            assert await other.fetch("SELECT number FROM version") == [(len(MIGRATIONS),)]
            await other.execute("UPDATE version SET number = number + 1")
        with pytest.raises(HistoryNewerError):
            await open_it()


async def test_times_are_those_of_the_database() -> None:
    place = PostgresPlace()
    with anyio.fail_after(20):
        async with place.open() as one, connection(place) as other:
            await begin(one)
            ((difference,),) = await other.fetch("SELECT extract(epoch FROM now())::float8 - begun FROM starts")
            assert 0 <= difference < 15


async def test_connections_that_were_killed_are_made_anew() -> None:
    place, used = PostgresPlace(), set[int]()

    async def note_connection(transaction: Transaction) -> None:
        used.update(number for (number,) in await transaction.fetch("SELECT pg_backend_pid() FROM pg_sleep(0.1)"))

    with anyio.fail_after(60):
        async with place.open() as one, connection(place) as other:
            assert await begin(one)
            async with anyio.create_task_group() as reads:
                for _ in range(MAX_CONNECTIONS):
                    reads.start_soon(one.run, note_connection)
            assert len(used) > 1
            await other.fetch("SELECT pg_terminate_backend(pid, 20000) FROM unnest($1::int[]) AS pid", sorted(used))
            assert not await begin(one)


async def test_connections_that_a_network_has_dropped_in_silence_are_made_anew() -> None:
    """As in a failover: nothing says that they are dead. One call notices, and no other has to."""
    place, cut = PostgresPlace(), anyio.Event()

    async def carry(client: anyio.abc.SocketStream) -> None:
        dies = not cut.is_set()
        async with client, await database_stream(place.url) as server, anyio.create_task_group() as both:
            for source, target in ((client, server), (server, client)):
                both.start_soon(pump, source, target, dies)

    async def pump(source: anyio.abc.ByteReceiveStream, target: anyio.abc.ByteSendStream, dies: bool) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for data in source:
                if not (dies and cut.is_set()):
                    await target.send(data)
            await target.aclose()

    async def sleep(transaction: Transaction) -> None:
        await transaction.fetch("SELECT pg_sleep(0.1)")

    with anyio.fail_after(60):
        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
            anyio.create_task_group() as network,
        ):
            network.start_soon(listener.serve, carry)
            port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
            user = urlsplit(place.url).netloc.rpartition("@")[0]
            there = urlsplit(place.url)._replace(netloc=f"{user}@127.0.0.1:{port}", query="").geturl()
            through = PostgresPlace(there, place.schema)
            async with through.open(quick_seconds=1) as one:
                async with anyio.create_task_group() as uses:
                    for _ in range(3):
                        uses.start_soon(one.run, sleep)
                cut.set()
                with pytest.raises(HistoryAwayError):
                    await one.statement("SELECT 1", {})
                for number in range(3):
                    assert await begin(one, replace(START, client_token=str(number)))
            network.cancel_scope.cancel()


async def database_stream(url: str) -> anyio.abc.ByteStream:
    """Connect to a server by its URL, over TCP or a socket file."""
    folder = parse_qs(urlsplit(url).query).get("host")
    if folder:
        return await anyio.connect_unix(f"{folder[0]}/.s.PGSQL.5432")
    return await anyio.connect_tcp(urlsplit(url).hostname or "", urlsplit(url).port or 5432)


async def test_a_start_whose_connection_is_killed_is_not_recorded() -> None:
    """It is not sent either. Had it been recorded all the same, that would be taken back."""
    place, waiting = PostgresPlace(), f"account {uuid4()}"
    start = replace(START, account=waiting)
    kill = """
        SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND ((classid::bigint << 32) | objid::bigint) = hashtextextended($1, 0)
    """

    async def kill_who_waits() -> None:
        while not await other.fetch(kill, waiting):
            await anyio.lowlevel.checkpoint()

    with anyio.fail_after(60):
        async with place.open() as one, connection(place) as other, connection(place) as holder:
            held = holder.transaction()
            await held.start()
            await holder.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", waiting)
            async with anyio.create_task_group() as killer:
                killer.start_soon(kill_who_waits)
                with pytest.raises(HistoryAwayError):
                    await begin(one, start)
            await held.rollback()
            assert await one.spent(waiting) == Spend(0, 0)
            assert await begin(one, start)


async def test_a_start_that_was_recorded_though_the_answer_was_lost_is_taken_back() -> None:
    """So that its client token starts the task when the call is repeated."""

    class Losing:
        """A database whose answer is lost once."""

        def __init__(self, database: Database) -> None:
            self.database, self.loses = database, False

        async def run(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
            done = await self.database.run(work)
            if self.loses:
                self.loses = False
                raise HistoryAwayError("postgresql://db/films", "the connection was closed")
            return done

    with anyio.fail_after(60):
        async with PostgresPlace().open() as one:
            losing = Losing(one)
            async with History(losing, monotonic, keep_days=90, prompts=True) as history:
                losing.loses = True
                with pytest.raises(HistoryAwayError):
                    await begin(history)
                assert not await begin(one)
                assert await begin(history)
                assert await one.spent("account") == Spend(10, 0)


async def test_a_connection_that_is_killed_between_two_messages_means_that_the_database_is_away() -> None:
    async def killed(_: Transaction) -> None:
        raise asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")

    with anyio.fail_after(20):
        async with PostgresPlace().open() as one:
            with pytest.raises(HistoryAwayError):
                await one.run(killed)


async def test_a_database_that_is_away_is_an_error_that_tells_no_password() -> None:
    url = f"postgresql://runway:secret-word@127.0.0.1:{free_port()}/films"
    with anyio.fail_after(30), pytest.raises(HistoryAwayError) as caught:
        async with open_postgres(url):
            pass
    assert str(caught.value.place) == place_of(url)
    assert "secret-word" not in f"{caught.value}{caught.value!r}"


async def test_a_database_that_does_not_answer_is_away() -> None:
    held = list[anyio.abc.SocketStream]()

    async def hold(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            held.append(stream)
            await anyio.sleep_forever()

    with anyio.fail_after(30):
        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
            anyio.create_task_group() as group,
        ):
            group.start_soon(listener.serve, hold)
            port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
            url = f"postgresql://127.0.0.1:{port}/films"
            with pytest.raises(HistoryAwayError, match=r"no answer within 0\.2 s"):
                async with open_postgres(url, transaction_seconds=0.2):
                    pass
            assert held
            group.cancel_scope.cancel()


async def test_a_single_statement_is_quick_or_an_error() -> None:
    place = PostgresPlace()
    key = {"account": "account", "caller": "caller", "task_id": "task"}
    with anyio.fail_after(30):
        async with place.open(quick_seconds=1) as one, connection(place) as other:
            assert one.states is not None
            assert (await one.states.look(key, 5)).claim
            held = other.transaction()
            await held.start()
            await other.execute("LOCK TABLE states")
            with pytest.raises(HistoryAwayError, match="no answer within 1 s"):
                await one.states.publish(key, 0, {})
            await held.rollback()
            await other.execute("DROP TABLE states")
            with pytest.raises(HistoryUnusableError, match="states"):
                await one.states.publish(key, 0, {})


async def test_replicas_that_see_the_same_tasks_in_any_order_record_them_without_a_deadlock() -> None:
    place, tasks = PostgresPlace(), [f"task {number}" for number in range(100)]

    async def see(one: History, tasks: list[str]) -> None:
        for status in ("PENDING", "RUNNING", "SUCCEEDED"):
            for task_id in tasks:
                one.tasks.see("account", task_id, Seen(status))
            await one.flush()

    with anyio.fail_after(60):
        async with place.open() as one, place.open() as another:
            for task_id in tasks:
                begun = await one.begin(replace(START, client_token=task_id), lambda _: None)
                await one.record_result(begun.number, task_id=task_id, cost=10)
            async with anyio.create_task_group() as replicas:
                replicas.start_soon(see, one, tasks)
                replicas.start_soon(see, another, tasks[::-1])
            assert (await one.tasks.page("account", "caller", TaskQuery(status="SUCCEEDED", limit=1))).matched == 100


async def test_single_statements_that_meet_are_no_errors_whichever_isolation_is_the_databases_default() -> None:
    place, claims = defaulting("repeatable read"), list[bool]()

    async def look(one: History, number: int) -> None:
        assert one.states is not None
        key = {"account": "account", "caller": "caller", "task_id": str(number % 3)}
        claims.append((await one.states.look(key, 600)).claim is not None)

    with anyio.fail_after(30):
        async with place.open() as one, anyio.create_task_group() as looks:
            for number in range(60):
                looks.start_soon(look, one, number)
    assert claims.count(True) == 3


async def test_states_that_nobody_asks_for_are_forgotten() -> None:
    place = PostgresPlace()
    async with place.open() as one:
        assert one.states is not None
        await one.states.look({"account": "account", "caller": "caller", "task_id": "task"}, 5)
    async with connection(place) as other:
        await other.execute("UPDATE states SET asked = asked - 7200, read = 0")
        async with place.open() as one:
            assert one.states is not None
            await one.run(one.states.forget_old)
        assert await other.fetch("SELECT FROM states") == []


async def test_what_the_database_refuses_is_an_error() -> None:
    place = PostgresPlace()
    with anyio.fail_after(30):
        async with place.open() as one, connection(place) as other:
            await other.execute("DROP TABLE outputs")
            with pytest.raises(HistoryUnusableError, match="outputs"):
                await begin(one)


async def test_what_the_database_never_takes_holds_up_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    place, odd = PostgresPlace(), 2**40
    with anyio.fail_after(30):
        async with place.open() as one, connection(place) as other:
            begun = await one.begin(START, lambda _: None)
            await other.execute("ALTER TABLE starts RENAME TO away")
            with pytest.raises(HistoryUnusableError):
                await one.record_result(begun.number, task_id="task", cost=10)
            await other.execute("ALTER TABLE away RENAME TO starts")
            one.tasks.see("account", "task", Seen("RUNNING"))
            one.tasks.see("account", "not here", Seen("SUCCEEDED", made=odd))
            with pytest.raises(HistoryRefusedError, match="DataError"):
                await one.tasks.record_saved(begun.number, [replace(SAVED, position=odd)])
            assert not one.tasks.unwritten
            assert await begin(one, replace(START, client_token="another"))
            found = await one.tasks.find("account", "caller", "task")
            assert (found and found.status) == "RUNNING"
    assert caplog.text.count("is never recorded") == 1


async def test_a_shared_state_costs_one_statement_and_waits_for_no_disk() -> None:
    place, key = PostgresPlace(), {"account": "account", "caller": "caller", "task_id": "one"}
    last = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE $1"
    with anyio.fail_after(30):
        async with place.open() as history, connection(place) as other:
            assert history.states is not None
            await history.states.forget(key)
            assert await other.fetchval(last, f"%INTO {place.schema}.states%") == 1  # no reset came after it
            kind = "SELECT relpersistence::text FROM pg_class WHERE oid = $1::text::regclass"
            assert await other.fetchval(kind, f"{place.schema}.states") == "u"


async def test_a_place_is_a_file_a_database_or_memory(tmp_path: Path) -> None:
    with anyio.fail_after(30):
        for place in (tmp_path / "history.sqlite3", SecretStr(postgres_url()), None):
            async with open_place(place) as one:
                assert await one.spent("nobody") == Spend(0, 0)


def test_a_database_is_told_without_what_is_secret() -> None:
    assert place_of("postgresql://me:secret@db.example.com:5433/films?password=secret") == (
        "postgresql://db.example.com:5433/films"
    )
    assert place_of("postgresql://?service=films&password=secret") == "postgresql://?service=films"
    assert issubclass(HistoryAwayError, HistoryError)

"""Replicas over one database, each with its own connections: what begins on one ends on the other."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import uuid4

import anyio
import asyncpg  # pyright: ignore[reportMissingTypeStubs] - it has none
import httpx2
import pytest
from anyio.abc import SocketAttribute, SocketStream, TaskGroup
from pydantic import SecretStr
from support.databases import postgres_url
from support.scripted import Script, reply, scripted_client, task
from support.waiting import until

from runway_mcp.api.models import parse_task_id
from runway_mcp.catalogue.validation import prepare
from runway_mcp.history.records import HistoryAwayError
from runway_mcp.spending.starter import Starter
from runway_mcp.tasks.callers import Caller, CallerContext, CallerRegistry
from runway_mcp.tasks.waiting import Waited

KITE = prepare("text_to_video", {"model": "gen4.5", "promptText": "A kite", "ratio": "1280:720", "duration": 5})


class Runway:
    """Runway with one task, which ends when a test says so."""

    def __init__(self) -> None:
        self.task_id = str(uuid4())
        self.status = "RUNNING"
        self.reads = self.starts = 0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            self.starts += 1
            return reply(200, {"id": self.task_id, "estimatedCost": {"credits": 60}})(request)
        if request.method == "DELETE":
            self.status = "CANCELLED"
            return reply(204)(request)
        self.reads += 1
        return reply(200, task(self.status) | {"id": self.task_id})(request)


@asynccontextmanager
async def replica(
    script: Script, key: SecretStr, poll_seconds: float, url: str | None = None
) -> AsyncGenerator[CallerContext]:
    callers = CallerRegistry(
        lambda _: scripted_client(script), history=SecretStr(url or postgres_url()), poll_seconds=poll_seconds
    )
    async with callers.running():
        yield await callers.of(Caller("one", key=key))


async def test_a_task_is_followed_on_two_replicas_and_read_once_per_interval() -> None:
    runway, key, waits = Runway(), SecretStr(f"key {uuid4()}"), list[Waited]()

    async def wait(context: CallerContext) -> None:
        task_id = parse_task_id(runway.task_id)
        waits.append(await context.tasks.wait([task_id], seconds=60, until="all", report=quiet))

    with anyio.fail_after(90):
        async with replica(Script(runway), key, 0.5) as one, replica(Script(runway), key, 0.5) as another:
            started = [await Starter(context).start(KITE, client_token="kite") for context in (one, another)]
            assert [each.is_repeated for each in started] == [False, True]
            assert runway.starts == 1
            intervals = 0.0
            async with anyio.create_task_group() as group:
                before = anyio.current_time()
                for context in (one, another):
                    group.start_soon(wait, context)
                await until(lambda: runway.reads >= 4, "some polls")
                intervals = (anyio.current_time() - before) / 0.5
                runway.status = "SUCCEEDED"
            assert all(each.states[parse_task_id(runway.task_id)].is_final for each in waits)
            assert runway.reads <= intervals + 4  # twice as many, were each to ask for itself


async def test_a_cancel_on_one_replica_is_read_on_the_other_at_once() -> None:
    runway, key = Runway(), SecretStr(f"key {uuid4()}")
    with anyio.fail_after(90):
        async with replica(Script(runway), key, 60) as one, replica(Script(runway), key, 60) as another:
            await Starter(one).start(KITE)
            task_id = parse_task_id(runway.task_id)
            assert (await another.tasks.get(task_id)).status == "RUNNING"
            await one.tasks.cancel(task_id)
            assert (await another.tasks.get(task_id)).status == "CANCELLED"


async def test_a_read_does_not_wait_long_for_a_database_that_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    """A start would wait eight seconds."""
    runway, key = Runway(), SecretStr(f"key {uuid4()}")

    async def hold(stream: SocketStream) -> None:
        async with stream:
            await anyio.sleep_forever()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, hold)
        url = f"postgresql://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/films"  # noqa: S610 - anyio's, not Django's
        with anyio.fail_after(6):
            async with replica(Script(runway), key, 60, url) as one:
                assert (await one.tasks.get(parse_task_id(runway.task_id))).status == "RUNNING"
        group.cancel_scope.cancel()
    assert "the database could not be opened within 1 s" in caplog.text


KILL = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'runway-mcp'
"""


class Killing(Script):
    """Carries requests to Runway; `before` is called before a start arrives there."""

    def __init__(self, runway: Runway, before: Callable[[], Awaitable[None]]) -> None:
        super().__init__(runway)
        self._before = before

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            await self._before()
        return await super().handle_async_request(request)


@pytest.mark.parametrize("step", ["idle", "begin", "send", "result"])
async def test_a_start_whose_connections_are_killed_buys_once(step: str) -> None:
    """Before it is recorded, in the midst of that, before it is sent, and in the midst of recording its task."""
    runway, key = Runway(), SecretStr(f"key {uuid4()}")

    async def kill(where: str = "") -> int:
        return len(await operator.fetch(f"{KILL} {where}"))

    async def hold_and_kill(group: TaskGroup) -> None:
        """Have the next transaction wait for a lock, and kill its connection while it does."""
        held = operator.transaction()
        await held.start()
        await operator.execute("LOCK TABLE runway_mcp.starts")

        async def kill_who_waits() -> None:
            while not await kill("AND wait_event_type = 'Lock'"):  # noqa: ASYNC110 - a database tells nobody
                await anyio.sleep(0.005)
            await held.rollback()

        group.start_soon(kill_who_waits)

    async with own_database() as (url, operator), anyio.create_task_group() as group:

        async def before_send() -> None:
            if step == "send":
                await kill()
            if step == "result" and not runway.starts:
                await hold_and_kill(group)

        with anyio.fail_after(60):
            async with (
                replica(Killing(runway, before_send), key, 60, url) as one,
                replica(Script(runway), key, 60, url) as another,
            ):
                await (await one.ledger.history()).spent(one.ledger.account)
                if step == "idle":
                    await kill()
                if step == "begin":
                    await hold_and_kill(group)
                    with pytest.raises(HistoryAwayError):
                        await Starter(one).start(KITE, client_token="kite")
                    assert runway.starts == 0
                started = await Starter(one).start(KITE, client_token="kite")
                assert (started.is_repeated, started.unrecorded is None) == (False, step != "result")
                repeated = [await Starter(each).start(KITE, client_token="kite") for each in (one, another)]
                assert [(each.task_id, each.is_repeated) for each in repeated] == [(runway.task_id, True)] * 2
    assert runway.starts == 1


@asynccontextmanager
async def own_database() -> AsyncGenerator[tuple[str, Any]]:
    """The URL of a database of a test's own, and an operator's connection to it."""
    name = f"test_{uuid4().hex}"
    url = urlsplit(postgres_url())._replace(path=f"/{name}").geturl()
    async with connected(postgres_url()) as server:
        await server.execute(f"CREATE DATABASE {name}")
        async with connected(url) as operator:
            yield url, operator
        await server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Any]:
    opened = cast("Any", await asyncpg.connect(url))  # pyright: ignore[reportUnknownMemberType] - it has no types
    try:
        yield opened
    finally:
        await opened.close()


async def quiet(_: Waited) -> None:
    pass

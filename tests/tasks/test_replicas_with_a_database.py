"""Replicas over one database, each with its own connections: what begins on one ends on the other."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

import anyio
import httpx2
from pydantic import SecretStr
from support.databases import postgres_url
from support.scripted import Script, reply, scripted_client, task
from support.waiting import until

from runway_mcp.api.models import parse_task_id
from runway_mcp.catalogue.validation import prepare
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
async def replica(runway: Runway, key: SecretStr, poll_seconds: float) -> AsyncGenerator[CallerContext]:
    callers = CallerRegistry(
        lambda _: scripted_client(Script(runway)), history=SecretStr(postgres_url()), poll_seconds=poll_seconds
    )
    async with callers.running():
        yield await callers.of(Caller("one", key=key))


async def test_a_task_is_followed_on_two_replicas_and_read_once_per_interval() -> None:
    runway, key, waits = Runway(), SecretStr(f"key {uuid4()}"), list[Waited]()

    async def wait(context: CallerContext) -> None:
        task_id = parse_task_id(runway.task_id)
        waits.append(await context.tasks.wait([task_id], seconds=60, until="all", report=quiet))

    with anyio.fail_after(90):
        async with replica(runway, key, 0.5) as one, replica(runway, key, 0.5) as another:
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
        async with replica(runway, key, 60) as one, replica(runway, key, 60) as another:
            await Starter(one).start(KITE)
            task_id = parse_task_id(runway.task_id)
            assert (await another.tasks.get(task_id)).status == "RUNNING"
            await one.tasks.cancel(task_id)
            assert (await another.tasks.get(task_id)).status == "CANCELLED"


async def quiet(_: Waited) -> None:
    pass

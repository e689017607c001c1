"""Get, cancel and delete against the sandbox, over a wire that fails in every way that matters."""

from collections.abc import Awaitable, Callable

import anyio
import httpx2
import pytest
from support.faulty import Fault, FaultyWire, faulty_context
from support.scripted import ID, Script, Sleeper, context_of, poller_of, reply, scripted_client, task
from support.virtual_time import VIRTUAL_TIME

from runway_mcp.api.client import RunwayClient
from runway_mcp.api.errors import AuthenticationError, BadRequestError, NotFoundError, RateLimitedError
from runway_mcp.api.models import Task, TaskId, parse_cost, parse_task_id
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.background_tasks import open_background_tasks
from runway_mcp.tasks.operations import (
    CHANGE_SECONDS,
    Change,
    ChangeInProgressError,
    StillActiveError,
    TaskOperations,
    UnclearOutcomeError,
)
from runway_mcp.tasks.poller import TaskPoller

Verb = Callable[[TaskOperations, TaskId], Awaitable[Change]]
CANCEL, DELETE, REMOVE = TaskOperations.cancel, TaskOperations.delete, TaskOperations.remove


def sample(name: str | None) -> TaskId:
    """The id of one of the sandbox's sample tasks, or of none."""
    return parse_task_id(SAMPLES[name].id if name else "17f20503-6c24-4c16-946b-35dbbce2af2f")


async def change(wire: FaultyWire, verb: Verb, name: str | None = "running_long") -> Change:
    """Do one thing over `wire`; its error is raised once the service has closed."""
    async with faulty_context(wire) as context:
        try:
            return await verb(context.tasks, sample(name))
        except Exception as error:  # noqa: BLE001 - raised below
            failure = error
    raise failure


async def test_get_reads_a_task_once() -> None:
    wire = FaultyWire()
    async with faulty_context(wire) as context:
        assert (await context.tasks.get(sample("running"))).status == "RUNNING"
        assert (await context.tasks.get(sample("cancelled"))).status == "CANCELLED"
        with pytest.raises(NotFoundError):
            await context.tasks.get(sample(None))
    assert wire.methods == ["GET"] * 3


LOOKED, SENT = ["GET"], ["GET", "DELETE"]


@pytest.mark.parametrize(
    ("verb", "name", "outcome", "methods"),
    [
        *[(CANCEL, name, "cancelled", SENT) for name in ("pending", "throttled", "running", "running_long")],
        *[(CANCEL, name, "finished", LOOKED) for name in ("succeeded_video", "failed_internal", "cancelled")],
        *[(DELETE, name, "deleted", SENT) for name in ("succeeded_video", "succeeded_images", "failed_internal")],
        (REMOVE, "running", "cancelled", SENT),
        (REMOVE, "succeeded_video", "deleted", SENT),
        *[(verb, None, "gone", LOOKED) for verb in (CANCEL, DELETE, REMOVE)],
        (DELETE, "cancelled", "gone", SENT),  # somebody else removed it between the two
    ],
)
async def test_a_change_reads_first_and_sends_a_delete_where_it_fits(
    verb: Verb, name: str | None, outcome: str, methods: list[str]
) -> None:
    """A finished task is not cancelled, for that would destroy its output; what is gone is no error."""
    wire = FaultyWire()
    found = await change(wire, verb, name)
    assert found.outcome == outcome
    assert (found.before is None) == (name is None)
    assert wire.methods == methods


@pytest.mark.parametrize("verb", [CANCEL, REMOVE])
async def test_a_task_that_finished_meanwhile_is_left_alone(verb: Verb) -> None:
    """A DELETE that failed is not repeated on what has become another thing: an output that somebody may want."""
    wire = FaultyWire()
    wire.faults["DELETE"].append("lost before")

    def finish(request: int) -> None:
        wire.now += 600 if request == 3 else 0

    wire.between = finish
    async with faulty_context(wire) as context:
        found = await verb(context.tasks, sample("running"))
        assert found.outcome == "finished"
        assert found.before is not None
        assert found.before.status == "SUCCEEDED"
        assert (await context.tasks.get(sample("running"))).status == "SUCCEEDED"
    assert wire.methods == ["GET", "DELETE", "GET", "GET"]


@pytest.mark.parametrize("name", ["pending", "throttled", "running"])
async def test_delete_refuses_an_active_task(name: str) -> None:
    """No DELETE is sent to a task that has not finished: it would cancel it."""
    wire = FaultyWire()
    with pytest.raises(StillActiveError) as caught:
        await change(wire, DELETE, name)
    assert caught.value.task.is_active
    assert wire.methods == ["GET"]


@pytest.mark.parametrize(
    ("verb", "name", "status", "outcome"),
    [(CANCEL, "running_long", "RUNNING", "cancelled"), (DELETE, "succeeded_video", "SUCCEEDED", "deleted")],
)
@pytest.mark.parametrize("fault", ["lost after", "lost before", 408, 429, 500, 502, 503, 504])
async def test_a_failed_delete_is_tried_again_only_after_a_look(
    verb: Verb, name: str, status: str, outcome: str, fault: Fault
) -> None:
    """One that took effect is found out by the look, and never sent a second time."""
    wire = FaultyWire()
    wire.faults["DELETE"].append(fault)
    found = await change(wire, verb, name)
    assert found.outcome == outcome
    assert wire.methods == ["GET", "DELETE", "GET", "DELETE"][: 3 if fault == "lost after" else 4]
    assert found.before is not None
    assert found.before.status == status


async def test_a_second_delete_that_finds_nothing_was_the_first_ones_work() -> None:
    script = Script(reply(200, task("RUNNING")), reply(500), reply(200, task("RUNNING")), reply(404, {"error": "gone"}))
    async with scripted_client(script) as client, context_of(client, sleep=Sleeper()) as context:
        assert (await context.tasks.cancel(ID)).outcome == "cancelled"
    assert script.methods == ["GET", "DELETE", "GET", "DELETE"]


NO_LOOK = [None, 500, 500, 500]


@pytest.mark.parametrize(
    ("deletes", "gets", "error", "words", "sent"),
    [
        ([400], [], BadRequestError, "400", "GET DELETE"),
        ([401], [], AuthenticationError, "401", "GET DELETE"),
        ([405], [], BadRequestError, "405", "GET DELETE"),
        ([429] * 3, [], RateLimitedError, "3 attempts", "GET DELETE GET DELETE GET DELETE GET"),
        ([429], NO_LOOK, RateLimitedError, "429", "GET DELETE GET GET GET"),
        (["lost after"], NO_LOOK, UnclearOutcomeError, "then .*500", "GET DELETE GET GET GET"),
        (
            [503, "lost before", 429],
            [],
            UnclearOutcomeError,
            "3 attempts, then unchanged",
            "GET DELETE GET DELETE GET DELETE GET",
        ),
        (["lost before", 400], [], UnclearOutcomeError, "400.*, then unchanged", "GET DELETE GET DELETE GET"),
        (["lost before", 401], [], UnclearOutcomeError, "401.*, then unchanged", "GET DELETE GET DELETE GET"),
        (["lost before", 401], [None, None, 401], UnclearOutcomeError, "then .*401", "GET DELETE GET DELETE GET"),
    ],
)
async def test_a_delete_that_fails_for_good_changed_nothing_unless_one_may_have_arrived(
    deletes: list[Fault], gets: list[Fault | None], error: type[Exception], words: str, sent: str
) -> None:
    """Each look shows the task still running, yet a DELETE on its way may still arrive."""
    wire = FaultyWire()
    wire.faults["DELETE"].extend(deletes)
    wire.faults["GET"].extend(gets)
    with pytest.raises(error, match=words) as caught:
        await change(wire, CANCEL)
    if isinstance(caught.value, UnclearOutcomeError):
        assert caught.value.before.status == "RUNNING"
    assert wire.methods == sent.split()


async def test_changes_of_one_task_take_turns() -> None:
    wire = FaultyWire()
    found: list[str] = []
    async with faulty_context(wire) as context:

        async def cancel_one() -> None:
            found.append((await context.tasks.cancel(sample("running_long"))).outcome)

        async with anyio.create_task_group() as cancels:
            for _ in range(3):
                cancels.start_soon(cancel_one)
    assert sorted(found) == ["cancelled", "finished", "finished"]
    assert wire.methods.count("DELETE") == 1


async def test_a_long_retry_after_is_told_instead_of_waited_for() -> None:
    sleeper = Sleeper()
    script = Script(
        reply(200, task("RUNNING")),
        reply(429, Retry_After="3"),
        reply(200, task("RUNNING")),
        reply(429, Retry_After="30"),
        reply(200, task("RUNNING")),
    )
    async with scripted_client(script) as client, context_of(client, sleep=sleeper) as context:
        with pytest.raises(RateLimitedError) as caught:
            await context.tasks.cancel(ID)
    assert caught.value.retry_after == 30
    assert sleeper.slept == [3.0]


class Slow(RunwayClient):
    """Takes nearly as long as it may for everything, and loses the reply to each DELETE."""

    def __init__(self) -> None:
        super().__init__(httpx2.AsyncClient)

    async def get_task(self, task_id: TaskId, *, timeout: float | None = None) -> Task:
        await anyio.sleep((timeout or 0) - 1)
        return Task(task_id, "RUNNING", {})

    async def delete_task(self, task_id: TaskId) -> None:  # noqa: ARG002 - as the client has it
        await anyio.sleep(40)


@pytest.mark.parametrize("anyio_backend", [VIRTUAL_TIME])
async def test_every_change_ends_within_a_hosts_minute() -> None:
    ended: dict[str, float] = {}
    async with (
        anyio.create_task_group() as loops,
        open_background_tasks() as background,
        anyio.create_task_group() as calls,
    ):
        client = Slow()
        tasks = TaskOperations(client, background, TaskPoller(client.get_task, loops))

        async def cancel_one(name: str, error: type[Exception]) -> None:
            with pytest.raises(error):
                await tasks.cancel(ID)
            ended[name] = anyio.current_time()

        calls.start_soon(cancel_one, "first", UnclearOutcomeError)
        await anyio.sleep(1)
        calls.start_soon(cancel_one, "second", ChangeInProgressError)
        calls.start_soon(cancel_one, "third", ChangeInProgressError)
    assert ended == {"second": 11, "third": 11, "first": 14 + CHANGE_SECONDS}


@pytest.mark.parametrize("status", ["PROCESSING", "DREAMING"])
async def test_an_unknown_status_counts_as_active(status: str) -> None:
    script = Script(reply(200, task(status)), reply(204), reply(200, task(status)))
    async with scripted_client(script) as client, context_of(client) as context:
        assert (await context.tasks.cancel(ID)).outcome == "cancelled"
        with pytest.raises(StillActiveError):
            await context.tasks.delete(ID)
    assert script.methods == ["GET", "DELETE", "GET"]


@pytest.mark.parametrize(
    ("answers", "cost", "reads"),
    [
        ([reply(200, task("CANCELLED", cost={"credits": 7}))], 7, 1),
        (
            [
                reply(200, task("RUNNING")),
                reply(200, task("CANCELLED")),
                reply(200, task("CANCELLED", cost={"credits": 0})),
            ],
            0,
            3,
        ),
        ([reply(200, task("RUNNING"))], None, 3),
        ([reply(404, {"error": "gone"})], None, 1),
    ],
)
@pytest.mark.parametrize("anyio_backend", [VIRTUAL_TIME])
async def test_the_cost_of_a_cancelled_task_is_looked_up_for_five_seconds(
    answers: list[httpx2.Response], cost: float | None, reads: int
) -> None:
    script = Script(reply(200, task("RUNNING")), reply(204), *answers)
    async with scripted_client(script) as client, open_background_tasks() as background, poller_of(client) as poller:
        tasks = TaskOperations(client, background, poller)
        change = await tasks.cancel(ID)
        before = anyio.current_time()
        priced = await tasks.priced(change)
        assert anyio.current_time() - before <= 5
        assert (parse_cost(priced.after) if priced.after else None) == cost
        assert script.methods == ["GET", "DELETE", *["GET"] * reads]


async def test_nothing_is_looked_up_after_a_change_that_cancelled_nothing() -> None:
    script = Script(reply(200, task("SUCCEEDED")))
    async with scripted_client(script) as client, context_of(client) as context:
        change = await context.tasks.cancel(ID)
        assert await context.tasks.priced(change) is change
    assert script.methods == ["GET"]


class HeldUp(FaultyWire):
    """Holds a DELETE up, once `reached`, until it may `proceed`."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.proceed = anyio.Event(), anyio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "DELETE":
            self.reached.set()
            await self.proceed.wait()
        return await super().handle_async_request(request)


async def test_the_next_change_waits_for_one_whose_caller_has_left(caplog: pytest.LogCaptureFixture) -> None:
    """A cancel that is asked for again while the first is on its way sends no DELETE, which would destroy the task."""
    wire = HeldUp()
    found: list[str] = []
    with anyio.fail_after(5):
        async with faulty_context(wire) as context:

            async def again() -> None:
                found.append((await context.tasks.cancel(sample("running_long"))).outcome)

            async with anyio.create_task_group() as callers:
                callers.start_soon(context.tasks.cancel, sample("running_long"))
                await wire.reached.wait()
                callers.cancel_scope.cancel()
            async with anyio.create_task_group() as callers:
                callers.start_soon(again)
                await anyio.wait_all_tasks_blocked()
                wire.proceed.set()
    assert found == ["finished"]
    assert wire.methods.count("DELETE") == 1
    assert "Outcome: cancelled" in caplog.text
    assert "RUNNING" not in caplog.text

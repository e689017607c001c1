"""Get, cancel and delete against the sandbox, over a wire that fails in every way that matters."""

from collections.abc import Awaitable, Callable

import anyio
import httpx2
import pytest
from support.faulty import Fault, FaultyWire, faulty_context
from support.scripted import Script, Sleeper, context_of, reply, scripted_client, task
from support.virtual_time import VIRTUAL_TIME

from runway_mcp.api.client import RunwayClient
from runway_mcp.api.errors import (
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    RateLimitedError,
    RunwayError,
)
from runway_mcp.api.models import Task, TaskId, parse_task_id
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.background_tasks import open_background_tasks
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.operations import (
    Change,
    ChangeInProgressError,
    StillActiveError,
    TaskOperations,
    UnclearOutcomeError,
)
from runway_mcp.tasks.poller import TaskPoller

UNKNOWN = parse_task_id("17f20503-6c24-4c16-946b-35dbbce2af2f")


def sample(name: str) -> TaskId:
    """The id of one of the sandbox's sample tasks."""
    return parse_task_id(SAMPLES[name].id)


async def cancel(wire: FaultyWire, task_id: TaskId) -> Change:
    """Cancel a task over `wire`."""
    return await change(wire, lambda context: context.tasks.cancel(task_id))


async def delete(wire: FaultyWire, task_id: TaskId) -> Change:
    """Delete a task over `wire`."""
    return await change(wire, lambda context: context.tasks.delete(task_id))


async def remove(wire: FaultyWire, task_id: TaskId) -> Change:
    """Do what the API's own DELETE means over `wire`."""
    return await change(wire, lambda context: context.tasks.remove(task_id))


async def change(wire: FaultyWire, verb: Callable[[CallerContext], Awaitable[Change]]) -> Change:
    """Do one thing over `wire`; its error is raised once the service has closed."""
    async with faulty_context(wire) as context:
        try:
            return await verb(context)
        except Exception as error:  # noqa: BLE001 - raised below
            failure = error
    raise failure


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("pending", "PENDING"),
        ("throttled", "THROTTLED"),
        ("running", "RUNNING"),
        ("succeeded_video", "SUCCEEDED"),
        ("failed_moderation", "FAILED"),
        ("cancelled", "CANCELLED"),
    ],
)
async def test_get_reads_a_task_in_every_state(name: str, status: str) -> None:
    """A read is one GET, whatever the state."""
    wire = FaultyWire()
    async with faulty_context(wire) as context:
        assert (await context.tasks.get(sample(name))).status == status
    assert wire.methods == ["GET"]


async def test_get_of_an_unknown_task_is_not_found() -> None:
    """A task that never existed is an error of its own."""
    async with faulty_context(FaultyWire()) as context:
        with pytest.raises(NotFoundError):
            await context.tasks.get(UNKNOWN)


LOOKED, SENT = ["GET"], ["GET", "DELETE"]


@pytest.mark.parametrize(
    ("verb", "name", "outcome", "methods"),
    [
        *[(cancel, name, "cancelled", SENT) for name in ("pending", "throttled", "running", "running_long")],
        *[(cancel, name, "finished", LOOKED) for name in ("succeeded_video", "failed_internal", "cancelled")],
        *[(delete, name, "deleted", SENT) for name in ("succeeded_video", "succeeded_images", "failed_internal")],
        (remove, "running", "cancelled", SENT),
        (remove, "succeeded_video", "deleted", SENT),
        *[(verb, None, "gone", LOOKED) for verb in (cancel, delete, remove)],
        (delete, "cancelled", "gone", SENT),  # somebody else removed it between the two
    ],
)
async def test_a_change_reads_first_and_sends_a_delete_where_it_fits(
    verb: Callable[[FaultyWire, TaskId], Awaitable[Change]], name: str | None, outcome: str, methods: list[str]
) -> None:
    """A finished task is not cancelled, for that would destroy its output; what is gone is no error."""
    wire = FaultyWire()
    found = await verb(wire, sample(name) if name else UNKNOWN)
    assert found.outcome == outcome
    assert (found.before is None) == (name is None)
    assert wire.methods == methods


async def test_remove_leaves_a_task_alone_that_finished_while_it_was_to_be_cancelled() -> None:
    """A DELETE that failed is not repeated on what has become another thing: an output that somebody may want."""
    wire = FaultyWire()
    wire.faults["DELETE"].append("lost before")

    def finish(number: int) -> None:
        wire.now += 120 if number == 3 else 0

    wire.between = finish
    assert (await remove(wire, sample("running"))).outcome == "finished"
    assert wire.methods == ["GET", "DELETE", "GET"]


@pytest.mark.parametrize("name", ["pending", "throttled", "running"])
async def test_delete_refuses_an_active_task(name: str) -> None:
    """No DELETE is sent to a task that has not finished: it would cancel it."""
    wire = FaultyWire()
    with pytest.raises(StillActiveError) as caught:
        await delete(wire, sample(name))
    assert caught.value.task.is_active
    assert wire.methods == ["GET"]


@pytest.mark.parametrize("fault", ["lost after", 502, 504])
@pytest.mark.parametrize("verb", ["cancel", "delete"])
async def test_a_lost_reply_is_settled_by_looking_again(fault: Fault, verb: str) -> None:
    """A DELETE that took effect is found out by a GET, and never sent a second time."""
    wire = FaultyWire()
    task_id = sample("running_long" if verb == "cancel" else "succeeded_video")
    wire.faults["DELETE"].append("lost after" if fault == "lost after" else fault)
    found = await (cancel if verb == "cancel" else delete)(wire, task_id)
    assert found.outcome == ("cancelled" if verb == "cancel" else "deleted")
    assert wire.methods == (["GET", "DELETE", "GET"] if fault == "lost after" else ["GET", "DELETE", "GET", "DELETE"])
    assert found.before is not None
    assert found.before.status == ("RUNNING" if verb == "cancel" else "SUCCEEDED")


@pytest.mark.parametrize("fault", ["lost before", 408, 429, 500, 503])
async def test_a_failed_delete_is_tried_again_only_after_a_look(fault: Fault) -> None:
    """A task that is seen to be as it was gets one more DELETE."""
    wire = FaultyWire()
    wire.faults["DELETE"].append(fault)
    found = await cancel(wire, sample("running_long"))
    assert found.outcome == "cancelled"
    assert wire.methods == ["GET", "DELETE", "GET", "DELETE"]


async def test_a_task_that_finished_meanwhile_is_left_alone_by_a_cancel() -> None:
    """Between a failed DELETE and its repetition the task succeeds: its output survives."""
    wire = FaultyWire()
    wire.faults["DELETE"].append("lost before")

    def finish(request: int) -> None:
        if request == 3:
            wire.now += 600

    wire.between = finish
    async with faulty_context(wire) as context:
        found = await context.tasks.cancel(sample("running"))
        assert found.outcome == "finished"
        assert found.before is not None
        assert found.before.status == "SUCCEEDED"
        assert (await context.tasks.get(sample("running"))).status == "SUCCEEDED"
    assert wire.methods == ["GET", "DELETE", "GET", "GET"]


async def test_a_second_delete_that_finds_nothing_was_the_first_ones_work() -> None:
    """A 404 after a DELETE of ours was lost means that it is done."""
    script = Script(reply(200, task("RUNNING")), reply(500), reply(200, task("RUNNING")), reply(404, {"error": "gone"}))
    async with scripted_client(script) as client, context_of(client, sleep=Sleeper()) as context:
        found = await context.tasks.cancel(parse_task_id(str(task("")["id"])))
    assert found.outcome == "cancelled"
    assert script.methods == ["GET", "DELETE", "GET", "DELETE"]


async def test_after_three_tries_that_may_have_arrived_the_outcome_is_unclear() -> None:
    """Each look shows the task still running, yet a DELETE on its way may still arrive."""
    wire = FaultyWire()
    wire.faults["DELETE"].extend([503, "lost before", 429])
    with pytest.raises(UnclearOutcomeError) as caught:
        await cancel(wire, sample("running_long"))
    assert caught.value.error is not None
    assert (caught.value.error.attempts, caught.value.second) == (3, None)
    assert wire.methods == ["GET", "DELETE", "GET", "DELETE", "GET", "DELETE", "GET"]


async def test_after_three_refusals_the_error_says_that_nothing_changed() -> None:
    """A DELETE that was turned away each time did nothing."""
    wire = FaultyWire()
    wire.faults["DELETE"].extend([429, 429, 429])
    with pytest.raises(RateLimitedError, match="3 attempts"):
        await cancel(wire, sample("running_long"))


async def test_changes_of_one_task_take_turns() -> None:
    """Of three cancels at once one sends a DELETE; the others see what it did."""
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


@pytest.mark.parametrize(
    ("status", "kind"), [(400, BadRequestError), (401, AuthenticationError), (405, BadRequestError)]
)
async def test_a_refused_delete_is_not_tried_again(status: int, kind: type[RunwayError]) -> None:
    """What the API refuses for good ends the change at once."""
    wire = FaultyWire()
    wire.faults["DELETE"].append(status)
    with pytest.raises(kind):
        await cancel(wire, sample("running_long"))
    assert wire.methods == ["GET", "DELETE"]


async def test_when_neither_reply_nor_look_can_be_had_the_outcome_is_unclear() -> None:
    """The reply is lost and every look fails: the error says that it may have happened."""
    wire = FaultyWire()
    wire.faults["DELETE"].append("lost after")
    wire.faults["GET"].extend([None, 500, 500, 500])
    with pytest.raises(UnclearOutcomeError) as caught:
        await cancel(wire, sample("running_long"))
    assert caught.value.before.status == "RUNNING"
    assert caught.value.second is not None
    assert wire.methods == ["GET", "DELETE", "GET", "GET", "GET"]


async def test_when_the_delete_never_left_a_failing_look_changes_nothing() -> None:
    """A refused DELETE plus a failing look is still certain: nothing was changed."""
    wire = FaultyWire()
    wire.faults["DELETE"].append(429)
    wire.faults["GET"].extend([None, 500, 500, 500])
    with pytest.raises(RateLimitedError):
        await cancel(wire, sample("running_long"))


async def test_a_long_retry_after_is_told_instead_of_waited_for() -> None:
    """A wait that the change can't afford becomes part of the error; a short one is kept."""
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
            await context.tasks.cancel(parse_task_id(str(task("")["id"])))
    assert caught.value.retry_after == 30
    assert sleeper.slept == [3.0]


class Slow(RunwayClient):
    """Takes nearly as long as it may for everything, and loses the reply to each DELETE."""

    def __init__(self) -> None:
        super().__init__(httpx2.AsyncClient)

    async def get_task(self, task_id: TaskId, *, timeout: float | None = None) -> Task:
        """Return a running task."""
        await anyio.sleep((timeout or 0) - 1)
        return Task(task_id, "RUNNING", {})

    async def delete_task(self, task_id: TaskId) -> None:  # noqa: ARG002 - as the client has it
        """Take longer than a change may."""
        await anyio.sleep(40)


@pytest.mark.parametrize("anyio_backend", [VIRTUAL_TIME])
async def test_every_change_ends_within_a_hosts_minute() -> None:
    """The first is unclear past its deadline; those that wait for it are told so, and nothing is sent for them."""
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
                await tasks.cancel(UNKNOWN)
            ended[name] = anyio.current_time()

        calls.start_soon(cancel_one, "first", UnclearOutcomeError)
        await anyio.sleep(1)
        calls.start_soon(cancel_one, "second", ChangeInProgressError)
        calls.start_soon(cancel_one, "third", ChangeInProgressError)
    assert ended == {"second": 11, "third": 11, "first": 14 + 30}


@pytest.mark.parametrize("status", ["PROCESSING", "DREAMING"])
async def test_an_unknown_status_counts_as_active(status: str) -> None:
    """Cancel stops a task in a status nobody knows; delete refuses it."""
    script = Script(reply(200, task(status)), reply(204), reply(200, task(status)))
    async with scripted_client(script) as client, context_of(client) as context:
        task_id = parse_task_id(str(task("")["id"]))
        assert (await context.tasks.cancel(task_id)).outcome == "cancelled"
        with pytest.raises(StillActiveError):
            await context.tasks.delete(task_id)
    assert script.methods == ["GET", "DELETE", "GET"]


class HeldUp(FaultyWire):
    """Holds a DELETE up, once `reached`, until it may `proceed`."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.proceed = anyio.Event(), anyio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Carry one request."""
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

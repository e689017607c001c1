"""Get, cancel and delete against the sandbox, over a wire that fails in every way that matters."""

from collections.abc import Awaitable, Callable

import anyio
import httpx2
import pytest
from support.faulty import Fault, FaultyWire, faulty_context
from support.scripted import Script, Sleeper, context_of, reply, scripted_client, task

from runway_mcp.api.errors import (
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    RateLimitedError,
    RunwayError,
)
from runway_mcp.api.models import TaskId, parse_task_id
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.operations import Change, StillActiveError, UnclearOutcomeError

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


@pytest.mark.parametrize("name", ["pending", "throttled", "running", "running_long"])
async def test_cancel_stops_an_active_task(name: str) -> None:
    """One look, one DELETE; the status before is told."""
    wire = FaultyWire()
    found = await cancel(wire, sample(name))
    assert found.outcome == "cancelled"
    assert found.before is not None
    assert found.before.is_active
    assert wire.methods == ["GET", "DELETE"]


@pytest.mark.parametrize("name", ["succeeded_video", "failed_internal", "cancelled"])
async def test_cancel_leaves_a_finished_task_alone(name: str) -> None:
    """No DELETE is sent to a task that has finished: it would destroy the output."""
    wire = FaultyWire()
    found = await cancel(wire, sample(name))
    assert found.outcome == "finished"
    assert wire.methods == ["GET"]


@pytest.mark.parametrize("name", ["succeeded_video", "succeeded_images", "failed_internal"])
async def test_delete_removes_a_finished_task(name: str) -> None:
    """One look, one DELETE, and the task is gone."""
    wire = FaultyWire()
    async with faulty_context(wire) as context:
        found = await context.tasks.delete(sample(name))
        assert found.outcome == "deleted"
        with pytest.raises(NotFoundError):
            await context.tasks.get(sample(name))
    assert wire.methods == ["GET", "DELETE", "GET"]


@pytest.mark.parametrize(
    ("name", "outcome", "sent"),
    [
        ("running", "cancelled", ["GET", "DELETE"]),
        ("succeeded_video", "deleted", ["GET", "DELETE"]),
        (None, "gone", ["GET"]),
    ],
)
async def test_remove_cancels_or_deletes_as_the_task_stands(name: str | None, outcome: str, sent: list[str]) -> None:
    """The API's own meaning of DELETE, with a look before."""
    wire = FaultyWire()
    assert (await remove(wire, sample(name) if name else UNKNOWN)).outcome == outcome
    assert wire.methods == sent


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


@pytest.mark.parametrize("verb", [cancel, delete])
async def test_a_task_already_gone_is_no_error(verb: Callable[[FaultyWire, TaskId], Awaitable[Change]]) -> None:
    """Removing what is not there has nothing to do."""
    wire = FaultyWire()
    found = await verb(wire, UNKNOWN)
    assert found == Change(UNKNOWN, "gone", None)
    assert wire.methods == ["GET"]


async def test_a_task_removed_elsewhere_between_look_and_delete_is_no_error() -> None:
    """A 404 to the first DELETE counts as done by somebody else."""
    found = await delete(FaultyWire(), sample("cancelled"))
    assert found.outcome == "gone"
    assert found.before is not None


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
    with pytest.raises(UnclearOutcomeError, match=r"3 attempts, then unchanged"):
        await cancel(wire, sample("running_long"))
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


async def test_a_change_that_takes_too_long_is_unclear() -> None:
    """Past its deadline a change ends, and the error does not claim to know what it did."""
    script = Script(reply(200, task("RUNNING")), reply(500), reply(200, task("RUNNING")))
    async with (
        scripted_client(script) as client,
        context_of(client, change_seconds=0.05, sleep=lambda _: anyio.sleep_forever()) as context,
    ):
        with anyio.fail_after(5), pytest.raises(UnclearOutcomeError, match="time-out, then unchanged"):
            await context.tasks.cancel(parse_task_id(str(task("")["id"])))


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


async def test_a_caller_that_leaves_does_not_stop_a_delete_on_its_way() -> None:
    """Once sent, a DELETE is followed to its end."""
    wire = HeldUp()
    with anyio.fail_after(5):
        async with faulty_context(wire) as context:
            async with anyio.create_task_group() as callers:
                callers.start_soon(context.tasks.cancel, sample("running_long"))
                await wire.reached.wait()
                callers.cancel_scope.cancel()
            wire.proceed.set()
            await anyio.wait_all_tasks_blocked()
            assert (await context.tasks.get(sample("running_long"))).status == "CANCELLED"


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

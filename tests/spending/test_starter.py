"""Starting a task: sent once, within the limits, and once only for a client token."""

import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path

import anyio
import httpx2
import pytest
from pydantic import JsonValue
from support.scripted import ID, Script, Sleeper, Step, context_of, reply, scripted_client, task

from runway_mcp.api.errors import BadRequestError, RunwayError
from runway_mcp.catalogue.validation import Prepared, prepare
from runway_mcp.history.records import NO_LIMITS, HistoryLockedError, HistoryUnusableError, Limits, Spend
from runway_mcp.spending.start_errors import (
    Cancellation,
    EarlierFailedError,
    EarlierPendingError,
    EarlierReplyLostError,
    OverDayLimitError,
    OverTaskLimitError,
    PriceUnknownError,
    ReplyLostError,
    StartCancelledError,
    StartsInFlightError,
    TokenReusedError,
    UnclearStartError,
)
from runway_mcp.spending.starter import Starter
from runway_mcp.tasks.callers import CallerContext

CREATED = reply(200, {"id": ID, "estimatedCost": {"credits": 60}})
REFUSED = reply(400, {"error": "bad"})
LOST = httpx2.ReadError("broken")
PENDING = reply(200, task("PENDING", estimatedCost={"credits": 60}))
DELETED = reply(204)
FREE = reply(200, task("CANCELLED", cost={"credits": 0}))
CHARGED = reply(200, task("CANCELLED", cost={"credits": 60}))
MOST = 85
"""Credits that `wanted` costs at most by the price list."""
GONE = reply(404, {"error": "gone"})


def wanted(prompt: str = "a cat") -> Prepared:
    return prepare("text_to_video", {"promptText": prompt, "ratio": "1280:720", "duration": 5})


@asynccontextmanager
async def starting(
    *steps: Step,
    script: Script | None = None,
    limits: Limits = NO_LIMITS,
    history: Path | None = None,
    busy_seconds: float = 5,
) -> AsyncGenerator[tuple[Script, CallerContext]]:
    script = script or Script(*steps)
    with anyio.fail_after(20):
        async with (
            scripted_client(script, sleep=Sleeper()) as client,
            context_of(client, sleep=Sleeper(), limits=limits, history=history, busy_seconds=busy_seconds) as context,
        ):
            yield script, context


class Held(Script):
    """Answers a request of one method only when it is told to."""

    def __init__(self, method: str, *steps: Step) -> None:
        super().__init__(*steps)
        self.asked, self.answer, self._method = anyio.Event(), anyio.Event(), method

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == self._method:
            self.asked.set()
            await self.answer.wait()
        return await super().handle_async_request(request)


async def test_a_start_is_sent_once_and_brings_its_task() -> None:
    async with starting(CREATED) as (script, context):
        started = await Starter(context).start(wanted())
        assert (started.task_id, started.credits, started.is_repeated) == (ID, 60, False)
        assert await Starter(context).spent() == Spend(60, 0)
    assert script.calls == ["POST /v1/text_to_video"]


async def test_a_token_brings_its_task_after_a_restart_whatever_the_limits_are_now(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite3"
    async with starting(CREATED, history=file) as (_, context):
        await Starter(context).start(wanted(), client_token="mine")
    limits = Limits(task=1, day=1, confirm_over=1)
    async with starting(CREATED, limits=limits, history=file) as (script, context):
        assert await Starter(context).approval_request(wanted(), client_token="mine") is None
        again = await Starter(context).start(wanted(), client_token="mine")
        assert (again.task_id, again.credits, again.is_repeated) == (ID, 60, True)
        with pytest.raises(TokenReusedError):
            await Starter(context).start(wanted("a dog"), client_token="mine")
        assert script.methods == []


async def test_a_call_that_is_cancelled_while_its_start_is_recorded_buys_nothing(tmp_path: Path) -> None:
    """It waits for a lock; when that is free the start is forgotten, and its token buys one task later."""
    file = tmp_path / "history.sqlite3"
    async with starting(CREATED, history=file, limits=Limits(day=100)) as (script, context):
        one = Starter(context)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            async with anyio.create_task_group() as calls:
                other.execute("BEGIN IMMEDIATE")
                calls.start_soon(lambda: one.start(wanted(), client_token="mine"))
                await anyio.wait_all_tasks_blocked()
                calls.cancel_scope.cancel()
                other.execute("ROLLBACK")
        assert script.methods == []
        assert not (await one.start(wanted(), client_token="mine")).is_repeated
        assert script.methods == ["POST"]


async def test_a_call_that_is_cancelled_after_its_request_was_sent_is_seen_to_its_end() -> None:
    script = Held("POST", CREATED)
    async with starting(script=script) as (_, context):
        async with anyio.create_task_group() as calls:
            calls.start_soon(lambda: Starter(context).start(wanted(), client_token="mine"))
            await script.asked.wait()
            calls.cancel_scope.cancel()
        script.answer.set()
        assert (await Starter(context).start(wanted(), client_token="mine")).is_repeated
        assert script.methods == ["POST"]


@pytest.mark.parametrize(
    ("step", "first", "second"),
    [
        (CREATED, False, True),
        (REFUSED, BadRequestError, EarlierFailedError),
        (LOST, ReplyLostError, EarlierReplyLostError),
    ],
)
async def test_the_same_start_at_once_waits_for_the_answer_of_the_first(
    step: Step, first: type | bool, second: type | bool
) -> None:
    script = Held("POST", step)
    async with starting(script=script) as (_, context):
        one = Starter(context)
        ended: list[type | bool] = []

        async def start() -> None:
            try:
                ended.append((await one.start(wanted(), client_token="mine")).is_repeated)
            except (BadRequestError, UnclearStartError) as failed:
                ended.append(type(failed))

        async with anyio.create_task_group() as calls:
            calls.start_soon(start)
            await script.asked.wait()
            with pytest.raises(EarlierPendingError):
                await Starter(context, answer_seconds=0).start(wanted(), client_token="mine")
            calls.start_soon(start)
            await anyio.wait_all_tasks_blocked()
            script.answer.set()
        assert ended == [first, second]
        assert script.methods == ["POST"]


async def test_what_was_refused_bought_nothing_and_frees_its_token() -> None:
    async with starting(REFUSED, CREATED) as (script, context):
        with pytest.raises(BadRequestError):
            await Starter(context).start(wanted(), client_token="mine")
        assert await Starter(context).spent() == Spend(0, 0)
        assert (await Starter(context).start(wanted(), client_token="mine")).task_id == ID
        assert script.methods == ["POST", "POST"]


@pytest.mark.parametrize(
    ("steps", "cancellation", "spent"),
    [
        ([PENDING, DELETED, FREE], Cancellation(ID, "free"), 0),
        ([PENDING, DELETED, CHARGED], Cancellation(ID, "charged", 60), 60),
        ([PENDING, DELETED, GONE], Cancellation(ID, "waiting"), 0),
        ([reply(200, task("RUNNING")), DELETED, GONE], Cancellation(ID, "running"), 60),
        ([reply(200, task("SUCCEEDED"))], Cancellation(ID, "finished"), 60),
        ([GONE], Cancellation(ID, "finished"), 60),
        ([reply(401, {"error": "no"})], "failed", 60),
    ],
)
async def test_a_task_that_turns_out_too_dear_is_cancelled_at_once(
    steps: list[Step], cancellation: Cancellation | str, spent: float
) -> None:
    async with starting(CREATED, *steps, limits=Limits(task=50)) as (script, context):
        with pytest.raises(StartCancelledError) as caught:
            await Starter(context).start(wanted())
        found = caught.value.cancellation
        assert found.outcome == cancellation if isinstance(cancellation, str) else found == cancellation
        assert isinstance(caught.value.reason, OverTaskLimitError)
        assert await Starter(context).spent() == Spend(spent, 0)
        with pytest.raises(OverTaskLimitError):
            await Starter(context).start(wanted())
        assert script.methods.count("POST") == 1


@pytest.mark.parametrize(
    "created",
    [
        {"id": ID, "estimatedCost": {"credits": 60}},
        {"id": ID, "routing": {"model": "veo3.1", "estimatedCost": {"credits": 60}}},
        {"id": ID},
    ],
)
async def test_the_price_is_found_where_an_endpoint_tells_it(created: JsonValue) -> None:
    async with starting(reply(200, created), PENDING, limits=Limits(task=60, day=60)) as (_, context):
        assert (await Starter(context).start(wanted())).credits == 60
        assert await Starter(context).spent() == Spend(60, 0)


@pytest.mark.parametrize("step", [reply(200, task("PENDING")), reply(401, {"error": "no"})])
async def test_without_a_price_a_task_stands_only_where_nothing_is_limited(step: Step) -> None:
    created = reply(200, {"id": ID, "estimatedCost": {"credits": "60"}})
    async with starting(created, step) as (_, context):
        assert (await Starter(context).start(wanted())).credits is None
        assert await Starter(context).spent() == Spend(MOST, 0)
    async with starting(created, step, PENDING, DELETED, FREE, limits=Limits(day=5)) as (_, context):
        with pytest.raises(StartCancelledError) as caught:
            await Starter(context).start(wanted())
        assert isinstance(caught.value.reason, PriceUnknownError)


NOT_RUNWAYS = [
    *((status, b"", "") for status in (301, 302, 303, 307, 308)),
    *((status, b"<html>no</html>", "text/html") for status in (200, 403, 404, 407, 413, 414, 415, 451, 501, 511)),
    *((status, b"Payload Too Large", "text/plain") for status in (407, 411, 413, 415, 431)),
    (413, b'{"message": "too large"}', "application/json"),
]


@pytest.mark.parametrize(("status", "body", "media_type"), NOT_RUNWAYS)
async def test_an_answer_that_is_certainly_not_runways_bought_nothing(
    status: int, body: bytes, media_type: str
) -> None:
    """The day stays open, and the token is free."""
    async with starting(reply(status, body, Content_Type=media_type), CREATED, limits=Limits(day=60)) as (_, context):
        with pytest.raises(RunwayError):
            await Starter(context).start(wanted(), client_token="mine")
        assert await Starter(context).spent() == Spend(0, 0)
        assert not (await Starter(context).start(wanted(), client_token="mine")).is_repeated


@pytest.mark.parametrize("step", [LOST, reply(503), reply(200, b"no JSON"), reply(504, b"<html>")])
async def test_a_start_of_unknown_outcome_counts_with_its_likely_price(step: Step) -> None:
    """Before anything like it was started with the highest of the price list, then with the price that Runway told."""
    async with starting(step, CREATED, step, CREATED, limits=Limits(day=MOST + 130)) as (script, context):
        for number, spent in ((1, MOST), (3, MOST + 120)):
            with pytest.raises(ReplyLostError) as caught:
                await Starter(context).start(wanted())
            assert caught.value.number == number
            assert (await Starter(context).spent()).credits == spent
            if number == 1:
                assert (await Starter(context).start(wanted())).credits == 60
        assert [start.number for start in await Starter(context).open_starts()] == [3, 1]
        with pytest.raises(OverDayLimitError) as over:
            await Starter(context).start(wanted())
        assert (over.value.open, over.value.credits) == ((1, 3), 60)
        assert script.methods == ["POST"] * 3


async def test_a_start_of_unknown_outcome_and_price_closes_the_day_until_it_is_settled() -> None:
    unlisted = prepare("text_to_video", {"model": "newer", "promptText": "a cat"}, allow_unknown=True)
    async with starting(LOST, CREATED, limits=Limits(day=500)) as (script, context):
        with pytest.raises(ReplyLostError):
            await Starter(context).start(unlisted, client_token="mine")
        with pytest.raises(OverDayLimitError) as over:
            await Starter(context).start(wanted())
        assert (over.value.unknown, over.value.open) == (1, (1,))
        await (await context.ledger.history()).settle(1, task_id=None)
        assert (await Starter(context).start(unlisted, client_token="mine")).task_id == ID
        assert script.methods == ["POST", "POST"]


async def test_the_token_of_a_start_that_was_settled_as_a_task_brings_it() -> None:
    async with starting(LOST) as (script, context):
        for error in (ReplyLostError, EarlierReplyLostError):
            with pytest.raises(error):
                await Starter(context).start(wanted(), client_token="mine")
        await (await context.ledger.history()).settle(1, task_id=ID)
        again = await Starter(context).start(wanted(), client_token="mine")
        assert (again.task_id, again.is_repeated) == (ID, True)
        assert script.methods == ["POST"]


async def test_within_a_days_limit_starts_go_one_after_another() -> None:
    script = Held("POST", CREATED)
    async with starting(script=script, limits=Limits(day=120)) as (_, context):
        async with anyio.create_task_group() as calls:
            calls.start_soon(Starter(context).start, wanted())
            await script.asked.wait()
            with pytest.raises(StartsInFlightError):
                await Starter(context, queue_seconds=0).start(wanted())
            calls.start_soon(Starter(context).start, wanted())
            await anyio.wait_all_tasks_blocked()
            assert script.methods == []
            script.answer.set()
        assert script.methods == ["POST", "POST"]
        assert await Starter(context).spent() == Spend(120, 0)


async def test_the_id_is_recorded_before_the_price_is_looked_for() -> None:
    """Whoever is stopped in between has not lost the task."""
    script = Held("GET", reply(200, {"id": ID}), PENDING)
    async with starting(script=script) as (_, context):
        async with anyio.create_task_group() as calls:
            calls.start_soon(lambda: Starter(context).start(wanted(), client_token="mine"))
            await script.asked.wait()
            again = await Starter(context).start(wanted(), client_token="mine")
            assert (again.task_id, again.is_repeated) == (ID, True)
            script.answer.set()
        assert script.methods == ["POST", "GET"]


async def test_a_token_finds_a_task_whose_start_could_not_be_recorded_at_once(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite3"
    with ExitStack() as until_unlocked:

        def lock(request: httpx2.Request) -> httpx2.Response:
            other = until_unlocked.enter_context(closing(sqlite3.connect(file, isolation_level=None)))
            other.execute("BEGIN IMMEDIATE")
            return CREATED(request)

        async with starting(lock, history=file, busy_seconds=0.1) as (script, context):
            started = await Starter(context).start(wanted(), client_token="mine")
            assert isinstance(started.unrecorded, HistoryLockedError)
            until_unlocked.close()
            again = await Starter(context).start(wanted(), client_token="mine")
            assert (again.task_id, again.is_repeated) == (ID, True)
            assert script.methods == ["POST"]


def breaking(file: Path, step: Step) -> Callable[[httpx2.Request], httpx2.Response]:
    """A step before which the history is lost."""

    def act(request: httpx2.Request) -> httpx2.Response:
        with closing(sqlite3.connect(file)) as other:
            other.execute("DROP TABLE starts")
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, httpx2.Response) else step(request)

    return act


@pytest.mark.parametrize(
    ("step", "limits", "error"),
    [
        (CREATED, NO_LIMITS, None),
        (REFUSED, NO_LIMITS, BadRequestError),
        (LOST, NO_LIMITS, ReplyLostError),
        (CREATED, Limits(task=50), StartCancelledError),
        (CREATED, Limits(day=500), StartCancelledError),
    ],
)
async def test_a_history_that_fails_after_the_start_was_sent_hides_nothing(
    step: Step, limits: Limits, error: type[Exception] | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "history.sqlite3"
    steps = breaking(file, step), PENDING, DELETED, FREE
    async with starting(*steps, limits=limits, history=file) as (script, context):
        if error is None:
            started = await Starter(context).start(wanted())
            assert (started.task_id, started.credits) == (ID, 60)
            assert isinstance(started.unrecorded, HistoryUnusableError)
        else:
            with pytest.raises(error) as caught:
                await Starter(context).start(wanted())
            if limits.day and isinstance(caught.value, StartCancelledError):
                assert isinstance(caught.value.reason, HistoryUnusableError)
    assert script.methods.count("POST") == 1
    assert "The result of a start could not be recorded: HistoryUnusableError: " in caplog.text

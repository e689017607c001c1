"""Starting a task: sent once, within the limits, and once only for a client token."""

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from pydantic import JsonValue
from support.scripted import ID, Script, Sleeper, Step, context_of, reply, scripted_client, task

from runway_mcp.api.errors import BadRequestError
from runway_mcp.catalogue.validation import Prepared, prepare
from runway_mcp.history.records import NO_LIMITS, History, Limits, Spend, StartRecord, StartRequest, StoreError
from runway_mcp.spending.starter import ApprovalRequest, OverLimitError, Starter, TokenReusedError, UnclearStartError
from runway_mcp.tasks.callers import CallerContext

INPUT: dict[str, JsonValue] = {"promptText": "a cat", "ratio": "1280:720", "duration": 5}
OTHER = Prepared("text_to_video", "/v1/text_to_video", "gen4.5", {"model": "gen4.5", "promptText": "a dog"})
CREATED = reply(200, {"id": ID, "estimatedCost": {"credits": 60}})
LOST = httpx2.ReadError("broken")


def wanted() -> Prepared:
    """A start that the catalogue allows."""
    return prepare("text_to_video", INPUT)


@asynccontextmanager
async def starting(
    *steps: Step, limits: Limits = NO_LIMITS, history: Path | None = None
) -> AsyncGenerator[tuple[Script, CallerContext]]:
    """The use cases of a caller whose requests meet the steps."""
    script = Script(*steps)
    with anyio.fail_after(20):
        async with (
            scripted_client(script, sleep=Sleeper()) as client,
            context_of(client, sleep=Sleeper(), limits=limits, history=history) as context,
        ):
            yield script, context


async def test_a_start_is_sent_once_and_brings_its_task() -> None:
    """The id, the estimate, and what it adds to the day."""
    async with starting(CREATED) as (script, context):
        started = await Starter(context).start(wanted())
        assert (started.task_id, started.credits, started.is_repeated) == (ID, 60, False)
        assert await Starter(context).spent() == Spend(60, 0)
    assert script.calls == ["POST /v1/text_to_video"]


async def test_the_same_token_brings_the_same_task_after_a_restart_too(tmp_path: Path) -> None:
    """One is bought; a third call with the token for something else is refused unsent."""
    file = tmp_path / "history.sqlite3"
    async with starting(CREATED, history=file) as (script, context):
        await Starter(context).start(wanted(), client_token="mine")
        assert script.methods == ["POST"]
    async with starting(CREATED, history=file) as (script, context):
        again = await Starter(context).start(wanted(), client_token="mine")
        assert (again.task_id, again.credits, again.is_repeated) == (ID, 60, True)
        with pytest.raises(TokenReusedError, match="another type or input"):
            await Starter(context).start(OTHER, client_token="mine")
        assert script.methods == []


async def test_sent_twice_at_once_it_is_bought_once() -> None:
    """The second call waits for the first one's answer."""

    class Slow(Script):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            await anyio.sleep(0.3)
            return await super().handle_async_request(request)

    found: list[tuple[str, bool]] = []
    script = Slow(CREATED)
    async with scripted_client(script) as client, context_of(client) as context:

        async def start() -> None:
            started = await Starter(context).start(wanted(), client_token="mine")
            found.append((started.task_id, started.is_repeated))

        async with anyio.create_task_group() as starts:
            for _ in range(3):
                starts.start_soon(start)
    assert sorted(found) == [(ID, False), (ID, True), (ID, True)]
    assert script.methods == ["POST"]


async def test_a_lost_reply_is_told_as_such_and_never_sent_again() -> None:
    """It may have been bought; the same token says so again, and sends nothing."""
    async with starting(LOST) as (script, context):
        for words in ("may exist and be charged", "An earlier call with this clientToken"):
            with pytest.raises(UnclearStartError, match=words):
                await Starter(context).start(wanted(), client_token="mine")
        assert script.methods == ["POST"]


async def test_what_was_refused_bought_nothing_and_frees_its_token() -> None:
    """A bad request can be mended and sent with the same token."""
    async with starting(reply(400, {"error": "bad"}), CREATED) as (script, context):
        with pytest.raises(BadRequestError):
            await Starter(context).start(wanted(), client_token="mine")
        assert await Starter(context).spent() == Spend(0, 0)
        assert (await Starter(context).start(wanted(), client_token="mine")).task_id == ID
        assert script.methods == ["POST", "POST"]


@pytest.mark.parametrize(
    ("state", "words"),
    [("refused", "came to nothing"), ("cut off", "its reply was lost"), ("under way", "still waits for")],
)
async def test_who_waits_for_the_same_start_learns_that_it_came_to_nothing(state: str, words: str) -> None:
    """Refused it bought nothing; cut off with its process, nobody knows."""
    async with starting(CREATED) as (script, context):
        history = await context.ledger.history()
        one = Starter(context, answer_seconds=0.3)
        digest = (await history.begin(StartRequest("x", "x", "x", "x"))).fingerprint
        assert digest == "x"
        wish = one._start(wanted(), "mine")  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as a start writes it down
        begun = await history.begin(wish)

        async def end() -> None:
            await anyio.wait_all_tasks_blocked()
            if state == "refused":
                await history.forget(begun.number)
            elif state == "cut off":
                await history.record_result(begun.number, task_id=None, cost=None)

        async with anyio.create_task_group() as others:
            others.start_soon(end)
            with pytest.raises(UnclearStartError, match=words):
                await one.start(wanted(), client_token="mine")
        assert script.methods == []


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(task=59), "the same was estimated at 60 credits before.*may spend 59 on a task"),
        (Limits(day=119), "119 credits a day"),
    ],
)
async def test_a_price_that_is_known_beforehand_is_held_to_the_limit_unsent(
    limits: Limits, words: str, tmp_path: Path
) -> None:
    """It is known from the same start before, and counts for the task and for the day."""
    file = tmp_path / "history.sqlite3"
    async with starting(CREATED, history=file) as (_, context):
        await Starter(context).start(wanted())
    async with starting(CREATED, limits=limits, history=file) as (script, context):
        with pytest.raises(OverLimitError, match=words) as caught:
            await Starter(context).start(wanted())
        assert "Nothing was sent" in str(caught.value)
        assert script.methods == []


async def test_what_a_start_is_likely_to_cost_goes_by_its_settings() -> None:
    """Numbers, switches and choices tell starts apart; texts, media and the seed don't."""
    async with starting(CREATED, limits=Limits(confirm_over=59)) as (_, context):
        one = Starter(context)
        await one.start(wanted(), leave=60)
        for change, likely in (
            ({"promptText": "a dog"}, 60),
            ({"seed": 7}, 60),
            ({"duration": 8}, None),
            ({"ratio": "720:1280"}, None),
        ):
            asked = await one.question(prepare("text_to_video", INPUT | change))
            assert asked is not None
            assert (asked.credits, asked.is_certain, asked.limit) == (likely, False, 59)


async def test_how_many_are_handed_in_is_a_setting_and_what_they_are_is_not() -> None:
    """Two pictures may cost more than one; another picture does not."""

    def pictures(*names: str) -> Prepared:
        references: list[JsonValue] = [{"uri": f"https://pictures.example/{name}.png"} for name in names]
        return Prepared("text_to_image", "/v1/text_to_image", "gen4_image", {"referenceImages": references})

    async with starting(CREATED, limits=Limits(confirm_over=59)) as (_, context):
        one = Starter(context)
        await one.start(pictures("a"), leave=60)
        asked = [await one.question(request) for request in (pictures("a"), pictures("b"), pictures("a", "b"))]
    assert asked == [ApprovalRequest(60, True, 59), ApprovalRequest(60, False, 59), ApprovalRequest(None, False, 59)]


async def test_a_task_that_was_taken_back_tells_its_price_all_the_same() -> None:
    """It cost nothing, but the next of its kind is known to be too dear."""
    steps = [PENDING, DELETED, FREE]
    async with starting(CREATED, *steps, limits=Limits(task=50, confirm_over=0)) as (script, context):
        with pytest.raises(OverLimitError, match="nothing is charged"):
            await Starter(context).start(wanted(), leave=1000)
        assert await Starter(context).spent() == Spend(0, 0)
        assert await Starter(context).question(wanted()) is None
        with pytest.raises(OverLimitError, match="Nothing was sent"):
            await Starter(context).start(wanted())
        assert script.methods.count("POST") == 1


PENDING = reply(200, task("PENDING", estimatedCost={"credits": 60}))
DELETED = reply(204)
FREE = reply(200, task("CANCELLED", cost={"credits": 0}))
CHARGED = reply(200, task("CANCELLED", cost={"credits": 60}))
GONE = reply(404, {"error": "gone"})


@pytest.mark.parametrize(
    ("limits", "steps", "words", "spent"),
    [
        (Limits(task=50), [PENDING, DELETED, FREE], "on a task.*cancelled at once: nothing is charged", 0),
        (Limits(day=50), [PENDING, DELETED, FREE], "makes 60 today.*nothing is charged", 0),
        (Limits(confirm_over=50), [PENDING, DELETED, FREE], "Starting it again asks.*nothing is charged", 0),
        (Limits(task=50), [PENDING, DELETED, CHARGED], "but Runway charged 60 credits", 60),
        (Limits(task=50), [PENDING, DELETED, GONE], "which is not charged; Runway does not say so yet", 0),
        (Limits(task=50), [reply(200, task("RUNNING")), DELETED, GONE], "running already: its credits may be", 60),
        (Limits(task=50), [reply(200, task("SUCCEEDED"))], "could not be cancelled any more", 60),
        (Limits(task=50), [GONE], "could not be cancelled any more", 60),
        (Limits(task=50), [reply(401, {"error": "no"})], "was started, and may not be cancelled", 60),
    ],
)
async def test_a_price_that_is_known_afterwards_is_held_to_the_limit_at_once(
    limits: Limits, steps: list[Step], words: str, spent: float
) -> None:
    """The task is cancelled while that costs nothing; what came of it is told, and counted as Runway charges it."""
    async with starting(CREATED, *steps, limits=limits) as (script, context):
        with pytest.raises(OverLimitError, match=words) as caught:
            await Starter(context).start(wanted())
        assert ID in str(caught.value)
        assert await Starter(context).spent() == Spend(spent, 0)
        assert script.methods[0] == "POST"


@pytest.mark.parametrize(
    "created",
    [
        {"id": ID, "estimatedCost": {"credits": 60}},
        {"id": ID, "routing": {"model": "veo3.1", "estimatedCost": {"credits": 60}}},
        {"id": ID},
    ],
)
async def test_the_price_is_found_where_an_endpoint_tells_it(created: JsonValue) -> None:
    """In the reply, in what it says of the routing, or only in the task itself."""
    async with starting(reply(200, created), PENDING, limits=Limits(task=60, day=60)) as (script, context):
        started = await Starter(context).start(wanted())
        assert (started.task_id, started.credits) == (ID, 60)
        assert await Starter(context).spent() == Spend(60, 0)
        assert "DELETE" not in script.methods
    for limits in (Limits(task=59), Limits(day=59)):
        async with starting(reply(200, created), PENDING, PENDING, DELETED, FREE, limits=limits) as (script, context):
            with pytest.raises(OverLimitError, match="cancelled at once"):
                await Starter(context).start(wanted())
            assert "DELETE" in script.methods


@pytest.mark.parametrize("price", [None, -5, 1e10, "60", True])
@pytest.mark.parametrize("limits", [Limits(task=5), Limits(day=5), Limits(confirm_over=5)])
async def test_without_a_price_no_limit_can_be_kept_so_the_task_is_taken_back(limits: Limits, price: JsonValue) -> None:
    """What is no price counts as none. Where nothing is limited, or a person agreed to any price, the task stands."""
    created = reply(200, {"id": ID, "estimatedCost": {"credits": price}})
    steps = [reply(200, task("PENDING")), reply(200, task("PENDING")), DELETED, FREE]
    async with starting(created, *steps, limits=limits) as (_, context):
        with pytest.raises(OverLimitError, match=r"Runway tells no price, so .* cancelled at once: nothing is charged"):
            await Starter(context).start(wanted())
    async with starting(created, *steps) as (_, context):
        assert (await Starter(context).start(wanted())).credits is None
    async with starting(created, reply(401, {"error": "no"})) as (_, context):
        assert (await Starter(context).start(wanted())).credits is None
    async with starting(created, *steps, limits=Limits(confirm_over=5)) as (_, context):
        assert (await Starter(context).start(wanted(), leave=math.inf)).credits is None


async def test_a_token_is_free_again_after_its_task_was_taken_back() -> None:
    """What comes next is a start of its own: its price is known now, so nothing is sent."""
    async with starting(CREATED, PENDING, DELETED, FREE, limits=Limits(task=50)) as (script, context):
        with pytest.raises(OverLimitError, match="cancelled at once"):
            await Starter(context).start(wanted(), client_token="mine")
        with pytest.raises(OverLimitError, match="Nothing was sent: the same was estimated at 60"):
            await Starter(context).start(wanted(), client_token="mine")
        assert script.methods.count("POST") == 1


async def test_a_token_brings_its_task_whatever_the_limits_are_now(tmp_path: Path) -> None:
    """Nothing new is bought, so no limit is in the way."""
    file = tmp_path / "history.sqlite3"
    async with starting(CREATED, history=file) as (_, context):
        await Starter(context).start(wanted(), client_token="mine")
    async with starting(CREATED, limits=Limits(task=1, day=1, confirm_over=1), history=file) as (script, context):
        assert (await Starter(context).start(wanted(), client_token="mine")).task_id == ID
        assert await Starter(context).question(wanted(), client_token="mine") is None
        assert script.methods == []


async def test_a_whole_number_is_the_same_however_it_is_written() -> None:
    """JSON knows no difference between 5 and 5.0."""
    async with starting(CREATED) as (script, context):
        await Starter(context).start(wanted(), client_token="mine")
        again = prepare("text_to_video", INPUT | {"duration": 5.0})
        assert (await Starter(context).start(again, client_token="mine")).is_repeated
        assert script.methods == ["POST"]


async def test_within_a_days_limit_starts_go_one_after_another() -> None:
    """Of three at once as many are bought as it allows, whatever their prices turn out to be."""

    class Slow(Script):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.method == "POST":
                await anyio.sleep(0.1)
            return await super().handle_async_request(request)

    came: list[str] = []
    script = Slow(CREATED, CREATED, PENDING, DELETED, FREE)
    async with scripted_client(script) as client, context_of(client, limits=Limits(day=100)) as context:

        async def start(prompt: str) -> None:
            try:
                await Starter(context).start(prepare("text_to_video", INPUT | {"promptText": prompt}))
                came.append("started")
            except OverLimitError as error:
                came.append("taken back" if ID in str(error) else "not sent")

        async with anyio.create_task_group() as starts:
            for prompt in ("a cat", "a dog"):
                starts.start_soon(start, prompt)
    assert sorted(came) == ["started", "taken back"]
    assert script.methods.count("POST") == 2


async def test_who_is_too_far_behind_in_the_line_is_sent_away() -> None:
    """Nothing was sent, so it can be called again."""
    async with starting(CREATED, limits=Limits(day=100)) as (script, context):
        history = await context.ledger.history()
        await history.begin(StartRequest("account", "another", "print", "text_to_video"))
        with pytest.raises(OverLimitError, match=r"Nothing was sent: others are being started.*can be called again"):
            await Starter(context, queue_seconds=0.3).start(wanted())
        assert script.methods == []


async def test_where_an_outcome_is_not_known_a_days_limit_lets_nothing_more_be_sent() -> None:
    """It may have cost anything; unless something like it was started before, whose price then counts."""
    async with starting(LOST, CREATED, limits=Limits(day=500)) as (script, context):
        with pytest.raises(UnclearStartError):
            await Starter(context).start(wanted())
        assert await Starter(context).spent() == Spend(0, 1)
        with pytest.raises(OverLimitError, match="Nothing was sent: of 1 started today it is not known what they cost"):
            await Starter(context).start(wanted())
        assert script.methods == ["POST"]
    async with starting(CREATED, LOST, CREATED, limits=Limits(day=500)) as (script, context):
        await Starter(context).start(wanted())
        with pytest.raises(UnclearStartError):
            await Starter(context).start(wanted())
        assert await Starter(context).spent() == Spend(120, 0)
        await Starter(context).start(wanted())
        assert await Starter(context).spent() == Spend(180, 0)


async def test_a_price_that_was_learned_in_the_line_counts() -> None:
    """Of several of the same at once the first one's price is known to those behind it, which are not sent."""
    came: list[str] = []
    script = Script(CREATED, PENDING, DELETED, FREE)
    limits = Limits(day=500, confirm_over=50)
    async with scripted_client(script) as client, context_of(client, limits=limits) as context:

        async def start() -> None:
            with pytest.raises(OverLimitError) as caught:
                await Starter(context).start(wanted())
            came.append(str(caught.value))

        async with anyio.create_task_group() as starts:
            for _ in range(3):
                starts.start_soon(start)
    assert script.methods.count("POST") == 1
    assert sum("Nothing was sent: the same was estimated at 60" in text for text in came) == 2


async def test_the_id_is_written_down_before_the_price_is_looked_for() -> None:
    """Whoever is stopped in between has not lost the task."""
    asked = anyio.Event()

    class Silent(Script):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.method == "GET":
                asked.set()
                await anyio.sleep_forever()
            return await super().handle_async_request(request)

    script = Silent(reply(200, {"id": ID}))
    async with (
        scripted_client(script) as client,
        context_of(client) as context,
        anyio.create_task_group() as starts,
    ):

        async def start() -> None:
            await Starter(context).start(wanted(), client_token="mine")

        starts.start_soon(start)
        await asked.wait()
        again = await Starter(context).start(wanted(), client_token="mine")
        assert (again.task_id, again.is_repeated) == (ID, True)
        starts.cancel_scope.cancel()
    assert script.methods == ["POST"]


async def test_where_the_day_is_spent_nobody_is_asked() -> None:
    """Nothing would come of a yes; where something is left of it, it may."""
    async with starting(CREATED, limits=Limits(day=60, confirm_over=0)) as (_, context):
        await Starter(context).start(wanted(), leave=60)
        assert await Starter(context).question(prepare("text_to_video", INPUT | {"duration": 8})) is None
    async with starting(CREATED, limits=Limits(day=61, confirm_over=0)) as (_, context):
        await Starter(context).start(wanted(), leave=60)
        assert await Starter(context).question(prepare("text_to_video", INPUT | {"duration": 8})) is not None


class Breaking:
    """A history that can't be used any more from a start's reply on."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.number = 0

    async def begin(self, start: StartRequest, *, day_limit: float | None = None) -> StartRecord:
        """Write a start down, for the last time."""
        return await self._history.begin(start, day_limit=day_limit)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._history, name) if name in {"find_by_client_token", "prices"} else self._fail

    async def _fail(self, *_: object, **__: object) -> None:
        raise StoreError("The history of started tasks can't be used: database is locked.")


@pytest.mark.parametrize(
    ("steps", "limits", "error", "words"),
    [
        ([CREATED], NO_LIMITS, None, "It was started all the same"),
        ([reply(400, {"error": "bad"})], NO_LIMITS, BadRequestError, "bad"),
        ([LOST], NO_LIMITS, UnclearStartError, "may exist and be charged"),
        ([CREATED, PENDING, DELETED, FREE], Limits(task=50), OverLimitError, "nothing is charged"),
        ([CREATED, PENDING, DELETED, FREE], Limits(day=500), OverLimitError, "can't be told what was spent today"),
    ],
)
async def test_a_history_that_fails_after_the_start_was_sent_hides_nothing(
    steps: list[Step], limits: Limits, error: type[Exception] | None, words: str
) -> None:
    """The task's id, the refusal, the doubt and the limits all come through."""
    script = Script(*steps)
    async with scripted_client(script) as client, context_of(client, limits=limits) as context:
        broken = Breaking(await context.ledger.history())

        async def history() -> Any:
            return broken

        broken_context = replace(context, ledger=replace(context.ledger, history=history))
        if error is None:
            started = await Starter(broken_context).start(wanted())
            assert (started.task_id, started.credits) == (ID, 60)
            assert words in started.trouble
        else:
            with pytest.raises(error, match=words):
                await Starter(broken_context).start(wanted())
    assert script.methods.count("POST") == 1


async def test_within_the_limits_a_start_stands() -> None:
    """A price that just fits is none too high."""
    async with starting(CREATED, CREATED, limits=Limits(task=60, day=120, confirm_over=60)) as (script, context):
        for _ in range(2):
            assert (await Starter(context).start(wanted())).task_id == ID
        assert script.methods == ["POST", "POST"]

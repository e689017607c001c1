"""Starting a task: sent once, within the limits, and once only for a client token."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest
from pydantic import JsonValue
from support.scripted import ID, Script, Sleeper, Step, reply, scripted_client, service_of, task

from runway_mcp.api.errors import BadRequestError
from runway_mcp.api.requests import Prepared, prepare
from runway_mcp.tasks.service import TaskService
from runway_mcp.tasks.starting import OverLimitError, Question, Starter, TokenReusedError, UnclearStartError
from runway_mcp.tasks.store import NO_LIMITS, Limits, Start

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
) -> AsyncGenerator[tuple[Script, TaskService]]:
    """The use cases of a caller whose requests meet the steps."""
    script = Script(*steps)
    with anyio.fail_after(20):
        async with (
            scripted_client(script, sleep=Sleeper()) as client,
            service_of(client, sleep=Sleeper(), limits=limits, history=history) as service,
        ):
            yield script, service


async def test_a_start_is_sent_once_and_brings_its_task() -> None:
    """The id, the estimate, and what it adds to the day."""
    async with starting(CREATED) as (script, service):
        started = await Starter(service).start(wanted())
        assert (started.task_id, started.credits, started.is_repeated) == (ID, 60, False)
        assert await Starter(service).spent() == 60
    assert script.calls == ["POST /v1/text_to_video"]


async def test_the_same_token_brings_the_same_task_after_a_restart_too(tmp_path: Path) -> None:
    """One is bought; a third call with the token for something else is refused unsent."""
    file = tmp_path / "history.sqlite3"
    async with starting(CREATED, history=file) as (script, service):
        await Starter(service).start(wanted(), client_token="mine")
        assert script.methods == ["POST"]
    async with starting(CREATED, history=file) as (script, service):
        again = await Starter(service).start(wanted(), client_token="mine")
        assert (again.task_id, again.credits, again.is_repeated) == (ID, 60, True)
        with pytest.raises(TokenReusedError, match="another type or input"):
            await Starter(service).start(OTHER, client_token="mine")
        assert script.methods == []


async def test_sent_twice_at_once_it_is_bought_once() -> None:
    """The second call waits for the first one's answer."""

    class Slow(Script):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            await anyio.sleep(0.3)
            return await super().handle_async_request(request)

    found: list[tuple[str, bool]] = []
    script = Slow(CREATED)
    async with scripted_client(script) as client, service_of(client) as service:

        async def start() -> None:
            started = await Starter(service).start(wanted(), client_token="mine")
            found.append((started.task_id, started.is_repeated))

        async with anyio.create_task_group() as starts:
            for _ in range(3):
                starts.start_soon(start)
    assert sorted(found) == [(ID, False), (ID, True), (ID, True)]
    assert script.methods == ["POST"]


async def test_a_lost_reply_is_told_as_such_and_never_sent_again() -> None:
    """It may have been bought; the same token says so again, and sends nothing."""
    async with starting(LOST) as (script, service):
        for words in ("may exist and be charged", "An earlier call with this clientToken"):
            with pytest.raises(UnclearStartError, match=words):
                await Starter(service).start(wanted(), client_token="mine")
        assert script.methods == ["POST"]


async def test_what_was_refused_bought_nothing_and_frees_its_token() -> None:
    """A bad request can be mended and sent with the same token."""
    async with starting(reply(400, {"error": "bad"}), CREATED) as (script, service):
        with pytest.raises(BadRequestError):
            await Starter(service).start(wanted(), client_token="mine")
        assert await Starter(service).spent() == 0
        assert (await Starter(service).start(wanted(), client_token="mine")).task_id == ID
        assert script.methods == ["POST", "POST"]


@pytest.mark.parametrize(("state", "words"), [("refused", "bought nothing"), ("cut off", "its reply was lost")])
async def test_who_waits_for_the_same_start_learns_that_it_came_to_nothing(state: str, words: str) -> None:
    """Refused it bought nothing; cut off with its process, nobody knows."""
    async with starting(CREATED) as (script, service):
        history = await service.ledger.history()
        one = Starter(service)
        digest = (await history.begin(Start("x", "x", "x", "x"))).fingerprint
        assert digest == "x"
        wish = one._wish(wanted(), "mine")  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as a start writes it down
        begun = await history.begin(wish)

        async def end() -> None:
            await anyio.wait_all_tasks_blocked()
            if state == "refused":
                await history.forget(begun.number)
            else:
                await history.settle(begun.number, task_id=None, cost=None)

        async with anyio.create_task_group() as others:
            others.start_soon(end)
            with pytest.raises(UnclearStartError, match=words):
                await one.start(wanted(), client_token="mine")
        assert script.methods == []


@pytest.mark.parametrize(
    ("limits", "words"),
    [(Limits(task=59), "the same cost 60 credits before.*may spend 59 on a task"), (Limits(day=119), "119 a day")],
)
async def test_a_price_that_is_known_beforehand_is_held_to_the_limit_unsent(
    limits: Limits, words: str, tmp_path: Path
) -> None:
    """It is known from the same start before, and counts for the task and for the day."""
    file = tmp_path / "history.sqlite3"
    async with starting(CREATED, history=file) as (_, service):
        await Starter(service).start(wanted())
    async with starting(CREATED, limits=limits, history=file) as (script, service):
        with pytest.raises(OverLimitError, match=words) as caught:
            await Starter(service).start(wanted())
        assert "Nothing was sent" in str(caught.value)
        assert script.methods == []


async def test_what_a_start_is_likely_to_cost_goes_by_its_settings() -> None:
    """Numbers, switches and choices tell starts apart; texts, media and the seed don't."""
    async with starting(CREATED, limits=Limits(unasked=59)) as (_, service):
        one = Starter(service)
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

    async with starting(CREATED, limits=Limits(unasked=59)) as (_, service):
        one = Starter(service)
        await one.start(pictures("a"), leave=60)
        asked = [await one.question(request) for request in (pictures("a"), pictures("b"), pictures("a", "b"))]
    assert asked == [Question(60, True, 59), Question(60, False, 59), Question(None, False, 59)]


async def test_a_task_that_was_taken_back_tells_its_price_all_the_same() -> None:
    """It cost nothing, but the next of its kind is known to be too dear."""
    steps = [reply(200, task("PENDING")), reply(204)]
    async with starting(CREATED, *steps, limits=Limits(task=50, unasked=0)) as (script, service):
        with pytest.raises(OverLimitError, match="nothing is charged"):
            await Starter(service).start(wanted(), leave=1000)
        assert await Starter(service).spent() == 0
        assert await Starter(service).question(wanted()) is None
        with pytest.raises(OverLimitError, match="Nothing was sent"):
            await Starter(service).start(wanted())
        assert script.methods.count("POST") == 1


@pytest.mark.parametrize(
    ("limits", "steps", "words", "spent"),
    [
        (Limits(task=50), [reply(200, task("PENDING")), reply(204)], "while it was PENDING: nothing is charged", 0),
        (Limits(day=50), [reply(200, task("PENDING")), reply(204)], "makes 60 today.*nothing is charged", 0),
        (Limits(task=50), [reply(200, task("RUNNING")), reply(204)], "RUNNING already: its credits may be", 60),
        (Limits(task=50), [reply(200, task("SUCCEEDED"))], "could not be cancelled any more", 60),
        (Limits(task=50), [reply(404, {"error": "gone"})], "could not be cancelled any more", 60),
        (Limits(task=50), [reply(401, {"error": "no"})], "was started, and may not be cancelled", 60),
    ],
)
async def test_a_price_that_is_known_afterwards_is_held_to_the_limit_at_once(
    limits: Limits, steps: list[Step], words: str, spent: float
) -> None:
    """The task is cancelled while that costs nothing, and what came of it is told."""
    async with starting(CREATED, *steps, limits=limits) as (script, service):
        with pytest.raises(OverLimitError, match=words) as caught:
            await Starter(service).start(wanted())
        assert ID in str(caught.value)
        assert await Starter(service).spent() == spent
        assert script.methods[0] == "POST"


async def test_within_the_limits_and_without_a_price_a_start_stands() -> None:
    """What the API does not price can't be over a limit."""
    limits = Limits(task=60, day=120)
    for answer in (CREATED, reply(200, {"id": ID})):
        async with starting(answer, limits=limits) as (script, service):
            assert (await Starter(service).start(wanted())).task_id == ID
            assert script.methods == ["POST"]

"""A person asked before a dear start, in both generations of the protocol, and what they answer."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from mcp import Client, MCPError
from mcp.client.context import ClientRequestContext
from mcp_types import (
    CallToolResult,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    ErrorData,
    InputRequiredResult,
    TextContent,
)
from pydantic import SecretStr
from support.databases import KillablePostgres, postgres_url
from support.faulty import FaultyWire, faulty_client
from support.serving import Names, authorized, served

from runway_mcp.history.places import HistoryPlace
from runway_mcp.history.records import Limits
from runway_mcp.mcp_server.server import build_server
from runway_mcp.tasks.callers import ANONYMOUS, Caller, CallerRegistry
from runway_mcp.web.app import build_app
from runway_mcp.web.auth import Authentication
from runway_mcp.web.origin_policy import OriginPolicy

ERAS = ("auto", "legacy")
GOOD: dict[str, Any] = {"type": "text_to_video", "input": {"promptText": "a cat", "ratio": "1280:720", "duration": 5}}
COST = 60
VIDEO = "https://example.com/a.mp4"
YES = ElicitResult(action="accept", content={"start": True})
NO = (
    ElicitResult(action="accept", content={"start": False}),
    ElicitResult(action="decline"),
    ElicitResult(action="cancel"),
)


Answer = dict[Literal["input_responses", "request_state"], Any]


class Person:
    def __init__(self, answer: ElicitResult = YES) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:  # noqa: ARG002 - the SDK's names
        assert isinstance(params, ElicitRequestFormParams)
        assert params.requested_schema["required"] == ["start"]
        self.asked.append(params.message)
        return self.answer


@asynccontextmanager
async def connected(
    wire: FaultyWire, person: Person | None, limit: float = COST - 1, mode: str = "auto"
) -> AsyncGenerator[Client]:
    callers = CallerRegistry(lambda _: faulty_client(wire), limits=Limits(confirm_over=limit))
    with anyio.fail_after(30):
        async with Client(build_server(callers), mode=mode, elicitation_callback=person) as client:
            yield client


async def start(client: Client, prompt: str = "a cat", **more: Any) -> CallToolResult:
    return await client.call_tool("runway_startTask", GOOD | {"input": GOOD["input"] | {"promptText": prompt}} | more)


def text(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


@pytest.mark.parametrize("mode", ERAS)
async def test_a_person_is_asked_with_the_price_as_far_as_it_is_known(mode: str) -> None:
    wire, person = FaultyWire(), Person()
    async with connected(wire, person, limit=40, mode=mode) as client:
        for prompt in ("a cat", "a cat", "a dog on the moon"):
            result = await start(client, prompt)
            assert "estimatedCost" in (result.structured_content or {}), text(result)
        for prompt in ("a cat", "a dog"):
            unlisted = {"model": "kling_4", "promptText": prompt}
            await client.call_tool("runway_startTask", {"type": "text_to_video", "input": unlisted})
    assert wire.methods.count("POST") == 5
    listed, same, other, unknown, alike = person.asked
    assert listed.startswith(
        "Start text_to_video with gen4.5 at Runway? By the price table of 2026-08-15 it costs 60 credits ($0.60). "
    )
    assert "The same input was estimated at 60 credits ($0.60) before." in same
    assert "By the price table" in other
    assert "a dog on the moon" in other
    assert "The price is unknown" in unknown
    assert "One with the same settings was estimated at 50 credits" in alike


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("answer", NO)
async def test_without_a_yes_nothing_is_sent(mode: str, answer: ElicitResult) -> None:
    """Declined, closed, or sent with the box left empty."""
    wire, person = FaultyWire(), Person(answer)
    async with connected(wire, person, mode=mode) as client:
        result = await start(client)
    assert result.is_error
    assert "Nothing was sent, and nothing is charged: the user was asked and did not agree." in text(result)
    assert (len(person.asked), wire.methods) == (1, [])


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("content", [None, {"start": "perhaps"}])
async def test_an_answer_that_can_not_be_read_is_no_yes(mode: str, content: Mapping[str, Any] | None) -> None:
    wire = FaultyWire()
    person = Person(ElicitResult.model_construct(action="accept", content=content))
    async with connected(wire, person, mode=mode) as client:
        result = await start(client)
    assert result.is_error
    assert "no usable answer to its question. Nothing was done or charged." in text(result)
    assert wire.methods == []


async def test_a_host_of_the_older_protocol_that_fails_to_ask_is_no_failed_tool() -> None:
    async def fail(context: ClientRequestContext, params: ElicitRequestParams) -> ErrorData:  # noqa: ARG001 - the SDK's names
        return ErrorData(code=-32601, message="Method not found")

    wire = FaultyWire()
    callers = CallerRegistry(lambda _: faulty_client(wire), limits=Limits(confirm_over=0))
    async with Client(build_server(callers), mode="legacy", elicitation_callback=fail) as client:
        result = await start(client)
    assert result.is_error
    assert "The host gave runway_startTask no usable answer" in text(result)
    assert wire.methods == []


@pytest.mark.parametrize("mode", ERAS)
async def test_a_host_that_can_not_ask_gets_the_reason(mode: str) -> None:
    wire = FaultyWire()
    async with connected(wire, None, mode=mode) as client:
        result = await start(client)
    assert result.is_error
    assert "Nothing was sent." in text(result)
    assert "no way to ask" in text(result)
    assert "--confirm-over" in text(result)
    assert wire.methods == []


async def test_nobody_is_asked_about_what_is_cheap_invalid_too_dear_or_bought_already() -> None:
    wire, person = FaultyWire(), Person()
    async with connected(wire, person, limit=COST) as client:
        await start(client, clientToken="mine")
        assert not (await start(client)).is_error
        assert "maxCredits allows 1." in text(await start(client, maxCredits=1))
        assert "An earlier call with this clientToken" in text(await start(client, clientToken="mine"))
        wrong = await client.call_tool("runway_startTask", GOOD | {"type": "text_to_vidio"})
        assert "did you mean text_to_video" in text(wrong)
    callers = CallerRegistry(lambda _: faulty_client(wire), limits=Limits(task=COST - 1, confirm_over=1))
    async with Client(build_server(callers), elicitation_callback=person) as client:
        assert "Nothing was sent. By the price table of 2026-08-15 it costs 60" in text(await start(client))
    assert person.asked == []


async def test_without_a_history_nobody_is_asked_and_nothing_sent(tmp_path: Path) -> None:
    wire, person = FaultyWire(), Person()
    (tmp_path / "file").write_text("")
    history = tmp_path / "file" / "history"
    callers = CallerRegistry(lambda _: faulty_client(wire), limits=Limits(confirm_over=0), history=history)
    async with Client(build_server(callers), elicitation_callback=person) as client:
        result = await start(client)
    assert result.is_error
    assert "Nothing was sent: a start has to be recorded first." in text(result)
    assert (person.asked, wire.methods) == ([], [])


async def test_what_turns_out_dearer_than_its_like_is_taken_back() -> None:
    """The price table knows the lower half only: what a person has approved is not exceeded."""
    wire, person = FaultyWire(price_factor=2), Person()
    async with connected(wire, person) as client:
        for words in ("Starting it again asks. Task", "estimatedCost"):
            assert words in text(await start(client))
    assert len(person.asked) == 2
    assert "it costs 60 credits" in person.asked[0]
    assert "The same input was estimated at 120 credits" in person.asked[1]


async def test_a_person_who_is_told_a_lowest_price_approves_what_it_comes_to() -> None:
    wire, person = FaultyWire(price_factor=2), Person()
    async with connected(wire, person, limit=1000) as client:
        edit = {"type": "video_to_video", "input": {"videoUri": VIDEO}}
        assert "estimatedCost" in text(await client.call_tool("runway_startTask", edit))
    assert len(person.asked) == 1
    assert "it costs at least 56 credits ($0.56)" in person.asked[0]


async def test_over_http_only_who_was_asked_can_answer() -> None:
    """And one answer buys one task, however often it is sent; a host of the older protocol can't be asked."""
    wire = FaultyWire()
    callers = CallerRegistry(lambda _: faulty_client(wire), limits=Limits(confirm_over=0))
    app = build_app(
        build_server(callers),
        origin_policy=OriginPolicy(),
        path="/mcp",
        caller=Caller("local"),
        authentication=Authentication(Names()),
    )
    person = Person()
    async with (
        served(app) as url,
        authorized(f"{url}/mcp", "ann", elicitation_callback=person) as ann,
        authorized(f"{url}/mcp", "bob", elicitation_callback=person) as bob,
        authorized(f"{url}/mcp", "ann", elicitation_callback=person, mode="legacy") as older,
    ):
        given = await ask(ann)
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await answer(bob, given)
        assert "POST" not in wire.methods
        first, again = [await answer(ann, given) for _ in range(2)]
        assert not first.is_error
        assert (again.structured_content or {})["id"] == (first.structured_content or {})["id"]
        assert "An earlier call with this answer of the user's started it" in text(again)
        assert "no way to ask" in text(await older.call_tool("runway_startTask", GOOD))
    assert wire.methods.count("POST") == 1


@asynccontextmanager
async def replica(wire: FaultyWire, history: HistoryPlace) -> AsyncGenerator[Client]:
    """A server of its own over a history, and ann's client of it."""
    callers = CallerRegistry(lambda _: faulty_client(wire), limits=Limits(confirm_over=0), history=history)
    app = build_app(
        build_server(callers, local=ANONYMOUS),
        origin_policy=OriginPolicy(),
        path="/mcp",
        caller=ANONYMOUS,
        authentication=Authentication(Names(key_of=SecretStr)),
    )
    async with served(app) as url, authorized(f"{url}/mcp", "ann", elicitation_callback=Person()) as client:
        yield client


async def ask(client: Client) -> Answer:
    """Return the answer to a server's question."""
    asked = await client.session.call_tool("runway_startTask", GOOD, allow_input_required=True)
    assert isinstance(asked, InputRequiredResult)
    return {"input_responses": dict.fromkeys(asked.input_requests or {}, YES), "request_state": asked.request_state}


async def answer(client: Client, given: Answer) -> CallToolResult:
    return await client.session.call_tool("runway_startTask", GOOD, **given)


@pytest.mark.parametrize("kind", ["file", "database"])
async def test_another_replica_takes_the_answer_to_a_question(kind: str, tmp_path: Path) -> None:
    """They share the history, and in it the key of their questions; so does one that is started anew."""
    wire, history = FaultyWire(), tmp_path / "history" if kind == "file" else SecretStr(postgres_url())
    with anyio.fail_after(60):
        async with replica(wire, history) as one, replica(wire, history) as other:
            for asks, answers in ((one, other), (other, one)):
                assert not (await answer(answers, await ask(asks))).is_error
            given = await ask(one)
        async with replica(wire, history) as again:
            bought, repeated = [await answer(again, given) for _ in range(2)]
            assert not bought.is_error
            assert "An earlier call with this answer" in text(repeated)
    assert wire.methods.count("POST") == 3


async def test_an_answer_that_comes_while_the_database_is_away_buys_once_it_is_back() -> None:
    wire = FaultyWire()
    with anyio.fail_after(120):
        async with KillablePostgres.installed() as database:
            await database.start()
            async with (
                replica(wire, SecretStr(database.url)) as one,
                replica(wire, SecretStr(database.url)) as other,
            ):
                given = await ask(one)
                await database.kill()
                refused = await answer(other, given)
                assert refused.is_error
                assert "Nothing was sent" in text(refused)
                assert wire.methods.count("POST") == 0
                await database.start()
                assert not (await answer(other, given)).is_error
    assert wire.methods.count("POST") == 1


async def test_an_answer_to_nobodys_question_is_refused(tmp_path: Path) -> None:
    """And it begins no history."""
    with anyio.fail_after(30):
        async with replica(FaultyWire(), tmp_path / "one") as one, replica(FaultyWire(), tmp_path / "other") as other:
            with pytest.raises(MCPError, match="Invalid or expired requestState"):
                await answer(other, await ask(one))
    assert not (tmp_path / "other").exists()

"""Starting a task: sent once, and again only where it certainly did not arrive."""

import gzip
import json

import anyio
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, SecretStr
from support.inputs import JSON
from support.scripted import ID, KEY, Script, Sleeper, Step, reply, scripted_client
from support.upstream import HANG, RESET, Reply, upstream
from support.upstream import reply as wire_reply
from support.waiting import together

from runway_mcp.api.client import RunwayClient, open_client
from runway_mcp.api.connection import Timeouts
from runway_mcp.api.errors import (
    AuthenticationError,
    BadRequestError,
    RateLimitedError,
    RunwayError,
    UnavailableError,
    UnexpectedReplyError,
    UnreachableError,
)
from runway_mcp.api.models import Created
from runway_mcp.api.reply import MAX_BODY

ENDPOINT = "/v1/text_to_video"
BODY: dict[str, JsonValue] = {"model": "gen4.5", "promptText": "A kite", "ratio": "1280:720", "duration": 5}
STARTED: dict[str, JsonValue] = {"id": ID, "estimatedCost": {"credits": 25}}
OK = reply(200, STARTED)


async def create(
    *steps: Step, body: dict[str, JsonValue] | None = None, timeouts: Timeouts | None = None
) -> tuple[Script, Sleeper, Created | RunwayError]:
    """Start a task over a script; return the script, the waits, and what came of it."""
    script, sleeper = Script(*steps), Sleeper()
    async with scripted_client(script, sleep=sleeper, timeouts=timeouts) as client:
        try:
            return script, sleeper, await client.create_task(ENDPOINT, BODY if body is None else body)
        except RunwayError as error:
            return script, sleeper, error


async def test_a_started_task_has_its_id_and_its_price() -> None:
    """One POST to the endpoint, with the key and the version."""
    script, sleeper, created = await create(OK)
    assert created == Created(ID, 25.0)
    (request,) = script.requests
    assert (request.method, str(request.url)) == ("POST", f"https://api.example{ENDPOINT}")
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["X-Runway-Version"] == "2024-11-06"
    assert request.headers["Content-Type"] == "application/json"
    assert sleeper.slept == []


@given(st.dictionaries(st.text(max_size=10), JSON, max_size=5))
def test_what_is_sent_is_what_was_given(body: dict[str, JsonValue]) -> None:
    """Whatever JSON it is: the same values in the same order, compact and in UTF-8; each resend is the same bytes."""

    async def sent() -> list[httpx2.Request]:
        script, _, created = await create(reply(429), OK, body=body)
        assert isinstance(created, Created)
        return script.requests

    first, second = anyio.run(sent)
    assert first.content == second.content
    assert first.content == json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        ({"estimatedCost": {"credits": 12.5}}, 12.5),
        ({"estimatedCost": {"credits": 0, "note": "free"}, "createdAt": "now"}, 0),
        ({}, None),
        ({"estimatedCost": None}, None),
        ({"estimatedCost": {}}, None),
        ({"estimatedCost": {"credits": "25"}}, None),
        ({"estimatedCost": {"credits": True}}, None),
        ({"estimatedCost": {"credits": -5}}, None),
        ({"estimatedCost": {"credits": 10**400}}, None),
    ],
)
async def test_a_reply_without_a_usable_price_is_still_a_started_task(
    cost: dict[str, JsonValue], expected: float | None
) -> None:
    """It has been bought: its id is worth more than its price, a whole one stays whole; the id is in lower case."""
    _, _, created = await create(reply(201, {"id": ID.upper(), **cost}))
    assert repr(created) == repr(Created(ID, expected))


@pytest.mark.parametrize(
    "lower",
    [
        httpx2.ReadError("reset"),
        httpx2.WriteError("broken"),
        httpx2.CloseError("broken"),
        httpx2.ReadTimeout("slow"),
        httpx2.WriteTimeout("slow"),
        httpx2.RemoteProtocolError("closed"),
        httpx2.StreamError("consumed"),
        OSError("broken"),
        TimeoutError(),
    ],
    ids=repr,
)
async def test_a_lost_reply_is_never_followed_by_a_second_create(lower: Exception) -> None:
    """The task may exist and be charged: sent once, and told so."""
    script, sleeper, error = await create(lower, OK)
    assert isinstance(error, UnreachableError)
    assert error.may_have_taken_effect
    assert error.attempts == len(script.requests) == 1
    assert sleeper.slept == []


@pytest.mark.parametrize("retry_after", [{}, {"Retry_After": "1"}])
@pytest.mark.parametrize("status", [408, 500, 529])
async def test_a_failing_server_may_have_started_the_task(status: int, retry_after: dict[str, str]) -> None:
    """Sent once, even where it asks to be tried again; told that the task may exist."""
    script, sleeper, error = await create(reply(status, {"error": "busy"}, **retry_after), OK)
    assert isinstance(error, UnavailableError)
    assert error.may_have_taken_effect
    assert error.status == status
    assert len(script.requests) == 1
    assert sleeper.slept == []
    assert error.quoted == '"busy"'
    assert error.retry_after is None


@pytest.mark.parametrize(
    "step",
    [
        reply(200),
        reply(204),
        reply(200, b"<html>Log in to this network</html>", Content_Type="text/html"),
        reply(200, b'{"id": "0838'),
        reply(200, b"\xff\xfe\x00"),
        reply(200, b"[" * 100_000),
        reply(200, b'{"id": "%s", "estimatedCost": {"credits": NaN}}' % ID.encode()),
        reply(200, [ID]),
        reply(200, {}),
        reply(200, {"estimatedCost": {"credits": 25}}),
        reply(200, {"id": None}),
        reply(200, {"id": "../organization"}),
        reply(200, {"id": f"{ID}\n"}),
        reply(200, b"x" * 100, Content_Encoding="gzip"),
        reply(200, b" " * (MAX_BODY + 1)),
        reply(200, gzip.compress(b" " * (MAX_BODY * 4)), Content_Encoding="gzip"),
    ],
)
async def test_a_reply_that_names_no_task_may_have_started_one(step: Step) -> None:
    """Nobody's page, no JSON, no id, or too much of it: sent once, and told so."""
    script, _, error = await create(step, OK)
    assert isinstance(error, UnexpectedReplyError)
    assert error.may_have_taken_effect
    assert len(script.requests) == 1
    assert len(str(error)) < 1000


@pytest.mark.parametrize(
    "step",
    [
        *(reply(status, b"<html>no</html>", Content_Type="text/html") for status in (403, 404, 407, 413, 415)),
        *(reply(status, Location="/v2/text_to_video") for status in (301, 302, 303, 307, 308)),
    ],
)
async def test_what_a_middlebox_refuses_started_nothing(step: Step) -> None:
    """Its page, or its redirect, which is not followed, came in place of Runway's answer: sent once, and told so."""
    script, _, error = await create(step, OK)
    assert isinstance(error, UnexpectedReplyError)
    assert not error.may_have_taken_effect
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    "lower",
    [
        httpx2.ConnectError("[Errno 111] Connection refused"),
        httpx2.ConnectTimeout("slow"),
        httpx2.PoolTimeout("full"),
        httpx2.ProxyError("407"),
    ],
    ids=repr,
)
async def test_what_never_left_is_sent_again(lower: Exception) -> None:
    """Twice more at most, with growing waits; then it is told that nothing was started."""
    script, sleeper, created = await create(lower, lower, OK)
    assert created == Created(ID, 25.0)
    assert len(script.requests) == 3
    assert sleeper.slept == [0.5, 1.0]
    script, _, error = await create(lower)
    assert isinstance(error, UnreachableError)
    assert not error.may_have_taken_effect
    assert error.attempts == len(script.requests) == 3


async def test_too_many_requests_is_sent_again_twice_at_most() -> None:
    """The API took none of them, so nothing was started."""
    script, sleeper, created = await create(reply(429, Retry_After="7"), reply(429, b"<html>"), OK)
    assert created == Created(ID, 25.0)
    assert sleeper.slept == [7.0, 1.0]
    script, sleeper, error = await create(reply(429, {"error": "daily quota"}))
    assert isinstance(error, RateLimitedError)
    assert not error.may_have_taken_effect
    assert error.attempts == len(script.requests) == 3
    assert error.quoted == '"daily quota"'


@pytest.mark.parametrize("seconds", [46, 61])
async def test_a_wait_beyond_the_deadline_is_told_instead(seconds: int) -> None:
    """Over what the call may take in all, or over a minute, it is not made."""
    script, sleeper, error = await create(reply(429, Retry_After=str(seconds)), OK)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == seconds
    assert len(script.requests) == 1
    assert sleeper.slept == []


async def test_all_attempts_share_one_deadline() -> None:
    """A delay of ours that does not fit is not made either."""
    script, sleeper, error = await create(httpx2.ConnectError("refused"), OK, timeouts=Timeouts(total=0.4))
    assert isinstance(error, UnreachableError)
    assert len(script.requests) == 1
    assert sleeper.slept == []


async def test_up_to_half_of_a_delay_is_taken_off_at_random() -> None:
    """So that many clients don't come back at once."""
    script, sleeper = Script(reply(429)), Sleeper()
    async with httpx2.AsyncClient(transport=script, base_url="https://api.example") as http:
        client = RunwayClient(lambda: http, sleep=sleeper, random=lambda: 1.0)
        with pytest.raises(RateLimitedError):
            await client.create_task(ENDPOINT, BODY)
    assert sleeper.slept == [0.25, 0.5]


@pytest.mark.parametrize(
    ("last", "kind"), [(httpx2.ReadError("reset"), UnreachableError), (reply(502), UnavailableError)]
)
async def test_a_resend_whose_reply_is_lost_is_the_last(last: Step, kind: type[RunwayError]) -> None:
    """What certainly did not arrive before does not make certain what came after."""
    script, _, error = await create(httpx2.ConnectError("refused"), last, OK)
    assert isinstance(error, kind)
    assert error.may_have_taken_effect
    assert error.attempts == len(script.requests) == 2


async def test_a_refusal_names_what_is_wrong() -> None:
    """400 with its issues: sent once, nothing was started; a key that it repeats is taken out."""
    issues = [{"code": "invalid", "path": ["ratio"], "message": f"Not for {KEY}"}]
    script, _, error = await create(reply(400, {"error": "Validation failed", "issues": issues}), OK)
    assert isinstance(error, BadRequestError)
    assert not error.may_have_taken_effect
    assert [str(issue) for issue in error.issues] == ['"ratio": "Not for [API key]"']
    assert "Validation failed" in str(error)
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AuthenticationError), (403, AuthenticationError), (405, BadRequestError), (422, BadRequestError)],
)
async def test_a_refusal_starts_nothing(status: int, kind: type[RunwayError]) -> None:
    """Sent once."""
    script, _, error = await create(reply(status, {"error": "no"}), OK)
    assert isinstance(error, kind)
    assert not error.may_have_taken_effect
    assert len(script.requests) == 1


@pytest.mark.parametrize("body", [None, {"error": "Not found"}])
async def test_a_404_starts_nothing(body: JsonValue) -> None:
    """It is not about a task, for there is none yet; sent once."""
    script, _, error = await create(reply(404, body), OK)
    assert isinstance(error, BadRequestError)
    assert error.unknown_endpoint == ENDPOINT
    assert (error.status, error.may_have_taken_effect, error.__cause__) == (404, False, None)
    assert len(script.requests) == 1


@given(
    st.binary(max_size=300) | st.text().map(str.encode) | JSON.map(lambda body: json.dumps(body).encode()),
    st.sampled_from([200, 201, 302, 400, 401, 404, 408, 429, 503]) | st.integers(200, 599),
)
def test_any_body_under_any_status_is_a_typed_error_and_one_create(body: bytes, status: int) -> None:
    """Only a 429 is ever sent again, and only what was refused counts as not started."""

    async def start() -> tuple[Script, Created | RunwayError]:
        script, _, outcome = await create(reply(status, body))
        return script, outcome

    script, error = anyio.run(start)
    assert isinstance(error, RunwayError)
    assert len(script.requests) == (3 if status == 429 else 1)
    assert error.may_have_taken_effect or 300 <= status < 500


LOST = {
    "reset": RESET,
    "silence": HANG,
    "cut in the head": Reply(wire_reply(200, STARTED).data[:30], then="close"),
    "cut in the body": Reply(wire_reply(200, STARTED).data[:-10], then="reset"),
}


async def test_a_connection_that_breaks_after_the_create_brings_no_second_one() -> None:
    """On real sockets: however the reply is lost, one POST arrived; also over a connection that was kept."""

    async def check(how: str) -> None:
        async with (
            upstream([wire_reply(200, STARTED), LOST[how], wire_reply(200, STARTED)]) as api,
            open_client(
                api_key=SecretStr(KEY), base_url=api.url, api_version="2024-11-06", timeouts=Timeouts(create=1)
            ) as client,
        ):
            await client.create_task(ENDPOINT, BODY)
            with pytest.raises(UnreachableError) as caught:
                await client.create_task(ENDPOINT, BODY)
            assert caught.value.may_have_taken_effect
            assert api.count("POST") == 2
            assert [json.loads(request.body) for request in api.requests] == [BODY, BODY]

    await together(check, LOST)


async def test_a_slow_reply_is_waited_for() -> None:
    """For as long as a create may take, which is more than a read has: it can't be sent again."""
    timeouts = Timeouts(attempt=0.05, create=20)
    async with (
        upstream([wire_reply(200, STARTED, after=0.3)]) as api,
        open_client(api_key=SecretStr(KEY), base_url=api.url, api_version="2024-11-06", timeouts=timeouts) as client,
    ):
        assert await client.create_task(ENDPOINT, BODY) == Created(ID, 25.0)


async def test_each_request_is_observed() -> None:
    """By its endpoint, with the status that came back, or None."""
    seen: list[tuple[str, int | None]] = []
    async with open_client(
        api_key=SecretStr(KEY),
        base_url="https://api.example",
        api_version="2024-11-06",
        transport=Script(OK, httpx2.ReadError("reset")),
        on_api_response=lambda endpoint, status, seconds: seen.append((endpoint, status)) if seconds >= 0 else None,
    ) as client:
        await client.create_task(ENDPOINT, BODY)
        with pytest.raises(UnreachableError):
            await client.create_task(ENDPOINT, BODY)
    assert seen == [(f"POST {ENDPOINT}", 200), (f"POST {ENDPOINT}", None)]

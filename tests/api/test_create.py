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
    script, sleeper = Script(*steps), Sleeper()
    async with scripted_client(script, sleep=sleeper, timeouts=timeouts) as client:
        try:
            return script, sleeper, await client.create_task(ENDPOINT, BODY if body is None else body)
        except RunwayError as error:
            return script, sleeper, error


async def test_a_started_task_has_its_id_and_its_price() -> None:
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


LOST = (
    httpx2.ReadError("reset"),
    httpx2.WriteError("broken"),
    httpx2.CloseError("broken"),
    httpx2.ReadTimeout("slow"),
    httpx2.WriteTimeout("slow"),
    httpx2.RemoteProtocolError("closed"),
    httpx2.StreamError("consumed"),
    OSError("broken"),
    TimeoutError(),
)
NO_TASK = (
    reply(200),
    reply(204),
    reply(200, b"<html>"),
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
)
HTML = {"Content_Type": "text/html"}
MIDDLEBOX = (
    *(
        reply(status, b"<html>no</html>", **HTML)
        for status in (200, 206, 401, 403, 404, 407, 413, 415, 426, 451, 501, 505, 511)
    ),
    *(reply(status, b"Too Large", Content_Type="text/plain") for status in (405, 411, 413, 414, 415, 431, 501)),
    *(reply(status, Location="/v2/text_to_video") for status in (301, 302, 303, 307, 308)),
    *(reply(status, {"error": "moved"}) for status in (300, 304, 305, 399)),
)


@pytest.mark.parametrize(
    ("step", "kind", "may_have_taken_effect"),
    [
        *((lower, UnreachableError, True) for lower in LOST),
        *((step, UnexpectedReplyError, True) for step in NO_TASK),
        *((step, UnexpectedReplyError, False) for step in MIDDLEBOX),
        *((reply(status, {"error": "no"}), AuthenticationError, False) for status in (401, 403)),
        *((reply(status, {"error": "no"}), BadRequestError, False) for status in (400, 405, 413, 415, 422, 501)),
    ],
)
async def test_what_may_have_arrived_or_was_refused_is_sent_once(
    step: Step, kind: type[RunwayError], *, may_have_taken_effect: bool
) -> None:
    script, sleeper, error = await create(step, OK)
    assert isinstance(error, kind)
    assert error.may_have_taken_effect is may_have_taken_effect
    assert error.attempts == len(script.requests) == 1
    assert sleeper.slept == []
    assert len(str(error)) < 1000


@pytest.mark.parametrize("retry_after", [{}, {"Retry_After": "1"}])
@pytest.mark.parametrize("status", [408, 500, 529])
async def test_a_failing_server_may_have_started_the_task(status: int, retry_after: dict[str, str]) -> None:
    script, sleeper, error = await create(reply(status, {"error": "busy"}, **retry_after), OK)
    assert isinstance(error, UnavailableError)
    assert error.may_have_taken_effect
    assert (error.status, error.quoted, error.retry_after) == (status, '"busy"', None)
    assert len(script.requests) == 1
    assert sleeper.slept == []


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
    script, sleeper, created = await create(lower, lower, OK)
    assert created == Created(ID, 25.0)
    assert len(script.requests) == 3
    assert sleeper.slept == [0.5, 1.0]
    script, _, error = await create(lower)
    assert isinstance(error, UnreachableError)
    assert not error.may_have_taken_effect
    assert error.attempts == len(script.requests) == 3


async def test_too_many_requests_is_sent_again_twice_at_most() -> None:
    script, sleeper, created = await create(reply(429, Retry_After="7"), reply(429, b"<html>"), OK)
    assert created == Created(ID, 25.0)
    assert sleeper.slept == [7.0, 1.0]
    script, sleeper, error = await create(reply(429, {"error": "daily quota"}))
    assert isinstance(error, RateLimitedError)
    assert not error.may_have_taken_effect
    assert error.attempts == len(script.requests) == 3
    assert error.quoted == '"daily quota"'


async def test_all_attempts_share_one_deadline() -> None:
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


@pytest.mark.parametrize("body", [None, {"error": "Not found"}])
async def test_a_404_starts_nothing(body: JsonValue) -> None:
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
    async def start() -> tuple[Script, Created | RunwayError]:
        script, _, outcome = await create(reply(status, body))
        return script, outcome

    script, error = anyio.run(start)
    assert isinstance(error, RunwayError)
    assert len(script.requests) == (3 if status == 429 else 1)
    assert error.may_have_taken_effect or 300 <= status < 500 or status in {501, 505, 511}


async def test_each_request_is_observed() -> None:
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

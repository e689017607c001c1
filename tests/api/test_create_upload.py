"""A place to put a file: asked for as a read is, for it costs nothing."""

import json

import httpx2
import pytest
from hypothesis import given
from pydantic import JsonValue
from support.inputs import JSON
from support.scripted import KEY, Script, Sleeper, Step, reply, scripted_client

from runway_mcp.api.errors import (
    RateLimitedError,
    RunwayError,
    UnavailableError,
    UnexpectedReplyError,
    UnreachableError,
)
from runway_mcp.api.models import UploadSlot, parse_upload_slot

SLOT: dict[str, JsonValue] = {
    "uploadUrl": "https://storage.example/bucket?signature=s3cret",
    "fields": {"key": "uploads/1", "Content-Type": "image/png", "policy": "p0licy"},
    "runwayUri": "runway://1",
}
OK = reply(200, SLOT)


async def ask(*steps: Step) -> tuple[Script, Sleeper, UploadSlot | RunwayError]:
    script, sleeper = Script(*steps), Sleeper()
    async with scripted_client(script, sleep=sleeper) as client:
        try:
            return script, sleeper, await client.create_upload("a.png")
        except RunwayError as error:
            return script, sleeper, error


async def test_a_place_has_a_url_fields_and_a_uri() -> None:
    script, _, slot = await ask(OK)
    assert isinstance(slot, UploadSlot)
    assert (slot.url, slot.fields, slot.uri) == (SLOT["uploadUrl"], SLOT["fields"], SLOT["runwayUri"])
    assert "s3cret" not in repr(slot)
    assert "p0licy" not in repr(slot)
    (request,) = script.requests
    assert (request.method, str(request.url)) == ("POST", "https://api.example/v1/uploads")
    assert json.loads(request.content) == {"filename": "a.png", "type": "ephemeral"}
    assert request.headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("first", [reply(429), reply(503), httpx2.ReadError("reset"), httpx2.ConnectError("refused")])
async def test_a_failure_that_may_pass_is_tried_again(first: Step) -> None:
    """Also where the reply was lost: an unused place is soon gone."""
    script, sleeper, slot = await ask(first, first, OK)
    assert isinstance(slot, UploadSlot)
    assert len(script.requests) == 3
    assert sleeper.slept == [0.5, 1.0]


@pytest.mark.parametrize(
    ("step", "kind", "attempts"),
    [
        (reply(503), UnavailableError, 3),
        (httpx2.ReadError("reset"), UnreachableError, 3),
        (reply(429, Retry_After="3600"), RateLimitedError, 1),
        (reply(404, {"error": "no"}), UnexpectedReplyError, 1),
        (reply(302), UnexpectedReplyError, 1),
        (reply(200, b"<html>"), UnexpectedReplyError, 1),
    ],
)
async def test_a_failure_that_stays_says_that_nothing_was_done(
    step: Step, kind: type[RunwayError], attempts: int
) -> None:
    script, _, error = await ask(step)
    assert isinstance(error, kind)
    assert not error.may_have_taken_effect
    assert len(script.requests) == error.attempts == attempts


@pytest.mark.parametrize(
    "change",
    [
        {"uploadUrl": None},
        {"uploadUrl": 1},
        {"fields": None},
        {"fields": ["key"]},
        {"fields": {"key": 1}},
        {"fields": {"key": "a\r\nb"}},
        {"fields": {"key\n": "a"}},
        {"runwayUri": None},
        {"runwayUri": "https://a.example/1"},
        {"runwayUri": "runway://"},
        {"runwayUri": "runway://a b"},
        {"runwayUri": "runway://1\n"},
        {"runwayUri": "runway://" + "x" * 3000},
    ],
    ids=str,
)
async def test_what_is_no_place_is_refused(change: dict[str, JsonValue]) -> None:
    script, _, error = await ask(reply(200, SLOT | change))
    assert isinstance(error, UnexpectedReplyError)
    assert len(str(error)) < 200
    assert "s3cret" not in str(error)
    assert len(script.requests) == 1


async def test_more_fields_than_known_are_no_harm() -> None:
    _, _, slot = await ask(reply(200, {**SLOT, "expiresAt": "later", "fields": {}}))
    assert isinstance(slot, UploadSlot)
    assert slot.fields == {}


@given(JSON)
def test_any_json_is_a_place_or_a_value_error(value: JsonValue) -> None:
    with pytest.raises(ValueError, match="lacks"):
        parse_upload_slot(value)

"""What the client reads beside tasks: the account behind the key, and whether the API answers at all."""

import pytest
from support.scripted import Script, Sleeper, Step, reply, scripted_client

from runway_mcp.api.errors import (
    AuthenticationError,
    RunwayError,
    UnavailableError,
    UnexpectedReplyError,
)


async def test_the_account_is_the_apis_own_object() -> None:
    """Every field of it, known or not; a read is repeated where that can help."""
    account = {"creditBalance": 1000, "tier": {"models": {"veo3": 1}}, "new": [1.5, None]}
    script, sleeper = Script(reply(503), reply(429, Retry_After="3"), reply(200, account)), Sleeper()
    async with scripted_client(script, sleep=sleeper) as client:
        assert await client.get_organization() == account
    assert script.calls == ["GET /v1/organization"] * 3
    assert all(not request.content for request in script.requests)
    assert sleeper.slept == [0.5, 3.0]


@pytest.mark.parametrize(
    ("step", "kind", "requests"),
    [
        (reply(200), UnexpectedReplyError, 1),
        (reply(200, [1]), UnexpectedReplyError, 1),
        (reply(401, {"error": "bad key"}), AuthenticationError, 1),
        (reply(404, {"error": "not here"}), UnexpectedReplyError, 1),
        (reply(502), UnavailableError, 3),
    ],
)
async def test_an_account_that_can_not_be_read_is_a_typed_error(
    step: Step, kind: type[RunwayError], requests: int
) -> None:
    """Of the same tree as for tasks, after the same attempts."""
    script = Script(step)
    async with scripted_client(script) as client:
        with pytest.raises(kind) as caught:
            await client.get_organization()
    assert type(caught.value) is kind
    assert len(script.requests) == requests

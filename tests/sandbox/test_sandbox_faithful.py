"""Every kind of answer keeps the rules written down from the API's description."""

import pytest
from sandbox_client import Client
from sandbox_exchanges import EXCHANGES, Exchange
from sandbox_rules import RULES, assert_conforms


@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES.keys())
async def test_every_answer_has_the_shape_the_api_describes(sampled: Client, exchange: Exchange) -> None:
    """Status, content type and body are the API's; a 204 has neither type nor body."""
    sampled.http.headers.clear()
    answer = await sampled.http.request(
        exchange.method, exchange.path, headers=dict(exchange.headers), content=exchange.content
    )
    assert answer.status_code == exchange.status
    if exchange.rule is None:
        assert answer.content == b""
        assert "Content-Type" not in answer.headers
    else:
        assert answer.headers["Content-Type"] == "application/json"
        assert_conforms(answer.json(), RULES[exchange.rule])


def test_every_rule_is_asked_for() -> None:
    """No rule stands there that no exchange is held to."""
    assert {exchange.rule for exchange in EXCHANGES.values()} - {None} == set(RULES)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/tasks/nonsense", {"GET", "HEAD", "DELETE"}),
        ("DELETE", "/v1/text_to_video", {"POST"}),
        ("PUT", "/v1/organization", {"GET", "HEAD"}),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(client: Client, method: str, path: str, allowed: set[str]) -> None:
    """A 405 carries Allow, and comes before anything in the request is looked at."""
    answer = await client.http.request(method, path)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == allowed


async def test_a_routed_create_tells_what_the_router_made_of_it(client: Client) -> None:
    """The router's slug comes back, and the settings that were given in place of the usual ones."""
    given = {"promptText": "rain", "duration": 8, "resolution": "1080p"}
    answer = await client.start("/v1/generate/video", configId="my-router_2", input=given)
    routing = answer.json()["routing"]
    assert routing["configId"] == "my-router_2"
    assert routing["resolvedInput"] == {"duration": 8, "ratio": "1280:720", "resolution": "1080p"}
    assert routing["estimatedCost"] == {"credits": 96}


async def test_of_a_routed_voice_the_type_is_told(client: Client) -> None:
    """The voice itself is not in the answer."""
    voice = {"type": "preset", "presetId": "Maya"}
    answer = await client.start("/v1/generate/audio", input={"type": "speech", "promptText": "rain", "voice": voice})
    assert answer.json()["routing"]["resolvedInput"] == {"type": "speech", "voice": "preset"}

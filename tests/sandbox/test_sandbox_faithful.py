"""Every kind of answer has the shape that the API's description gives it."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from sandbox_client import Client
from sandbox_document import DOCUMENT
from sandbox_exchanges import EXCHANGES, FIELDS, Exchange

# the document is not ours to ship: where it is absent statuses and fields are judged alone
_PATHS: dict[str, Any] = json.loads(DOCUMENT.read_bytes())["paths"] if DOCUMENT.is_file() else {}


def _schema(exchange: Exchange) -> dict[str, Any]:
    """The answer's schema by the document; where it has none, that of errors in general."""
    if not _PATHS:
        return {}
    path = "/v1/tasks/{id}" if exchange.path.startswith("/v1/tasks/") else exchange.path
    responses = _PATHS.get(path, {}).get(exchange.method.lower(), {}).get("responses", {})
    response = responses[str(exchange.status)] if exchange.status < 300 else responses.get(str(exchange.status))
    response = response or _PATHS["/v1/text_to_video"]["post"]["responses"]["400"]
    return dict(response["content"]["application/json"]["schema"])


@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES.keys())
async def test_every_answer_has_the_shape_the_api_describes(sampled: Client, exchange: Exchange) -> None:
    sampled.http.headers.clear()
    answer = await sampled.http.request(
        exchange.method, exchange.path, headers=dict(exchange.headers), content=exchange.content
    )
    assert answer.status_code == exchange.status
    if exchange.kind is None:
        assert answer.content == b""
        assert "Content-Type" not in answer.headers
    else:
        assert answer.headers["Content-Type"] == "application/json"
        assert set(answer.json()) == FIELDS[exchange.kind]
        Draft202012Validator(_schema(exchange)).validate(answer.json())  # pyright: ignore[reportUnknownMemberType]  # jsonschema is half typed


def test_every_kind_of_answer_is_asked_for() -> None:
    assert {exchange.kind for exchange in EXCHANGES.values()} - {None} == set(FIELDS)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/tasks/nonsense", {"GET", "HEAD", "DELETE"}),
        ("DELETE", "/v1/text_to_video", {"POST"}),
        ("PUT", "/v1/organization", {"GET", "HEAD"}),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(client: Client, method: str, path: str, allowed: set[str]) -> None:
    answer = await client.http.request(method, path)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == allowed


async def test_a_routed_create_tells_what_the_router_made_of_it(client: Client) -> None:
    given = {"promptText": "rain", "duration": 8, "resolution": "1080p"}
    answer = await client.start("/v1/generate/video", configId="my-router_2", input=given)
    routing = answer.json()["routing"]
    assert routing["configId"] == "my-router_2"
    assert routing["resolvedInput"] == {"duration": 8, "ratio": "1280:720", "resolution": "1080p"}
    assert routing["estimatedCost"] == {"credits": 96}


async def test_of_a_routed_voice_the_type_is_told(client: Client) -> None:
    voice = {"type": "preset", "presetId": "Maya"}
    answer = await client.start("/v1/generate/audio", input={"type": "speech", "promptText": "rain", "voice": voice})
    assert answer.json()["routing"]["resolvedInput"] == {"type": "speech", "voice": "preset"}

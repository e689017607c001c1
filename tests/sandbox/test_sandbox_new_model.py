"""What is new in the catalogue's data the sandbox serves, checks and prices without a line of code."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sandbox_client import Client, Clock, connected

from runway_mcp.sandbox import create_app
from runway_mcp.sandbox.endpoints import read_data

_KITES: dict[str, Any] = {
    "summary": "Sounds of kites from a picture",
    "endpoint": "/v1/image_to_kite",
    "recommended": "kite1",
    "output": "audio",
    "reply": ["id", "estimatedCost"],
    "models": [
        {
            "name": "kite1",
            "schema": {
                "type": "object",
                "required": ["model", "sky", "length"],
                "properties": {
                    "model": {"const": "kite1"},
                    "sky": {"$ref": "#/$defs/image"},
                    "length": {"type": "integer", "minimum": 1, "maximum": 9},
                    "wind": {"enum": ["low", "high"], "default": "low"},
                    "numVariants": {"type": "integer", "minimum": 1, "maximum": 3},
                },
            },
            "example": {"model": "kite1", "sky": "https://example.com/sky.png", "length": 3},
        }
    ],
}
_RATE = {"when": {"wind": ["low"], "length": [3, 4]}, "rate": 1.2}
_BODY: dict[str, Any] = _KITES["models"][0]["example"]


def _data(**prices: dict[str, Any]) -> dict[str, Any]:
    catalogue, listed = (json.loads(json.dumps(read_data(f"{name}.json"))) for name in ("catalogue", "prices"))
    catalogue["types"]["image_to_kite"] = _KITES
    listed["models"] |= prices
    return {"catalogue": catalogue, "prices": listed}


@pytest.fixture
async def kites(clock: Clock) -> AsyncIterator[Client]:
    async with connected(create_app(clock=clock, samples=False, **_data())) as one:
        yield one


async def test_a_new_type_is_served_in_its_medium(kites: Client, clock: Clock) -> None:
    answer = await kites.http.post("/v1/image_to_kite", json=_BODY | {"numVariants": 2})
    clock.now += 22
    task = await kites.task(answer.json()["id"])
    assert task["status"] == "SUCCEEDED"
    assert [link.partition("?")[0][-4:] for link in task["output"]] == [".wav", ".wav"]
    assert (await kites.organization())["usage"]["models"]["kite1"] == {"dailyGenerations": 1}


@pytest.mark.parametrize(
    ("changed", "code", "path"),
    [
        ({"length": 10}, "too_big", ["length"]),
        ({"wind": "none"}, "invalid_value", ["wind"]),
        ({"sails": 1}, "unrecognized_keys", []),
        ({"sky": "runway://1234567"}, "custom", ["sky"]),
        ({"model": "kite2"}, "invalid_union", ["model"]),
    ],
)
async def test_a_new_type_is_checked(kites: Client, changed: dict[str, object], code: str, path: list[str]) -> None:
    answer = await kites.http.post("/v1/image_to_kite", json=_BODY | changed)
    assert answer.status_code == 400
    assert [(issue["code"], issue["path"]) for issue in answer.json()["issues"]] == [(code, path)]


async def test_a_new_type_takes_an_upload_of_its_kind(kites: Client) -> None:
    for filename, status in (("a.png", 200), ("a.mp3", 400)):
        body = _BODY | {"sky": await kites.upload(filename)}
        assert (await kites.http.post("/v1/image_to_kite", json=body)).status_code == status


@pytest.mark.parametrize(
    ("price", "changed", "credit"),
    [
        (None, {}, 5),
        ({"per": "task", "rate": 7}, {}, 7),
        ({"per": "image", "rate": 2}, {"numVariants": 3}, 6),
        ({"per": "second", "usual": 3, "rate": 0.5}, {}, 2),
        ({"per": "task", "rate": 7, "rates": [_RATE]}, {}, 2),
        ({"per": "task", "rate": 7, "rates": [_RATE]}, {"length": 5}, 7),
    ],
)
async def test_a_new_model_is_priced(price: dict[str, Any] | None, changed: dict[str, object], credit: int) -> None:
    prices = {"kite1": price} if price else {}
    async with connected(create_app(**_data(**prices))) as client:
        answer = await client.http.post("/v1/image_to_kite", json=_BODY | changed)
        assert answer.json()["estimatedCost"] == {"credits": credit}

"""What a create request holds is checked before anything is started, and what is wrong is told as the API tells it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sandbox_client import AUDIO, BY_PATH, IMAGE, VIDEO, Client, Clock, bodies, body_for, connected

from runway_mcp.sandbox import create_app

_ALL = {f"{path} {body.get('model', '')}": (path, body) for path, body in bodies()}


_CREATE, _IMAGES = "text_to_video", "referenceImages"
_Issue = tuple[str, list[str | int], str]

# endpoint, what is changed in its smallest request, and the code, path and message of the issue
_MISTAKES: list[tuple[str, dict[str, object], _Issue]] = [
    (_CREATE, {"promptText": 5}, ("invalid_type", ["promptText"], "expected string, received number")),
    (_CREATE, {"promptText": None}, ("invalid_type", ["promptText"], "expected string, received null")),
    (_CREATE, {"promptText": ["rain"]}, ("invalid_type", ["promptText"], "expected string, received array")),
    (_CREATE, {"promptText": ""}, ("too_small", ["promptText"], "expected string to have >=1 characters")),
    (_CREATE, {"promptText": "x" * 1001}, ("too_big", ["promptText"], "to have <=1000 characters")),
    (_CREATE, {"promptText": "\N{GRINNING FACE}" * 501}, ("too_big", ["promptText"], "to have <=1000 characters")),
    (_CREATE, {"ratio": "16:9"}, ("invalid_value", ["ratio"], 'expected one of "1280:720"|"720:1280"')),
    (_CREATE, {"duration": True}, ("invalid_type", ["duration"], "expected number, received boolean")),
    (_CREATE, {"duration": 2.5}, ("invalid_type", ["duration"], "expected int, received number")),
    (_CREATE, {"duration": 1}, ("too_small", ["duration"], "expected number to be >=2")),
    (_CREATE, {"duration": 11}, ("too_big", ["duration"], "expected number to be <=10")),
    (_CREATE, {"model": "veo3.1", "duration": 5}, ("invalid_value", ["duration"], "one of 4|6|8")),
    (_CREATE, {"model": "hailuo3", "seed": 1}, ("unrecognized_keys", [], 'Unrecognized keys: "seed"')),
    ("image_to_video", {"promptImage": []}, ("invalid_union", ["promptImage"], "Invalid input")),
    ("text_to_image", {_IMAGES: [IMAGE]}, ("invalid_type", [_IMAGES, 0], "expected object")),
    ("text_to_image", {_IMAGES: [{"uri": IMAGE, "tag": "ab"}]}, ("too_small", [_IMAGES, 0, "tag"], ">=3 characters")),
    ("text_to_image", {_IMAGES: [{"uri": IMAGE, "tag": "Nono"}]}, ("invalid_format", [_IMAGES, 0, "tag"], "pattern")),
    ("text_to_image", {_IMAGES: [{"uri": IMAGE}] * 4}, ("too_big", [_IMAGES], "<=3 items")),
    ("speech_to_speech", {"media": {"type": "audio", "uri": 5}}, ("invalid_union", ["media", "uri"], "Invalid input")),
    ("image_upscale", {"imageUri": "runway://x"}, ("invalid_union", ["imageUri"], "Invalid input")),
    ("speech_to_speech", {"media": {"type": "text"}}, ("invalid_union", ["media", "type"], "Invalid input")),
    ("text_to_speech", {"voice": "Maya"}, ("invalid_type", ["voice"], "expected object, received string")),
    ("generate/video", {"input": {"model": "gen4.5"}}, ("unrecognized_keys", ["input"], '"model"')),
    ("recipes/product_ad", {"version": "latest"}, ("invalid_value", ["version"], "2026-07")),
    ("lip_sync", {"audio": VIDEO.replace("https", "http")}, ("invalid_union", ["audio"], "Invalid input")),
]


def _required(path: str, body: dict[str, Any]) -> list[str]:
    required = BY_PATH[path].models[body.get("model")].schema.get("required", [])
    return [name for name in body if isinstance(required, list) and name in required]


@pytest.mark.parametrize(("path", "body"), _ALL.values(), ids=_ALL)
async def test_every_model_can_be_started(client: Client, path: str, body: dict[str, Any]) -> None:
    assert (await client.http.post(path, json=body)).status_code == 200
    for name in _required(path, body):
        answer = await client.http.post(path, json={key: value for key, value in body.items() if key != name})
        assert answer.status_code == 400
        assert [name] in [issue["path"] for issue in answer.json()["issues"]]


@pytest.mark.parametrize(("path", "changed", "told"), _MISTAKES)
async def test_what_is_wrong_is_told(client: Client, path: str, changed: dict[str, object], told: _Issue) -> None:
    answer = await client.start(f"/v1/{path}", **changed)
    assert answer.status_code == 400
    [issue] = answer.json()["issues"]
    code, where, message = told
    assert (issue["code"], issue["path"]) == (code, where)
    assert message in issue["message"]
    assert (await client.organization())["creditBalance"] == 100_000


async def test_everything_that_is_wrong_is_told_at_once(client: Client) -> None:
    answer = await client.start(promptText="", ratio="1:1", duration=60, seed=-1)
    paths = [issue["path"] for issue in answer.json()["issues"]]
    assert sorted(paths) == [["duration"], ["promptText"], ["ratio"], ["seed"]]


async def test_a_missing_model_is_told_as_the_api_tells_it(client: Client) -> None:
    answer = await client.http.post("/v1/text_to_speech", json={})
    assert answer.json() == {
        "error": "Validation of body failed",
        "issues": [
            {
                "code": "invalid_type",
                "path": ["model"],
                "message": "Invalid input: expected string, received undefined",
                "expected": "string",
            },
            {
                "code": "invalid_union",
                "path": ["model"],
                "message": "Invalid input",
                "errors": [],
                "note": "No matching discriminator",
                "discriminator": "model",
            },
        ],
        "docUrl": "https://docs.dev.runwayml.com/api",
    }


async def test_half_a_character_is_counted_too(client: Client) -> None:
    """JSON can hold one, as JavaScript's texts can."""
    for units, status in ((1000, 200), (1001, 400)):
        body = body_for("/v1/text_to_video", promptText="\ud800" * units)
        assert (await client.http.post("/v1/text_to_video", content=json.dumps(body))).status_code == status


async def test_whatever_the_description_leaves_open_is_let_through(client: Client) -> None:
    await client.create("/v1/text_to_video", model="gemini_omni_flash", unheard_of=[1])
    await client.create("/v1/image_to_video", model="hailuo3", promptImage=[{"any": "thing"}])
    await client.create("/v1/sound_effect", model="seed_audio", referenceAudios=[AUDIO], pitchRate=5.0)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def _strange(which: str) -> st.SearchStrategy[tuple[str, object]]:
    """An endpoint with a body of which some fields, or all of it, are anything."""
    path, body = _ALL[which]
    fields = st.dictionaries(st.sampled_from([*body, "duration", "outputCount", "ratio"]), _JSON)
    return st.tuples(st.just(path), fields.map(lambda changed: {**body, **changed}) | _JSON)


@given(st.sampled_from(sorted(_ALL)).flatmap(_strange))
async def test_no_request_is_too_strange_to_be_answered(strange: tuple[str, object]) -> None:
    path, body = strange
    async with connected(create_app(clock=Clock(), samples=False)) as client:
        answer = await client.http.post(path, content=json.dumps(body))
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert answer.json()["issues"]

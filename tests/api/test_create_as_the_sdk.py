"""What we send to start a task is what the API's official SDK sends, byte for byte but for the order of the fields."""

import json
from typing import Any

import pytest
from pydantic import JsonValue, SecretStr
from runwayml import AsyncRunwayML
from support.scripted import KEY
from support.upstream import TASK_ID, reply, upstream

from runway_mcp.api.client import open_client
from runway_mcp.catalogue.validation import prepare

IMAGE = "https://example.com/image.jpg"
CLIP = "https://example.com/video.mp4"
STARTED = reply(200, {"id": TASK_ID, "estimatedCost": {"credits": 25}})

CASES: dict[str, dict[str, Any]] = {
    "text_to_video": {
        "duration": 5,
        "model": "gen4.5",
        "prompt_text": 'A „red" kite / 凧 \N{KITE}\n',
        "ratio": "1280:720",
        "content_moderation": {"public_figure_threshold": "low"},
        "seed": 4294967295,
    },
    "image_to_video": {
        "model": "veo3.1",
        "prompt_image": [{"position": "first", "uri": IMAGE}, {"position": "last", "uri": IMAGE}],
        "ratio": "1280:720",
        "audio": False,
        "duration": 8,
    },
    "text_to_image": {
        "model": "gen4_image",
        "prompt_text": "@kite over the sea",
        "ratio": "1920:1080",
        "reference_images": [{"uri": "data:image/png;base64,iVBORw0KGgo=", "tag": "kite"}],
    },
    "character_performance": {
        "character": {"type": "image", "uri": IMAGE},
        "model": "act_two",
        "reference": {"type": "video", "uri": CLIP},
        "body_control": True,
        "expression_intensity": 3,
        "ratio": "1280:720",
    },
    "sound_effect": {"model": "eleven_text_to_sound_v2", "prompt_text": "Rain", "duration": 2.5, "loop": False},
}


@pytest.mark.parametrize("kind", CASES)
async def test_the_official_sdk_sends_the_same(kind: str) -> None:
    async with (
        upstream([STARTED]) as api,
        AsyncRunwayML(api_key=KEY, base_url=api.url, max_retries=0) as sdk,
        open_client(api_key=SecretStr(KEY), base_url=api.url, api_version="2024-11-06") as client,
    ):
        await getattr(sdk, kind).create(**CASES[kind])
        theirs: dict[str, JsonValue] = json.loads(api.requests[0].body)
        prepared = prepare(kind, dict(reversed(theirs.items())))
        await client.create_task(prepared.endpoint, prepared.body)
        await client.create_task(prepared.endpoint, {name: prepared.body[name] for name in theirs})
    sdks, ours, in_their_order = api.requests
    assert json.loads(ours.body) == theirs
    assert len(ours.body) == len(sdks.body)
    assert in_their_order.body == sdks.body
    for name in ("authorization", "content-type", "content-length", "x-runway-version"):
        assert ours.headers[name] == sdks.headers[name]
    assert [(request.method, request.path) for request in api.requests] == [("POST", prepared.endpoint)] * 3

"""What a start costs at most by the price list."""

import pytest
from pydantic import JsonValue

from runway_mcp.catalogue.list_prices import highest_price
from runway_mcp.catalogue.lookup import task_types
from runway_mcp.catalogue.validation import Prepared
from runway_mcp.sandbox.endpoints import credits_for, load_endpoints, read_data

ENDPOINTS = load_endpoints(read_data("catalogue.json"), read_data("prices.json"))


@pytest.mark.parametrize(
    ("kind", "model", "body", "most"),
    [
        ("text_to_video", "gen4.5", {"duration": 5}, 85),
        ("text_to_video", "gen4.5", {}, 170),
        ("text_to_video", "veo3.1", {"audio": False}, 320),
        ("text_to_image", "gpt_image_2", {"outputCount": 3, "quality": "low"}, 60),
        ("text_to_image", "gpt_image_2", {}, 20),
        ("recipes/marketing_stock_image", None, {}, 40),
        ("text_to_speech", "eleven_v3", {"promptText": "x" * 101}, 3),
        ("text_to_speech", "eleven_v3", {}, None),
        ("video_to_video", "aleph2", {}, None),
        ("character_performance", "act_two", {}, None),
        ("generate/video", None, {}, None),
        ("text_to_video", "newer", {"duration": 5}, None),
        ("text_to_video", "gwm1_avatars", {"duration": "5"}, None),
        ("text_to_video", "aleph2", {"duration": 5}, 100),
    ],
)
def test_the_dearest_of_what_a_request_may_mean_counts(
    kind: str, model: str | None, body: dict[str, JsonValue], most: float | None
) -> None:
    assert highest_price(Prepared(kind, f"/v1/{kind}", model, body)) == most


@pytest.mark.parametrize("kind", list(task_types()))
def test_no_example_costs_more_than_that(kind: str) -> None:
    endpoint = ENDPOINTS[task_types()[kind].endpoint]
    for name, model in task_types()[kind].models.items():
        body = dict(model.example)
        most = highest_price(Prepared(kind, task_types()[kind].endpoint, name, body))
        found = endpoint.models[name]
        assert most is None or most >= credits_for(found.price, endpoint.settings(found, body))

"""What is new in the catalogue's data the sandbox checks and prices without a line of code."""

from typing import Any

import pytest

from runway_mcp.sandbox.endpoints import count_outputs, credits_for, load_endpoints, read_data

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
_CATALOGUE = {**read_data("catalogue.json"), "types": {"image_to_kite": _KITES}}


@pytest.mark.parametrize(
    ("changed", "code", "path"),
    [
        ({"length": 10}, "too_big", ["length"]),
        ({"wind": "none"}, "invalid_value", ["wind"]),
        ({"sails": 1}, "unrecognized_keys", []),
        ({"sky": "runway://1234567"}, "custom", ["sky"]),
        ({"sky": "runway://a-sound"}, "custom", ["sky"]),
        ({"model": "kite2"}, "invalid_union", ["model"]),
    ],
)
def test_a_new_type_is_checked(changed: dict[str, object], code: str, path: list[str]) -> None:
    endpoint = load_endpoints(_CATALOGUE, read_data("prices.json"))["/v1/image_to_kite"]
    right, wrong = (
        endpoint.check(_BODY | one, {"runway://a-picture": "image", "runway://a-sound": "audio"})
        for one in ({"sky": "runway://a-picture"}, changed)
    )
    assert right == []
    assert [(issue["code"], issue["path"]) for issue in wrong] == [(code, path)]


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
def test_a_new_model_is_priced(price: dict[str, Any] | None, changed: dict[str, object], credit: int) -> None:
    """By its rule in the price list; without one by what its medium usually costs."""
    prices = {**read_data("prices.json"), "models": {"kite1": price} if price else {}}
    endpoint = load_endpoints(_CATALOGUE, prices)["/v1/image_to_kite"]
    model = endpoint.model(_BODY)
    assert model
    settings = endpoint.settings(model, _BODY | changed)
    assert credits_for(model.price, settings) == credit
    assert (endpoint.kind, count_outputs(settings)) == ("audio", changed.get("numVariants", 1))

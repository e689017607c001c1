"""What is new in the catalogue's data the sandbox checks and prices without a line of code."""

from typing import Any

import pytest

from runway_mcp.sandbox.charges import count_outputs
from runway_mcp.sandbox.endpoints import load_endpoints, read_data

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
    endpoint = load_endpoints(_CATALOGUE, read_data("prices.toml"))["/v1/image_to_kite"]
    right, wrong = (
        endpoint.check(_BODY | one, {"runway://a-picture": "image", "runway://a-sound": "audio"})
        for one in ({"sky": "runway://a-picture"}, changed)
    )
    assert right == []
    assert [(issue["code"], issue["path"]) for issue in wrong] == [(code, path)]


@pytest.mark.parametrize(
    ("row", "changed", "credit"),
    [
        (None, {}, 5),
        ({"terms": [{"per": "task", "rate": 1, "when": {"rain": ["low"]}}], "default": {"rain": "low"}}, {}, 1),
        (
            {
                "terms": [{"per": "task", "rate": n, "when": {"rain": [n]}} for n in (1, 2)],
                "default_with": {"sky": {"rain": 1}},
            },
            {},
            1,
        ),
        ({"terms": [{"per": "task", "rate": 7}]}, {}, 7),
        ({"terms": [{"per": "output", "rate": 2}]}, {"numVariants": 3}, 6),
        ({"terms": [{"per": "second", "rate": 0.5}]}, {"duration": 3}, 2),
        ({"terms": [{"per": "second", "rate": 1, "every": 6}]}, {"duration": 7}, 2),
        ({"terms": [{"per": "task", "rate": 1.2, "when": {"wind": ["low"], "length": [3, 4]}}]}, {}, 2),
        ({"terms": [{"per": "task", "rate": 1.2, "when": {"wind": ["low"], "length": [3, 4]}}]}, {"length": 5}, 5),
        ({"terms": [{"per": "task", "rate": 1.2, "when": {"rain": ["low"]}}, {"per": "task", "rate": 8}]}, {}, 10),
    ],
)
def test_a_new_model_is_priced(row: dict[str, Any] | None, changed: dict[str, object], credit: int) -> None:
    """By its row in the price table; without one by what its medium usually costs."""
    prices = {"prices": {"kite1": row} if row else {}}
    endpoint = load_endpoints(_CATALOGUE, prices)["/v1/image_to_kite"]
    model = endpoint.model(_BODY)
    assert model
    settings = endpoint.settings(model, _BODY | changed)
    assert endpoint.credits_for(model, settings) == credit
    assert (endpoint.kind, count_outputs(settings)) == ("audio", changed.get("numVariants", 1))


@pytest.mark.parametrize("body", [{"model": "kite1"}, {"model": "kite1", "input": "x"}, {"input": {"length": 3}}])
def test_a_new_routed_type_is_priced_whatever_its_fields(body: dict[str, Any]) -> None:
    kites = {**_KITES, "reply": ["id", "routing"]}
    endpoint = load_endpoints({**_CATALOGUE, "types": {"image_to_kite": kites}}, {"prices": {}})["/v1/image_to_kite"]
    model = endpoint.models["kite1"]
    asked = endpoint.settings(model, body)
    assert asked == {"wind": "low", **({"length": 3} if "length" in str(body) else {})}
    assert endpoint.credits_for(model, asked) == 5

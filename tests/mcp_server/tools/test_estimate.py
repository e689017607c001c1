"""What a model is told of a price before it starts anything."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from support.faulty import FaultyWire, faulty_client
from support.scripted import texts

from runway_mcp.catalogue.lookup import task_types
from runway_mcp.catalogue.validation import prepare
from runway_mcp.mcp_server.server import build_server
from runway_mcp.spending.estimates import cheaper_ways
from runway_mcp.tasks.callers import CallerRegistry

BODY: dict[str, Any] = {"promptText": "a cat", "ratio": "1280:720", "duration": 5}
IMAGE, VIDEO = "https://example.com/a.png", "https://example.com/a.mp4"


@asynccontextmanager
async def connected(wire: FaultyWire, history: Path | None = None) -> AsyncGenerator[Client]:
    callers = CallerRegistry(lambda _: faulty_client(wire), history=history, poll_seconds=0.05)
    with anyio.fail_after(60):
        async with Client(build_server(callers)) as client:
            yield client


async def estimate(client: Client, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool("runway_estimateCost", arguments)
    assert not result.is_error, texts(result)
    found: dict[str, Any] = dict(result.structured_content or {})
    assert found["note"] in texts(result)
    return found


async def test_an_estimate_sends_nothing_and_names_its_basis() -> None:
    wire = FaultyWire()
    async with connected(wire) as client:
        found = await estimate(client, type="text_to_video", input=BODY)
        assert wire.methods == []
        assert {name: found[name] for name in ("type", "model", "credits", "basis", "asOf")} == {
            "type": "text_to_video",
            "model": "gen4.5",
            "credits": 60,
            "basis": "table",
            "asOf": "2026-08-15",
        }
        await client.call_tool("runway_startTask", {"type": "text_to_video", "input": BODY})
        known = await estimate(client, type="text_to_video", **BODY)
    assert (known["credits"], known["basis"], "asOf" in known) == (60, "history", False)
    assert "The same input was estimated at 60 credits ($0.60) before. Took promptText" in known["note"]


@pytest.mark.parametrize(
    ("kind", "body", "cheaper"),
    [
        (
            "text_to_image",
            {"model": "gpt_image_2", "promptText": "a cat", "ratio": "2880:2880", "quality": "medium"},
            [({"quality": "low"}, 2), ({"ratio": "2560:2560"}, 5)],
        ),
        (
            "image_to_video",
            {"promptImage": IMAGE, "promptText": "x", "ratio": "1280:720", "duration": 5},
            [({"model": "gen4_turbo"}, 25), ({"model": "wan3"}, 50), ({"model": "gemini_omni_flash_1.1"}, 50)],
        ),
        (
            "text_to_video",
            {"model": "hailuo3", "promptText": "x", "duration": 5, "resolution": "2K", "ratio": "16:9"},
            [({"resolution": "768p"}, 50)],
        ),
        ("video_to_video", {"videoUri": VIDEO}, []),
        ("recipes/product_swap", None, []),
        ("lip_sync", None, []),
    ],
)
async def test_cheaper_ways_to_nearly_the_same_are_named(
    kind: str, body: dict[str, Any] | None, cheaper: list[tuple[dict[str, str], int]]
) -> None:
    """Another model for the same input, a lower quality, or a lower resolution of the same shape: three at most."""
    body = dict(next(iter(task_types()[kind].models.values())).example) if body is None else body
    async with connected(FaultyWire()) as client:
        found = (await estimate(client, type=kind, input=body)).get("cheaper", [])
    assert [(way["change"], way["credits"]) for way in found] == cheaper


async def test_a_cheaper_way_says_that_it_may_cost_more() -> None:
    wish = {"model": "hailuo3", "promptVideo": VIDEO, "promptText": "x", "ratio": "16:9", "duration": 5}
    async with connected(FaultyWire()) as client:
        found = await estimate(client, type="video_to_video", input=wish)
    assert {"change": {"resolution": "768p"}, "credits": 60, "atLeast": True} in found["cheaper"]


async def test_one_credit_is_one() -> None:
    async with connected(FaultyWire()) as client:
        wish = {"model": "muse_image", "promptText": "a cat", "ratio": "auto"}
        assert "it costs 1 credit ($0.01)" in (await estimate(client, type="text_to_image", input=wish))["note"]


async def test_every_example_costs_what_was_estimated() -> None:
    """From a client against the sandbox: exactly, at least, or of unknown price."""
    async with connected(FaultyWire()) as client:
        for kind, one in task_types().items():
            for model in one.models.values():
                wish = {"type": kind, "input": dict(model.example)}
                found = await estimate(client, **wish)
                assert (found["basis"] == "unknown") == (found["credits"] is None)
                result = await client.call_tool("runway_startTask", wish)
                started: dict[str, Any] = result.structured_content or {}
                cost = started.get("estimatedCost", {}).get("credits")
                told = cost if found["credits"] is None else found["credits"]
                assert cost in {None, told}, (kind, model.name, found)


async def test_an_input_is_checked_as_a_start_checks_it() -> None:
    async with connected(FaultyWire()) as client:
        for arguments in (
            {"type": "text_to_vidio", "input": BODY},
            {"type": "text_to_video", "input": BODY | {"ratio": "1920:1080"}},
            {"type": "image_to_video", "input": {"promptImage": "/home/me/a.png", "ratio": "1280:720"}},
        ):
            refused = await client.call_tool("runway_estimateCost", arguments)
            same = await client.call_tool("runway_startTask", arguments)
            assert refused.is_error
            assert texts(refused) == texts(same)
        newer = {"type": "text_to_video", "input": BODY | {"model": "newer"}, "allowUnknown": True}
        assert (await estimate(client, **newer))["basis"] == "unknown"


async def test_without_a_readable_history_there_is_no_estimate(tmp_path: Path) -> None:
    """A start would be refused too."""
    (tmp_path / "file").write_text("")
    async with connected(FaultyWire(), history=tmp_path / "file" / "history") as client:
        refused = await client.call_tool("runway_estimateCost", {"type": "text_to_video", "input": BODY})
    assert refused.is_error
    assert "can't be kept" in texts(refused)[0]
    assert "Nothing was sent" in texts(refused)[0]


def test_a_measured_input_is_compared_by_its_length() -> None:
    body: dict[str, Any] = {"model": "aleph2", "videoUri": VIDEO, "promptText": "rain"}
    prepared = prepare("video_to_video", body).with_lengths({VIDEO: Decimal(5)})
    [way] = [way for way in cheaper_ways(prepared, 140) if way.change == {"model": "gemini_omni_flash"}]
    assert (way.price.credits, way.price.at_least) == (55, False)

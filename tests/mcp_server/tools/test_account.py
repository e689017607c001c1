"""The account in short and in detail, and starts that wait to be settled."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp_types import CallToolResult
from pydantic import JsonValue
from support.scripted import Script, Step, reply, scripted_client, texts

from runway_mcp.mcp_server.server import build_server
from runway_mcp.tasks.callers import CallerRegistry

MODELS: dict[str, JsonValue] = {f"model_{number}": {"dailyGenerations": number} for number in range(60)}
LIMITS: dict[str, JsonValue] = {name: {"maxConcurrentGenerations": 2, "maxDailyGenerations": 100} for name in MODELS}
ACCOUNT: dict[str, JsonValue] = {
    "tier": {"maxMonthlyCreditSpend": 10_000, "models": LIMITS},
    "creditBalance": 12_345,
    "usage": {"models": {"unused": {"dailyGenerations": 0}, "x" * 100: {"dailyGenerations": 99}, **MODELS}},
}
LOST = httpx2.ReadError("broken")
WISH: dict[str, Any] = {
    "type": "text_to_video",
    "input": {"promptText": "a cat", "ratio": "1280:720", "duration": 5},
}


@asynccontextmanager
async def connected(api: Script, *, history: Path | None = None) -> AsyncGenerator[Client]:
    callers = CallerRegistry(lambda _: scripted_client(api), history=history)
    with anyio.fail_after(30):
        async with Client(build_server(callers)) as client:
            yield client


async def account(*steps: Step, starts: int = 0, **arguments: object) -> CallToolResult:
    async with connected(Script(*[LOST] * starts, *steps)) as client:
        for _ in range(starts):
            await client.call_tool("runway_startTask", WISH)
        return await client.call_tool("runway_getAccount", arguments)


async def test_the_account_is_short() -> None:
    """Balance, the month's limit, what was spent here, and the most used models, as many as there is room for."""
    result = await account(reply(200, ACCOUNT))
    assert sum(map(len, texts(result))) < 600
    assert len(json.dumps(result.structured_content, separators=(",", ":"))) < 600
    data = json.loads(texts(result)[0])
    assert result.structured_content == data | {"note": texts(result)[1]}
    assert data["spentToday"] == {"credits": 0, "unknown": 0}
    assert (data["creditBalance"], data["monthlyLimit"]) == (12_345, 10_000)
    assert list(data["usedToday"])[-1] == "model_59"
    assert data["usedToday"]["model_50"] == 50
    assert "model_1" not in data["usedToday"]
    assert "openStarts" not in data
    assert f"Models that only detail shows: {60 - len(data['usedToday'])}." in texts(result)[1]


async def test_with_detail_it_is_what_the_api_says() -> None:
    result = await account(reply(200, ACCOUNT), detail=True)
    assert json.loads(texts(result)[0]) == ACCOUNT


async def test_open_starts_are_named_with_how_to_settle_them() -> None:
    result = await account(reply(200, ACCOUNT), starts=5)
    assert sum(map(len, texts(result))) < 600
    assert len(json.dumps(result.structured_content, separators=(",", ":"))) < 600
    data = json.loads(texts(result)[0])
    assert data["spentToday"] == {"credits": 425, "unknown": 0}
    assert [start["number"] for start in data["openStarts"]] == [5, 4]
    assert data["openStarts"][0]["type"] == "text_to_video"
    assert data["openStarts"][0]["begun"].endswith("Z")
    assert "starts 5, 4, 3, … is unknown" in texts(result)[1]
    assert "runway-mcp history settle 5 --nothing, or --task ID" in texts(result)[1]


@pytest.mark.parametrize("detail", [True, False])
@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"creditBalance": "many", "tier": [], "usage": None},
        {
            "tier": {"maxMonthlyCreditSpend": None},
            "usage": {"models": {"gen4": 5, "gen4.5": {"dailyGenerations": "1"}}},
        },
    ],
)
async def test_what_has_another_form_than_promised_is_left_out(odd: dict[str, JsonValue], *, detail: bool) -> None:
    result = await account(reply(200, odd), detail=detail)
    assert not result.is_error
    data = json.loads(texts(result)[0])
    assert data.get("usedToday", {}) == {}
    assert not {"creditBalance", "monthlyLimit"} & data.keys()


async def test_without_a_history_the_account_is_shown_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with connected(Script(reply(200, ACCOUNT)), history=tmp_path / "file" / "history") as client:
        result = await client.call_tool("runway_getAccount", {})
    assert json.loads(texts(result)[0])["creditBalance"] == 12_345
    assert "today is unknown" in texts(result)[1]

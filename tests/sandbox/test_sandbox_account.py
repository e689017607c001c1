"""What tasks cost, what the account has left, and what happens when that is nothing."""

from typing import Any

import pytest
from sandbox_client import BY_PATH, IMAGE, Client, Clock, connected

from runway_mcp.sandbox import create_app

_OPENING = 100_000
_TODAY = "2027-01-15"  # the clock stands at eight in the morning


async def _balance(client: Client) -> int:
    return int((await client.organization())["creditBalance"])


async def _used(client: Client, **days: str) -> dict[str, dict[str, int]]:
    results: list[dict[str, Any]] = (await client.usage(**(days or {"startDate": _TODAY})))["results"]
    return {one["date"]: {used["model"]: used["amount"] for used in one["usedCredits"]} for one in results}


async def test_a_new_account_has_its_credits_and_no_usage(client: Client) -> None:
    organization = await client.organization()
    assert organization["creditBalance"] == _OPENING
    assert organization["tier"]["models"].keys() == organization["usage"]["models"].keys()
    assert {one["dailyGenerations"] for one in organization["usage"]["models"].values()} == {0}
    assert await client.usage() == {"results": [], "models": []}


@pytest.mark.parametrize("path", BY_PATH)
async def test_what_was_estimated_is_charged(client: Client, clock: Clock, path: str) -> None:
    task_id = await client.create(path)
    estimate = (await client.task(task_id))["estimatedCost"]
    assert estimate["credits"] > 0
    assert await _balance(client) == _OPENING - estimate["credits"]
    clock.now += 22
    task = await client.task(task_id)
    assert (task["status"], task["cost"]) == ("SUCCEEDED", estimate)
    assert len(task["output"]) == (4 if path.endswith("marketing_stock_image") else 1)


@pytest.mark.parametrize(
    ("path", "changed", "credit"),
    [
        ("/v1/text_to_video", {"duration": 10}, 120),
        ("/v1/text_to_video", {"duration": 10, "outputFormat": "prores"}, 170),
        ("/v1/text_to_video", {"duration": 10, "outputFormat": "mp4"}, 120),
        ("/v1/text_to_video", {"model": "veo3.1_fast", "duration": 4, "audio": False}, 40),
        ("/v1/text_to_video", {"model": "veo3.1", "duration": 4}, 160),
        ("/v1/text_to_video", {"model": "veo3.1"}, 320),
        ("/v1/image_to_video", {"model": "gen4_turbo", "duration": 10}, 50),
        ("/v1/text_to_image", {"model": "gemini_image3_pro", "outputCount": 4}, 80),
        ("/v1/text_to_image", {"model": "gpt_image_2", "quality": "low", "outputCount": 10}, 10),
        ("/v1/text_to_image", {"model": "gpt_image_2", "quality": "auto"}, 20),
        ("/v1/text_to_image", {"model": "gen4_image", "outputCount": 1e300}, 50),
        ("/v1/text_to_speech", {"promptText": "x" * 51}, 2),
        ("/v1/sound_effect", {}, 2),
        ("/v1/sound_effect", {"duration": 30}, 30),
        ("/v1/lip_sync", {"model": "gen4_turbo", "duration": -1}, 0),
        ("/v1/lip_sync", {"model": "gen4_turbo", "duration": 1e300}, 36_000),
    ],
)
async def test_a_task_is_priced_by_what_it_asks_for(
    client: Client, path: str, changed: dict[str, object], credit: int
) -> None:
    answer = await client.start(path, **changed)
    assert answer.json()["estimatedCost"] == {"credits": credit}


async def test_too_few_credits_are_a_refusal(clock: Clock) -> None:
    async with connected(create_app(clock=clock, samples=False, opening_balance=100)) as client:
        await client.create()
        answer = await client.start()
        assert answer.status_code == 400
        assert answer.json() == {"error": "You do not have enough credits to run this task."}
        assert await _balance(client) == 40
        assert (await client.organization())["usage"]["models"]["gen4.5"] == {"dailyGenerations": 1}
        await client.create("/v1/image_to_video", model="gen4_turbo", duration=8)
        assert await _balance(client) == 0


async def test_over_the_daily_quota_a_create_is_refused(clock: Clock) -> None:
    app = create_app(clock=clock, samples=False, daily_generations=2)
    async with connected(app) as client:
        limits = (await client.organization())["tier"]["models"]
        assert limits["gen4.5"]["maxDailyGenerations"] == 2
        await client.delete(await client.create())
        clock.now += 3600
        await client.create("/v1/generate/video")  # for which the router chooses gen4.5
        assert (await client.organization())["usage"]["models"]["gen4.5"] == {"dailyGenerations": 2}
        answer = await client.start()
        assert (answer.status_code, set(answer.json())) == (429, {"error"})
        await client.create(model="hailuo3")
        clock.now += 86_400 - 3600
        await client.create()
        assert (await client.start()).status_code == 429


async def test_usage_is_told_by_day_and_model(client: Client, clock: Clock) -> None:
    await client.create("/v1/text_to_image", referenceImages=[{"uri": IMAGE}])
    clock.now += 86_400 - 8 * 3600 - 1  # a second before midnight
    await client.create("/v1/text_to_image", promptText="sandbox:fail:INTERNAL")
    await client.create(duration=2)
    clock.now += 3600
    await client.create(duration=3)
    await client.delete(await client.create())  # PENDING, so it costs nothing
    assert await _used(client) == {
        _TODAY: {"gen4_image": 10, "gen4.5": 24},
        "2027-01-16": {"gen4_image": -5, "gen4.5": 36},
    }
    assert (await client.usage(startDate=_TODAY))["models"] == ["gen4.5", "gen4_image"]
    assert await _balance(client) == _OPENING - 65


async def test_usage_is_told_for_the_days_that_are_asked_for(client: Client, clock: Clock) -> None:
    for _ in range(3):
        await client.create(duration=2)
        clock.now += 20 * 86_400
    await client.create(duration=2)
    days = [_TODAY, "2027-02-04", "2027-02-24"]  # and today, the 16th of March
    assert list(await _used(client, startDate=_TODAY, beforeDate="2027-03-01")) == days
    assert list(await _used(client, startDate=_TODAY, beforeDate="2027-02-24")) == days[:2]
    assert list(await _used(client, startDate=_TODAY)) == days[:2]
    assert list(await _used(client, beforeDate="2027-02-24")) == []
    results = (await client.usage())["results"]
    assert [one["date"] for one in results] == days[2:]
    assert await client.usage(startDate="9999-12-31") == {"results": [], "models": []}


@pytest.mark.parametrize(
    ("days", "field"),
    [
        ({"startDate": "2026-02-30"}, "startDate"),
        ({"startDate": "20260201"}, "startDate"),
        ({"beforeDate": 5}, "beforeDate"),
        ({"startDate": "2026-01-01", "beforeDate": "2026-04-02"}, "beforeDate"),
    ],
)
async def test_days_that_can_not_be_told_are_refused(client: Client, days: dict[str, object], field: str) -> None:
    answer = await client.http.post("/v1/organization/usage", json=days)
    assert answer.status_code == 400
    assert [issue["path"] for issue in answer.json()["issues"]] == [[field]]


async def test_models_of_no_description_are_paid_for_but_not_told_of(client: Client) -> None:
    await client.create("/v1/frame_interpolation")
    assert await _balance(client) == _OPENING - 50
    assert await client.usage(startDate=_TODAY) == {"results": [], "models": []}
    assert "frame_interpolation_v1" not in (await client.organization())["tier"]["models"]

"""A generation fails when it is asked to, as each family of failures does."""

import pytest
from sandbox_client import VIDEO, Client, Clock

from runway_mcp.sandbox.failures import FAMILIES

_COSTS = {
    "SAFETY.INPUT.TEXT": 60,
    "SAFETY.INPUT.IMAGE": 60,
    "SAFETY.OUTPUT.VIDEO": 0,
    "INPUT_PREPROCESSING.SAFETY.TEXT": 0,
    "INPUT_PREPROCESSING.INTERNAL": 0,
    "ASSET.INVALID": 0,
    "INTERNAL.BAD_OUTPUT.CODE01": 0,
    "THIRD_PARTY.UNAVAILABLE": 0,
    "NEVER_HEARD.OF": 0,
    "NONE": 0,
}


async def test_a_marked_request_fails_with_the_code_it_asks_for(client: Client, clock: Clock) -> None:
    told: set[str] = set()
    for code, cost in _COSTS.items():
        task_id = await client.create(promptText=f"a storm, sandbox:fail:{code}.")
        clock.now += 21
        assert await client.status(task_id) == "RUNNING"
        clock.now += 1
        task = await client.task(task_id)
        assert (task["status"], task["cost"]) == ("FAILED", {"credits": cost})
        assert task.get("failureCode", "NONE") == code
        told.add(task["failure"])
    assert told == {family.reason for family in FAMILIES}


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("/v1/text_to_video", {"promptText": "a storm, sandbox:fail"}),
        ("/v1/generate/video", {"input": {"promptText": "sandbox:fail"}}),
        ("/v1/video_upscale", {"videoUri": f"{VIDEO}?sandbox:fail"}),
    ],
)
async def test_the_marker_works_anywhere_in_a_request(
    client: Client, clock: Clock, path: str, changed: dict[str, object]
) -> None:
    task_id = await client.create(path, **changed)
    clock.now += 22
    assert (await client.task(task_id))["failureCode"] == "SAFETY.INPUT.TEXT"

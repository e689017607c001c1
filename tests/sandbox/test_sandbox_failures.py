"""A generation fails when it is asked to, as each family of failures does."""

import pytest
from sandbox_bodies import VIDEO
from sandbox_client import Client, Clock

from runway_mcp.sandbox.failures import FAMILIES

_CODES = [
    ("SAFETY.INPUT", 60),
    ("SAFETY.INPUT.TEXT", 60),
    ("SAFETY.INPUT.IMAGE", 60),
    ("SAFETY.OUTPUT.VIDEO", 0),
    ("INPUT_PREPROCESSING.SAFETY.TEXT", 0),
    ("INPUT_PREPROCESSING.INTERNAL", 0),
    ("ASSET.INVALID", 0),
    ("INTERNAL.BAD_OUTPUT.CODE01", 0),
    ("INTERNAL", 0),
    ("THIRD_PARTY.UNAVAILABLE", 0),
    ("NEVER_HEARD.OF", 0),
]


@pytest.mark.parametrize(("code", "cost"), _CODES)
async def test_a_marked_request_fails_with_the_code_it_asks_for(
    client: Client, clock: Clock, code: str, cost: int
) -> None:
    """The failure comes at the end of the run; only a moderated input is charged for."""
    task_id = await client.create(promptText=f"a storm, sandbox:fail:{code}.")
    clock.now += 21
    assert await client.status(task_id) == "RUNNING"
    clock.now += 1
    task = await client.task(task_id)
    assert (task["status"], task["failureCode"], task["cost"]) == ("FAILED", code, {"credits": cost})
    assert task["failure"]


async def test_every_family_has_a_text_of_its_own(client: Client, clock: Clock) -> None:
    """The codes above meet each family of the table, and each family tells something else."""
    told: set[str] = set()
    for code, _ in _CODES:
        task_id = await client.create("/v1/sound_effect", promptText=f"sandbox:fail:{code}")
        clock.now += 22
        told.add((await client.task(task_id))["failure"])
    assert told == {family.reason for family in FAMILIES}
    assert len(told) == len(FAMILIES)


async def test_a_bare_marker_is_a_moderated_prompt(client: Client, clock: Clock) -> None:
    """The commonest failure has the shortest marker."""
    task_id = await client.create(promptText="a storm, sandbox:fail")
    clock.now += 22
    assert (await client.task(task_id))["failureCode"] == "SAFETY.INPUT.TEXT"


async def test_a_failure_may_have_no_code(client: Client, clock: Clock) -> None:
    """The field is left out then."""
    task_id = await client.create(promptText="sandbox:fail:NONE")
    clock.now += 22
    task = await client.task(task_id)
    assert (task["status"], task["cost"]) == ("FAILED", {"credits": 0})
    assert "failureCode" not in task


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("/v1/generate/video", {"input": {"promptText": "sandbox:fail"}}),
        ("/v1/recipes/product_ugc", {"userConcept": "sandbox:fail"}),
        ("/v1/video_upscale", {"videoUri": f"{VIDEO}?sandbox:fail"}),
    ],
)
async def test_the_marker_works_anywhere_in_a_request(
    client: Client, clock: Clock, path: str, changed: dict[str, object]
) -> None:
    """Endpoints keep their text in different fields, and some have none, so all of them are looked at."""
    task_id = await client.create(path, **changed)
    clock.now += 22
    assert await client.status(task_id) == "FAILED"

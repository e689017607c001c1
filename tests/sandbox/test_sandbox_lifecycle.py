"""Tasks go through their states as the clock says, fail when asked to, and begin with samples of every state."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_client import START, VIDEO, Client, Clock, connected

from runway_mcp.sandbox import SAMPLES, create_app
from runway_mcp.sandbox.failures import FAMILIES

_MODEL = "veo3.1"


async def test_a_task_is_pending_then_runs_with_growing_progress_then_succeeds(client: Client, clock: Clock) -> None:
    task_id = await client.create()
    seen: list[tuple[str, float | None]] = []
    for elapsed in (0, 1.9, 2, 7, 12, 21.9, 22):
        clock.now = START + elapsed
        task = await client.task(task_id)
        seen.append((task["status"], task.get("progress")))
    assert seen == [
        *(("PENDING", None), ("PENDING", None), ("RUNNING", 0), ("RUNNING", 0.25), ("RUNNING", 0.5)),
        *(("RUNNING", 0.995), ("SUCCEEDED", None)),
    ]


async def test_over_the_limit_tasks_are_throttled_and_go_on_in_order(client: Client, clock: Clock) -> None:
    first, second = await client.create(model=_MODEL), await client.create(model=_MODEL)
    clock.now += 1
    third, fourth = await client.create(model=_MODEL), await client.create(model=_MODEL)
    limits = (await client.organization())["tier"]["models"]
    assert limits[_MODEL]["maxConcurrentGenerations"] == 2
    other = await client.create(model="hailuo3")
    assert [await client.status(one) for one in (first, second, third, fourth, other)] == [
        *("PENDING", "PENDING", "THROTTLED", "THROTTLED", "PENDING")
    ]
    assert await client.delete(second) == 204
    assert await client.status(third) == "PENDING"
    assert await client.status(fourth) == "THROTTLED"
    clock.now = START + 22
    assert await client.status(first) == "SUCCEEDED"
    assert await client.status(third) == "RUNNING"
    assert await client.status(fourth) == "PENDING"


async def test_deleting_a_finished_task_does_not_change_its_followers(client: Client, clock: Clock) -> None:
    first, _, third = [await client.create(model=_MODEL) for _ in range(3)]
    clock.now += 23
    before = await client.task(third)
    assert await client.delete(first) == 204
    assert await client.task(third) == before


@pytest.mark.parametrize(("elapsed", "status", "cost"), [(0, "PENDING", 0), (12, "RUNNING", 60)])
async def test_cancelling_an_active_task_shows_for_a_minute(
    client: Client, clock: Clock, elapsed: float, status: str, cost: int
) -> None:
    task_id = await client.create()
    clock.now += elapsed
    assert await client.status(task_id) == status
    assert (await client.organization())["creditBalance"] == 100_000 - 60
    assert await client.delete(task_id) == 204
    assert (await client.organization())["creditBalance"] == 100_000 - cost
    task = await client.task(task_id)
    assert (task["status"], task["cost"]) == ("CANCELLED", {"credits": cost})
    clock.now += 59
    assert await client.delete(task_id) == 404
    assert await client.status(task_id) == "CANCELLED"
    clock.now += 1
    assert await client.status(task_id) == "gone"
    assert await client.delete(task_id) == 404


@given(
    st.one_of(
        st.uuids().filter(lambda one: one.version != 4).map(str),
        st.uuids(version=4).map(lambda one: one.hex),
        st.uuids(version=4).map(lambda one: f"{one}%0A"),
        st.text("0123456789abcdef-", min_size=1, max_size=40).filter(lambda text: len(text) != 36),
    )
)
async def test_any_id_that_is_no_uuid_4_is_refused(task_id: str) -> None:
    async with connected(create_app(clock=Clock())) as client:
        answer = await client.http.get(f"/v1/tasks/{task_id}")
        assert answer.status_code == 400
        assert answer.json()["issues"][0]["path"] == ["id"]


_STEPS = st.lists(st.tuples(st.sampled_from(["create", "create", "delete", "wait"]), st.integers(0, 30)), max_size=25)


@settings(max_examples=40)
@given(_STEPS)
async def test_slots_are_never_overbooked_nor_left_empty(steps: list[tuple[str, int]]) -> None:
    clock, ids = Clock(), list[str]()
    async with connected(create_app(clock=clock, samples=False)) as client:
        for step, value in steps:
            if step == "create":
                clock.now += 0.5
                ids.append(await client.create(model=_MODEL))
            elif step == "wait":
                clock.now += value
            elif ids:
                await client.delete(ids[value % len(ids)])
            states = [await client.status(one) for one in ids]
            active = sum(state in ("PENDING", "RUNNING") for state in states)
            assert active == min(2, active + states.count("THROTTLED"))
            if "THROTTLED" in states:
                assert "PENDING" not in states[states.index("THROTTLED") :]


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


async def test_the_marker_works_anywhere_in_a_request(client: Client, clock: Clock) -> None:
    ids = [
        await client.create("/v1/text_to_video", promptText="a storm, sandbox:fail"),
        await client.create("/v1/generate/video", input={"promptText": "sandbox:fail"}),
        await client.create("/v1/video_upscale", videoUri=f"{VIDEO}?sandbox:fail"),
    ]
    clock.now += 22
    assert [(await client.task(one))["failureCode"] for one in ids] == ["SAFETY.INPUT.TEXT"] * 3


async def test_the_samples_wait_for_the_first_look(clock: Clock) -> None:
    async with connected(create_app(clock=clock, speed=10)) as client:
        clock.now += 5000
        await client.http.get("/v1/organization", headers={"Authorization": "Bearer invalid"})
        clock.now += 5000
        running = SAMPLES["running"].id
        assert (await client.task(running))["progress"] == 0.25
        assert (await client.task(SAMPLES["running_long"].id))["progress"] == 0.25
        clock.now += 5.9
        assert await client.status(running) == "RUNNING"
        clock.now += 0.2
        task = await client.task(running)
        assert (task["status"], task["createdAt"]) == ("SUCCEEDED", "2027-01-15T10:46:38.000Z")


async def test_the_long_samples_last_for_an_hour(sampled: Client, clock: Clock) -> None:
    samples = [SAMPLES[name].id for name in ("pending", "running_long", "throttled")]
    for seconds, expected in ((3599, ["PENDING", "RUNNING", "THROTTLED"]), (1, ["RUNNING", "SUCCEEDED", "PENDING"])):
        assert [await sampled.status(one) for one in samples] == ["PENDING", "RUNNING", "THROTTLED"]
        clock.now += seconds
        assert [await sampled.status(one) for one in samples] == expected


async def test_the_cancelled_sample_stays(sampled: Client, clock: Clock) -> None:
    clock.now += 86_400
    assert await sampled.delete(SAMPLES["cancelled"].id) == 404
    assert await sampled.status(SAMPLES["cancelled"].id) == "CANCELLED"

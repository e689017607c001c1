"""The tasks a sandbox begins with are what they are called, from the first look on."""

from sandbox_client import Client, Clock, connected

from runway_mcp.sandbox import SAMPLES, create_app


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
        assert await client.status(running) == "SUCCEEDED"


async def test_the_long_samples_last_for_an_hour(sampled: Client, clock: Clock) -> None:
    samples = [SAMPLES[name].id for name in ("pending", "running_long", "throttled")]
    for seconds, expected in ((3599, ["PENDING", "RUNNING", "THROTTLED"]), (1, ["RUNNING", "SUCCEEDED", "PENDING"])):
        assert [await sampled.status(one) for one in samples] == ["PENDING", "RUNNING", "THROTTLED"]
        clock.now += seconds
        assert [await sampled.status(one) for one in samples] == expected


async def test_cancelling_the_long_sample_lets_the_throttled_one_start(sampled: Client) -> None:
    assert await sampled.delete(SAMPLES["running_long"].id) == 204
    assert await sampled.status(SAMPLES["throttled"].id) == "PENDING"


async def test_the_cancelled_sample_stays(sampled: Client, clock: Clock) -> None:
    clock.now += 86_400
    assert await sampled.delete(SAMPLES["cancelled"].id) == 404
    assert await sampled.status(SAMPLES["cancelled"].id) == "CANCELLED"

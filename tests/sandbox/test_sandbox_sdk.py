"""The API's official SDK, with strict checking of answers, can not tell the sandbox from the API."""

import socket
from collections.abc import AsyncIterator, Iterator
from threading import Thread

import httpx
import pytest
import runwayml
import uvicorn
from runwayml import AsyncRunwayML, RunwayML
from runwayml.lib import polling
from sandbox_client import Clock

from runway_mcp.sandbox import SAMPLES, Sample, create_app

_UNKNOWN = "11111111-1111-4111-8111-111111111111"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK, which has no setting for it, ask again after 20 ms instead of 6 s."""
    monkeypatch.setattr(polling, "POLL_TIME", 0.02)
    monkeypatch.setattr(polling, "POLL_JITTER", 0)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A sandbox two hundred times faster than life, served on the loopback interface."""
    config = uvicorn.Config(create_app(speed=200), log_level="error", ws="none")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def sdk(url: str) -> Iterator[RunwayML]:
    """The SDK's client, over a socket."""
    with RunwayML(api_key="key", base_url=url, max_retries=0, _strict_response_validation=True) as one:
        yield one


@pytest.fixture
async def async_sdk() -> AsyncIterator[AsyncRunwayML]:
    """The SDK's asynchronous client, in this process, with five seconds between any two requests."""
    transport = httpx.ASGITransport(app=create_app(clock=Clock(tick=5)))
    async with AsyncRunwayML(
        api_key="key",
        base_url="http://runway.test",
        max_retries=0,
        http_client=httpx.AsyncClient(transport=transport),
        _strict_response_validation=True,
    ) as one:
        yield one


def test_the_sdk_waits_for_an_image_to_video_task_and_downloads_it(sdk: RunwayML) -> None:
    """Create, wait, fetch the file at the URL, delete: all over HTTP."""
    task = sdk.image_to_video.create(
        model="gen4_turbo", prompt_image="https://example.com/a.png", ratio="1280:720", duration=5
    ).wait_for_task_output(timeout=5)
    assert task.status == "SUCCEEDED"
    file = httpx.get(task.output[0])
    assert file.headers["Content-Type"] == "video/mp4"
    assert httpx.head(task.output[0]).headers["Content-Length"] == str(len(file.content))
    sdk.tasks.delete(task.id)
    with pytest.raises(runwayml.NotFoundError):
        sdk.tasks.retrieve(task.id)
    assert httpx.get(task.output[0]).status_code == 404


def test_the_sdk_reports_a_failed_task(sdk: RunwayML) -> None:
    """A scripted failure is the SDK's own failure, with the code."""
    created = sdk.text_to_image.create(model="gen4_image", prompt_text="sandbox:fail", ratio="1024:1024")
    with pytest.raises(polling.TaskFailedError) as failure:
        created.wait_for_task_output(timeout=5)
    details = failure.value.task_details
    assert details.status == "FAILED"
    assert details.failure_code == "SAFETY.INPUT.TEXT"


def test_the_sdk_reads_the_organization(sdk: RunwayML) -> None:
    """Limits and usage arrive as the SDK's model."""
    organization = sdk.organization.retrieve()
    assert organization.credit_balance > 0
    assert organization.tier.models["veo3"].max_concurrent_generations == 1


def test_the_sdk_raises_its_own_errors(sdk: RunwayML) -> None:
    """401, 400 and 404 come as the classes the SDK has for them."""
    with pytest.raises(runwayml.AuthenticationError):
        sdk.with_options(api_key="invalid").organization.retrieve()
    with pytest.raises(runwayml.BadRequestError):
        sdk.with_options(runway_version="2024-09-13").organization.retrieve()
    with pytest.raises(runwayml.BadRequestError):
        sdk.tasks.retrieve("nonsense")
    with pytest.raises(runwayml.NotFoundError):
        sdk.tasks.retrieve(_UNKNOWN)
    with pytest.raises(runwayml.NotFoundError):
        sdk.tasks.delete(_UNKNOWN)


async def test_the_async_sdk_waits_for_each_kind_of_task(async_sdk: AsyncRunwayML) -> None:
    """Endpoints that answer in different shapes lead to tasks that succeed alike."""
    created = [
        await async_sdk.text_to_video.create(model="gen4.5", prompt_text="rain", ratio="1280:720", duration=5),
        await async_sdk.sound_effect.create(model="eleven_text_to_sound_v2", prompt_text="rain"),
        await async_sdk.recipes.product_swap(
            version="2026-06",
            reference_video={"uri": "https://example.com/a.mp4"},
            original_product_image={"uri": "https://example.com/a.png"},
            new_product_images=[{"uri": "https://example.com/b.png"}],
        ),
        await async_sdk.avatar_videos.create(
            model="gwm1_avatars",
            avatar={"type": "runway-preset", "preset_id": "tennis-coach"},
            speech={"type": "text", "text": "hello"},
        ),
    ]
    for one in created:
        assert (await one.wait_for_task_output()).status == "SUCCEEDED"


async def test_the_async_sdk_creates_through_a_router(async_sdk: AsyncRunwayML) -> None:
    """The routing decision passes the SDK's strict check."""
    created = await async_sdk.generate.video.create(config_id="router", input={"prompt_text": "rain"})
    assert "routing" in created.to_dict()


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES.keys())
async def test_the_async_sdk_reads_every_sample(async_sdk: AsyncRunwayML, sample: Sample) -> None:
    """Each state has the SDK's shape for it."""
    task = await async_sdk.tasks.retrieve(sample.id)
    assert sample.what.startswith(task.status)


async def test_the_async_sdk_reports_a_cancelled_task(async_sdk: AsyncRunwayML) -> None:
    """Cancelled while somebody waits for it, a task ends that wait."""
    task = await async_sdk.tasks.retrieve(SAMPLES["running_long"].id)
    await async_sdk.tasks.delete(task.id)
    with pytest.raises(polling.TaskFailedError) as failure:
        await task.wait_for_task_output()
    assert failure.value.task_details.status == "CANCELLED"

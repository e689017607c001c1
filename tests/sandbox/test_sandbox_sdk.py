"""The API's official SDK, with strict checking of answers, can not tell the sandbox from the API."""

import json
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import date
from operator import attrgetter
from pathlib import Path
from threading import Thread
from typing import Any, cast

import httpx
import pytest
import runwayml
import uvicorn
from runwayml import AsyncRunwayML, RunwayML, omit
from runwayml.lib import polling
from sandbox_client import IMAGE, Clock, bodies
from starlette.types import ASGIApp

from runway_mcp.sandbox import SAMPLES, Sample, create_app
from runway_mcp.sandbox.output_files import OUTPUTS

_STRICT: dict[str, Any] = {"api_key": "key", "max_retries": 0, "_strict_response_validation": True}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK, which has no setting for it, ask again after 20 ms instead of 6 s."""
    monkeypatch.setattr(polling, "POLL_TIME", 0.02)
    monkeypatch.setattr(polling, "POLL_JITTER", 0)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A sandbox two hundred times faster than life, served on the loopback interface."""
    server = uvicorn.Server(uvicorn.Config(create_app(speed=200), log_level="error", ws="none"))
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
    with RunwayML(base_url=url, **_STRICT) as one:
        yield one


@asynccontextmanager
async def in_process(app: ASGIApp, *hooks: Callable[[httpx.Request], Awaitable[None]]) -> AsyncGenerator[AsyncRunwayML]:
    """The SDK's asynchronous client of a sandbox in this process; each request is shown to the hooks."""
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), event_hooks={"request": list(hooks)})
    async with AsyncRunwayML(base_url="http://runway.test", http_client=http, **_STRICT) as one:
        yield one


@pytest.fixture
async def async_sdk() -> AsyncIterator[AsyncRunwayML]:
    """A client of a sandbox with five seconds between any two requests."""
    async with in_process(create_app(clock=Clock(tick=5))) as one:
        yield one


def test_the_sdk_waits_for_an_image_to_video_task_and_downloads_it(sdk: RunwayML) -> None:
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


def test_the_sdk_uploads_a_file_and_uses_it(sdk: RunwayML, tmp_path: Path) -> None:
    file = tmp_path / "first frame.png"
    file.write_bytes(OUTPUTS["image"].path.read_bytes())
    for metadata in (omit, "about it"):
        upload = sdk.uploads.create_ephemeral(file=file, file_metadata=metadata)
        task = sdk.image_to_video.create(model="gen4_turbo", prompt_image=upload.uri, ratio="1280:720")
        assert task.wait_for_task_output(timeout=5).status == "SUCCEEDED"
        with pytest.raises(runwayml.BadRequestError, match="upload is of kind image"):
            sdk.voice_isolation.create(model="eleven_voice_isolation", audio_uri=upload.uri)
    with pytest.raises(runwayml.APIStatusError, match="400") as refusal:
        sdk.uploads.create_ephemeral(file=("a.png", b"small"))
    assert "EntityTooSmall" in str(refusal.value.body)
    with pytest.raises(runwayml.BadRequestError, match="extension"):
        sdk.uploads.create_ephemeral(file=("a.txt", bytes(600)))


def test_the_sdk_reports_a_failed_task(sdk: RunwayML) -> None:
    created = sdk.text_to_image.create(model="gen4_image", prompt_text="sandbox:fail", ratio="1024:1024")
    with pytest.raises(polling.TaskFailedError) as failure:
        created.wait_for_task_output(timeout=5)
    details = failure.value.task_details
    assert details.status == "FAILED"
    assert details.failure_code == "SAFETY.INPUT.TEXT"


def test_the_sdk_raises_its_own_errors(sdk: RunwayML) -> None:
    with pytest.raises(runwayml.AuthenticationError):
        sdk.with_options(api_key="invalid").organization.retrieve()
    with pytest.raises(runwayml.BadRequestError):
        sdk.with_options(runway_version="2024-09-13").organization.retrieve()
    with pytest.raises(runwayml.BadRequestError):
        sdk.tasks.retrieve("nonsense")
    for use in (sdk.tasks.retrieve, sdk.tasks.delete):
        with pytest.raises(runwayml.NotFoundError):
            use("11111111-1111-4111-8111-111111111111")


def _in_snake_case(value: Any) -> Any:
    """The SDK's names for the API's fields, at every depth."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {re.sub("[A-Z]", r"_\g<0>", name).lower(): _in_snake_case(one) for name, one in fields.items()}
    return [_in_snake_case(one) for one in cast("list[Any]", value)] if isinstance(value, list) else value


def _method(path: str) -> str:
    """The SDK's method for an endpoint: recipes are methods themselves, everything else has ``create``."""
    name = path.removeprefix("/v1/").replace("/", ".")
    return name if name.startswith("recipes") else f"{name}.create"


@pytest.mark.parametrize("path", dict.fromkeys(path for path, _ in bodies(documented_only=True)))
async def test_the_async_sdk_creates_each_kind_of_task(path: str) -> None:
    sent: list[httpx.Request] = []

    async def keep(request: httpx.Request) -> None:
        sent.append(request)

    async with in_process(create_app(clock=Clock(tick=5)), keep) as sdk:
        create = attrgetter(_method(path))(sdk)
        for body in [body for where, body in bodies(documented_only=True) if where == path]:
            created = await create(**_in_snake_case(body))
            assert (sent[-1].url.path, json.loads(sent[-1].content)) == (path, body)
            assert (await created.wait_for_task_output()).status == "SUCCEEDED"


async def test_the_async_sdk_reports_what_is_refused(async_sdk: AsyncRunwayML) -> None:
    with pytest.raises(runwayml.BadRequestError) as refusal:
        await async_sdk.image_to_video.create(
            model="gen4_turbo",
            prompt_image=IMAGE,
            ratio=cast("Any", "16:9"),  # the SDK's types would refuse it too
        )
    body = cast("dict[str, Any]", refusal.value.body)
    assert [issue["path"] for issue in body["issues"]] == [["ratio"]]
    async with in_process(create_app(opening_balance=0)) as poor:
        with pytest.raises(runwayml.BadRequestError, match="credits"):
            await poor.sound_effect.create(model="seed_audio", prompt_text="rain")
    async with in_process(create_app(daily_generations=0)) as limited:
        with pytest.raises(runwayml.RateLimitError):
            await limited.sound_effect.create(model="seed_audio", prompt_text="rain")


async def test_the_async_sdk_reads_organization_and_usage(async_sdk: AsyncRunwayML) -> None:
    organization = await async_sdk.organization.retrieve()
    assert organization.credit_balance > 0
    assert organization.tier.models["veo3"].max_concurrent_generations == 1
    await async_sdk.sound_effect.create(model="seed_audio", prompt_text="rain")
    usage = await async_sdk.organization.retrieve_usage(start_date=date(2027, 1, 15), before_date=date(2027, 1, 16))
    [day] = usage.results
    assert (day.date, {one.model: one.amount for one in day.used_credits}["seed_audio"]) == (date(2027, 1, 15), 5)


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES.keys())
async def test_the_async_sdk_reads_every_sample(async_sdk: AsyncRunwayML, sample: Sample) -> None:
    task = await async_sdk.tasks.retrieve(sample.id)
    assert sample.what.startswith(task.status)


async def test_the_async_sdk_reports_a_cancelled_task(async_sdk: AsyncRunwayML) -> None:
    task = await async_sdk.tasks.retrieve(SAMPLES["running_long"].id)
    await async_sdk.tasks.delete(task.id)
    with pytest.raises(polling.TaskFailedError) as failure:
        await task.wait_for_task_output()
    assert failure.value.task_details.status == "CANCELLED"

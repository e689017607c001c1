"""Background tasks outlive the call that asked for them."""

from typing import Any

import anyio
import pytest
from support.virtual_time import VIRTUAL_TIME

from runway_mcp.tasks.background_tasks import AbortedByShutdownError, open_background_tasks


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL_TIME


async def test_a_call_returns_what_the_work_returns_or_raises() -> None:
    async def value() -> int:
        return 7

    async def error() -> int:
        raise LookupError("no")

    async with open_background_tasks() as background:
        assert await background.run(value, name="work") == 7
        with pytest.raises(LookupError, match="no"):
            await background.run(error, name="work")


@pytest.mark.parametrize("seconds", [0, 3])
async def test_an_outcome_that_nobody_takes_is_logged(seconds: float, caplog: pytest.LogCaptureFixture) -> None:
    """The caller leaves while the work goes on, or in the moment in which it ends."""

    async def work() -> str:
        caller.cancel()
        if seconds:
            await anyio.sleep(seconds)
        return "cancelled it"

    async with open_background_tasks() as background:
        with anyio.CancelScope() as caller:
            await background.run(work, name="cancel of X")
        assert caller.cancelled_caught
    assert caplog.messages == ["The caller left before cancel of X had ended. Outcome: cancelled it"]


async def test_closing_waits_for_the_work_even_when_cancelled() -> None:
    ended: list[str] = []

    async def work() -> None:
        process.cancel()
        await anyio.sleep(5)
        ended.append("done")

    with anyio.CancelScope() as process:
        async with open_background_tasks() as background:
            await background.run(work, name="work")
    assert ended == ["done"]


async def test_closing_aborts_work_that_does_not_end() -> None:
    aborted: list[str] = []
    async with anyio.create_task_group() as callers, open_background_tasks() as background:

        async def call() -> None:
            with pytest.raises(AbortedByShutdownError) as caught:
                await background.run(anyio.sleep_forever, name="the change")
            aborted.append(caught.value.name)

        callers.start_soon(call)
        await anyio.sleep(1)
    assert aborted == ["the change"]

"""Changes that outlive the call that asked for them."""

import logging

import anyio
import pytest

from runway_mcp.tasks.background_tasks import open_background_tasks


async def test_a_change_returns_what_it_came_to() -> None:
    """Value and error of the work are those of the call."""

    async def value() -> int:
        return 7

    async def error() -> int:
        raise LookupError("no")

    async with open_background_tasks() as changes:
        assert await changes.run(value, name="a change") == 7
        with pytest.raises(LookupError, match="no"):
            await changes.run(error, name="a change")


async def test_a_change_goes_on_when_its_caller_leaves(caplog: pytest.LogCaptureFixture) -> None:
    """The work ends by itself, and the log says how, since nobody else will hear of it."""
    started, proceed = anyio.Event(), anyio.Event()
    ended: list[str] = []

    async def work() -> str:
        started.set()
        await proceed.wait()
        ended.append("done")
        return "cancelled it"

    with anyio.fail_after(5):
        async with open_background_tasks() as changes:
            async with anyio.create_task_group() as callers:
                callers.start_soon(lambda: changes.run(work, name="cancel of X"))
                await started.wait()
                callers.cancel_scope.cancel()
            assert ended == []
            proceed.set()
    assert ended == ["done"]
    assert "The caller left before cancel of X had ended. Outcome: cancelled it" in caplog.text


async def test_closing_waits_for_changes_under_way_even_when_cancelled() -> None:
    """A process that is told to stop still learns what became of a change."""
    started = anyio.Event()
    ended: list[str] = []

    async def work() -> None:
        started.set()
        await anyio.sleep(0.05)
        ended.append("done")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as process:

            async def serve() -> None:
                async with open_background_tasks() as changes, anyio.create_task_group() as callers:
                    callers.start_soon(lambda: changes.run(work, name="a change"))
                    await anyio.sleep_forever()

            process.start_soon(serve)
            await started.wait()
            process.cancel_scope.cancel()
    assert ended == ["done"]


async def test_closing_gives_up_a_change_that_does_not_end(caplog: pytest.LogCaptureFixture) -> None:
    """After the bounded wait the change is dropped, and its caller and the log are told."""
    caplog.set_level(logging.WARNING)
    results: list[BaseException] = []
    started = anyio.Event()

    async def work() -> None:
        started.set()
        await anyio.sleep_forever()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as callers, open_background_tasks(shutdown_seconds=0.05) as changes:

            async def call() -> None:
                try:
                    await changes.run(work, name="a change")
                except TimeoutError as error:
                    results.append(error)

            callers.start_soon(call)
            await started.wait()
    assert [str(error) for error in results] == ["the process closed before its outcome was known"]

"""Resources that are opened when they are first asked for."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest
from anyio.abc import TaskGroup

from runway_mcp.tasks.opened_once import OpenedOnce


async def test_who_waits_while_it_can_not_be_opened_gets_the_same_error_and_who_asks_next_tries_again() -> None:
    """Else many who wait for a database that does not answer would wait one after the other."""
    tries, errors, release = list[int](), list[OSError](), anyio.Event()

    @asynccontextmanager
    async def open_it() -> AsyncGenerator[str]:
        tries.append(1)
        await release.wait()
        if len(tries) == 1:
            raise OSError("refused")
        yield "opened"

    async def ask() -> None:
        with pytest.raises(OSError, match="refused") as caught:
            await once()
        errors.append(caught.value)

    with anyio.fail_after(10):
        async with AsyncExitStack() as resources:
            once = OpenedOnce(resources, open_it)
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(ask)
                await anyio.wait_all_tasks_blocked()
                release.set()
            assert (len(tries), len(errors), len(set(errors))) == (1, 5, 1)
            assert [await once() for _ in range(2)] == ["opened"] * 2
    assert len(tries) == 2


async def test_who_gives_up_leaves_it_to_the_next() -> None:
    tries = list[int]()

    @asynccontextmanager
    async def open_it() -> AsyncGenerator[str]:
        tries.append(1)
        if len(tries) == 1:
            await anyio.sleep_forever()
        yield "opened"

    with anyio.fail_after(10):
        async with AsyncExitStack() as resources:
            once = OpenedOnce(resources, open_it)
            async with anyio.create_task_group() as group:
                group.start_soon(once)
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
            assert await once() == "opened"
    assert len(tries) == 2


async def test_opening_goes_on_when_all_who_wait_have_given_up() -> None:
    """Else a database that takes longer to be opened than anybody waits would never be open."""
    tries, release = list[int](), anyio.Event()

    @asynccontextmanager
    async def open_it() -> AsyncGenerator[str]:
        tries.append(1)
        await release.wait()
        if len(tries) == 1:
            raise OSError("refused")
        yield "opened"

    async def fail(once: OpenedOnce[str], group: TaskGroup) -> None:
        with pytest.raises(OSError, match="refused"):
            await once.within(10, group, TimeoutError())

    async def be_late(once: OpenedOnce[str], group: TaskGroup) -> None:
        with pytest.raises(TimeoutError, match="late"):
            await once.within(0.01, group, TimeoutError("late"))

    with anyio.fail_after(10):
        async with AsyncExitStack() as resources, anyio.create_task_group() as group:
            once = OpenedOnce(resources, open_it)
            async with anyio.create_task_group() as waiting:
                for _ in range(3):
                    waiting.start_soon(be_late, once, group)
            assert not once.is_open
            async with anyio.create_task_group() as waiting:
                for _ in range(3):
                    waiting.start_soon(fail, once, group)
                await anyio.wait_all_tasks_blocked()
                release.set()
            release = anyio.Event()
            await be_late(once, group)
            release.set()
            assert [await once.within(10, group, TimeoutError()) for _ in range(2)] == ["opened"] * 2
    assert len(tries) == 2

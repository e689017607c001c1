"""Starts of one account are recorded one after another in a process."""

import anyio
import anyio.lowlevel
import pytest

from runway_mcp.history.account_turns import AccountTurns

LONG = 60.0


async def test_one_at_a_time_has_the_turn_of_an_account_in_the_order_of_coming() -> None:
    turns, order, inside = AccountTurns(), list[int](), list[int]()

    async def take(number: int) -> None:
        async with turns.take("one", LONG):
            inside.append(number)
            await anyio.lowlevel.checkpoint()
            assert inside == [number]
            order.append(inside.pop())

    async with anyio.create_task_group() as takers:
        for number in range(5):
            takers.start_soon(take, number)
    assert order == [0, 1, 2, 3, 4]


async def test_another_account_has_turns_of_its_own() -> None:
    turns = AccountTurns()
    with anyio.fail_after(LONG):
        async with turns.take("one", LONG), turns.take("two", LONG):
            pass


async def test_who_waited_long_enough_goes_on_and_takes_the_turn_from_nobody() -> None:
    turns, gone_on = AccountTurns(), anyio.Event()

    async def take_soon() -> None:
        async with turns.take("one", 0.001):
            gone_on.set()

    async def take_late() -> None:
        async with turns.take("one", LONG):
            pytest.fail("the turn was still taken")

    async with turns.take("one", LONG), anyio.create_task_group() as takers:
        takers.start_soon(take_soon)
        await gone_on.wait()
        takers.start_soon(take_late)
        await anyio.wait_all_tasks_blocked()
        takers.cancel_scope.cancel()


async def test_a_start_that_fails_or_is_cancelled_passes_its_turn_on() -> None:
    turns = AccountTurns()
    with pytest.raises(LookupError):
        async with turns.take("one", LONG):
            raise LookupError
    with anyio.CancelScope() as scope:
        async with turns.take("one", LONG):
            scope.cancel()
            await anyio.sleep(LONG)
    with anyio.fail_after(LONG):
        async with turns.take("one", LONG):
            pass

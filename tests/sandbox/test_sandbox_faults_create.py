"""What goes wrong with a create: whether it was bought is known to the account alone."""

import httpx2
import pytest
from sandbox_client import Client
from sandbox_wires import Wire, in_process, wires


async def _bought(client: Client) -> int:
    return int((await client.organization())["usage"]["models"]["gen4.5"]["dailyGenerations"])


@wires
@pytest.mark.parametrize(("what", "bought"), [("drop", 0), ("lost", 1)])
async def test_a_create_is_lost_before_or_after_it_was_bought(wire: Wire, what: str, bought: int) -> None:
    async with wire(f"POST {what} @1") as client:
        before = await _bought(client)
        with pytest.raises((httpx2.TransportError, ConnectionError)):
            await client.start()
        assert await _bought(client) - before == bought
        await client.create()
        assert await _bought(client) - before == bought + 1


@pytest.mark.parametrize(("status", "wait"), [(429, "1"), (500, None), (502, None), (503, "1"), (504, None)])
async def test_a_create_that_is_turned_away_buys_nothing(status: int, wait: str | None) -> None:
    async with in_process(f"POST {status} @1") as client:
        before = await _bought(client)
        answer = await client.start()
        assert (answer.status_code, answer.headers.get("Retry-After")) == (status, wait)
        assert await _bought(client) == before
        await client.create()
        assert await _bought(client) == before + 1


@pytest.mark.parametrize("what", ["html", "truncated", "empty", "0.05s"])
async def test_a_create_whose_reply_is_late_or_unreadable_was_bought(what: str) -> None:
    async with in_process(f"POST {what} @1") as client:
        before = await _bought(client)
        assert (await client.start()).status_code == 200
        assert await _bought(client) == before + 1


async def test_a_lost_create_is_checked_like_any_other() -> None:
    async with in_process("POST lost @1") as client:
        before = await _bought(client)
        with pytest.raises((httpx2.TransportError, ConnectionError)):
            await client.start(ratio="16:9")
        assert await _bought(client) == before

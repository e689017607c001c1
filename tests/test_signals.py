"""Stop signals inside an event loop, raised in this very process."""

import signal
from collections.abc import Generator

import anyio
import anyio.lowlevel
import pytest

from runway_mcp.signals import HANGUP, STOP_SIGNALS, on_hangup, on_stop_signal


@pytest.fixture(autouse=True)
def _own_handlers() -> Generator[None]:
    before = {number: signal.getsignal(number) for number in (*STOP_SIGNALS, *HANGUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def test_the_first_signal_stops_and_further_ones_do_nothing() -> None:
    """The handlers that wait for them stay: the process is ending."""
    stops: list[str] = []
    with on_stop_signal(lambda: stops.append("stop")):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
        with anyio.fail_after(5):
            while not stops:
                await anyio.lowlevel.checkpoint()
    signal.raise_signal(signal.SIGTERM)
    assert stops == ["stop"]


async def test_without_a_signal_the_former_handlers_come_back() -> None:
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    with on_stop_signal(lambda: None):
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before


async def test_each_hangup_is_acted_on_while_it_is_wanted() -> None:
    before = [signal.getsignal(number) for number in HANGUP]
    acts: list[str] = []
    with on_hangup(lambda: acts.append("act")):
        for number in HANGUP * 2:
            signal.raise_signal(number)
        with anyio.fail_after(5):
            while len(acts) < 2 * len(HANGUP):
                await anyio.lowlevel.checkpoint()
    assert [signal.getsignal(number) for number in HANGUP] == before

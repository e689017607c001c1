"""The wait itself, below the tool: what is reported, and when."""

import anyio
import pytest
from support.scripted import ID, Script, poller_of, reply, scripted_client, task
from support.virtual_time import VIRTUAL_TIME

from runway_mcp.tasks.waiting import Waited, wait


@pytest.mark.parametrize("anyio_backend", [VIRTUAL_TIME])
async def test_a_wait_reports_even_between_two_polls() -> None:
    """A host hears that the wait goes on before it gives the call up."""
    reports: list[float] = []
    script = Script(reply(200, task("RUNNING")))

    async def report(waited: Waited) -> None:
        reports.append(waited.seconds)

    async with scripted_client(script) as client, poller_of(client, poll_seconds=60) as poller:
        waited = await wait(poller, [ID], seconds=40, until="all", report=report)
        assert (waited.seconds, anyio.current_time()) == (40, 40)
    assert reports == [0, 9, 18, 27, 36]
    assert len(script.requests) == 1

"""The wait itself, below the tool: what is reported, and when."""

import anyio
from support.scripted import ID, Script, poller_of, reply, scripted_client, task

from runway_mcp.tasks.waiting import Waited, wait


async def test_a_wait_reports_even_where_nothing_was_looked_at() -> None:
    """Between two looks that are far apart a host still hears that the wait goes on."""
    reports: list[float] = []
    script = Script(reply(200, task("RUNNING")))

    async def report(waited: Waited) -> None:
        reports.append(waited.seconds)

    with anyio.fail_after(10):
        async with scripted_client(script) as client, poller_of(client, poll_seconds=60) as watcher:
            waited = await wait(watcher, [ID], seconds=0.5, until="all", report=report, report_seconds=0.1)
    assert len(script.requests) == 1
    assert len(reports) >= 4
    assert reports == sorted(reports)
    assert waited.seconds >= 0.5

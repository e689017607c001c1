"""Two replicas over PostgreSQL and behind a proxy, used by real clients. `scripts/replicas` runs it.

What it sees is printed; whatever does not hold ends it with an error.
"""

import sys
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from deployment.databases import running_postgres
from deployment.processes import BROKEN, KEY, Deployment, Replica
from mcp_types import CallToolResult
from support.served import start_task
from support.waiting import until

from runway_mcp.sandbox import SAMPLES

FAILING = 6
"""Reads at once that fail."""
LONGEST = 55
"""Seconds that all of it may take."""


async def every_tool(deployment: Deployment) -> str:
    """Each tool works in both eras of the protocol, and only for who shows a token."""
    async with deployment.http() as http:
        refused = await http.post("/mcp", json={}, headers={"Authorization": "Bearer nonsense"})
        assert refused.status_code == 401, refused.text
        assert "server" not in refused.headers, refused.headers
    for mode, active, finished in (
        ("auto", "running_long", "succeeded_audio"),
        ("legacy", "pending", "failed_internal"),
    ):
        async with deployment.client(mode) as client:
            read = await client.call_tool("runway_getTask", {"taskId": SAMPLES["succeeded_images"].id})
            waited = await client.call_tool("runway_waitForTask", {"taskId": SAMPLES["succeeded_video"].id})
            cancelled = await client.call_tool("runway_cancelTask", {"taskId": SAMPLES[active].id})
            deleted = await client.call_tool("runway_deleteTask", {"taskId": SAMPLES[finished].id})
        found = (told(read, "status"), told(waited, "status"), told(cancelled, "done"), told(deleted, "done"))
        assert found == ("SUCCEEDED", "SUCCEEDED", "cancelled", "deleted"), found
    return "tools: each works through the proxy with a token, in both eras of the protocol; without one 401"


async def unbuffered_progress(deployment: Deployment) -> str:
    """What a wait reports arrives while it goes on."""
    task_id = await start_task(deployment.api, KEY)
    arrived: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001 - the SDK's names
        arrived.append(anyio.current_time())

    async with deployment.client() as client:
        result = await client.call_tool("runway_waitForTask", {"taskId": task_id}, progress_callback=note)
    early = anyio.current_time() - arrived[0]
    gaps = [later - sooner for sooner, later in pairwise(arrived)]
    assert told(result, "status") == "SUCCEEDED", result
    assert early > 2, f"the first report came {early:.1f} s before the result"
    assert max(gaps) < 2, f"between two reports lay {max(gaps):.1f} s"
    return f"progress: {len(arrived)} reports while the wait went on, the first {early:.1f} s before the result"


async def departed(deployment: Deployment) -> str:
    """A client that goes away ends its wait, though the proxy stands between."""
    task_id = await start_task(deployment.api, KEY)

    async def wait() -> None:
        async with deployment.client() as client:
            await client.call_tool("runway_waitForTask", {"taskId": task_id})

    async with anyio.create_task_group() as calls:
        calls.start_soon(wait)
        await the_one_that_waits(deployment)
        calls.cancel_scope.cancel()
    with anyio.fail_after(3):
        while await deployment.waiting():  # noqa: ASYNC110 - another process knows it
            await anyio.sleep(0.05)
    return "departed client: its wait ended with it"


async def broken_api(deployment: Deployment) -> str:
    """What fails at Runway is told to the request that needed it; it takes no replica from others."""
    broken: list[int] = []
    others: list[int] = []

    async def read(task_id: str, statuses: list[int]) -> None:
        async with deployment.http() as http:
            statuses.append((await http.get(f"/v1/tasks/{task_id}")).status_code)

    async def read_on() -> None:
        while len(broken) < FAILING:
            await read(SAMPLES["succeeded_images"].id, others)

    async with anyio.create_task_group() as calls:
        for _ in range(FAILING):
            calls.start_soon(read, BROKEN, broken)
        calls.start_soon(read_on)
    await read(SAMPLES["succeeded_images"].id, others)
    assert (set(broken), set(others)) == ({502}, {200}), (broken, others)
    return f"broken API: {len(broken)} reads were told so, {len(others)} other ones were served meanwhile"


async def moving_wait(deployment: Deployment, stack: AsyncExitStack) -> str:
    """A wait that one replica began, and left when it was stopped, ends at the other; reads go on meanwhile."""
    task_id = await start_task(deployment.api, KEY)
    results: list[CallToolResult] = []
    statuses: list[int] = []
    ends = anyio.Event()
    first, second = deployment.replicas
    before = 0

    async def wait() -> None:
        async with deployment.client() as client:
            await client.list_tools()
            results.append(await client.call_tool("runway_waitForTask", {"taskId": task_id}))

    async def read() -> None:
        async with deployment.http() as http:
            while not ends.is_set():
                statuses.append((await http.get(f"/v1/tasks/{SAMPLES['succeeded_images'].id}")).status_code)

    async with anyio.create_task_group() as calls:
        calls.start_soon(read)
        calls.start_soon(wait)
        if await the_one_that_waits(deployment) is second:
            first, second = second, first
        before = second.served("tools/call")
        await first.server.stop("SIGTERM")
        await first.server.ends_quietly(timeout=10)
        await until(lambda: results, "the wait to return", 5)
        await wait()
        first.server = await stack.enter_async_context(deployment.serving(first.port))
        await until(lambda: first.served("GET /v1/tasks/{id}") > 3, "the replica to be asked again", 15)
        ends.set()
    assert told(results[0], "status") in {"PENDING", "RUNNING"}, results[0]
    assert "keep waiting" in str(results[0].content), results[0]
    assert told(results[1], "status") == "SUCCEEDED", results[1]
    assert second.served("tools/call") > before
    assert set(statuses) <= {200, 503}, set(statuses)
    return (
        f"wait: begun on port {first.port}, which was stopped and returned it {told(results[0], 'status')}; "
        f"ended on port {second.port} with SUCCEEDED\n"
        f"restart: of {len(statuses)} reads meanwhile, {statuses.count(503)} were told that it stops; it is back"
    )


async def the_one_that_waits(deployment: Deployment) -> Replica:
    """The replica that has a wait under way."""
    with anyio.fail_after(10):
        while not (found := await deployment.waiting()):  # noqa: ASYNC110 - another process knows it
            await anyio.sleep(0.05)
    (one,) = found
    return one


async def both_served(deployment: Deployment) -> str:
    counts = {one.port: one.served("tools/call") for one in deployment.replicas}
    assert all(counts.values()), counts
    return "tool calls by port: " + ", ".join(f"{port}: {count}" for port, count in counts.items())


def told(result: CallToolResult, field: str) -> Any:
    found: dict[str, Any] = result.structured_content or {}
    assert field in found, result
    return found[field]


async def main() -> None:
    with TemporaryDirectory() as folder, anyio.fail_after(LONGEST):
        async with AsyncExitStack() as stack:
            postgres = await stack.enter_async_context(running_postgres())
            deployment = Deployment(Path(folder), postgres)
            await stack.enter_async_context(deployment.running())
            await stack.enter_async_context(deployment.proxied())
            try:
                for check in (every_tool, unbuffered_progress, both_served, broken_api, departed):
                    say(await check(deployment))
                say(await moving_wait(deployment, stack))
            except Exception:
                say(deployment.log.read_text(), *(replica.server.stderr for replica in deployment.replicas))
                raise


def say(*texts: str) -> None:
    sys.stdout.write("\n".join([*texts, ""]))
    sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(main)

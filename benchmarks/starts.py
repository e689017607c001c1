"""Starts per second over a SQLite file and over PostgreSQL, with and without a day's limit.

    uv run benchmarks/starts.py [STARTS] [DATABASE_URL]

One or four processes start tasks of one account, five at a time each, or one with a day's limit: that lets an account
start one task after another. Runway answers at once, in the same process.
"""

import contextlib
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import anyio
import httpx2
from pydantic import SecretStr
from replicas import KEY, new_database

from runway_mcp.api.client import open_client
from runway_mcp.catalogue.validation import prepare
from runway_mcp.history.places import HistoryPlace
from runway_mcp.history.records import NO_LIMITS, Limits
from runway_mcp.spending.starter import Starter
from runway_mcp.tasks.callers import Caller, CallerRegistry

AT_ONCE = 5
START = prepare("text_to_video", {"model": "gen4.5", "promptText": "rain", "ratio": "1280:720", "duration": 2})


def created(_: httpx2.Request) -> httpx2.Response:
    """Answer a start."""
    return httpx2.Response(200, json={"id": str(uuid4()), "estimatedCost": {"credits": 24}})


async def start_tasks(place: HistoryPlace, limits: Limits, starts: int) -> None:
    """Start tasks, after a line was read; print how many seconds it took."""
    callers = CallerRegistry(
        lambda _: open_client(
            api_key=KEY,
            base_url="http://127.0.0.1:1",
            api_version="2024-11-06",
            transport=httpx2.MockTransport(created),
        ),
        history=place,
        limits=limits,
    )

    at_once = AT_ONCE if limits.day is None else 1

    async def work() -> None:
        for _ in range(starts // at_once):
            await starter.start(START, client_token=str(uuid4()))

    async with callers.running():
        starter = Starter(await callers.of(Caller("one", key=KEY)))
        await starter.start(START)
        print("ready", flush=True)
        sys.stdin.readline()
        begun = time.monotonic()
        async with anyio.create_task_group() as workers:
            for _ in range(at_once):
                workers.start_soon(work)
        print(time.monotonic() - begun)


def rate(place: str, day: str, processes: int, starts: int) -> float:
    """Return the starts per second of several processes together."""
    each = starts // processes // AT_ONCE * AT_ONCE
    if day:
        each //= 4  # they are slower
    command = [sys.executable, __file__, "start", place, day, str(each)]
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(processes)
        ]
        for process in started:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise SystemExit("a process did not start")
        for process in started:
            if process.stdin is not None:
                process.stdin.write("\n")
                process.stdin.flush()
        return each * processes / max(float(process.communicate()[0]) for process in started)


def main() -> None:
    """Print a table, one line for each place."""
    if sys.argv[1:2] == ["start"]:
        _, _, place, day, starts = sys.argv
        kept = SecretStr if place.startswith("postgres") else Path
        anyio.run(start_tasks, kept(place), Limits(day=float(day)) if day else NO_LIMITS, int(starts))
        return
    starts = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    with TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        url = sys.argv[2] if len(sys.argv) > 2 else str(stack.enter_context(new_database()).get_uri())  # noqa: PLR2004 - the second argument
        print(f"starts per second   {'1 process':>12}  {'day limit':>12}  {'4 processes':>12}  {'day limit':>12}")
        for name, place in (("SQLite", ""), ("PostgreSQL", url)):
            rates = [
                rate(place or str(Path(folder) / f"{processes}{day}.sqlite3"), day, processes, starts)
                for processes in (1, 4)
                for day in ("", "1e9")
            ]
            print(f"{name:18}  " + "  ".join(f"{one:12.0f}" for one in rates), flush=True)


if __name__ == "__main__":
    main()

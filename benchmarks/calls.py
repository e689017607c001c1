"""Time of one `runway_getTask` over stdio, against a bare server that makes the same GET.

    uv run benchmarks/calls.py [ROUNDS] [CALLS]

Both servers ask the same simulated API, served by a process of its own, and answer one client
each, call after call. Rounds alternate, and the ratios of the rounds are what counts.
"""

import contextlib
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import httpx2

HERE = Path(__file__).parent
TASKS = 200
"""As many are asked for in turn, lest the second read of one is answered without asking the API."""


class Session:
    """A client of one server process over stdio, reduced to what a call costs."""

    def __init__(self, process: subprocess.Popen[bytes], tool: str, task_ids: list[str]) -> None:
        if process.stdin is None or process.stdout is None:
            raise SystemExit("no pipes")
        self._stdin, self._stdout = process.stdin, process.stdout
        self._tool = tool
        self._task_ids = itertools.cycle(task_ids)
        self._id = 0
        self._ask(
            "initialize",
            {
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": {"name": "benchmark", "version": "0"},
            },
        )
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def call(self) -> None:
        """Make one call, and check that it brought the task."""
        task_id = next(self._task_ids)
        result = self._ask("tools/call", {"name": self._tool, "arguments": {"taskId": task_id}})
        if task_id not in result["content"][0]["text"]:
            raise SystemExit(f"{self._tool}: {result}")

    def seconds_per_call(self, calls: int) -> float:
        """Return the mean time of `calls` calls."""
        started = time.perf_counter()
        for _ in range(calls):
            self.call()
        return (time.perf_counter() - started) / calls

    def _ask(self, method: str, params: dict[str, object]) -> dict[str, list[dict[str, str]]]:
        self._id += 1
        self._send({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        return json.loads(self._stdout.readline())["result"]

    def _send(self, message: dict[str, object]) -> None:
        self._stdin.write(json.dumps(message).encode() + b"\n")
        self._stdin.flush()


@contextlib.contextmanager
def running(*command: str, **environment: str) -> Generator[subprocess.Popen[bytes]]:
    """A process with pipes, ended at the end."""
    with subprocess.Popen(
        [sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(port: int) -> None:
    """Return once something listens on `port`."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit("the sandbox did not start")


def main() -> None:
    """Print both medians and the ratio of the rounds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    calls = int(sys.argv[2]) if len(sys.argv) > 2 else 100  # noqa: PLR2004 - the second argument
    port = free_port()
    upstream = {
        "RUNWAYML_BASE_URL": f"http://127.0.0.1:{port}",
        "RUNWAYML_API_SECRET": "key_of_a_benchmark",
        "RUNWAY_MCP_POLL_SECONDS": "0.05",
    }
    headers = {"Authorization": "Bearer key_of_a_benchmark", "X-Runway-Version": "2024-11-06"}
    with running("-m", "runway_mcp", "sandbox", "--port", str(port)):
        wait_for(port)
        with httpx2.Client(base_url=upstream["RUNWAYML_BASE_URL"], headers=headers) as api:
            start = {"model": "eleven_text_to_sound_v2", "promptText": "rain"}
            task_ids = [str(api.post("/v1/sound_effect", json=start).json()["id"]) for _ in range(TASKS)]
        with running("-m", "runway_mcp", **upstream) as ours, running(str(HERE / "bare_server.py"), **upstream) as bare:
            sessions = Session(ours, "runway_getTask", task_ids), Session(bare, "get", task_ids)
            for session in sessions:
                session.seconds_per_call(calls)
            times = [(sessions[0].seconds_per_call(calls), sessions[1].seconds_per_call(calls)) for _ in range(rounds)]
    ratios = sorted(one / other for one, other in times)
    print(f"rounds         {rounds} of {calls} calls")
    print(f"runway_getTask {statistics.median(one for one, _ in times) * 1000:.2f} ms (median)")
    print(f"bare server    {statistics.median(other for _, other in times) * 1000:.2f} ms (median)")
    print(
        f"ratio          {statistics.median(ratios):.3f} (min {ratios[0]:.3f}, max {ratios[-1]:.3f}); below 1 is faster"
    )


if __name__ == "__main__":
    main()

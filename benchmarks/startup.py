"""Time from process start to the `initialize` reply: `runway-mcp` against a bare one-tool server.

    uv run benchmarks/startup.py [PAIRS]

The two run in turn, pair by pair, and the ratios of the pairs are what counts: a machine's
speed drifts, a pair's hardly does.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
OURS = [sys.executable, "-m", "runway_mcp"]
BARE = [sys.executable, str(HERE / "bare_server.py")]
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "benchmark", "version": "0"},
    },
}


def seconds_to_initialize(command: list[str]) -> float:
    """Return the seconds from starting `command` to its reply to `initialize`."""
    environment = {**os.environ, "RUNWAYML_API_SECRET": "key_of_a_benchmark"}
    started = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        assert process.stdin is not None  # noqa: S101 - a pipe was asked for
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        process.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
        process.stdin.flush()
        reply = json.loads(process.stdout.readline())
        elapsed = time.perf_counter() - started
        process.kill()
    if "serverInfo" not in reply["result"]:
        raise SystemExit(f"{command}: not an initialize reply")
    return elapsed


def main() -> None:
    """Print both medians and the ratio of the pairs."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    seconds_to_initialize(OURS)
    seconds_to_initialize(BARE)
    times = [(seconds_to_initialize(OURS), seconds_to_initialize(BARE)) for _ in range(pairs)]
    ratios = sorted(ours / bare for ours, bare in times)
    print(f"pairs          {pairs}")
    print(f"runway-mcp     {statistics.median(ours for ours, _ in times):.3f} s (median)")
    print(f"bare MCPServer {statistics.median(bare for _, bare in times):.3f} s (median)")
    print(
        f"ratio          {statistics.median(ratios):.3f} (min {ratios[0]:.3f}, max {ratios[-1]:.3f}); below 1 is faster"
    )


if __name__ == "__main__":
    main()

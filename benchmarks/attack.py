"""Memory and other callers' latency of a replica while one caller attacks it. Linux only.

    uv run benchmarks/attack.py [SECONDS]

One replica serves two callers over HTTP, with the built-in sandbox. One of them sends as many large bodies at once as
each attack says, again and again. The other, in a process of its own, reads a task and /healthz every 20 ms. Peak
memory is the process's own high-water mark, reset before each attack. At last 1,500 connections say nothing.
"""

import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import Callable, Coroutine
from hashlib import sha256
from pathlib import Path

from calls import free_port, running, wait_for
from web import META

SECONDS = 5.0
PAUSE = 0.02
SIZE = 4 * 1024 * 1024 - 1_000
SILENT = 1_500
TOOL = "runway_getTask"
TASK_ID = "00000000-0000-4000-8000-000000000005"
HEAD = (
    "{verb} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n"
    f"Mcp-Name: {TOOL}\r\nConnection: close\r\nContent-Length: {{length}}\r\n\r\n"
)
ATTACKS: dict[str, tuple[int, bytes]] = {
    "4 bodies of [{},{},...]": (4, b"[" + b"{}," * (SIZE // 3) + b"{}]"),
    "30 bodies of plain text": (30, b'"' + b"x" * SIZE + b'"'),
    "30 bodies of text with one emoji": (30, b'"' + b"x" * SIZE + "\N{GRINNING FACE}".encode() + b'"'),
    "100 bodies of plain text": (100, b'"' + b"x" * SIZE + b'"'),
}
"""What each attack sends: how many bodies at once, and the argument's JSON in each."""

Attack = Callable[[float], Coroutine[None, None, Counter[str]]]
"""Attacks until a time, and returns the statuses of the answers; an empty one where the connection was closed."""


class Replica:
    """A replica under attack, and its memory."""

    def __init__(self, port: int, pid: int = 0) -> None:
        self.port = port
        self._proc = Path("/proc") / str(pid)

    def reset_peak(self) -> None:
        """Let the high-water mark begin anew."""
        (self._proc / "clear_refs").write_text("5", "ascii")

    def peak(self) -> int:
        """Return the high-water mark of its memory, in MB; 0 if it has ended."""
        found = [line.split()[1] for line in (self._proc / "status").read_text("ascii").splitlines() if "VmHWM" in line]
        return int(found[0]) // 1024 if found else 0

    async def ask(self, verb: str, token: str, body: bytes = b"") -> str:
        """Send one request; return the status of its answer, or nothing if there was none."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return ""
        writer.write(HEAD.format(verb=verb, token=token, length=len(body)).encode())
        with contextlib.suppress(ConnectionError):
            writer.write(body)
            await writer.drain()
        status = b""
        with contextlib.suppress(ConnectionError):
            status = await reader.readline()
            await reader.read()
        writer.close()
        return status[9:12].decode()


def call(value: bytes) -> bytes:
    """Return the body of a call with one argument too many, of this JSON."""
    params = {"name": TOOL, "arguments": {"taskId": TASK_ID, "x": 0}, "_meta": META}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    return body.replace(b'"x": 0', b'"x": ' + value)


async def read_on(replica: Replica) -> None:
    """Be the other caller until stdin ends, in a process of its own; print the milliseconds and the statuses."""
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    milliseconds: list[float] = []
    statuses: Counter[str] = Counter()
    while not ended.done():
        started = time.perf_counter()
        statuses[await replica.ask("POST /mcp", "other", call(b'""'))] += 1
        milliseconds.append((time.perf_counter() - started) * 1000)
        statuses[f"/healthz {await replica.ask('GET /healthz', 'other')}"] += 1
        await asyncio.sleep(PAUSE)
    print(json.dumps([milliseconds, statuses]))


async def measure(what: str, replica: Replica, attack: Attack) -> None:
    """Attack, and print the figures."""
    replica.reset_peak()
    arguments = (__file__, "other", str(replica.port))
    other = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=PIPE, stdout=PIPE)
    attacked = await attack(time.perf_counter() + float(sys.argv[1] if len(sys.argv) > 1 else SECONDS))
    milliseconds, statuses = json.loads((await other.communicate(b""))[0])
    late = min(statistics.quantiles(milliseconds, n=100)[98], max(milliseconds))
    print(f"{what}\n  peak {replica.peak()} MB; answers to the attacker {dict(attacked)}")
    print(
        f"  other caller: median {statistics.median(milliseconds):.1f} ms, p99 {late:.1f} ms, "
        f"worst {max(milliseconds):.1f} ms; {statuses}"
    )


async def quiet(until: float) -> Counter[str]:
    """Attack nobody."""
    await asyncio.sleep(until - time.perf_counter())
    return Counter()


def bodies(replica: Replica, token: str, at_once: int, value: bytes) -> Attack:
    """Return an attack with bodies that hold `value`."""
    body = call(value)

    async def attack(until: float) -> Counter[str]:
        statuses: Counter[str] = Counter()

        async def send() -> None:
            while time.perf_counter() < until:
                statuses[await replica.ask("POST /mcp", token, body)] += 1

        async with asyncio.TaskGroup() as senders:
            for _ in range(at_once):
                senders.create_task(send())
        return statuses

    return attack


def silence(replica: Replica) -> Attack:
    """Return an attack with connections that say nothing."""

    async def attack(until: float) -> Counter[str]:
        opened = [await asyncio.open_connection("127.0.0.1", replica.port) for _ in range(SILENT)]
        await asyncio.sleep(max(0.0, until - time.perf_counter()))
        for _, writer in opened:
            writer.close()
        return Counter({"connections": len(opened)})

    return attack


async def measure_all(replica: Replica) -> None:
    """Attack in every way, by a caller who may read and by one who may also start tasks."""
    await measure("quiet", replica, quiet)
    for token in ("reader", "writer"):
        for what, (at_once, value) in ATTACKS.items():
            await measure(f"{what}, from a {token}", replica, bodies(replica, token, at_once, value))
    await measure(f"{SILENT} silent connections", replica, silence(replica))


def main() -> None:
    """Start a replica for three callers, attack it, and print the figures."""
    if sys.argv[1:2] == ["other"]:
        asyncio.run(read_on(Replica(int(sys.argv[2]))))
        return
    port = free_port()
    scopes = {"reader": '"runway:read"', "writer": '"runway:read", "runway:write"', "other": '"runway:read"'}
    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder) / "tokens.toml"
        tokens.write_text(
            "".join(
                f'[[token]]\nname = "{name}"\nsha256 = "{sha256(name.encode()).hexdigest()}"\nscopes = [{listed}]\n'
                for name, listed in scopes.items()
            ),
            "utf-8",
        )
        auth = ("--auth", "token", "--tokens-file", str(tokens), "--allow-shared-key")
        served = ("--sandbox", "--transport", "streamable-http", "--port", str(port), "--state-dir", folder, *auth)
        with running("-m", "runway_mcp", *served) as process:
            wait_for(port)
            asyncio.run(measure_all(Replica(port, process.pid)))


if __name__ == "__main__":
    main()

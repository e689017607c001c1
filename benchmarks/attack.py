"""Memory and other callers' latency of a replica while one caller attacks it. Linux only.

    uv run benchmarks/attack.py [SECONDS]

One replica serves two callers over HTTP, with the built-in sandbox. One of them sends as many large bodies at once as
each attack says, again and again; the other reads a task every 20 ms. Peak memory is the process's own high-water mark,
reset before each attack. At last 1,500 connections say nothing while the other caller goes on, and asks for /healthz.
"""

import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
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


class Replica:
    """A replica under attack, and its memory."""

    def __init__(self, port: int, pid: int) -> None:
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


async def read_until(replica: Replica, ended: asyncio.Event) -> tuple[list[float], Counter[str]]:
    """Be the other caller: return the seconds of each read, and the statuses."""
    seconds: list[float] = []
    statuses: Counter[str] = Counter()
    while not ended.is_set():
        started = time.perf_counter()
        statuses[await replica.ask("POST /mcp", "other", call(b'""'))] += 1
        statuses[f"/healthz {await replica.ask('GET /healthz', 'other')}"] += 1
        seconds.append((time.perf_counter() - started) / 2)
        await asyncio.sleep(PAUSE)
    return seconds, statuses


async def measure(what: str, replica: Replica, attack: Callable[[float], Coroutine[None, None, Counter[str]]]) -> None:
    """Attack, and print the figures."""
    ended = asyncio.Event()
    replica.reset_peak()
    reading = asyncio.create_task(read_until(replica, ended))
    attacked = await attack(time.perf_counter() + float(sys.argv[1] if len(sys.argv) > 1 else SECONDS))
    ended.set()
    seconds, statuses = await reading
    median, late, worst = (1000 * one for one in (statistics.median(seconds), *_ends(seconds)))
    print(f"{what}\n  peak {replica.peak()} MB; answers to the attacker {dict(attacked)}")
    print(f"  other caller: median {median:.1f} ms, p99 {late:.1f} ms, worst {worst:.1f} ms; {dict(statuses)}")


def _ends(seconds: list[float]) -> tuple[float, float]:
    """The p99 and the worst of two seconds or more."""
    return min(statistics.quantiles(seconds, n=100)[98], max(seconds)), max(seconds)


async def quiet(until: float) -> Counter[str]:
    """Attack nobody."""
    await asyncio.sleep(until - time.perf_counter())
    return Counter()


def bodies(
    replica: Replica, token: str, at_once: int, value: bytes
) -> Callable[[float], Coroutine[None, None, Counter[str]]]:
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


def silence(replica: Replica) -> Callable[[float], Coroutine[None, None, Counter[str]]]:
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

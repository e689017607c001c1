"""Throughput of `runway_getTask` over streamable HTTP, against a bare server that makes the same GET.

    uv run benchmarks/web.py [ROUNDS] [CALLS]

Both servers are processes and ask the same simulated API, which answers for any task and is a process
too; the load comes from here, over 16 connections that stay open. It is taken twice: with a few tasks
that are asked for again and again, whose reads are shared, and with another task in each call. Rounds
alternate, and the ratios of the rounds are what counts. (The file is no `http.py` because a script's
folder comes before the standard library, whose `http` that name would hide.)
"""

import asyncio
import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

from calls import free_port, running, wait_for

CONNECTIONS = 16
REPEATED = 20
"""Tasks that the calls of the first load have in common."""
TASK = {
    "status": "RUNNING",
    "createdAt": "2026-11-20T12:00:00.000Z",
    "progress": 0.5,
    "estimatedCost": {"credits": 60},
}
HEAD = (
    "POST /mcp HTTP/1.1\r\nHost: localhost:{port}\r\nAccept: application/json, text/event-stream\r\n"
    "Content-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n"
    "Mcp-Name: {tool}\r\nContent-Length: {length}\r\n\r\n"
)
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "0"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


async def answer_any(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each GET of a connection with the task that it asks for, RUNNING."""
    while head := await _head(reader):
        task_id = head.split(b" ", 2)[1].rpartition(b"/")[2].decode()
        body = json.dumps({"id": task_id, **TASK}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        writer.write(body)


async def serve_api(port: int) -> None:
    """Be the simulated API."""
    async with await asyncio.start_server(answer_any, "127.0.0.1", port) as server:
        await server.serve_forever()


class Load:
    """Calls of one tool, from as many connections at once as there are."""

    def __init__(self, port: int, tool: str) -> None:
        self._port = port
        self._tool = tool

    async def put(self, task_ids: Iterator[UUID], calls: int) -> tuple[float, float]:
        """Make so many calls, and return how many were answered in a second, and the p99 of their seconds."""
        seconds: list[float] = []
        numbers = iter(range(calls))
        started = time.perf_counter()
        async with asyncio.TaskGroup() as connections:
            for _ in range(CONNECTIONS):
                connections.create_task(self._connection(task_ids, numbers, seconds))
        return calls / (time.perf_counter() - started), statistics.quantiles(seconds, n=100)[98]

    async def _connection(self, task_ids: Iterator[UUID], numbers: Iterator[int], seconds: list[float]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        for number in numbers:
            task_id = str(next(task_ids))
            params = {"name": self._tool, "arguments": {"taskId": task_id}, "_meta": META}
            body = json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
            started = time.perf_counter()
            writer.write((HEAD.format(port=self._port, tool=self._tool, length=len(body)) + body).encode())
            head = (await _head(reader)).lower()
            answer = await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            seconds.append(time.perf_counter() - started)
            if b" 200 " not in head or task_id.encode() not in answer or b"RUNNING" not in answer:
                raise RuntimeError(f"{self._tool}: {head.decode()}{answer.decode()}")
        writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    """The head of the next message, or nothing where the connection has ended."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def compare(what: str, ours: Load, bare: Load, task_ids: Iterator[UUID], *, rounds: int, calls: int) -> None:
    """Print the medians of one load, and the ratio of its rounds."""
    for load in (ours, bare):
        asyncio.run(load.put(task_ids, calls // 4))
    figures = [(asyncio.run(ours.put(task_ids, calls)), asyncio.run(bare.put(task_ids, calls))) for _ in range(rounds)]
    print(what)
    for name, index in (("runway_getTask", 0), ("bare server", 1)):
        rate, late = (statistics.median(figure[index][part] for figure in figures) for part in (0, 1))
        print(f"  {name:<14} {rate:7.0f} requests/s, p99 {late * 1000:6.1f} ms (medians)")
    for name, part in (("requests/s", 0), ("p99", 1)):
        ratios = sorted(one[part] / other[part] for one, other in figures)
        better = "above" if part == 0 else "below"
        print(
            f"  ratio of {name:<10} {statistics.median(ratios):.3f} (min {ratios[0]:.3f}, max {ratios[-1]:.3f}); "
            f"{better} 1 is better"
        )


def main() -> None:
    """Start the simulated API and both servers, and print what they did with both loads."""
    if sys.argv[1:2] == ["api"]:
        asyncio.run(serve_api(int(sys.argv[2])))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    calls = int(sys.argv[2]) if len(sys.argv) > 2 else 2_000  # noqa: PLR2004 - the second argument
    api, ours, bare = free_port(), free_port(), free_port()
    upstream = {"RUNWAYML_BASE_URL": f"http://127.0.0.1:{api}", "RUNWAYML_API_SECRET": "key_of_a_benchmark"}
    over_http = ("--transport", "streamable-http", "--port", str(ours))
    with (
        running(__file__, "api", str(api)),
        running("-m", "runway_mcp", *over_http, **upstream),
        running(str(Path(__file__).with_name("bare_server.py")), str(bare), **upstream),
    ):
        for port in (api, ours, bare):
            wait_for(port)
        loads = Load(ours, "runway_getTask"), Load(bare, "get")
        print(f"{rounds} rounds of {calls} calls over {CONNECTIONS} connections")
        repeated = itertools.cycle([uuid4() for _ in range(REPEATED)])
        compare(f"tasks repeat ({REPEATED} of them)", *loads, repeated, rounds=rounds, calls=calls)
        compare("no task repeats", *loads, iter(uuid4, None), rounds=rounds, calls=calls)


if __name__ == "__main__":
    main()

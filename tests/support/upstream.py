"""A Runway API on a real socket: every reply is scripted, raw, and every request remembered."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue
from support.waiting import until

TASK_ID = "08388106-1b46-4f5c-bd46-1c1d7ee86892"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked; the names of `headers` are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """The bytes that go back `after` so many seconds, and what then becomes of the connection.

    `hang` sends nothing more and waits for the other side to close.
    """

    data: bytes = b""
    after: float = 0.0
    then: Literal["keep", "close", "reset", "hang"] = "keep"


HANG = Reply(then="hang")
RESET = Reply(then="reset")

Script = Sequence[Reply] | Callable[[Request], Reply]
"""The replies in turn, of which the last one stays; or a function that chooses one."""


def reply(status: int, body: JsonValue | bytes = b"", *, after: float = 0.0, **headers: str) -> Reply:
    """Return a whole reply; a body that is not bytes goes as JSON. `Retry_After` names the header `Retry-After`."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
    lines = "".join(f"{name}: {text}\r\n" for name, text in named.items())
    head = f"HTTP/1.1 {status} Scripted\r\n{lines}Content-Length: {len(content)}\r\n\r\n"
    return Reply(head.encode() + content, after)


def task(status: str, task_id: str = TASK_ID, **fields: JsonValue) -> dict[str, JsonValue]:
    return {"id": task_id, "status": status, "createdAt": "2026-11-21T10:00:00.000Z", **fields}


class Upstream:
    """The server. Made by `upstream`; its `url` is what RUNWAYML_BASE_URL is to be."""

    def __init__(self, script: Script) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self._script = script
        self._writers: dict[asyncio.StreamWriter, asyncio.Task[object] | None] = {}

    @property
    def connections(self) -> int:
        return len(self._writers)

    def count(self, method: str) -> int:
        return sum(request.method == method for request in self.requests)

    async def asked(self, method: str, times: int = 1) -> None:
        await until(lambda: self.count(method) >= times, f"{times} {method}")

    async def left(self, timeout: float = 5.0) -> None:
        await until(lambda: not self._writers, "every connection to be closed", timeout)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers[writer] = asyncio.current_task()
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            writer.close()
            del self._writers[writer]

    async def close(self) -> None:
        tasks = [task for task in self._writers.values() if task]
        for writer in self._writers:
            writer.transport.abort()
        for pending in tasks:
            pending.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(method, path, headers, body)
        self.requests.append(request)
        script = self._script
        found = script(request) if callable(script) else script[min(len(self.requests), len(script)) - 1]
        await asyncio.sleep(found.after)
        writer.write(found.data)
        await writer.drain()
        if found.then == "hang":
            await reader.read()
        if found.then == "reset":
            writer.transport.abort()
        return found.then == "keep"


@asynccontextmanager
async def upstream(script: Script, tls: ssl.SSLContext | None = None) -> AsyncGenerator[Upstream]:
    one = Upstream(script)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0, backlog=512, ssl=tls)
    one.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield one
    finally:
        server.close()
        await one.close()

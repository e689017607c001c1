"""A host of a server on the sandbox that saves what it makes, and what is then on the disk."""

import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp_types import CallToolResult, TextContent
from support.faulty import FaultyWire, faulty_client

from runway_mcp.config.sources import load
from runway_mcp.mcp_server.server import build_server
from runway_mcp.tasks.auto_save import AutoSaver
from runway_mcp.tasks.callers import CallerRegistry
from runway_mcp.wiring.file_access import open_files

KITE: dict[str, Any] = {
    "type": "text_to_video",
    "input": {"model": "gen4.5", "promptText": "A red kite.", "ratio": "1280:720", "duration": 5},
}
IMAGES: dict[str, Any] = {
    "type": "text_to_image",
    "input": {"model": "seedream5_pro", "promptText": "A red kite.", "ratio": "1024:1024", "outputCount": 3},
}


class Storage(httpx2.AsyncBaseTransport):
    """Carries files from the sandbox, as it is told.

    Attributes:
        fetched: How many were asked for.
        released: Lets their second halves go, where they stop midway.
        status: What is answered in their place; 0 for a fault that nobody foresaw.
        before: Called before each.
    """

    def __init__(self, wire: FaultyWire) -> None:
        self._wire = wire
        self.fetched: int = 0
        self.released: anyio.Event | None = None
        self.status: int | None = None
        self.before: Callable[[], object] = int

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.fetched += 1
        self.before()
        if self.status == 0:
            raise RuntimeError("unforeseen")
        if self.status is not None:
            return httpx2.Response(self.status, content=b"")
        response = await self._wire.handle_async_request(request)
        if self.released is None:
            return response
        data = await response.aread()
        headers = {"Content-Length": str(len(data))}
        return httpx2.Response(200, headers=headers, stream=Halves(data, self.released))


class Halves(httpx2.AsyncByteStream):
    def __init__(self, data: bytes, released: anyio.Event) -> None:
        self._data, self._released = data, released

    async def __aiter__(self) -> AsyncIterator[bytes]:
        half = len(self._data) // 2
        yield self._data[:half]
        await self._released.wait()
        yield self._data[half:]


@dataclass(frozen=True, slots=True)
class Saver:
    """A host of a server on the sandbox.

    Attributes:
        wire: The sandbox.
        folder: Where files may lie.
        history: The file of the history.
    """

    client: Client
    wire: FaultyWire
    folder: Path
    history: Path

    async def start(self, arguments: dict[str, Any] = KITE) -> str:
        """Start a task."""
        result = await self.client.call_tool("runway_startTask", arguments)
        assert result.structured_content is not None, result
        return result.structured_content["id"]

    async def make(self, arguments: dict[str, Any] = KITE) -> str:
        """Start a task, and let it finish."""
        task_id = await self.start(arguments)
        self.wire.now += 600
        await self.client.call_tool("runway_waitForTask", {"taskId": task_id})
        return task_id

    async def call(self, task_id: str, **more: Any) -> CallToolResult:
        return await self.client.call_tool("runway_downloadOutput", {"taskId": task_id} | more)

    async def save(self, task_id: str, **more: Any) -> list[str]:
        """Save outputs; return the path of each within the folder, and `there` after one that was there."""
        result = await self.call(task_id, **more)
        assert not result.is_error, said(result)
        assert result.structured_content is not None
        return [
            str(Path(file["path"]).relative_to(self.folder)) + " there" * file["wasThere"]
            for file in result.structured_content["files"]
        ]

    @property
    def saving(self) -> list[str]:
        """Whether each task's outputs are saved by the server itself."""
        with closing(sqlite3.connect(self.history)) as connection:
            return [saving for (saving,) in connection.execute("SELECT saving FROM starts ORDER BY number")]

    @property
    def saved(self) -> list[str]:
        """The paths that the history knows."""
        with closing(sqlite3.connect(self.history)) as connection:
            found = connection.execute("SELECT path FROM outputs ORDER BY number, position").fetchall()
        return [str(Path(path).relative_to(self.folder)) for (path,) in found]


@asynccontextmanager
async def saver(
    path: Path,
    wire: FaultyWire | None = None,
    *,
    files: httpx2.AsyncBaseTransport | None = None,
    flags: dict[str, object] | None = None,
    poll_seconds: float = 0.01,
    auto_save: bool = False,
    **options: Any,
) -> AsyncGenerator[Saver]:
    """A server that may save in `films`; `files` carries files in another way, `flags` are other settings of files."""
    wire, folder, history = wire or FaultyWire(), path / "films", path / "state" / "history.sqlite3"
    folder.mkdir(exist_ok=True)
    settings = load({"files_root": [folder]} if flags is None else flags)
    callers = CallerRegistry(
        lambda _: faulty_client(wire),
        poll_seconds=poll_seconds,
        history=history,
        files=partial(open_files, settings, files or wire),
        auto_save=AutoSaver if auto_save else None,
    )
    with anyio.fail_after(30):
        async with Client(build_server(callers), **options) as client:
            yield Saver(client, wire, folder, history)


def said(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def names(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def today() -> str:
    return str(datetime.now(UTC).astimezone().date())

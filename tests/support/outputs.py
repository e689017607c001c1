"""A host of outputs on a real socket, what saves them from it, and how what came of them is read."""

import hashlib
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2
from support.scripted import Sleeper
from support.upstream import Reply, Request, Script, Upstream, reply, upstream

from runway_mcp.files.download import DownloadLimits, Failed, Link, Output, Saved
from runway_mcp.files.downloads import Downloads, Report
from runway_mcp.files.file_client import open_file_client
from runway_mcp.files.file_errors import FilesError
from runway_mcp.files.folders import Folders
from runway_mcp.mcp_server.file_messages import explain
from runway_mcp.sandbox.output_files import OUTPUTS

STEM = "08388106-1b46-4f5c-bd46-1c1d7ee86892"
VIDEO, PICTURE, SOUND = (OUTPUTS[kind].path.read_bytes() for kind in OUTPUTS)


class Host:
    """Serves `content` by its path, with marks and ranges, or as badly as told; a `script` of `upstream`.

    Attributes:
        content: The file behind each path.
        cuts: Bytes of the body after which the next answers break off; None lets one through.
        marks: Whether files have an ETag.
        ranges: Whether a part can be asked for.
        stuck: Whether the connection stays open where an answer breaks off.
    """

    def __init__(self, *content: bytes, cuts: Sequence[int | None] = (), marks: bool = True) -> None:
        self.content = {f"/{number}.exe?_jwt=secret": data for number, data in enumerate(content, 1)}
        self.cuts = deque(cuts)
        self.marks = marks
        self.ranges = True
        self.stuck = False

    def __call__(self, request: Request) -> Reply:
        data = self.content[request.path]
        mark = f'"{hashlib.sha256(data).hexdigest()}"'
        asked = request.headers.get("range", "")
        start = int(asked[6:-1]) if asked and self.ranges and request.headers["if-range"] == mark else 0
        headers = {"ETag": mark} if self.marks else {}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        answer = reply(206 if start else 200, data[start:], after=0, Content_Type="text/html", **headers)
        cut = self.cuts.popleft() if self.cuts else None
        if cut is None:
            return answer
        end = len(answer.data) - len(data[start:]) + cut
        return Reply(answer.data[:end], then="hang" if self.stuck else "close")


@dataclass(slots=True)
class Saving:
    """What saves the outputs of a host to a folder.

    Attributes:
        api: The host.
        downloads: The caller's downloads.
        sleep: What waits before a retry.
        urls: The links.
    """

    api: Upstream
    downloads: Downloads
    sleep: Sleeper
    urls: Sequence[str | None]
    path: Path

    async def __call__(self, timeout: float = 20, report: Report | None = None) -> list[Output]:
        destination = Folders([self.path]).destination(None)
        return await self.downloads.save(destination, links(self.urls), task=STEM, timeout=timeout, report=report)

    @property
    def ranges(self) -> list[str | None]:
        return [request.headers.get("range") for request in self.api.requests]


def links(urls: Sequence[str | None], stem: str = STEM) -> list[Link]:
    """What is saved where, named by the number."""
    return [Link(number, url, f"{stem}-{number}") for number, url in enumerate(urls, 1)]


@asynccontextmanager
async def saving(
    script: Script | httpx2.AsyncBaseTransport,
    path: Path,
    outputs: int = 1,
    **limits: Any,
) -> AsyncGenerator[Saving]:
    """A host on a real socket or in this process, and what saves from it; the end cancels what still runs."""
    transport = script if isinstance(script, httpx2.AsyncBaseTransport) else None
    async with upstream([] if isinstance(script, httpx2.AsyncBaseTransport) else script) as api:
        origin = "http://sandbox.localhost" if transport else api.url
        sleep = Sleeper()
        urls = [f"{origin}/{number}.exe?_jwt=secret" for number in range(1, outputs + 1)]
        with anyio.fail_after(20):
            async with (
                open_file_client(own_origin=origin, own_transport=transport) as client,
                anyio.create_task_group() as tasks,
            ):
                yield Saving(api, Downloads(client, tasks, DownloadLimits(**limits, sleep=sleep)), sleep, urls, path)
                tasks.cancel_scope.cancel()


def names(path: Path) -> list[str]:
    """The names in a folder, hidden ones last."""
    return sorted((entry.name for entry in path.iterdir()), key=lambda name: (name.startswith("."), name))


def saved(found: Output) -> Saved:
    """The output, which was saved, and whose file is what is told of it."""
    assert isinstance(found, Saved), found
    data = found.path.read_bytes()
    assert (found.size, found.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    return found


def failed(found: Output, *, retryable: bool = True) -> FilesError:
    """Why it was not saved, and whether the same call may help; nothing of a link is told."""
    assert isinstance(found, Failed), found
    assert found.error.retryable is retryable, found.error
    assert "secret" not in repr(found.error) + explain(found.error)
    return found.error

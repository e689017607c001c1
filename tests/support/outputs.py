"""A host of outputs on a real socket, what saves them from it, and how what came of them is read."""

import hashlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from support.scripted import Sleeper
from support.upstream import Reply, Request, Script, Upstream, reply, upstream

from runway_mcp.files.downloads import LARGEST, Failed, Report, Saved, download
from runway_mcp.files.folders import Folders
from runway_mcp.files.transfers import Transfers, open_transfers
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
        """Answer one request."""
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


RequestRecord = Callable[..., Coroutine[object, object, list[Saved | Failed]]]


@asynccontextmanager
async def saving(script: Script, path: Path, outputs: int = 1) -> AsyncGenerator[tuple[Upstream, RequestRecord]]:
    """A host, and what saves its outputs to `path`."""
    async with upstream(script) as api, open_transfers(own_origin=api.url) as transfers:
        urls = [f"{api.url}/{number}.exe?_jwt=secret" for number in range(1, outputs + 1)]

        async def save(
            timeout: float = 20, largest: int = LARGEST, report: Report | None = None
        ) -> list[Saved | Failed]:
            return await save_to(path, transfers, urls, timeout=timeout, largest=largest, report=report)

        with anyio.fail_after(20):
            yield api, save


async def save_to(
    path: Path,
    transfers: Transfers,
    urls: Sequence[str | None],
    *,
    timeout: float = 20,
    largest: int = LARGEST,
    report: Report | None = None,
) -> list[Saved | Failed]:
    """Save to a folder, without waiting before what is tried anew."""
    with Folders([path]).folder(None) as folder:
        return await download(
            transfers, folder, urls, stem=STEM, timeout=timeout, largest=largest, report=report, sleep=Sleeper()
        )


def names(path: Path) -> list[str]:
    """The names in a folder, hidden ones last and as one word each."""
    return sorted((entry.name for entry in path.iterdir()), key=lambda name: (name.startswith("."), name))


def saved(found: Saved | Failed) -> Saved:
    """The output, which was saved, and whose file is what is told of it."""
    assert isinstance(found, Saved), found
    data = found.path.read_bytes()
    assert (found.size, found.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    return found


def failed(found: Saved | Failed, *, retryable: bool = True) -> str:
    """Why it was not saved, and whether the same call may help; nothing of a link is told."""
    assert isinstance(found, Failed), found
    assert "secret" not in found.error
    assert found.retryable is retryable, found.error
    assert found.error.endswith(".")
    return found.error

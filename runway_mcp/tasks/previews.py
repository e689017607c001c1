"""Small pictures of a task's outputs: of an image itself, of a video the one that Runway has made."""

from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import anyio
from anyio import to_thread

from runway_mcp.api.errors import RunwayError
from runway_mcp.api.models import TaskId
from runway_mcp.files.download import Saved
from runway_mcp.files.file_client import FileClient
from runway_mcp.files.file_errors import FilesError
from runway_mcp.files.folders import Folders
from runway_mcp.files.thumbnails import thumbnail
from runway_mcp.tasks.callers import CallerContext

MAX_DOWNLOAD = 10_000_000
"""Bytes of a preview that is fetched."""
FETCH_SECONDS = 5.0
"""How long the previews of a call may take to come."""

_DECODING = anyio.CapacityLimiter(2)  # of all callers together: an image takes up to 400 MB of memory


async def previews(
    context: CallerContext, task_id: TaskId, folders: Folders, outputs: Sequence[Saved], *, max_bytes: int
) -> dict[int, bytes]:
    """Return a small JPEG of each saved output of a task that has one, by its number, of `max_bytes` together."""
    urls = await _preview_urls(context, task_id)
    client, found = (await context.files()).client, dict[int, bytes]()
    until = anyio.current_time() + FETCH_SECONDS
    for output in outputs:
        picture: bytes | None = None
        if output.content_type.startswith("image/"):
            picture = await to_thread.run_sync(_of_file, folders, output.path, limiter=_DECODING)
        elif output.content_type.startswith("video/") and output.index <= len(urls):
            with anyio.move_on_at(until), suppress(FilesError):
                picture = await _fetched(client, urls[output.index - 1])
        if picture is not None and len(picture) <= max_bytes:
            max_bytes -= len(picture)
            found[output.index] = picture
    return found


async def _preview_urls(context: CallerContext, task_id: TaskId) -> list[str]:
    with suppress(RunwayError):
        match (await context.tasks.get(task_id)).data:
            case {"previewUrls": list(urls), "output": list(outputs)} if len(outputs) in {1, len(urls)}:
                return [url if isinstance(url, str) else "" for url in urls]
            case _:
                pass
    return []


async def _fetched(client: FileClient, url: str) -> bytes | None:
    data = bytearray()
    async with client.get(url) as response:
        async for chunk in response.chunks:
            data += chunk
            if len(data) > MAX_DOWNLOAD:
                return None
    return await to_thread.run_sync(thumbnail, BytesIO(data), limiter=_DECODING)


def _of_file(folders: Folders, path: Path) -> bytes | None:
    with suppress(FilesError, OSError), folders.open_input(str(path)) as file:
        return thumbnail(file.file)
    return None

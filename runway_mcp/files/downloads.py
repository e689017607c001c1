"""One caller's downloads: they outlive the call that asked for them, and the next call joins them."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from runway_mcp.files.download import Download, DownloadLimits, Failed, InProgress, Output
from runway_mcp.files.file_client import FileClient
from runway_mcp.files.file_errors import FilesError, MissingLinkError, TooManyDownloadsError, TooManyOutputsError
from runway_mcp.files.folders import Destination, Folders

MAX_OUTPUTS = 50
"""Outputs that a call saves: a report of them has room in a host's 1,048,576 characters."""
MAX_DOWNLOADS = 200
"""Downloads of one caller, in progress or not yet reported."""

Report = Callable[[int, int | None], Awaitable[None]]
"""Takes the bytes of all outputs that have come, and of all that there will be, where that is known."""


class Downloads:
    """One caller's downloads. They run in `tasks`, whose cancellation removes what is not whole."""

    def __init__(self, client: FileClient, tasks: TaskGroup, limits: DownloadLimits) -> None:
        self._client = client
        self._tasks = tasks
        self.limits = limits
        self._kept = dict[tuple[Path, str], Download]()

    @property
    def running(self) -> int:
        return sum(not download.is_done for download in self._kept.values())

    async def save(
        self,
        destination: Destination,
        urls: Sequence[str | None],
        *,
        stem: str,
        timeout: float,
        report: Report | None = None,
    ) -> list[Output]:
        """Save outputs as `{stem}-{index}.{extension}`, or join the downloads that already do.

        What is unfinished after `timeout` seconds is returned as in progress, and goes on. One last `Failed` stands
        for the outputs beyond `MAX_OUTPUTS`.
        """
        outputs: dict[int, Output] = {}
        joined: dict[int, Download] = {}
        for index, url in enumerate(urls[:MAX_OUTPUTS], 1):
            try:
                joined[index] = await self._join(destination, f"{stem}-{index}", index, url)
            except FilesError as error:
                outputs[index] = Failed(index, error)
        if len(urls) > MAX_OUTPUTS:
            left_out = TooManyOutputsError(MAX_OUTPUTS + 1, len(urls), MAX_OUTPUTS)
            outputs[left_out.first] = Failed(left_out.first, left_out)
        with anyio.move_on_after(timeout):
            await _follow(list(joined.values()), report)
        for index, download in joined.items():
            outputs[index] = self._collect(destination, download, index)
        return [outputs[index] for index in sorted(outputs)]

    async def _join(self, destination: Destination, name: str, index: int, url: str | None) -> Download:
        key = destination.path, name
        found = self._kept.get(key)
        if found is not None and (not found.is_done or await to_thread.run_sync(found.is_still_saved)):
            return found
        if url is None:
            raise MissingLinkError
        if key not in self._kept and len(self._kept) >= MAX_DOWNLOADS:
            self._forget_one()
        found = self._kept[key] = Download(self._client, destination, url, name=name, index=index, limits=self.limits)
        self._tasks.start_soon(found.run)
        return found

    def _forget_one(self) -> None:
        for key, download in self._kept.items():
            if download.is_done:
                del self._kept[key]
                return
        raise TooManyDownloadsError(MAX_DOWNLOADS)

    def _collect(self, destination: Destination, download: Download, index: int) -> Output:
        if not download.is_done:
            return InProgress(index, download.size, download.total)
        if self._kept.get((destination.path, download.name)) is download:
            del self._kept[destination.path, download.name]
        return download.result()


async def _follow(downloads: Sequence[Download], report: Report | None) -> None:
    told = -1

    async def follow(download: Download) -> None:
        nonlocal told
        while True:
            changed, is_done = download.changed, download.is_done
            come = sum(one.size for one in downloads)
            totals = [one.total for one in downloads if one.total is not None]
            if report is not None and come > told:
                told = come
                await report(come, sum(totals) if len(totals) == len(downloads) else None)
            if is_done:
                return
            await changed.wait()

    async with anyio.create_task_group() as followers:
        for download in downloads:
            followers.start_soon(follow, download)


class CallerFiles:
    """One caller's folders and transfers.

    Args:
        find_folders: Returns the folders that the operator allows; blocks, and is called once.
        client: What fetches and sends files.
        tasks: Where downloads run.
        takes_roots: Whether the host's own folders (roots) are allowed where the operator allows none.
        limits: What bounds downloads.
    """

    def __init__(
        self,
        find_folders: Callable[[], Folders],
        client: FileClient,
        tasks: TaskGroup,
        *,
        takes_roots: bool,
        limits: DownloadLimits | None = None,
    ) -> None:
        self.client = client
        self.downloads = Downloads(client, tasks, limits or DownloadLimits())
        self.takes_roots = takes_roots
        self._find_folders = find_folders
        self._finding = anyio.Lock()
        self._folders = Folders(())

    async def folders(self) -> Folders:
        """Return the folders that the operator allows; maybe none."""
        async with self._finding:
            self._folders = self._folders or await to_thread.run_sync(self._find_folders)
        return self._folders

"""One caller's downloads: they outlive the call that asked for them, and the next call joins them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from runway_mcp.files.download import Download, DownloadLimits, Failed, InProgress, Link, Output, Records
from runway_mcp.files.file_client import FileClient
from runway_mcp.files.file_errors import FilesError, MissingLinkError, TooManyDownloadsError, TooManyOutputsError
from runway_mcp.files.folders import Destination, Folders

MAX_OUTPUTS = 50
"""Outputs that a call saves: a report of them has room in a host's 1,048,576 characters."""
MAX_DOWNLOADS = 200
"""Downloads of one caller, in progress or not yet reported."""

_Key = tuple[Path, str, str]
"""Where a download goes: the folder, the task's id with the output's number, and the name."""

Report = Callable[[int, int | None], Awaitable[None]]
"""Takes the bytes of all outputs that have come, and of all that there will be, where that is known."""


class Downloads:
    """One caller's downloads. They run in `tasks`, whose cancellation removes what is not whole."""

    def __init__(self, client: FileClient, tasks: TaskGroup, limits: DownloadLimits) -> None:
        self._client = client
        self._tasks = tasks
        self.limits = limits
        self._kept = dict[_Key, Download]()
        self._publishing = anyio.Lock()

    @property
    def running(self) -> int:
        return sum(not download.is_done for download in self._kept.values())

    def is_fetching(self, destination: Destination, task: str, link: Link) -> bool:
        """Return whether this output is on its way to this place."""
        found = self._kept.get(_key(destination, task, link))
        return found is not None and not found.is_done

    async def save(
        self,
        destination: Destination,
        links: Sequence[Link],
        *,
        task: str,
        timeout: float,
        report: Report | None = None,
        records: Records | None = None,
    ) -> list[Output]:
        """Save outputs of a task, or join the downloads that already do.

        What is unfinished after `timeout` seconds is returned as in progress, and goes on. One last `Failed` stands
        for the outputs beyond `MAX_OUTPUTS`.
        """
        outputs: dict[int, Output] = {}
        joined: dict[_Key, Download] = {}
        for link in links[:MAX_OUTPUTS]:
            key = _key(destination, task, link)
            try:
                joined[key] = await self._join(key, destination, link, records)
            except FilesError as error:
                outputs[link.index] = Failed(link.index, error)
        if len(links) > MAX_OUTPUTS:
            left_out = TooManyOutputsError(links[MAX_OUTPUTS].index, links[-1].index, MAX_OUTPUTS)
            outputs[left_out.first] = Failed(left_out.first, left_out)
        with anyio.move_on_after(timeout):
            await _follow(list(joined.values()), report)
        for key, download in joined.items():
            outputs[download.index] = self._collect(key, download)
        return [outputs[index] for index in sorted(outputs)]

    async def _join(self, key: _Key, destination: Destination, link: Link, records: Records | None) -> Download:
        found = self._kept.get(key)
        if found is not None and (not found.is_done or await to_thread.run_sync(found.is_still_saved)):
            return found
        if link.url is None and link.copy is None:
            raise MissingLinkError
        if key not in self._kept and len(self._kept) >= MAX_DOWNLOADS:
            self._forget_one()
        found = self._kept[key] = Download(
            self._client,
            destination,
            link,
            name=key[1],
            limits=self.limits,
            publishing=self._publishing,
            records=records,
        )
        self._tasks.start_soon(found.run)
        return found

    def _forget_one(self) -> None:
        for key, download in self._kept.items():
            if download.is_done:
                del self._kept[key]
                return
        raise TooManyDownloadsError(MAX_DOWNLOADS)

    def _collect(self, key: _Key, download: Download) -> Output:
        if not download.is_done:
            return InProgress(download.index, download.size, download.total)
        if self._kept.get(key) is download:
            del self._kept[key]
        return download.result()


def _key(destination: Destination, task: str, link: Link) -> _Key:
    return destination.path, f"{task}-{link.index}", link.stem


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


@dataclass(eq=False)
class CallerFiles:
    """One caller's folders and transfers.

    Attributes:
        find_folders: Returns the folders that the operator allows; blocks, and is called once.
        tasks: Where downloads run.
        takes_roots: Whether the host's own folders (roots) are allowed where the operator allows none.
    """

    find_folders: Callable[[], Folders]
    client: FileClient
    tasks: TaskGroup
    takes_roots: bool
    limits: DownloadLimits = field(default_factory=DownloadLimits)

    def __post_init__(self) -> None:
        self.downloads = Downloads(self.client, self.tasks, self.limits)
        self._finding = anyio.Lock()
        self._folders = Folders(())

    async def folders(self) -> Folders:
        """Return the folders that the operator allows; maybe none."""
        async with self._finding:
            self._folders = self._folders or await to_thread.run_sync(self.find_folders)
        return self._folders

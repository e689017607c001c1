"""What one caller may do with files."""

from collections.abc import Callable

import anyio
from anyio import to_thread

from runway_mcp.files.downloads import Downloads
from runway_mcp.files.file_client import FileClient
from runway_mcp.files.folders import Folders


class CallerFiles:
    """One caller's folders and transfers."""

    def __init__(
        self, find_folders: Callable[[], Folders], client: FileClient, downloads: Downloads, *, takes_roots: bool
    ) -> None:
        """Take what is needed; nothing on the disk is touched.

        Args:
            find_folders: Returns the folders that the operator allows; blocks.
            client: What fetches and sends files.
            downloads: The outputs that are being saved.
            takes_roots: Whether the host's own folders (roots) are allowed where the operator allows none.
        """
        self.client = client
        self.downloads = downloads
        self.takes_roots = takes_roots
        self._find_folders = find_folders
        self._finding = anyio.Lock()
        self._folders = Folders(())

    async def folders(self) -> Folders:
        """Return the folders that the operator allows; maybe none. Looked up once."""
        async with self._finding:
            self._folders = self._folders or await to_thread.run_sync(self._find_folders)
        return self._folders

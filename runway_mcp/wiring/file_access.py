"""Which folders a caller may use, and how files travel, by the settings."""

import logging
import os
import re
from contextlib import asynccontextmanager, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from runway_mcp.config.settings import SANDBOX_URL, Settings
from runway_mcp.config.values import is_loopback
from runway_mcp.tasks.callers import Caller

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    import httpx2
    from anyio.abc import TaskGroup

    from runway_mcp.files.downloads import CallerFiles
    from runway_mcp.files.folders import Folders

logger = logging.getLogger(__name__)

MAX_NAME = 40
"""Characters of a caller's name in the name of their folder."""


@asynccontextmanager
async def open_files(
    settings: Settings, sandbox: "httpx2.AsyncBaseTransport | None", tasks: "TaskGroup"
) -> "AsyncGenerator[Callable[[Caller], CallerFiles]]":
    """Open the client for files; yield what returns the files of a caller, the same as long as somebody uses them.

    Downloads run in `tasks`.
    """
    from runway_mcp.files.downloads import CallerFiles
    from runway_mcp.files.file_client import open_file_client

    kept = WeakValueDictionary[tuple[str, str], CallerFiles]()

    def files(caller: Caller) -> CallerFiles:
        made = CallerFiles(
            partial(_folders, settings, caller), client.for_another(), tasks, takes_roots=settings.transport == "stdio"
        )
        return kept.setdefault((caller.issuer, caller.subject), made)

    async with open_file_client(
        own_origin=SANDBOX_URL if sandbox else output_origin(settings), own_transport=sandbox, ca_file=settings.ca_file
    ) as client:
        yield files


def output_origin(settings: Settings) -> str | None:
    """Return where the sandbox's outputs are; None where Runway itself answers."""
    if settings.sandbox:
        return SANDBOX_URL
    base = urlsplit(settings.base_url)
    return f"{base.scheme}://{base.netloc}" if is_loopback(base.hostname or "") else None


def warn_of_missing_folders(settings: Settings) -> None:
    """Log each allowed folder that does not exist: the server starts all the same, and using it is an error."""
    for root in settings.files_root:
        if not os.path.isdir(root):  # noqa: PTH112 - Path.is_dir raises what this process may not see
            logger.warning("--files-root: %s does not exist or is no folder; nothing can be read or saved there", root)


def _folders(settings: Settings, caller: Caller) -> "Folders":
    from runway_mcp.files.folders import Folders

    if settings.auth == "none":
        return Folders(settings.files_root)
    return Folders(_folder_of(root, caller) for root in settings.files_root)


def _folder_of(root: Path, caller: Caller) -> Path:
    name = re.sub(r"[^A-Za-z0-9]+", "-", caller.subject)[:MAX_NAME].strip("-").lower()
    digest = sha256(f"{caller.issuer} {caller.subject}".encode()).hexdigest()[:32]
    folder = root / "-".join(filter(None, (name, digest)))
    with suppress(OSError):  # using it will tell
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder

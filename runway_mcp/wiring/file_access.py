"""Which folders a caller may use, and what files come and go by, as settings ask."""

import re
from contextlib import asynccontextmanager, suppress
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

    from runway_mcp.files.allowed import AllowedFiles

MAX_NAME = 40
"""Characters of a caller's name that their folder bears."""


@asynccontextmanager
async def open_files(
    settings: Settings, sandbox: "httpx2.AsyncBaseTransport | None" = None
) -> "AsyncGenerator[Callable[[Caller], AllowedFiles]]":
    """Open what files come and go by; yield what tells of a caller what they may use.

    Args:
        settings: The operator's.
        sandbox: What carries requests to the sandbox in this process, where there is one.
    """
    from runway_mcp.files.allowed import AllowedFiles
    from runway_mcp.files.folders import Folders
    from runway_mcp.files.transfers import Transfers, open_transfers

    clients = WeakValueDictionary[tuple[str, str], Transfers]()

    def allowed(caller: Caller) -> AllowedFiles:
        roots = settings.files_root
        if settings.auth != "none":
            roots = tuple(_theirs(root, caller) for root in roots)
        theirs = clients.setdefault((caller.issuer, caller.subject), transfers.for_another())
        return AllowedFiles(Folders(roots), settings.transport == "stdio", theirs)

    base = urlsplit(settings.base_url)
    own = f"{base.scheme}://{base.netloc}" if is_loopback(base.hostname or "") else None
    async with open_transfers(
        own_origin=SANDBOX_URL if sandbox else own, own_transport=sandbox, ca_file=settings.ca_file
    ) as transfers:
        yield allowed


def _theirs(root: Path, caller: Caller) -> Path:
    """A folder for one of several callers, which bears their name as far as a folder can; made where it is missing."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", caller.subject)[:MAX_NAME].strip("-").lower()
    digest = sha256(f"{caller.issuer} {caller.subject}".encode()).hexdigest()[:32]
    folder = root / "-".join(filter(None, (name, digest)))
    with suppress(OSError):  # using it will tell
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder

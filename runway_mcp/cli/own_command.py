"""How a host starts this very installation of the server."""

import os
import shutil
import sys
from pathlib import Path, PureWindowsPath


def own_command(called_as: str, scripts: Path) -> list[str]:
    """Return the absolute command of this installation: never a bare name, which may lead to another package.

    Args:
        called_as: The process's first word, as in `sys.argv`.
        scripts: The environment's folder of commands.
    """
    for place in (os.path.abspath(called_as), str(scripts / "runway-mcp")):  # noqa: PTH100 - a link stays one
        is_ours = PureWindowsPath(place).name.removesuffix(".exe") == "runway-mcp"
        if is_ours and (found := shutil.which(place)):
            return [found]
    return [sys.executable, "-m", "runway_mcp"]


def is_passing(command: str) -> bool:
    """Return whether a command lies in a cache of `uvx`, which may be cleared at any time."""
    return any(part.startswith(("archive-v", "environments-v", "builds-v")) for part in Path(command).parts)

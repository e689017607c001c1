"""What one caller may do with files: where, and by what they come and go."""

from dataclasses import dataclass

from runway_mcp.files.folders import Folders
from runway_mcp.files.transfers import Transfers


@dataclass(frozen=True, slots=True)
class AllowedFiles:
    """One caller's files.

    Attributes:
        folders: The folders that the operator allows them; maybe none.
        takes_roots: Whether, where the operator allows none, the host's own folders (roots) are allowed.
        transfers: What fetches and sends.
    """

    folders: Folders
    takes_roots: bool
    transfers: Transfers

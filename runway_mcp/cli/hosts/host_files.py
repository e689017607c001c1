"""Which file of a host is read or written, and the entry of this server in it."""

import os
from pathlib import Path
from typing import Literal

from runway_mcp.cli.hosts.config_files import ConfigFileError, parse_file, read_file
from runway_mcp.cli.hosts.known_hosts import Host, Machine
from runway_mcp.cli.hosts.server_entries import Entry, read_entry


def host_file(host: Host, machine: Machine, scope: Literal["user", "project"]) -> Path | None:
    """Return the file that has this server's entry, else the one to write; None where the host has none in a scope."""
    paths = host.paths(machine, scope)
    if not paths:
        return None
    existing = list(filter(os.path.exists, paths))
    with_entry = [path for path in existing if _has_entry(host, path)]
    return [*with_entry, *existing, *(path for path in paths if os.path.lexists(path.parent)), paths[-1]][0]


def entry_in(host: Host, path: Path) -> Entry | None:
    """Return this server's entry in a host's file, or None.

    Raises:
        ConfigFileError: The file can't be read.
    """
    return read_entry(host, parse_file(path, read_file(path)))


def _has_entry(host: Host, path: Path) -> bool:
    try:
        return entry_in(host, path) is not None
    except ConfigFileError:
        return False

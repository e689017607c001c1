"""The URL of a database. One that would be read in another way than it is meant is refused, without repeating it."""

import os
import re
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ServiceFileError
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

MAX_PORT = 65_535
_HOST = re.compile(r"(?:\[[^\[\]]+\]|[^\[\]:]*)(?::(.*))?")


def check_database_url(url: str) -> None:
    """Check the form of a `postgresql://` URL.

    Raises:
        ValueError: It can't be used.
    """
    if not url.startswith(("postgresql://", "postgres://")) or not url.isprintable() or " " in url:
        raise ValueError("must be a URL such as postgresql://runway@db.example.com/runway")
    if not _is_well_formed(url):
        raise ValueError(
            "its parts can't be told apart: within a user name, password or value write / ? # @ : [ ] % as %2F %3F %23 "
            "%40 %3A %5B %5D %25; a port is a number"
        )


def with_service(url: str, variables: Mapping[str, str]) -> str:
    """Return a URL with the name of the service that completes it, which libpq's variables may tell.

    Raises:
        ValueError: There is no such service, or a variable can't be used.
    """
    if not _are_ports(variables.get("PGPORT", "")):
        raise ValueError("the variable PGPORT must be a port's number")
    query = urlsplit(url).query
    given = parse_qs(query).get("service", [])
    service = given[-1] if given else variables.get("PGSERVICE")
    if not service:
        return url
    home = Path(variables.get("APPDATA", ""), "postgresql") if os.name == "nt" else os.path.expanduser("~")  # noqa: PTH111 - Path.expanduser fails where there is no home
    file = variables.get("PGSERVICEFILE") or Path(home, ".pg_service.conf")
    if not _has_service(file, service):
        raise ValueError(
            f"its service (service= or PGSERVICE) is not in {file}, or can't be read there: PGSERVICEFILE names the "
            "file; write % in it as %%, and a port as a number"
        )
    return url if given else f"{url}{'&' if query else '?'}{urlencode({'service': service})}"


def _is_well_formed(url: str) -> bool:
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    except ValueError:
        return False
    user, _, hosts = parts.netloc.rpartition("@")
    found = [_HOST.fullmatch(host) for host in hosts.split(",")]
    return (
        "#" not in url
        and "@" not in f"{user}{parts.path}{parts.query}"
        and all(host and _are_ports(host[1] or "") for host in found)
        and _are_ports(query.get("port", [""])[-1])
    )


def _are_ports(text: str) -> bool:
    """Return whether a text is nothing, or numbers of ports between commas."""
    ports = text.split(",") if text else []
    return all(re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) <= MAX_PORT for port in ports)


def _has_service(file: str | Path, name: str) -> bool:
    services = ConfigParser()
    try:
        services.read(file)
        return _are_ports(dict(services.items(name)).get("port", ""))
    except (ServiceFileError, UnicodeError):
        return False

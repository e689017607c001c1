"""The types of settings whose text has a form of its own. Their errors never repeat the value."""

import os
import re
import string
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, FilePath, SecretStr
from pydantic_settings import NoDecode

from runway_mcp.config.database_url import check_database_url

_BLANK = f"{string.whitespace}\x85\xa0\u2007\u200b\u2028\u2029\u202f\ufeff"
"""White space, and what copying from a page or a file adds unseen."""

_NO_KEYS = {
    r"^[\"'`\u2018-\u201f]|[\"'`\u2018-\u201f]$": "the API key is in quotation marks: give it without them",
    r"^(\$|%.+%$|\{\{|<.*>$|your[ _-]|op://)|(\.\.\.|\u2026)$": (
        "it is the name of a variable or a placeholder, which nothing has replaced: hosts differ in what they expand, "
        "so write the key itself here"
    ),
    r"^(bearer|authorization)\b": "it begins as a header does: give the API key alone",
    r"^(export\s+)?\w+\s*=\s*[^=\s]": "it begins with NAME=: give the API key alone",
}
"""What is pasted or left in a key's place, by pattern, and what is said of it."""


def is_loopback(host: str) -> bool:
    """Return whether `host` (a name, or an address without brackets) can only be this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def usable_key(key: SecretStr) -> SecretStr | None:
    """Return a Runway key without white space around it, or None where nothing is left.

    Raises:
        ValueError: It is no key, but what stands for one; or it does not fit into a header.
    """
    text = key.get_secret_value().strip(_BLANK)
    for pattern, message in _NO_KEYS.items():
        if re.search(pattern, text, re.IGNORECASE):
            raise ValueError(message)
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("the API key holds a space, a line break or a character outside ASCII")
    return SecretStr(text) if text else None


def _pattern(pattern: str, message: str) -> AfterValidator:
    def check(text: str) -> str:
        if re.fullmatch(pattern, text, re.ASCII) is None:
            raise ValueError(message)
        return text

    return AfterValidator(check)


def _split_at(separator: str) -> BeforeValidator:
    def split(given: object) -> object:
        return [word.strip() for word in given.split(separator) if word.strip()] if isinstance(given, str) else given

    return BeforeValidator(split)


def _is_encrypted_or_local(parts: SplitResult) -> bool:
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def _has_odd_port(parts: SplitResult) -> bool:
    try:
        return parts.port == 0
    except ValueError:
        return True


def _base_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii() or not url.isprintable():
        raise ValueError("must be a URL such as https://api.dev.runwayml.com")
    if _has_odd_port(parts) or " " in url or {".", ".."} & set(parts.path.split("/")):
        raise ValueError("must hold no space, no . or .. in its path, and a port only from 1 to 65535")
    if not _is_encrypted_or_local(parts):
        raise ValueError("http would send the API key unencrypted; use https (http only to this machine)")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must hold no user name, password, query or fragment")
    trimmed = url.rstrip("/")
    if trimmed.endswith("/v1"):
        raise ValueError("must not end with /v1, which the server adds itself")
    return trimmed


def _encrypted_url(url: str) -> str:
    parts = urlsplit(url)
    if not parts.hostname or not _is_encrypted_or_local(parts):
        raise ValueError("must be an https:// URL (http:// only on this machine)")
    if not url.isascii() or not url.isprintable() or " " in url or parts.query or parts.fragment:
        raise ValueError("must hold no space, query or fragment")
    if parts.username or parts.password or _has_odd_port(parts):
        raise ValueError("must hold no user name or password, and a port only from 1 to 65535")
    return url


def _network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        raise ValueError("must be an address or a network, such as 10.0.0.5 or 10.0.0.0/24") from None
    return text


def _certificates(file: Path) -> Path:
    import ssl  # noqa: PLC0415 - only who gives such a file pays for it

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except OSError:
        raise ValueError("holds no certificates in PEM form") from None
    return file


def _database_url(url: SecretStr) -> SecretStr:
    check_database_url(url.get_secret_value())
    return url


def _expanded(folder: Path) -> Path:
    return Path(os.path.expanduser(folder))  # noqa: PTH111 - hosts start no shell that would; Path.expanduser fails where there is no home


def _whole(folders: tuple[Path, ...]) -> tuple[Path, ...]:
    for number, folder in enumerate(folders, 1):
        if not folder.is_absolute():
            which = f"number {number} of {len(folders)}" if len(folders) > 1 else "it"
            raise ValueError(f"{which} is not a whole path (/… or ~/…)")
    return folders


def lowered(given: object) -> object:
    """Return a text in small letters and without white space around it; anything else as it is."""
    return given.strip().lower() if isinstance(given, str) else given


def _free(path: str) -> str:
    if re.fullmatch(r"/(healthz|readyz|metrics|openapi\.json|v1/.*)/?", path):
        raise ValueError("must not be one of the server's own: /healthz, /readyz, /metrics, /openapi.json, /v1/…")
    return path


ApiKey = Annotated[SecretStr, AfterValidator(usable_key)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
"""Where the Runway API is; without a slash at its end."""
ApiVersion = Annotated[str, _pattern(r"\d{4}-\d{2}-\d{2}", "must look like 2024-11-06")]
EndpointPath = Annotated[
    str,
    _pattern(
        r"/(?:[\w~-][\w.~-]*(?:/[\w~-][\w.~-]*)*/?)?",
        "must look like /mcp: letters, digits and . _ ~ - between slashes",
    ),
    AfterValidator(_free),
]
EncryptedUrl = Annotated[str, AfterValidator(_encrypted_url)]
CertificatesFile = Annotated[FilePath, AfterValidator(_certificates)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
Folder = Annotated[Path, AfterValidator(_expanded)]
"""A folder, which may begin with ~."""
Folders = Annotated[tuple[Folder, ...], NoDecode, _split_at(os.pathsep), AfterValidator(_whole)]
"""Whole paths of folders, which may be missing. The flag is repeatable; the variable separates them as PATH does."""
_HostHeader = Annotated[
    str, _pattern(r"[\w.-]+(:\d+)?|\[[\da-fA-F:.]+\](:\d+)?", "must look like mcp.example.com, with :port or not")
]
HostHeaders = Annotated[tuple[_HostHeader, ...], NoDecode, _split_at(",")]
"""Host headers. The flag is repeatable; the variable separates them by commas. So do the three types below."""
_Origin = Annotated[
    str, _pattern(r"https?://([\w.-]+|\[[\da-fA-F:.]+\])(:\d+)?", "must look like https://app.example.com, no path")
]
Origins = Annotated[tuple[_Origin, ...], NoDecode, _split_at(",")]
_MediaDomain = Annotated[
    str, _pattern(r"https://(\*\.)?[\w-]+(\.[\w-]+)+(:\d+)?", "must look like https://*.example.com, no path")
]
MediaDomains = Annotated[tuple[_MediaDomain, ...], NoDecode, _split_at(",")]
Networks = Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], NoDecode, _split_at(",")]

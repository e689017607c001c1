"""The command `runway-mcp catalogue`: takes new models over from an OpenAPI document."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import anyio
import httpx2

from runway_mcp.api.connection import USER_AGENT, open_transport
from runway_mcp.api.errors import NetworkSettingsError, RunwayError, quote
from runway_mcp.catalogue import lookup
from runway_mcp.catalogue.catalogue_builder import build_update
from runway_mcp.catalogue.kept_catalogue import NAME, keep
from runway_mcp.catalogue.openapi_reader import DocumentError
from runway_mcp.config.options import Parser, add_settings, read_settings
from runway_mcp.config.settings import Settings
from runway_mcp.mcp_server.messages import explain
from runway_mcp.wiring.core import state_dir

MAX_BYTES = 16 * 1024**2
"""Bytes of a document; Runway's has 0.8 MiB."""
SECONDS = 60.0
"""How long a document may take to come."""
DIFFERENT = 3
"""The exit code of a diff that finds something."""


def run_catalogue(arguments: Sequence[str], about: str) -> int:
    """Run `runway-mcp catalogue` and return its exit code.

    0: nothing to change, or updated. 1: the document can't be used, or the catalogue not kept. 3: a diff found changes.

    Raises:
        UsageError: The command line or a setting is wrong.
    """
    parser = Parser(prog="runway-mcp catalogue", description=f"runway-mcp catalogue: {about}.")
    parser.add_argument("action", choices=("update", "diff"), help="diff changes nothing, and exits 3 on a difference")
    parser.add_argument("document", nargs="?", metavar="FILE_OR_URL", help="default: --catalogue-url")
    add_settings(parser)
    parser.usage = "%(prog)s update|diff [FILE_OR_URL] [--state-dir FOLDER] [--ca-file FILE] [...]"
    options = parser.parse(arguments)
    if (options.document or "").lower().startswith(("http://", "https://")):
        options.catalogue_url = options.document
        options.document = None
    settings, _ = read_settings(options)
    folder = state_dir(settings)
    lookup.look_in(folder)
    try:
        document = _read(Path(options.document)) if options.document else anyio.run(_fetch, settings)
        update = build_update(lookup.catalogue_data(), _parsed(document), f"{datetime.now(UTC):%Y-%m-%d}")
    except (DocumentError, RunwayError) as error:
        reason = explain(error) if isinstance(error, RunwayError) else f"The document can't be used: {error}."
        kept = f" Delete {folder / NAME} to use the built-in one." if (folder / NAME).exists() else ""
        print(f"runway-mcp: {reason} The catalogue is as it was.{kept}", file=sys.stderr)
        return 1
    for line in [*update.changes, *(f"Left out, so not checked: {what}" for what in update.left_out)]:
        print(line)
    if options.action == "diff" and update.changes:
        return DIFFERENT
    if options.action == "diff" or not (update.changes or lookup.kept_problem()):
        print(f"The catalogue of {lookup.catalogue_day()} has all that the document has. Nothing was changed.")
        return 0
    try:
        print(f"Kept in {keep(folder, update.catalogue, lookup.own_data())}. Servers use it after a restart.")
    except OSError as error:
        print(f"runway-mcp: nothing was changed: {folder}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise DocumentError(f"{file}: {error.strerror}") from None


async def _fetch(settings: Settings) -> bytes:
    url = settings.catalogue_url
    try:
        transport = open_transport(url, settings.ca_file)
    except (ValueError, OSError, httpx2.InvalidURL):
        raise NetworkSettingsError from None
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}
    body = bytearray()
    try:
        with anyio.fail_after(SECONDS):
            async with (
                httpx2.AsyncClient(transport=transport, headers=headers, timeout=SECONDS, trust_env=False) as http,
                http.stream("GET", url) as response,
            ):
                if response.status_code != HTTPStatus.OK:
                    moved = quote(response.headers.get("Location", ""), 200)
                    to = f", a redirect to {moved}, which is not followed" if response.has_redirect_location else ""
                    raise DocumentError(f"{url} answered with status {response.status_code}{to}")
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        break
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
        raise DocumentError(f"{url} was not reached, or not to the end ({type(error).__name__})") from None
    return bytes(body)


def _parsed(document: bytes) -> object:
    if len(document) > MAX_BYTES:
        raise DocumentError(f"it is larger than {MAX_BYTES // 1024**2} MiB")
    try:
        return json.loads(document, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise DocumentError(f"it is no JSON; it begins with {quote(document[:40].decode(errors='replace'))}") from None


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are no JSON

"""The catalogue that `runway-mcp catalogue update` keeps in the state folder."""

import json
import os
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

NAME = "catalogue.json"
MAX_BYTES = 16 * 1024**2

_FORMAT = 1

KeptProblem = Literal["unreadable", "damaged", "incomplete"]
"""Why a kept catalogue does not count. An incomplete one lacks what the package's own has."""


def keep(folder: Path, catalogue: Mapping[str, Any]) -> Path:
    """Write a catalogue to a folder, in one step, and return its file.

    Raises:
        OSError: It can't be written; an older one is still there.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{NAME}.", dir=folder)
    temporary, file = Path(name), folder / NAME
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            json.dump({"check": _check(catalogue), "catalogue": catalogue}, opened)
            opened.flush()
            os.fsync(opened.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    return file


def newer(own: Mapping[str, Any], folder: Path) -> tuple[Mapping[str, Any], KeptProblem | None]:
    """Return the kept catalogue where it is as new as `own`, else `own`, and what is wrong with the kept one."""
    file = folder / NAME
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return own, None
    except OSError:
        return own, "unreadable"
    try:
        kept = json.loads(text[:MAX_BYTES])
        catalogue: Mapping[str, Any] = kept["catalogue"] if kept["check"] == _check(kept["catalogue"]) else {}
    except (ValueError, KeyError, TypeError, RecursionError):
        catalogue = {}
    if not catalogue:
        return own, "damaged"
    if catalogue["asOf"] < own["asOf"]:
        return own, None
    return (catalogue, None) if _pairs(own) <= _pairs(catalogue) else (own, "incomplete")


def _check(catalogue: Mapping[str, Any]) -> str:
    """Return what tells a catalogue from a damaged one, or from one of another form."""
    return sha256(f"{_FORMAT} {json.dumps(catalogue, sort_keys=True)}".encode()).hexdigest()


def _pairs(catalogue: Mapping[str, Any]) -> set[tuple[str, str | None]]:
    return {(kind, one["name"]) for kind, entry in catalogue["types"].items() for one in entry["models"]}

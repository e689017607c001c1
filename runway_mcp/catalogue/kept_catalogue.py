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

KeptProblem = Literal["unreadable", "damaged", "outdated"]
"""Why a kept catalogue does not count. An outdated one was made from another than the package's own."""


def keep(folder: Path, catalogue: Mapping[str, Any], own: Mapping[str, Any]) -> Path:
    """Write a catalogue, which was made from the package's own, to a folder, in one step, and return its file.

    Raises:
        OSError: It can't be written; an older one is still there.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = {"own": _check(own), "catalogue": catalogue}
    handle, name = tempfile.mkstemp(prefix=f".{NAME}.", dir=folder)
    temporary, file = Path(name), folder / NAME
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            json.dump({"check": _check(kept), **kept}, opened)
            opened.flush()
            os.fsync(opened.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    return file


def newer(own: Mapping[str, Any], folder: Path) -> tuple[Mapping[str, Any], KeptProblem | None]:
    """Return the kept catalogue where it was made from `own`, else `own`, and what is wrong with the kept one."""
    file = folder / NAME
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return own, None
    except OSError:
        return own, "unreadable"
    try:
        kept: dict[str, Any] = json.loads(text[:MAX_BYTES])
        if kept.pop("check") != _check(kept):
            return own, "damaged"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return own, "damaged"
    return (kept["catalogue"], None) if kept["own"] == _check(own) else (own, "outdated")


def _check(value: Mapping[str, Any]) -> str:
    """Return what tells a value from a damaged one, or from one of another form."""
    return sha256(f"{_FORMAT} {json.dumps(value, sort_keys=True)}".encode()).hexdigest()

"""A secret that the processes with one state folder share. The first process that needs it creates it."""

import os
import tempfile
from pathlib import Path
from secrets import token_bytes

LENGTH = 32
"""Bytes."""


def shared_secret(file: Path) -> bytes:
    """Return the secret in `file`, which only its owner may read. Create it if there is none.

    Raises:
        OSError: The file can't be read or written, or holds something else.
    """
    if not file.exists():
        _create(file)  # and publish it when it is complete: a crash or a full disk leaves no partial one
    secret = file.read_bytes()
    if len(secret) != LENGTH:
        raise OSError(f"{file.name} holds no secret of {LENGTH} bytes; remove it")
    return secret


def _create(file: Path) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(token_bytes(LENGTH))
            opened.flush()
            os.fsync(opened.fileno())
        try:
            os.link(temporary, file)
        except FileExistsError:
            pass  # another process was first
        except OSError:  # a file system without hard links
            temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)

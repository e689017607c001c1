"""A secret that all processes share which share a folder: made by the first that asks for it."""

import os
from pathlib import Path
from secrets import token_bytes
from time import sleep

LENGTH = 32
"""Bytes."""
LOOKS = 50
LOOK_SECONDS = 0.02
"""How often, and how many times, it is looked whether another process has written the secret it has begun."""


def shared_secret(file: Path) -> bytes:
    """Return the secret in a file, readable to its owner only; make it where there is none.

    Raises:
        OSError: It can't be read or written, or what is there is no such secret.
    """
    try:
        made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(file)
    secret = token_bytes(LENGTH)
    with os.fdopen(made, "wb") as opened:
        opened.write(secret)
    return secret


def _read(file: Path) -> bytes:
    for _ in range(LOOKS):
        secret = file.read_bytes()
        if len(secret) == LENGTH:
            return secret
        sleep(LOOK_SECONDS)
    raise OSError(f"{file.name} holds no secret of {LENGTH} bytes; remove it")

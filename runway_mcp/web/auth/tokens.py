"""The tokens file: hashes of the access tokens that the operator gave out, each with its caller."""

import hmac
import secrets
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from runway_mcp.tasks.callers import SCOPES, Caller
from runway_mcp.web.auth.reloading_file import ReloadingFile, ReloadingFileError, matching, read_entries
from runway_mcp.web.auth.runway_keys import RunwayKeys, VariableName
from runway_mcp.web.auth.token_claims import CallerToken

TABLE = "token"
PREFIX = "rwmcp_"
"""The prefix of every token, by which people and secret scanners recognise one."""
TOKEN_BYTES = 32

NAME = r"(?!nobody$)[A-Za-z0-9][\w.@+-]{0,63}"
NAME_RULE = "must be 1 to 64 letters, digits and . _ @ + -, and not nobody"


class TokenEntry(BaseModel):
    """One `[[token]]` of the file: a caller, the digest of their token, and what it allows."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    name: Annotated[str, matching(NAME, NAME_RULE)]
    sha256: Annotated[str, matching("[0-9a-fA-F]{64}", "must be 64 hexadecimal digits")] = Field(repr=False)
    scopes: list[Annotated[str, matching("|".join(SCOPES), f"must hold only {' and '.join(SCOPES)}")]] = Field(
        min_length=1
    )
    runway_key_env: VariableName | None = Field(None, repr=False)

    def lines(self) -> str:
        scopes = ", ".join(f'"{scope}"' for scope in self.scopes)
        key = f'\nrunway_key_env = "{self.runway_key_env}"' if self.runway_key_env else ""
        return f'[[{TABLE}]]\nname = "{self.name}"\nsha256 = "{self.sha256}"\nscopes = [{scopes}]{key}'


class TokensFile:
    """Verifies tokens against a file of hashes; raises `ReloadingFileError` if it can't be used."""

    def __init__(self, path: Path, keys: RunwayKeys, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._file = ReloadingFile(path, self._read, clock=clock)
        self.reread = self._file.reread

    async def verify_token(self, token: str) -> CallerToken | None:
        """Return the caller of a token, or None. Every entry is compared in constant time."""
        shown = sha256(token.encode()).digest()
        found: Caller | None = None
        for digest, caller in self._file.content():
            if hmac.compare_digest(digest, shown):
                found = caller
        return CallerToken.of(found) if found else None

    def _read(self, path: Path) -> list[tuple[bytes, Caller]]:
        callers: dict[bytes, Caller] = {}
        names: set[str] = set()

        def take(entry: TokenEntry) -> None:
            digest = bytes.fromhex(entry.sha256)
            if digest in callers:
                raise ReloadingFileError("sha256: another entry has it")
            if entry.name in names:
                raise ReloadingFileError("name: another entry has it")
            key = self._keys.of(entry.runway_key_env)
            names.add(entry.name)
            callers[digest] = Caller(entry.name, scopes=frozenset(entry.scopes), key=key)

        read_entries(path, TABLE, TokenEntry, take)
        return list(callers.items())


def new_token() -> tuple[str, str]:
    """Return a token of 256 random bits and its SHA-256."""
    token = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    return token, sha256(token.encode()).hexdigest()

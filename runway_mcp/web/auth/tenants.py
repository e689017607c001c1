"""The tenants file: which callers of an authorization server have a Runway key of their own."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from runway_mcp.web.auth.reloading_file import ReloadingFile, ReloadingFileError, matching, read_entries
from runway_mcp.web.auth.runway_keys import RunwayKeys, VariableName

TABLE = "tenant"

Text = Annotated[str, matching(r"[^\x00-\x1f\x7f]{1,255}", "must be 1 to 255 characters in one line")]


class TenantEntry(BaseModel):
    """One `[[tenant]]` of the file, by the `iss` and `sub` of the caller's tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    issuer: Text
    subject: Text
    runway_key_env: VariableName = Field(repr=False)


class Tenants:
    """The Runway keys of callers by issuer and subject. Without a file nobody has a key of their own."""

    def __init__(self, path: Path | None, keys: RunwayKeys, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._file = ReloadingFile(path, self._read, clock=clock) if path else None

    def key_of(self, issuer: str, subject: str) -> SecretStr | None:
        """Return the caller's own key, else the shared one, if there is one."""
        own = self._file.content() if self._file else {}
        return own.get((issuer, subject), self._keys.shared)

    def reread(self) -> None:
        if self._file:
            self._file.reread()

    def _read(self, path: Path) -> dict[tuple[str, str], SecretStr | None]:
        found: dict[tuple[str, str], SecretStr | None] = {}

        def take(entry: TenantEntry) -> None:
            who = entry.issuer, entry.subject
            if who in found:
                raise ReloadingFileError("subject: another entry has it")
            found[who] = self._keys.of(entry.runway_key_env)

        read_entries(path, TABLE, TenantEntry, take)
        return found

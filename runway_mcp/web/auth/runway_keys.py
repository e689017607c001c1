"""Whose Runway key a caller uses: their own, by the name of its variable, or the one that is shared.

Nobody is served with somebody else's: without either a caller has none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import SecretStr

from runway_mcp.web.auth.reloading_file import ReloadingFileError, matching

VARIABLE = r"[A-Za-z_]\w{0,63}"

VariableName = Annotated[str, matching(VARIABLE, "must be the name of an environment variable, never the key itself")]
"""The name of the environment variable that holds a Runway key."""


@dataclass(frozen=True, slots=True)
class RunwayKeys:
    """The Runway keys that callers use.

    Attributes:
        find: Returns the key in the variable of a given name, or None where there is none; raises
            `ValueError` for one that can't be a key.
        shared: The key of those who have none of their own; None where they are to have none.
    """

    find: Callable[[str], SecretStr | None]
    shared: SecretStr | None = None

    def of(self, variable: str | None) -> SecretStr | None:
        """Return the key in a variable, or the shared one where no variable is named.

        Raises:
            EntriesError: The variable holds none. Its name is not repeated: it may be a key in the wrong place.
        """
        if variable is None:
            return self.shared
        try:
            key = self.find(variable)
        except ValueError as error:
            raise ReloadingFileError(f"runway_key_env: {error}") from None
        if key is None:
            raise ReloadingFileError("runway_key_env: there is no such environment variable, or it is empty")
        return key

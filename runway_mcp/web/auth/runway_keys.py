"""The Runway key of each caller: their own, named by its environment variable, or the shared one.

A caller with neither has no key. Nobody is served with another caller's key.
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
        find: Returns the key in a named environment variable, or None; raises `ValueError` if it can't be a key.
        shared: The key of callers without one of their own; None if they have none.
    """

    find: Callable[[str], SecretStr | None]
    shared: SecretStr | None = None

    def of(self, variable: str | None) -> SecretStr | None:
        """Return the key in an environment variable, or the shared key if none is named.

        Raises:
            ReloadingFileError: The variable holds no key. Its name is not repeated: it may itself be a key.
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

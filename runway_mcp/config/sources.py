"""Where settings come from: flags, then environment variables, then the file that `--env-file` names.

No other `.env` file is read.
"""

import os
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path

from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError

from runway_mcp.config.database_url import check_database_url, with_service
from runway_mcp.config.settings import PREFIX, Settings, SettingsError, place, variables
from runway_mcp.config.values import usable_key

_ENV_LINE = re.compile(r"""|#.*|(export\s+)?[A-Za-z_]\w*\s*=\s*('[^']*'|"[^"]*"|[^'"\0][^\0]*|)(\s+#.*)?""", re.ASCII)


def load(flags: Mapping[str, object], env_file: Path | None = None) -> Settings:
    """Return the settings from `flags` by field name, the environment and `env_file`, in this precedence.

    Raises:
        SettingsError: A value is not usable, or the file can't be read.
    """
    if env_file is not None:
        _check_env_file(env_file)
    _check_names({*os.environ, *(dotenv_values(env_file, interpolate=False) if env_file else ())})
    aliased = {
        variables(name)[0] if Settings.model_fields[name].validation_alias else name: flags[name] for name in flags
    }
    try:
        settings = Settings(_env_file=env_file, _env_file_encoding="utf-8", **aliased)  # pyright: ignore[reportArgumentType, reportCallIssue] - the flags are validated by the model, whose private parameters its stub omits
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        at = f"{place(str(first['loc'][0]))}: " if first["loc"] else ""
        raise SettingsError(at + first["msg"].removeprefix("Value error, ")) from None
    if settings.history is None:
        return settings
    try:
        return settings.model_copy(update={"history": find_database(settings.history.get_secret_value())})
    except ValueError as error:
        raise SettingsError(f"{place('history')}: {error}") from None


def find_database(url: str) -> SecretStr:
    """Return the URL of a database with what the environment adds, or raise `ValueError` where it can't be used."""
    check_database_url(url)
    return SecretStr(with_service(url, os.environ))


def find_key_in(env_file: Path | None = None) -> Callable[[str], SecretStr | None]:
    """Return a function that finds the Runway key in a named environment variable, or None if it is not set.

    The environment takes precedence over `env_file`. What can't be a key raises `ValueError`.
    """
    in_file = dotenv_values(env_file, interpolate=False) if env_file else {}

    def find(variable: str) -> SecretStr | None:
        text = os.environ.get(variable) or in_file.get(variable)
        return usable_key(SecretStr(text)) if text else None

    return find


def _check_names(names: set[str]) -> None:
    """Refuse a variable whose name is nearly that of a setting: a limit that is misspelt would not hold."""
    known = {variable for name in Settings.model_fields for variable in variables(name)}
    for name in sorted(name for name in names if name.upper().startswith(PREFIX) and name not in known):
        if near := get_close_matches(name.upper(), known, n=1, cutoff=0.9):
            raise SettingsError(f"{name}: there is no such variable; did you mean {near[0]}?")


def _check_env_file(file: Path) -> None:
    # dotenv skips a line that it can't parse, and a key that was skipped is missed much later.
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise SettingsError("--env-file: there is no such file") from None
    except (OSError, ValueError):
        raise SettingsError("--env-file: it can't be read as UTF-8 text") from None
    for number, line in enumerate(lines, 1):
        if _ENV_LINE.fullmatch(line.strip()) is None:
            raise SettingsError(f"--env-file: line {number} is not of the form NAME=value")


def environment() -> dict[str, str]:
    """Return the process's environment variables."""
    return dict(os.environ)

"""What the server runs with: one frozen object from flags, environment and defaults.

The only reader of the environment. A flag wins over a variable, a variable over a file named
by `--env-file`; no `.env` is ever looked for. The API key has no flag, since a process's
arguments can be read by others on the machine.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, FilePath, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "RUNWAY_MCP_"
_ENV_LINE = re.compile(r"""|#.*|(export\s+)?[A-Za-z_]\w*\s*=\s*('[^']*'|"[^"]*"|[^'"\0][^\0]*|)(\s+#.*)?""", re.ASCII)
SANDBOX_KEY = SecretStr("sandbox")
"""What the sandbox inside the process is called with; the real key never is."""
SANDBOX_URL = "http://sandbox.localhost"
"""What it is called under; nothing listens there."""


class SettingsError(Exception):
    """A setting that can't be used, told in one line that shows no value."""


class Settings(BaseSettings):
    """The server's settings. A field's description is its line in `--help` and in the README."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    api_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("RUNWAYML_API_SECRET", "RUNWAY_API_KEY"),
        description="The Runway API key. The second variable counts where the first is not set.",
    )
    base_url: str = Field(
        "https://api.dev.runwayml.com",
        validation_alias=AliasChoices("RUNWAYML_BASE_URL"),
        description="Where the Runway API is, without /v1.",
    )
    api_version: str = Field(
        "2024-11-06",
        description="The X-Runway-Version of every request.",
    )
    ca_file: FilePath | None = Field(
        None, description="Certificates (PEM) to trust beside the operating system's, for a company's proxy."
    )
    read_only: bool = Field(default=False, description="Offer only tools that change nothing: no cancel, no delete.")
    sandbox: bool = Field(
        default=False, description="Use a simulated Runway API inside the process: no key, no network, no cost."
    )
    sandbox_speed: float = Field(
        1, gt=0, le=1000, allow_inf_nan=False, description="How many times faster tasks run in the sandbox."
    )
    poll_seconds: float = Field(
        5,
        ge=0.05,
        le=60,
        allow_inf_nan=False,
        description="How often a task is looked at, at most. Runway updates one every 5 seconds; less suits a sandbox.",
    )
    transport: Literal["stdio", "streamable-http"] = Field("stdio", description="How hosts talk to the server.")
    host: str = Field(
        "127.0.0.1",
        description="Where streamable-http listens: 127.0.0.1, ::1 or localhost, for it has no authentication.",
    )
    port: int = Field(8000, ge=1, le=65535, description="The port of streamable-http.")
    path: str = Field("/mcp", description="The path of streamable-http.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="The least severe messages that go to stderr."
    )

    @field_validator("api_key")
    @classmethod
    def _key_fits_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        text = key.get_secret_value() if key else "key"
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("the API key holds a space, a line break or a character outside ASCII")
        return key

    @field_validator("base_url")
    @classmethod
    def _base_url_is_safe(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii() or not url.isprintable():
            raise ValueError("must be a URL such as https://api.dev.runwayml.com")
        try:
            has_odd_port = parts.port == 0
        except ValueError:
            has_odd_port = True
        if has_odd_port or " " in url or {".", ".."} & set(parts.path.split("/")):
            raise ValueError("must hold no space, no . or .. in its path, and a port only from 1 to 65535")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("http would send the API key unencrypted; use https (http only to this machine)")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must hold no user name, password, query or fragment")
        trimmed = url.rstrip("/")
        if trimmed.endswith("/v1"):
            raise ValueError("must not end with /v1, which the server adds itself")
        return trimmed

    @field_validator("api_version")
    @classmethod
    def _api_version_is_a_date(cls, version: str) -> str:
        return _matching(version, r"\d{4}-\d{2}-\d{2}", "must look like 2024-11-06")

    @field_validator("path")
    @classmethod
    def _path_is_plain(cls, path: str) -> str:
        return _matching(
            path, r"/([\w~-][\w.~-]*/?)*", "must look like /mcp: letters, digits and . _ ~ - between slashes"
        )

    @field_validator("ca_file")
    @classmethod
    def _ca_file_holds_certificates(cls, file: Path | None) -> Path | None:
        if file is not None:
            import ssl  # noqa: PLC0415 - only who gives such a file pays for it

            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
            except OSError:
                raise ValueError("holds no certificates in PEM form") from None
        return file

    @field_validator("host")
    @classmethod
    def _host_is_loopback(cls, host: str) -> str:
        if not is_loopback(host):
            raise ValueError(
                "only 127.0.0.1, ::1 and localhost are served: without authentication, anyone who can reach "
                "another address could spend your credits"
            )
        return host


def load(flags: Mapping[str, object], env_file: Path | None = None) -> Settings:
    """Return the settings that `flags`, the environment and `env_file` together make.

    Args:
        flags: What the command line gave, by field name; only what was really given.
        env_file: A file of `NAME=value` lines that count where the environment has no such variable.

    Raises:
        SettingsError: A value is not usable, or the file can't be read.
    """
    if env_file is not None:
        _check_env_file(env_file)
    aliased = {
        variables(name)[0] if Settings.model_fields[name].validation_alias else name: flags[name] for name in flags
    }
    try:
        return Settings(_env_file=env_file, _env_file_encoding="utf-8", **aliased)  # pyright: ignore[reportArgumentType, reportCallIssue] - the flags are validated by the model, whose private parameters its stub omits
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise SettingsError(f"{_place(str(first['loc'][0]))}: {first['msg'].removeprefix('Value error, ')}") from None


def variables(name: str) -> tuple[str, ...]:
    """Return the environment variables that set a field, the first one winning."""
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (f"{PREFIX}{name.upper()}",)


def flag(name: str) -> str | None:
    """Return the command-line flag that sets a field; None for the key, which has none."""
    return None if name == "api_key" else "--" + name.replace("_", "-")


def is_loopback(host: str) -> bool:
    """Return whether `host` (a name, or an address without brackets) can only be this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _check_env_file(file: Path) -> None:
    """Refuse a file that would be read only in part: a key that is left out is missed much later."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise SettingsError("--env-file: there is no such file") from None
    except (OSError, ValueError):
        raise SettingsError("--env-file: it can't be read as UTF-8 text") from None
    for number, line in enumerate(lines, 1):
        if _ENV_LINE.fullmatch(line.strip()) is None:
            raise SettingsError(f"--env-file: line {number} is not of the form NAME=value")


def _matching(text: str, pattern: str, otherwise: str) -> str:
    if re.fullmatch(pattern, text, re.ASCII) is None:
        raise ValueError(otherwise)
    return text


def _place(location: str) -> str:
    name = next((n for n in Settings.model_fields if location == n or location in variables(n)), location)
    return " / ".join(filter(None, (flag(name), *variables(name))))

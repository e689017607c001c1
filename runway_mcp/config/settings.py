"""What the server runs with: one frozen object, whose fields are the flags and the variables.

The API key has no flag, since a process's arguments can be read by others on the machine.
"""

import os
import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, FilePath, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "RUNWAY_MCP_"
SANDBOX_KEY = SecretStr("sandbox")
"""What the sandbox inside the process is called with; the real key never is."""
SANDBOX_URL = "http://sandbox.localhost"
"""What it is called under; nothing listens there."""


Repeatable = Annotated[tuple[str, ...], NoDecode]
"""A flag that may be given several times; its variable holds the values between commas."""


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
    read_only: bool = Field(
        default=False, description="Offer only tools that change nothing: no start, cancel, delete or file."
    )
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
    toolsets: str = Field(
        "tasks,waiting,generation,account,files",
        description="The tools offered, by toolset: tasks, waiting, generation, account, files; or capability.",
    )
    max_credits_per_task: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Credits that one started task may cost, by its estimate."
    )
    max_credits_per_day: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Credits that the tasks started on one day (UTC) may cost."
    )
    confirm_over: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Credits above which the user is asked before a task is started, also where the price is unknown.",
    )
    state_dir: Path | None = Field(
        None, description="Where what was started is written down; your system's folder for such where not given."
    )
    files_root: Annotated[tuple[Path, ...], NoDecode] = Field(
        (),
        description=(
            "A folder that files may be uploaded from and saved to; repeatable. Over stdio those that the host names "
            "(roots) where not given; over HTTP none, and with --auth a folder in it for each caller."
        ),
    )
    transport: Literal["stdio", "streamable-http"] = Field("stdio", description="How hosts talk to the server.")
    host: str = Field(
        "127.0.0.1", description="Where streamable-http listens: an address of this machine only, unless --auth is set."
    )
    port: int = Field(8000, ge=1, le=65535, description="The port of streamable-http.")
    path: str = Field("/mcp", description="The path of streamable-http.")
    auth: Literal["none", "token", "oauth"] = Field(
        "none", description="Who may call over HTTP: whoever is on this machine, or who shows an access token."
    )
    tokens_file: FilePath | None = Field(
        None, description="With token: the access tokens (TOML), as `runway-mcp token NAME` makes them."
    )
    oauth_issuer: str | None = Field(None, description="With oauth: the URL of the authorization server.")
    oauth_audience: str | None = Field(
        None, description="With oauth: the URL of this endpoint as clients see it; tokens must be issued for it."
    )
    oauth_introspection: str | None = Field(
        None, description="With oauth: where tokens that are no JWT are looked up (RFC 7662)."
    )
    oauth_client_id: str | None = Field(None, description="With oauth: this server's name for the introspection.")
    oauth_client_secret: SecretStr | None = Field(
        None, description="With oauth: this server's secret for the introspection."
    )
    tenants_file: FilePath | None = Field(
        None, description="With oauth: who has a Runway key of their own (TOML), by issuer and subject."
    )
    share_key: bool = Field(
        default=False, description="Let callers who have no Runway key of their own use the server's."
    )
    allowed_host: Repeatable = Field(
        (), description="A Host header that is served, such as mcp.example.com. Repeatable; this machine's always are."
    )
    allowed_origin: Repeatable = Field(
        (), description="A web page's Origin that is served, such as https://app.example.com. Repeatable."
    )
    trusted_proxy: Repeatable = Field(
        (), description="An address or network whose X-Forwarded-For and -Proto are believed. Repeatable."
    )
    max_requests: int = Field(100, ge=1, le=1000, description="Requests over HTTP that one caller may have under way.")
    max_waits: int = Field(50, ge=1, le=1000, description="Waits over HTTP that one caller may have under way.")
    metrics: bool = Field(default=False, description="Serve /metrics for Prometheus, over HTTP.")
    tracing: bool = Field(
        default=False, description="Send OpenTelemetry traces to where the OTEL_EXPORTER_OTLP_* variables say."
    )
    log_format: Literal["text", "json"] = Field("text", description="How log lines are written.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="The least severe messages that go to stderr."
    )

    @field_validator("api_key")
    @classmethod
    def _key_fits_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        return key and fitting_a_header(key)

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

    @field_validator("allowed_host", "allowed_origin", "trusted_proxy", mode="before")
    @classmethod
    def _repeatable(cls, given: object) -> object:
        return [word.strip() for word in given.split(",") if word.strip()] if isinstance(given, str) else given

    @field_validator("files_root", mode="before")
    @classmethod
    def _folders_between_separators(cls, given: object) -> object:
        return [word for word in given.split(os.pathsep) if word] if isinstance(given, str) else given

    @field_validator("state_dir")
    @classmethod
    def _folder_is_expanded(cls, folder: Path | None) -> Path | None:
        return folder and _expanded(folder)

    @field_validator("files_root")
    @classmethod
    def _folders_are_there(cls, folders: tuple[Path, ...]) -> tuple[Path, ...]:
        folders = tuple(map(_expanded, folders))
        for number, folder in enumerate(folders, 1):
            if not (folder.is_absolute() and folder.is_dir()):
                which = f"number {number} of {len(folders)}" if len(folders) > 1 else "it"
                raise ValueError(f"{which} is no folder that exists, or not a whole path (/… or ~/…)")
        return folders

    @field_validator("allowed_host")
    @classmethod
    def _hosts_are_names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            _matching(
                host, r"[\w.-]+(:\d+)?|\[[\da-fA-F:.]+\](:\d+)?", "must look like mcp.example.com, with :port or not"
            )
        return hosts

    @field_validator("allowed_origin")
    @classmethod
    def _origins_are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            _matching(
                origin,
                r"https?://([\w.-]+|\[[\da-fA-F:.]+\])(:\d+)?",
                "must look like https://app.example.com, no path",
            )
        return origins

    @field_validator("trusted_proxy")
    @classmethod
    def _proxies_are_addresses(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            try:
                ip_network(proxy)
            except ValueError:
                raise ValueError("must be an address or a network, such as 10.0.0.5 or 10.0.0.0/24") from None
        return proxies

    @field_validator("oauth_issuer", "oauth_audience", "oauth_introspection")
    @classmethod
    def _url_is_encrypted(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "https://none")
        if not parts.hostname or (
            parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname))
        ):
            raise ValueError("must be an https:// URL (http:// only on this machine)")
        if (
            not (url or "").isascii()
            or not (url or "").isprintable()
            or " " in (url or "")
            or parts.query
            or parts.fragment
        ):
            raise ValueError("must hold no space, query or fragment")
        return url

    @model_validator(mode="after")
    def _authentication_is_whole(self) -> Self:
        if self.auth != "none" and self.transport == "stdio":
            raise ValueError(
                f"{place('auth')}: it is for --transport streamable-http; over stdio the host is the one caller"
            )
        if self.auth == "none" and not is_loopback(self.host):
            raise ValueError(
                f"{place('host')}: only 127.0.0.1, ::1 and localhost are served without authentication (--auth): "
                "anyone who can reach another address could spend your credits"
            )
        if self.host in {"0.0.0.0", "::"} and not self.allowed_host:  # noqa: S104 - refused here
            raise ValueError(
                f"{place('host')}: on every address, --allowed-host must name the hosts that clients ask for"
            )
        needed = {"token": ("tokens_file",), "oauth": ("oauth_issuer", "oauth_audience")}
        for mode, names in needed.items():
            for name in names:
                if self.auth == mode and getattr(self, name) is None:
                    raise ValueError(f"{place('auth')}: {mode} needs {place(name)}")
        of_mode = {**needed, "oauth": (*needed["oauth"], "oauth_introspection", "tenants_file")}
        for mode, names in of_mode.items():
            for name in names:
                if self.auth != mode and getattr(self, name) is not None:
                    raise ValueError(f"{place(name)}: it goes with --auth {mode}")
        return self

    @model_validator(mode="after")
    def _metrics_have_a_port(self) -> Self:
        if self.metrics and self.transport == "stdio":
            raise ValueError(f"{place('metrics')}: it is for --transport streamable-http")
        return self


def variables(name: str) -> tuple[str, ...]:
    """Return the environment variables that set a field, the first one winning."""
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (f"{PREFIX}{name.upper()}",)


def flag(name: str) -> str | None:
    """Return the command-line flag that sets a field; None for a secret, which has none."""
    return None if name in {"api_key", "oauth_client_secret"} else "--" + name.replace("_", "-")


def is_loopback(host: str) -> bool:
    """Return whether `host` (a name, or an address without brackets) can only be this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _expanded(folder: Path) -> Path:
    return Path(os.path.expanduser(folder))  # noqa: PTH111 - hosts start no shell that would; Path.expanduser fails where there is no home


def fitting_a_header(key: SecretStr) -> SecretStr:
    """Return a Runway key that can be sent; raise `ValueError` for one that can't."""
    text = key.get_secret_value()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("the API key holds a space, a line break or a character outside ASCII")
    return key


def _matching(text: str, pattern: str, otherwise: str) -> str:
    if re.fullmatch(pattern, text, re.ASCII) is None:
        raise ValueError(otherwise)
    return text


def place(location: str) -> str:
    """Return what sets a field, flag and variable, as an error names it."""
    name = next((n for n in Settings.model_fields if location == n or location in variables(n)), location)
    return " / ".join(filter(None, (flag(name), *variables(name))))

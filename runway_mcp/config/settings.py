"""The server's settings: one frozen object, whose fields are the flags and the environment variables.

Secrets have no flag, because other processes on the machine can read a process's arguments.
"""

import re
from typing import Literal, Self

from pydantic import AliasChoices, Field, FilePath, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from runway_mcp.config import values

PREFIX = "RUNWAY_MCP_"
SANDBOX_KEY = SecretStr("sandbox")
"""The API key for the sandbox inside the process, which never gets the real one."""
SANDBOX_URL = "http://sandbox.localhost"
"""The base URL of the sandbox inside the process; nothing listens there."""


class SettingsError(Exception):
    """A setting that can't be used. The message is one line and shows no value."""


class Settings(BaseSettings):
    """The server's settings. A field's description is its line in `--help` and in the documentation."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    api_key: values.ApiKey | None = Field(
        None,
        validation_alias=AliasChoices("RUNWAYML_API_SECRET", "RUNWAY_API_KEY"),
        description="The Runway API key. The second variable is used if the first is not set.",
    )
    base_url: values.BaseUrl = Field(
        "https://api.dev.runwayml.com",
        validation_alias=AliasChoices("RUNWAYML_BASE_URL"),
        description="Base URL of the Runway API, without /v1.",
    )
    api_version: values.ApiVersion = Field("2024-11-06", description="X-Runway-Version header of every request.")
    ca_file: values.CertificatesFile | None = Field(
        None,
        description="PEM file of certificates to trust in addition to the operating system's, for a company's proxy.",
    )
    read_only: bool = Field(
        default=False, description="Offer only tools that change nothing: no start, cancel, delete or file transfer."
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
        description="Minimum time between two polls of a task. Runway updates a task every 5 seconds.",
    )
    toolsets: str = Field(
        "tasks,waiting,generation,account,files",
        description="Toolsets to offer: tasks, waiting, generation, account, files; or capability.",
    )
    max_credits_per_task: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Maximum credits that one task may cost, by its estimate."
    )
    max_credits_per_day: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Maximum credits that the tasks started on one day (UTC) may cost."
    )
    confirm_over: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Ask the user before a task that costs more credits than this, or whose price is unknown.",
    )
    state_dir: values.Folder | None = Field(
        None,
        description=(
            "Folder of the history of started tasks and of a newer catalogue. Default: the system's folder for "
            "application state."
        ),
    )
    catalogue_url: values.EncryptedUrl = Field(
        "https://docs.dev.runwayml.com/openapi.json",
        description="OpenAPI document that `runway-mcp catalogue` reads where none is named.",
    )
    history: values.DatabaseUrl | None = Field(
        None,
        description=(
            "postgresql:// URL of the database that keeps the history in place of a file, for replicas on several "
            "machines. PGPASSWORD, PGPASSFILE or a service file (?service=NAME) may give the password."
        ),
    )
    history_days: int = Field(
        90, ge=1, le=36_500, description="Days for which the history tells prompts and where outputs were saved."
    )
    history_prompts: Literal["on", "off"] = Field(
        "on", description="Whether the history keeps the first 120 characters of prompts. With off it forgets all."
    )
    files_root: values.Folders = Field(
        (),
        description=(
            "Folder that files may be uploaded from and saved to. Repeatable. Default: over stdio the folders that "
            "the host names (roots), over HTTP none. With --auth, each caller gets a folder inside it."
        ),
    )
    auto_save: bool = Field(
        default=False,
        description=(
            "Save what this server starts to the first --files-root as it finishes, and at the next start of the "
            "server what has finished meanwhile."
        ),
    )
    media_domain: values.MediaDomains = Field(
        (),
        description=(
            "Domain that the viewer may load outputs from, such as https://*.example.com. Repeatable. Default: "
            "Runway's: cloudfront.net, runwayml.com and amazonaws.com."
        ),
    )
    transport: Literal["stdio", "streamable-http"] = Field("stdio", description="How hosts connect to the server.")
    host: str = Field(
        "127.0.0.1",
        description="Address that streamable-http listens on. Without --auth, only this machine's own are allowed.",
    )
    port: int = Field(8000, ge=1, le=65535, description="Port of streamable-http.")
    path: values.EndpointPath = Field("/mcp", description="Path of the MCP endpoint over streamable-http.")
    auth: Literal["none", "token", "oauth"] = Field(
        "none", description="How callers authenticate over HTTP. With none, only this machine can call."
    )
    tokens_file: FilePath | None = Field(
        None, description="With token: TOML file of access tokens, as `runway-mcp token NAME` makes them."
    )
    oauth_issuer: values.EncryptedUrl | None = Field(None, description="With oauth: URL of the authorization server.")
    oauth_audience: values.EncryptedUrl | None = Field(
        None, description="With oauth: URL of this endpoint as clients see it. Tokens must be issued for it."
    )
    oauth_introspection_url: values.EncryptedUrl | None = Field(
        None, description="With oauth: introspection endpoint (RFC 7662) for tokens that are not JWTs."
    )
    oauth_client_id: str | None = Field(None, description="With oauth: client ID of this server for introspection.")
    oauth_client_secret: SecretStr | None = Field(
        None, description="With oauth: client secret of this server for introspection."
    )
    tenants_file: FilePath | None = Field(
        None, description="With oauth: TOML file of callers with their own Runway key, by issuer and subject."
    )
    allow_shared_key: bool = Field(
        default=False, description="Let callers without a Runway key of their own use the server's key."
    )
    allowed_host: values.HostHeaders = Field(
        (), description="Host header to accept, such as mcp.example.com. Repeatable. This machine's always are."
    )
    allowed_origin: values.Origins = Field(
        (), description="Origin of web pages to accept, such as https://app.example.com. Repeatable."
    )
    trusted_proxy: values.Networks = Field(
        (), description="Address or network whose X-Forwarded-For and -Proto headers are trusted. Repeatable."
    )
    max_concurrent_requests: int = Field(
        100, ge=1, le=1000, description="Maximum HTTP requests that one caller may have in flight."
    )
    max_concurrent_waits: int = Field(
        50, ge=1, le=1000, description="Maximum waits that one caller may have in progress over HTTP."
    )
    metrics: bool = Field(default=False, description="Serve Prometheus metrics at /metrics over HTTP.")
    tracing: bool = Field(
        default=False, description="Send OpenTelemetry traces where the OTEL_EXPORTER_OTLP_* variables say."
    )
    log_format: Literal["text", "json"] = Field("text", description="Format of log lines.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="Lowest severity that is logged to stderr."
    )

    _choices = field_validator(
        "toolsets", "history_prompts", "transport", "auth", "log_format", "log_level", mode="before"
    )(values.lowered)

    @model_validator(mode="after")
    def _http_settings_fit_together(self) -> Self:
        if self.auth != "none" and self.transport == "stdio":
            raise ValueError(
                f"{place('auth')}: it is for --transport streamable-http; over stdio the host is the one caller"
            )
        if self.auth == "none" and not values.is_loopback(self.host):
            raise ValueError(
                f"{place('host')}: only 127.0.0.1, ::1 and localhost are served without authentication (--auth): "
                "anyone who can reach another address could spend your credits"
            )
        if self.host in {"0.0.0.0", "::"} and not self.allowed_host:  # noqa: S104 - refused here
            raise ValueError(
                f"{place('host')}: on every address, --allowed-host must name the hosts that clients ask for"
            )
        if self.metrics and self.transport == "stdio":
            raise ValueError(f"{place('metrics')}: it is for --transport streamable-http")
        return self

    @model_validator(mode="after")
    def _outputs_can_be_saved(self) -> Self:
        if self.auto_save and not self.files_root:
            raise ValueError(f"{place('auto_save')}: it needs a folder to save in: {place('files_root')}")
        if self.auto_save and (self.read_only or "files" not in re.split(r"[,\s]+", self.toolsets)):
            raise ValueError(f"{place('auto_save')}: it needs the toolset files, and goes without --read-only")
        return self

    @model_validator(mode="after")
    def _authentication_is_complete(self) -> Self:
        needed = {"tokens_file": "token", "oauth_issuer": "oauth", "oauth_audience": "oauth"}
        for name, mode in (needed | {"oauth_introspection_url": "oauth", "tenants_file": "oauth"}).items():
            is_set = getattr(self, name) is not None
            if self.auth == mode and name in needed and not is_set:
                raise ValueError(f"{place('auth')}: {mode} needs {place(name)}")
            if self.auth != mode and is_set:
                raise ValueError(f"{place(name)}: it goes with --auth {mode}")
        return self


def variables(name: str) -> tuple[str, ...]:
    """Return the environment variables that set a field; the first one takes precedence."""
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (f"{PREFIX}{name.upper()}",)


def flag(name: str) -> str | None:
    """Return the command-line flag that sets a field; None for a secret, which has none."""
    return None if name in {"api_key", "oauth_client_secret"} else "--" + name.replace("_", "-")


def place(location: str) -> str:
    """Return the flag and the variables that set a field, as an error names them."""
    name = next((n for n in Settings.model_fields if location == n or location in variables(n)), location)
    return " / ".join(filter(None, (flag(name), *variables(name))))

"""Builds what every transport serves: the callers' contexts and the MCP server."""

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from mcp.server.mcpserver import MCPServer
from pydantic import SecretStr

from runway_mcp.api.client import OnApiResponse, RunwayClient, open_client
from runway_mcp.catalogue.lookup import catalogue_data, look_in
from runway_mcp.config.settings import SANDBOX_KEY, SANDBOX_URL, Settings, SettingsError
from runway_mcp.history.places import HistoryPlace
from runway_mcp.history.records import Limits
from runway_mcp.mcp_server.server import TOOLSETS, build_server
from runway_mcp.mcp_server.tools.toolset import Toolset
from runway_mcp.mcp_server.viewer.app_page import MEDIA_DOMAINS
from runway_mcp.observability.request_record import OnRequestEnd, log_request
from runway_mcp.tasks.callers import ANONYMOUS, Caller, CallerContext, CallerRegistry, StartSaver
from runway_mcp.wiring.file_access import open_files, output_origin

if TYPE_CHECKING:
    import httpx2
    from anyio.abc import TaskGroup
    from starlette.types import ASGIApp

    from runway_mcp.observability.metrics import Metrics
    from runway_mcp.tasks.replica_counts import ReplicaCounts

Connect = Callable[[Caller], AbstractAsyncContextManager[RunwayClient]]

HISTORY = "history.sqlite3"
SANDBOX = "sandbox.sqlite3"


@dataclass(frozen=True, slots=True)
class Core:
    """What runs, over any transport.

    Attributes:
        local: The caller of requests without an access token.
        on_request_end: Called with the record of each request at its end.
        on_api_response: Called for each response of Runway.
        sandbox: The simulated API, where it answers.
    """

    callers: CallerRegistry
    server: MCPServer[CallerContext]
    local: Caller
    on_request_end: list[OnRequestEnd]
    on_api_response: list[OnApiResponse]
    metrics: "Metrics | None"
    sandbox: "ASGIApp | None"


def build_core(settings: Settings, hide: Callable[[str], None], *, sandbox_dir: Path | None = None) -> Core:
    """Return what runs, or raise `SettingsError`; `hide` keeps a secret out of the log.

    The sandbox and its history are kept in `sandbox_dir`, which must exist; in memory where it is not given.
    """
    on_request_end: list[OnRequestEnd] = []
    on_api_response: list[OnApiResponse] = []
    metrics = None
    if settings.metrics:
        with extra("metrics", "metrics"):
            from runway_mcp.observability.metrics import Metrics
        metrics = Metrics()
        on_request_end.append(metrics.on_request_end)
        on_api_response.append(metrics.on_api_response)
    if settings.log_level in {"debug", "info"}:
        on_request_end.append(log_request)
    look_in(state_dir(settings))
    simulated = _sandbox(settings, sandbox_dir and sandbox_dir / SANDBOX) if settings.sandbox else None
    sandbox = _transport(simulated) if simulated else None
    place = sandbox_dir / HISTORY if sandbox_dir else history_place(settings)
    callers = CallerRegistry(
        _connect(settings, sandbox, hide, on_api_response),
        poll_seconds=settings.poll_seconds,
        max_waits=settings.max_concurrent_waits if settings.transport == "streamable-http" else None,
        history=place,
        history_days=settings.history_days,
        history_prompts=settings.history_prompts == "on",
        limits=Limits(settings.max_credits_per_task, settings.max_credits_per_day, settings.confirm_over),
        files=partial(open_files, settings, sandbox),
        api=settings.base_url,
        auto_save=_auto_saver if settings.auto_save else None,
        counts=_replica_counts(settings, place),
    )
    local = Caller("local", key=settings.api_key) if settings.auth == "none" else ANONYMOUS
    server = build_server(
        callers,
        toolsets=_toolsets(settings.toolsets),
        local=local,
        read_only=settings.read_only,
        sandbox=settings.sandbox,
        on_request_end=on_request_end,
        media_domains=_media_domains(settings),
    )
    return Core(callers, server, local, on_request_end, on_api_response, metrics, simulated)


def _media_domains(settings: Settings) -> tuple[str, ...]:
    own = output_origin(settings)
    return settings.media_domain or ((own,) if own else MEDIA_DOMAINS)


def _sandbox(settings: Settings, state_file: Path | None) -> "ASGIApp":
    import sqlite3

    from runway_mcp.sandbox import create_app

    try:
        return create_app(speed=settings.sandbox_speed, catalogue=catalogue_data(), state_file=state_file)
    except (sqlite3.Error, ValueError) as error:
        reason = str(error) if isinstance(error, sqlite3.Error) else "another version has written it"
        raise SettingsError(f"the sandbox can't be kept in {state_file}: {reason}; delete it to begin anew") from None


def _transport(app: "ASGIApp") -> "httpx2.AsyncBaseTransport":
    import httpx2

    return httpx2.ASGITransport(app=app)


def _auto_saver(group: "TaskGroup") -> StartSaver:
    from runway_mcp.tasks.auto_save import AutoSaver

    return AutoSaver(group)


def _replica_counts(settings: Settings, place: HistoryPlace | None) -> "ReplicaCounts | None":
    if settings.transport == "stdio" or not isinstance(place, SecretStr):
        return None
    from runway_mcp.tasks.replica_counts import ReplicaCounts

    return ReplicaCounts()


def history_place(settings: Settings) -> HistoryPlace | None:
    """Return where the history is kept; None for one in memory.

    Raises:
        SettingsError: It is a database, and what opens one is not installed.
    """
    if settings.sandbox:
        return None
    return state_dir(settings) / HISTORY if settings.history is None else usable_place(settings.history)


def usable_place(place: HistoryPlace) -> HistoryPlace:
    """Return a place, or raise `SettingsError` where it is a database and what opens one is not installed."""
    if isinstance(place, SecretStr):
        with extra("history", "postgres"):
            import_module("runway_mcp.history.postgres")
    return place


def state_dir(settings: Settings) -> Path:
    """Return the folder of what is kept over restarts."""
    if settings.state_dir is not None:
        return settings.state_dir
    from platformdirs import user_state_path

    return user_state_path("runway-mcp", appauthor=False)


@contextmanager
def extra(option: str, name: str) -> Generator[None]:
    """Say which extra to install if the imports of an option fail."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"--{option} needs the package {error.name}, which is not installed; in this server's checkout it comes "
            f"with: uv tool install '.[{name}]'"
        ) from None


def _toolsets(names: str) -> list[Toolset]:
    wanted = list(dict.fromkeys(filter(None, (name.strip() for name in names.split(",")))))
    if not wanted or not TOOLSETS.keys() >= set(wanted):
        raise SettingsError(
            f"--toolsets / RUNWAY_MCP_TOOLSETS: there are {', '.join(TOOLSETS)}; name one, or several between commas"
        )
    return [TOOLSETS[name] for name in wanted]


def _connect(
    settings: Settings,
    sandbox: "httpx2.AsyncBaseTransport | None",
    hide: Callable[[str], None],
    on_api_response: Sequence[OnApiResponse],
) -> Connect:
    def notify(endpoint: str, status: int | None, seconds: float) -> None:
        for call in on_api_response:
            call(endpoint, status, seconds)

    def connect(caller: Caller) -> AbstractAsyncContextManager[RunwayClient]:
        if sandbox is not None:
            return open_client(
                api_key=SANDBOX_KEY,
                base_url=SANDBOX_URL,
                api_version=settings.api_version,
                transport=sandbox,
                on_api_response=notify,
            )
        if caller.key is not None:
            hide(caller.key.get_secret_value())
        return open_client(
            api_key=caller.key,
            base_url=settings.base_url,
            api_version=settings.api_version,
            ca_file=settings.ca_file,
            missing_key="server" if settings.auth == "none" else "caller",
            on_api_response=notify,
        )

    return connect

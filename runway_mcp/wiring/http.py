"""The app that a process serves over HTTP, as settings ask."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from runway_mcp.api.client import open_client
from runway_mcp.api.errors import AuthenticationError
from runway_mcp.config.settings import Settings
from runway_mcp.mcp_server.access import scope_of
from runway_mcp.mcp_server.tools.capability import CANCEL_DELETE, RETRIEVE
from runway_mcp.mcp_server.tools.tasks import TaskOutput
from runway_mcp.tasks.callers import Caller, CallerRegistry
from runway_mcp.web.app import build_app
from runway_mcp.web.auth import Authentication
from runway_mcp.web.health import Health, metrics_route
from runway_mcp.web.openapi import document, document_routes
from runway_mcp.web.origin_policy import OriginPolicy
from runway_mcp.web.rest import task_route
from runway_mcp.web.shutdown import LAST_SECONDS, GracefulShutdown
from runway_mcp.wiring.authentication import FindKey, authentication_of
from runway_mcp.wiring.core import Connect, Core


@dataclass(frozen=True, slots=True)
class Served:
    """What is served.

    Attributes:
        app: The app.
        stop: How it comes to its end.
        reread: Reads the operator's files anew, where there are any.
    """

    app: ASGIApp
    stop: GracefulShutdown
    reread: Callable[[], object] | None


def build_http(settings: Settings, find_key: FindKey, core: Core) -> Served:
    """Return the app over `core`; `find_key` finds a Runway key by the name of its variable.

    Raises:
        SettingsError: A file of tokens or tenants can't be used.
    """
    core.callers.shutdown_seconds = LAST_SECONDS
    stop = GracefulShutdown(end=core.callers.end_waits, changes=lambda: core.callers.background_tasks)
    health = _health(settings, stop, core.connect)
    core.on_api_response.append(health.heard)
    authentication = authentication_of(settings, find_key)
    routes = _rest(settings, core.callers, authentication)
    if core.metrics is not None:
        core.metrics.follow(core.callers)
        routes.append(metrics_route(core.metrics.page, authentication))
    app = build_app(
        core.server,
        edge=OriginPolicy(settings.allowed_host, settings.allowed_origin, listens_on=settings.host),
        path=settings.path,
        caller=core.local,
        authentication=authentication,
        routes=routes,
        health=health.routes(),
        most_requests=settings.max_requests,
        stop=stop,
        on_request_end=core.on_request_end,
    )
    if core.metrics is not None:
        app = core.metrics.counted(app)
    if settings.tracing:
        from runway_mcp.observability.tracing import continued

        app = continued(app)
    return Served(app, stop, authentication and authentication.reread)


def _health(settings: Settings, stop: GracefulShutdown, connect: Connect) -> Health:
    """What tells whether the server is ready: it asks Runway with its own key, or with none where each has theirs."""
    if settings.sandbox:
        return Health(stop)
    uses_own_key = settings.auth == "none" or settings.share_key
    if uses_own_key and settings.api_key is None:
        return Health(stop, missing="No Runway API key is set.")

    async def reach() -> None:
        async with connect(Caller("readiness", key=settings.api_key)) as client:
            await client.reach()

    async def reach_without_key() -> None:
        async with open_client(
            api_key=None,
            missing_key=None,
            base_url=settings.base_url,
            api_version=settings.api_version,
            ca_file=settings.ca_file,
        ) as client:
            with suppress(AuthenticationError):
                await client.reach()

    return Health(stop, probe=reach if uses_own_key else reach_without_key)


def _rest(settings: Settings, callers: CallerRegistry, authentication: Authentication | None) -> list[BaseRoute]:
    """The routes of a task and of what describes them; who may use them is read off the tools that do the same."""
    scopes = {
        method: scope_of(tool)
        for method, tool in {"GET": RETRIEVE, "DELETE": CANCEL_DELETE}.items()
        if tool.annotations.read_only_hint or not settings.read_only
    }
    describe = partial(document, TaskOutput, scopes, authenticated=authentication is not None, sandbox=settings.sandbox)
    return [task_route(callers, scopes, authentication), *document_routes(describe)]

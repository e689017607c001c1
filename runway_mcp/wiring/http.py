"""Builds the HTTP app that the settings ask for."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp

from runway_mcp.config.settings import Settings
from runway_mcp.mcp_server.access import scope_of
from runway_mcp.mcp_server.tools.capability import CANCEL_DELETE, RETRIEVE
from runway_mcp.web.app import build_app
from runway_mcp.web.health import Health, metrics_route
from runway_mcp.web.openapi import document_route
from runway_mcp.web.origin_policy import OriginPolicy
from runway_mcp.web.rest import task_route
from runway_mcp.web.shutdown import LAST_SECONDS, GracefulShutdown
from runway_mcp.wiring.authentication import FindKey, authentication_of
from runway_mcp.wiring.core import Core


@dataclass(frozen=True, slots=True)
class Served:
    """What is served over HTTP. `reread` reads the operator's files again, if there are any."""

    app: ASGIApp
    stop: GracefulShutdown
    reread: Callable[[], object] | None


def build_http(settings: Settings, find_key: FindKey, core: Core) -> Served:
    """Return the app over `core`; `find_key` finds a Runway key by the name of its variable.

    Raises:
        SettingsError: A file of tokens or tenants can't be used.
    """
    core.callers.shutdown_seconds = LAST_SECONDS
    stop = GracefulShutdown(changes=lambda: core.callers.background_tasks)
    stop.ends.append(core.callers.end_waits)
    needs_own_key = not settings.sandbox and (settings.auth == "none" or settings.allow_shared_key)
    missing = "No Runway API key is set." if needs_own_key and settings.api_key is None else None
    health = Health(stop, missing_setting=missing, database=core.callers.database)
    core.on_api_response.append(health.observe)
    authentication = authentication_of(settings, find_key)
    # Each method needs the scope of the tool that does the same.
    scopes = {
        method: scope_of(tool)
        for method, tool in {"GET": RETRIEVE, "DELETE": CANCEL_DELETE}.items()
        if tool.annotations.read_only_hint or not settings.read_only
    }
    routes = [
        task_route(core.callers, scopes, authentication),
        document_route(scopes, authenticated=authentication is not None, sandbox=settings.sandbox),
    ]
    if core.metrics is not None:
        core.metrics.follow(core.callers)
        routes.append(metrics_route(core.metrics.page, authentication))
    app = build_app(
        core.server,
        origin_policy=OriginPolicy(settings.allowed_host, settings.allowed_origin, listens_on=settings.host),
        path=settings.path,
        caller=core.local,
        authentication=authentication,
        end_waits=core.callers.end_waits,
        routes=routes,
        health=health.routes(),
        max_concurrent_requests=settings.max_concurrent_requests,
        counts=core.callers.counts,
        stop=stop,
        on_request_end=core.on_request_end,
    )
    if core.metrics is not None:
        app = core.metrics.counted(app)
    if settings.tracing:
        from runway_mcp.observability.tracing import continued

        app = continued(app)
    return Served(app, stop, authentication and authentication.reread)

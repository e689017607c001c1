"""The app that serves everything over HTTP: MCP, REST and what operators look at, behind one edge.

From the outside in, a request passes: its record in the log, the edge (Host, Origin, CORS), the routes for who
watches over the server, its end should the server stop, who is asking, how much they ask at once, its body,
and the route.
"""

from collections.abc import Sequence
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.subscriptions import ListenHandler
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp

from runway_mcp.observability.http_middleware import HttpRequestMiddleware
from runway_mcp.observability.request_record import OnRequestEnd
from runway_mcp.tasks.callers import Caller
from runway_mcp.web.auth import Authenticated, Authentication, ScopeChallengeMiddleware
from runway_mcp.web.deadlines import BodyDeadline
from runway_mcp.web.error_response import unserved
from runway_mcp.web.limits import RequestLimit
from runway_mcp.web.origin_policy import Guarded, OriginPolicy
from runway_mcp.web.short_errors import ShortErrors
from runway_mcp.web.shutdown import GracefulShutdown

MAX_REQUESTS = 100
"""Requests that one caller may have under way."""


def build_app(
    server: MCPServer[Any],
    *,
    edge: OriginPolicy,
    path: str,
    caller: Caller,
    authentication: Authentication | None = None,
    routes: Sequence[BaseRoute] = (),
    health: Sequence[BaseRoute] = (),
    most_requests: int = MAX_REQUESTS,
    stop: GracefulShutdown | None = None,
    on_request_end: Sequence[OnRequestEnd] = (),
) -> ASGIApp:
    """Return the ASGI app that serves `server` at `path`.

    Sessions are not kept: the tools never call back into a client, and without a session a
    client that goes away cancels its call, in the older protocol revisions too.

    Args:
        server: What is served as MCP.
        edge: The hosts that are asked for, and the web pages that may ask.
        path: The MCP endpoint's path.
        caller: Whose a request is that shows no access token.
        authentication: Who has to show one; nobody where there is none.
        routes: What is served beside MCP. Each sees to its own protection.
        health: What stays to be served when nothing else is: when the server stops, and when it is overrun.
        most_requests: Requests that one caller may have under way.
        stop: What ends the requests and listen streams when the server stops.
        on_request_end: Called at each request's end.
    """
    mcp = server.streamable_http_app(
        streamable_http_path=path,
        stateless_http=True,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # the edge's part
    )
    (route,) = mcp.routes
    assert isinstance(route, Route)  # noqa: S101 - the endpoint, which our own routes lead to
    endpoint: ASGIApp = ShortErrors(route.app)
    if authentication is not None:
        endpoint = authentication.required(ScopeChallengeMiddleware(endpoint, authentication))
    app: ASGIApp = Starlette(
        routes=[
            Route(path, endpoint=endpoint),
            *(authentication.routes() if authentication else ()),
            *routes,
        ],
        exception_handlers={HTTPException: unserved},
    )
    app.router.redirect_slashes = False
    app = RequestLimit(BodyDeadline(app), most_requests)
    if authentication is not None:
        app = Authenticated(app, authentication)
    if stop is not None:
        stop.also(_listen_streams(server).close)
        app = stop.guard(app)
    app = Router(health, default=app, lifespan=mcp.router.lifespan_context, redirect_slashes=False)
    return HttpRequestMiddleware(Guarded(app, edge), caller, on_request_end)


def _listen_streams(server: MCPServer[Any]) -> ListenHandler:
    """The handler of `subscriptions/listen`, which can end its streams with the result that they owe."""
    lowlevel = server._lowlevel_server  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - MCPServer offers no public way to it
    entry = lowlevel.get_request_handler("subscriptions/listen")
    assert entry is not None  # noqa: S101 - the SDK registers it unless told not to
    assert isinstance(entry.handler, ListenHandler)  # noqa: S101 - and nobody replaces it
    return entry.handler

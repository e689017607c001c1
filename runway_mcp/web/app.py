"""The app that serves everything over HTTP: MCP, REST and what operators look at, behind one edge.

From the outside in, a request passes: its record in the log, the edge (Host, Origin, CORS), who is
asking, how much they ask at once, its body, and the route.
"""

from collections.abc import Sequence
from typing import Any

from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from runway_mcp.tasks.callers import Caller
from runway_mcp.web.auth import Authenticated, Authentication, Forbidding
from runway_mcp.web.deadlines import BodyDeadline
from runway_mcp.web.edge import Edge, guarded
from runway_mcp.web.errors import ShortErrors
from runway_mcp.web.limits import RequestLimit
from runway_mcp.web.recording import Recorded, Tell

MOST_REQUESTS = 100
"""Requests that one caller may have under way."""


def build_app(
    server: MCPServer[Any],
    *,
    edge: Edge,
    path: str,
    caller: Caller,
    authentication: Authentication | None = None,
    routes: Sequence[BaseRoute] = (),
    most_requests: int = MOST_REQUESTS,
    tell: Sequence[Tell] = (),
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
        most_requests: Requests that one caller may have under way.
        tell: What hears of each request at its end.
    """
    mcp = server.streamable_http_app(
        streamable_http_path=path, stateless_http=True, transport_security=edge.transport_security()
    )
    mcp.router.redirect_slashes = False
    endpoint: ASGIApp = ShortErrors(mcp)
    if authentication is not None:
        endpoint = authentication.required(Forbidding(endpoint, authentication))
    app: ASGIApp = Starlette(
        routes=[
            Route(path, endpoint=endpoint),
            *(authentication.routes() if authentication else ()),
            *routes,
        ],
        lifespan=mcp.router.lifespan_context,
    )
    app.router.redirect_slashes = False
    app = RequestLimit(BodyDeadline(app), most_requests)
    if authentication is not None:
        app = Authenticated(app, authentication)
    return Recorded(guarded(app, edge), caller, tell)

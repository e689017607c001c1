"""The ASGI app that serves MCP, REST and the operator's routes.

A request passes, from the outside in: its record in the log, the check of Host and Origin, the health routes,
the graceful shutdown, authentication, the limit of its caller, and its route.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
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
from runway_mcp.web.auth.token_watch import TokenWatch
from runway_mcp.web.error_response import not_served
from runway_mcp.web.limits import RequestLimit
from runway_mcp.web.negotiation import Negotiation
from runway_mcp.web.origin_policy import OriginMiddleware, OriginPolicy
from runway_mcp.web.request_body import RequestBody
from runway_mcp.web.shutdown import GracefulShutdown

if TYPE_CHECKING:
    from runway_mcp.tasks.replica_counts import ReplicaCounts

MAX_CONCURRENT_REQUESTS = 100
"""Requests that one caller may have in flight."""


def build_app(
    server: MCPServer[Any],
    *,
    origin_policy: OriginPolicy,
    path: str,
    caller: Caller,
    authentication: Authentication | None = None,
    end_waits: Callable[[Caller], object] = lambda _: None,
    routes: Sequence[BaseRoute] = (),
    health: Sequence[BaseRoute] = (),
    max_concurrent_requests: int = MAX_CONCURRENT_REQUESTS,
    counts: "ReplicaCounts | None" = None,
    stop: GracefulShutdown | None = None,
    on_request_end: Sequence[OnRequestEnd] = (),
) -> ASGIApp:
    """Return the ASGI app that serves `server` at `path`, with a slash at its end or without.

    It keeps no sessions. The tools never call back into a client, and without a session a client that goes away
    cancels its call, in the older protocol revisions too. Requests without an access token are `caller`'s.
    `end_waits` ends the waits of a caller whose token no longer holds. `routes` check authentication themselves.
    Requests at other replicas, by `counts`, count towards `max_concurrent_requests`. `health` is served even while the
    server stops or is overloaded.
    """
    stop = stop or GracefulShutdown()
    mcp = server.streamable_http_app(
        streamable_http_path=path,
        stateless_http=True,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # see OriginMiddleware
    )
    (route,) = mcp.routes
    assert isinstance(route, Route)  # noqa: S101 - the SDK's only route, which ours replace
    app_of_route = RequestBody(Negotiation(route.app))

    def endpoint(at: str) -> Route:
        # Without sessions there is no stream to open and no session to delete.
        post_only: ASGIApp = Route(at, app_of_route, methods=["POST"])
        if authentication is None:
            return Route(at, post_only)
        return Route(at, authentication.required(ScopeChallengeMiddleware(post_only, authentication)))

    app: ASGIApp = Starlette(
        routes=[
            *(endpoint(at) for at in {path.rstrip("/") or "/", path.rstrip("/") + "/"}),
            *(authentication.routes() if authentication else ()),
            *routes,
        ],
        exception_handlers={HTTPException: not_served},
    )
    app.router.redirect_slashes = False
    app = RequestLimit(app, max_concurrent_requests, counts)
    watch = None
    if authentication is not None:
        watch = TokenWatch(authentication.verifier, end_waits)
        app = Authenticated(app, authentication, watch)
    stop.ends.append(_listen_streams(server).close)

    app = Router(health, default=stop.guard(app), lifespan=_lifespan(mcp, watch), redirect_slashes=False)
    return HttpRequestMiddleware(OriginMiddleware(app, origin_policy), caller, on_request_end)


def _lifespan(mcp: Starlette, watch: TokenWatch | None) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncGenerator[None]:
        async with mcp.router.lifespan_context(app), anyio.create_task_group() as tasks:
            if watch is not None:
                tasks.start_soon(watch.run)
            yield
            tasks.cancel_scope.cancel()

    return lifespan


def _listen_streams(server: MCPServer[Any]) -> ListenHandler:
    """The handler of `subscriptions/listen`, which can end its streams with the result that they owe."""
    lowlevel = server._lowlevel_server  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - MCPServer offers no public way to it
    entry = lowlevel.get_request_handler("subscriptions/listen")
    assert entry is not None  # noqa: S101 - the SDK registers it unless told not to
    assert isinstance(entry.handler, ListenHandler)  # noqa: S101 - and nobody replaces it
    return entry.handler

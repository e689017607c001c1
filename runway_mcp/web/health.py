"""Liveness, readiness and metrics, for orchestrators, load balancers and Prometheus."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, request_response

from runway_mcp.observability.request_record import RequestRecord
from runway_mcp.tasks.callers import READ
from runway_mcp.web.auth import Authentication
from runway_mcp.web.error_response import NO_STORE
from runway_mcp.web.shutdown import GracefulShutdown

if TYPE_CHECKING:
    from runway_mcp.tasks.shared_reads import DatabaseBreaker

RunwayState = Literal["reached", "unreachable", "key refused", "unknown"]


class Health:
    """Serves `GET /healthz` and `GET /readyz`. Both need no access token and say nothing of callers or keys.

    The server is ready while its settings are complete and it is not stopping. An outage of Runway, or of
    the history's database, does not change that: it would take every replica out of the load balancer at once.

    Attributes:
        runway: The result of the last request to Runway.
    """

    def __init__(
        self,
        stop: GracefulShutdown,
        *,
        missing_setting: str | None = None,
        database: "DatabaseBreaker | None" = None,
    ) -> None:
        self.runway: RunwayState = "unknown"
        self._stop = stop
        self._missing, self._database = missing_setting, database

    def routes(self) -> list[Route]:
        return [Route("/healthz", self._alive, methods=["GET"]), Route("/readyz", self._ready, methods=["GET"])]

    def observe(self, _endpoint: str, status: int | None, _seconds: float) -> None:
        """Note the status of a response from Runway, or None if there was none."""
        if status is None:
            self.runway = "unreachable"
        else:
            self.runway = "key refused" if status in {401, 403} else "reached"

    async def _alive(self, _request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"}, headers=NO_STORE)

    async def _ready(self, _request: Request) -> JSONResponse:
        reason = "The server is stopping." if self._stop.has_begun else self._missing
        state = {"runway": self.runway}
        if self._database is not None:
            state["database"] = "away" if self._database.is_away else "reached"
        if reason is None:
            return JSONResponse({"status": "ready", **state}, headers=NO_STORE)
        return JSONResponse({"status": "not ready", "reason": reason, **state}, 503, NO_STORE)


def metrics_route(page: Callable[[], Response], authentication: Authentication | None) -> Route:
    """Return the route of `GET /metrics`. With authentication it needs the scope `runway:read`."""

    async def show(request: Request) -> Response:
        if authentication is not None and READ not in RequestRecord.from_scope(request.scope).caller.scopes:
            return authentication.forbidden(READ)
        return page()

    if authentication is None:
        return Route("/metrics", show, methods=["GET"])
    return Route("/metrics", authentication.required(request_response(show)), methods=["GET"])

"""What a balancer or an orchestrator asks: whether the process is alive, and whether it should get requests.

Ready is a server that has what it needs to call Runway and has reached it lately. Its ordinary calls
tell; only where none was made for a minute does the question cost one of its own.
"""

from collections.abc import Awaitable, Callable

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, request_response

from runway_mcp.api.errors import AuthenticationError, RunwayError
from runway_mcp.observability.request_record import RequestRecord
from runway_mcp.tasks.callers import READ
from runway_mcp.web.auth import Authentication
from runway_mcp.web.shutdown import GracefulShutdown

FRESH_SECONDS = 60.0
"""How long a reply of Runway's proves that it is reached, and how long no second attempt is made."""
REFUSED = {401, 403}

_NO_STORE = {"Cache-Control": "no-store"}


def metrics_route(page: Callable[[], Response], authentication: Authentication | None) -> BaseRoute:
    """`GET /metrics`, for whoever may read."""

    async def show(request: Request) -> Response:
        if authentication is not None and READ not in RequestRecord.from_scope(request.scope).caller.scopes:
            return authentication.forbidden(READ)
        return page()

    if authentication is None:
        return Route("/metrics", show, methods=["GET"])
    return Route("/metrics", authentication.required(request_response(show)), methods=["GET"])


class Health:
    """The answers to `GET /healthz` and `GET /readyz`; both for anybody, so they tell nothing of callers or keys."""

    def __init__(
        self,
        stop: GracefulShutdown,
        *,
        missing: str | None = None,
        probe: Callable[[], Awaitable[object]] | None = None,
        clock: Callable[[], float] = anyio.current_time,
    ) -> None:
        """Take what readiness depends on.

        Args:
            stop: The server's end: from then on it is not ready.
            missing: Which setting is missing, for the operator; None where they are complete.
            probe: Makes one small request to Runway, or raises `RunwayError`. None where there is nothing to
                reach, or no key of the server's own to ask with.
            clock: Seconds that only grow.
        """
        self._stop = stop
        self._missing = missing
        self._probe = probe
        self._clock = clock
        self._reached: float | None = None
        self._probed: float | None = None
        self._trouble = ""
        self._probing = anyio.Lock()

    def routes(self) -> list[Route]:
        """Where the answers stand."""
        return [Route("/healthz", self._alive, methods=["GET"]), Route("/readyz", self._ready, methods=["GET"])]

    def heard(self, _endpoint: str, status: int | None, _seconds: float) -> None:
        """Take note of a request to Runway: whatever it answered, but that the key is refused, it was reached."""
        if status is not None and status not in REFUSED:
            self._reached = self._clock()

    async def reason(self) -> str | None:
        """Why the server is not ready; None where it is."""
        if self._stop.has_begun:
            return "The server is stopping."
        if self._missing or self._probe is None:
            return self._missing
        async with self._probing:
            if not self._is_fresh(self._reached) and not self._is_fresh(self._probed):
                await self._try(self._probe)
        return None if self._is_fresh(self._reached) else self._trouble

    async def _try(self, probe: Callable[[], Awaitable[object]]) -> None:
        self._probed = self._clock()
        self._trouble = "Runway was not reached within the last minute."
        try:
            await probe()
        except AuthenticationError:
            self._trouble = "Runway refuses the API key."
        except RunwayError as error:
            self.heard("", error.status, 0)
        else:
            self._reached = self._clock()

    def _is_fresh(self, moment: float | None) -> bool:
        return moment is not None and self._clock() - moment < FRESH_SECONDS

    async def _alive(self, _request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"}, headers=_NO_STORE)

    async def _ready(self, _request: Request) -> JSONResponse:
        reason = await self.reason()
        if reason is None:
            return JSONResponse({"status": "ready"}, headers=_NO_STORE)
        return JSONResponse({"status": "not ready", "reason": reason}, 503, _NO_STORE)

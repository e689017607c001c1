"""`GET` and `DELETE /v1/tasks/{id}`: a task over REST, as in Runway's own API.

Bodies and statuses are those of the API, so that Runway's SDKs work with this server as their base URL. The SDKs
repeat failed requests by themselves. Every error of a DELETE forbids that, and so does every error that a
repetition can't fix. What fails at Runway is 502 or 504; 503 is only said by a server that is stopping or overloaded.
"""

import logging
from collections.abc import Mapping

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from runway_mcp.api.client import TASK
from runway_mcp.api.errors import (
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    RateLimitedError,
    RunwayError,
    TransientError,
    UnavailableError,
    UnexpectedReplyError,
    UnreachableError,
)
from runway_mcp.api.models import InvalidTaskIdError, TaskId, parse_task_id
from runway_mcp.api.retry import MAX_RETRY_AFTER
from runway_mcp.mcp_server.messages import explain
from runway_mcp.observability.request_record import RequestRecord
from runway_mcp.tasks.callers import CallerContext, CallerRegistry
from runway_mcp.tasks.operations import UnclearOutcomeError
from runway_mcp.web.auth import Authentication
from runway_mcp.web.error_response import NO_STORE, Issue, error_response

logger = logging.getLogger(__name__)

ANSWERING_SECONDS = 1
"""How long the response to a request that is cut off may take."""

_INVALID_ID = Issue(
    code="invalid_format", path=["id"], message="Not a UUID such as 17f20503-6c24-4c16-946b-35dbbce2af2f."
)
_CHECK = "GET of the task, which changes nothing, shows its state."


def task_route(
    callers: CallerRegistry, scopes: Mapping[str, str], authentication: Authentication | None = None
) -> Route:
    """Return the route of a task. `scopes` names the served methods and the scope that each needs."""
    return Route(TASK.replace("}", ":path}"), endpoint=_TaskEndpoint(callers, scopes, authentication))


class _TaskEndpoint:
    def __init__(
        self, callers: CallerRegistry, scopes: Mapping[str, str], authentication: Authentication | None
    ) -> None:
        self._callers = callers
        self._scopes = scopes
        self._authentication = authentication
        self._allow = {"Allow": ", ".join([*scopes, "HEAD", "OPTIONS"])}
        self._app = authentication.required(self._serve) if authentication else self._serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _method(scope) in self._scopes:
            RequestRecord.from_scope(scope).method = f"{_method(scope)} {TASK}"
        await self._app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._respond(Request(scope))
        except anyio.get_cancelled_exc_class():
            is_change = _method(scope) == "DELETE"
            text = f"What was sent to Runway may still take effect. {_CHECK}" if is_change else "Nothing was changed."
            stopping = error_response(503, f"The server is stopping. {text}", retry=not is_change)
            with anyio.move_on_after(ANSWERING_SECONDS, shield=True):
                await stopping(scope, receive, send)
            raise
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        method, record = _method(request.scope), RequestRecord.from_scope(request.scope)
        needed = self._scopes.get(method)
        if method == "OPTIONS":
            return Response(status_code=204, headers=self._allow)
        if needed is None:
            return JSONResponse({"error": f"Served here: {self._allow['Allow']}."}, 405, self._allow)
        if self._authentication is not None and needed not in record.caller.scopes:
            record.missing_scope = needed
            return self._authentication.forbidden(needed)
        return await self._served(record, request.path_params["id"], is_change=method == "DELETE")

    async def _served(self, record: RequestRecord, task_id: str, *, is_change: bool) -> Response:
        try:
            parsed = parse_task_id(task_id)
            context = await self._callers.of(record.caller)
            if is_change:
                return await _remove(context, parsed)
            return JSONResponse(dict((await context.tasks.get(parsed)).data), headers=NO_STORE)
        except InvalidTaskIdError:
            return error_response(400, "The task id is not valid. Nothing was sent to Runway.", issues=[_INVALID_ID])
        except UnclearOutcomeError as error:
            return error_response(504, f"{explain(error)} {_CHECK}")
        except RunwayError as error:
            return _failed(error, is_change=is_change)
        except Exception:
            logger.exception("%s failed unexpectedly", record.method)
            return error_response(500, f"This failed through a fault of this server; its log says more. {_CHECK}")


async def _remove(context: CallerContext, task_id: TaskId) -> Response:
    change = await context.tasks.remove(task_id)
    match change.outcome:
        case "gone":
            return error_response(
                404, "Runway has no such task: it is gone, never existed, or belongs to another key's organization."
            )
        case "finished":
            return error_response(
                409,
                "Left alone: the task finished while it was to be cancelled, and its output, if any, is intact. "
                "Another DELETE deletes it together with its output.",
            )
        case _:
            return Response(status_code=204, headers=NO_STORE)


def _failed(error: RunwayError, *, is_change: bool) -> JSONResponse:
    issues: list[Issue] = []
    match error:
        case NotFoundError():
            status = 404
        case RateLimitedError():
            status = 429
        case UnreachableError():
            status = 504
        case AuthenticationError(status=None):
            status = 403
        case BadRequestError(status=400):
            status = 400
            issues = [
                Issue(path=issue.path.strip('"').split("."), message=issue.message.strip('"')) for issue in error.issues
            ]
        case AuthenticationError() | BadRequestError() | UnavailableError() | UnexpectedReplyError():
            status = 502
        case _:
            status = 500
    after = "The task was not changed." if is_change else "Nothing was changed."
    retry_after = error.retry_after if isinstance(error, TransientError) else None
    retry = not is_change and isinstance(error, TransientError) and (retry_after or 0) <= MAX_RETRY_AFTER
    return error_response(status, f"{explain(error)} {after}", issues=issues, retry_after=retry_after, retry=retry)


def _method(scope: Scope) -> str:
    return "GET" if scope["method"] == "HEAD" else scope["method"]

"""Bearer authentication of callers, and OAuth's error responses for what they may not do."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import TokenVerifier
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp_types import INVALID_REQUEST
from pydantic import AnyHttpUrl, ConfigDict, SecretStr, TypeAdapter
from starlette.datastructures import Headers
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runway_mcp.observability.request_record import RequestRecord
from runway_mcp.tasks.callers import SCOPES
from runway_mcp.web.auth.token_claims import CallerToken, VerifierUnavailableError
from runway_mcp.web.auth.token_watch import TokenWatch
from runway_mcp.web.error_response import error_response

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5
MAX_CONCURRENT = 10
"""Tokens from one address that are verified concurrently."""
_URL = TypeAdapter(AnyHttpUrl, config=ConfigDict(url_preserve_empty_path=True))
"""A URL kept as it was written, because clients compare an issuer character by character."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """How callers authenticate.

    Attributes:
        verifier: Returns the `CallerToken` of a token, or None if it does not hold. It may raise
            `VerifierUnavailableError`.
        issuer: The authorization server that clients are sent to, if there is one.
        resource: The URL of the MCP endpoint as clients know it, if there is an issuer.
    """

    verifier: TokenVerifier
    issuer: str | None = None
    resource: str | None = None
    reread: Callable[[], object] = lambda: None

    @property
    def metadata_url(self) -> AnyHttpUrl | None:
        """The URL of the protected resource metadata (RFC 9728)."""
        return build_resource_metadata_url(_URL.validate_python(self.resource)) if self.resource else None

    def routes(self) -> list[Route]:
        if not self.resource or not self.issuer:
            return []
        return create_protected_resource_routes(
            _URL.validate_python(self.resource), [_URL.validate_python(self.issuer)], scopes_supported=list(SCOPES)
        )

    def required(self, app: ASGIApp) -> ASGIApp:
        return RequireAuthMiddleware(app, [], self.metadata_url)

    def forbidden(self, scope: str, *, as_message: bool = False) -> Response:
        """Return the response to a request whose token lacks a scope; `as_message` is for MCP clients."""
        description = f"This needs the scope {scope}, which the access token lacks. Nothing was sent to Runway."
        message = {"jsonrpc": "2.0", "id": None, "error": {"code": INVALID_REQUEST, "message": description}}
        return self.refusal(403, "insufficient_scope", description, body=message if as_message else None, scope=scope)

    def refusal(self, status: int, error: str, description: str, *, body: object = None, **parameters: str) -> Response:
        named = {"error": error, **parameters, "error_description": description}
        if self.metadata_url:
            named["resource_metadata"] = str(self.metadata_url)
        challenge = ", ".join(f'{name}="{value}"' for name, value in named.items())
        body = body or {"error": error, "error_description": description}
        return JSONResponse(body, status, {"WWW-Authenticate": f"Bearer {challenge}", "Cache-Control": "no-store"})


class _TooManyTokensError(Exception):
    """Too many tokens of one address are being verified."""


class _BrokenVerifierError(Exception):
    """Verifying a token failed through a fault of this server."""


class _Backend(BearerAuthBackend):
    """Verifies few tokens of one address at a time, so that nobody floods the authorization server through us."""

    def __init__(self, verifier: TokenVerifier) -> None:
        super().__init__(verifier)
        self._verifying: Counter[str] = Counter()

    async def authenticate(self, conn: HTTPConnection) -> Any:
        address = conn.client.host if conn.client else ""
        if self._verifying[address] >= MAX_CONCURRENT:
            raise _TooManyTokensError
        self._verifying[address] += 1
        try:
            return await super().authenticate(conn)
        except VerifierUnavailableError:
            raise
        except Exception as error:
            logger.exception("An access token could not be verified")
            raise _BrokenVerifierError from error
        finally:
            self._verifying[address] -= 1
            if not self._verifying[address]:
                del self._verifying[address]


class Authenticated:
    """Finds the caller of each request, puts it into the request's record, and has its token watched."""

    def __init__(self, app: ASGIApp, authentication: Authentication, watch: TokenWatch) -> None:
        self._app = app
        self._authentication = authentication
        self._watch = watch
        self._middleware = AuthenticationMiddleware(self._serve, backend=_Backend(authentication.verifier))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if len(Headers(scope=scope).getlist("authorization")) > 1:
            twice = "There is more than one Authorization header."
            await self._authentication.refusal(400, "invalid_request", twice)(scope, receive, send)
            return
        try:
            await self._middleware(scope, receive, send)
        except _TooManyTokensError:
            message = "Too many access tokens from this address are being verified. Nothing was done: repeat it."
            await error_response(429, message, retry=True, retry_after=1)(scope, receive, send)
        except VerifierUnavailableError as error:
            await error_response(502, str(error), retry=True, retry_after=RETRY_SECONDS)(scope, receive, send)
        except _BrokenVerifierError:
            message = "The access token could not be verified, through a fault of this server. Nothing was done."
            await error_response(503, message)(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = getattr(scope.get("user"), "access_token", None)
        if not isinstance(token, CallerToken):
            await self._app(scope, receive, send)
            return
        RequestRecord.from_scope(scope).caller = token.caller
        shown = SecretStr(Headers(scope=scope)["authorization"].partition(" ")[2])
        with self._watch.watching(shown, token, scope):
            await self._app(scope, receive, send)


class ScopeChallengeMiddleware:
    """Answers 403 if the MCP server finds that a scope is missing.

    Only the MCP server knows what a message asks for, so the head of its response is held back until it has looked.
    """

    def __init__(self, app: ASGIApp, authentication: Authentication) -> None:
        self._app = app
        self._authentication = authentication

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = RequestRecord.from_scope(scope)
        if call.caller.scopes.issuperset(SCOPES):
            await self._app(scope, receive, send)
            return
        head: list[Message] = []

        async def look(message: Message) -> None:
            if message["type"] == "http.response.start":
                head.append(message)
            elif call.missing_scope is None:
                while head:
                    await send(head.pop())
                await send(message)

        await self._app(scope, receive, look)
        if call.missing_scope is not None:
            await self._authentication.forbidden(call.missing_scope, as_message=True)(scope, receive, send)

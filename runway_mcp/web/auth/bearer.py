"""Who calls: access tokens checked, and what a caller may not do answered as OAuth has it.

What checks a token is handed in: the file of tokens, or the authorization server's word.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp_types import INVALID_REQUEST
from pydantic import AnyHttpUrl, ConfigDict, Field, TypeAdapter
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runway_mcp.observability.request_record import RequestRecord
from runway_mcp.tasks.callers import SCOPES, Caller

RETRY_SECONDS = 5
MAX_LOOKED_AT = 10
"""Tokens from one address that are looked at at once."""
_URL = TypeAdapter(AnyHttpUrl, config=ConfigDict(url_preserve_empty_path=True))
"""A URL as it was written: an issuer is compared letter by letter, and a slash more is another issuer."""


def _nothing() -> None:
    """Do nothing."""


class CallerToken(AccessToken):
    """What a verifier makes of an access token: whose it is. The token itself is not kept.

    Attributes:
        caller: Who shows it.
    """

    model_config = ConfigDict(frozen=True)

    token: str = Field(exclude=True, repr=False)
    caller: Caller = Field(exclude=True, repr=False)

    @classmethod
    def of(cls, caller: Caller, expires_at: int | None = None) -> "CallerToken":
        """The token of a caller, without the token itself.

        Args:
            caller: The caller.
            expires_at: When it stops counting, in UNIX seconds.
        """
        return cls(
            token="",
            client_id=caller.subject,
            scopes=sorted(caller.scopes),
            subject=caller.subject,
            expires_at=expires_at,
            claims={"iss": caller.issuer} if caller.issuer else None,
            caller=caller,
        )


class VerifierUnavailableError(Exception):
    """Whether a token holds can't be told now. Its message goes to the caller."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """How callers prove who they are.

    Attributes:
        verifier: Turns a token into a `CallerToken`, or None where it does not hold. It may raise
            `VerifierUnavailableError`.
        issuer: The authorization server that clients are sent to, where there is one.
        resource: The URL of the MCP endpoint as clients know it, where there is an issuer.
        reread: Reads the operator's files anew.
    """

    verifier: TokenVerifier
    issuer: str | None = None
    resource: str | None = None
    reread: Callable[[], object] = _nothing

    @property
    def metadata_url(self) -> AnyHttpUrl | None:
        """Where the protected resource metadata (RFC 9728) stands."""
        return build_resource_metadata_url(_URL.validate_python(self.resource)) if self.resource else None

    def routes(self) -> list[Route]:
        """The metadata's route."""
        if not self.resource or not self.issuer:
            return []
        return create_protected_resource_routes(
            _URL.validate_python(self.resource),
            [_URL.validate_python(self.issuer)],
            scopes_supported=list(SCOPES),
        )

    def required(self, app: ASGIApp) -> ASGIApp:
        """`app` behind the demand for a token that holds."""
        return RequireAuthMiddleware(app, [], self.metadata_url)

    def forbidden(self, scope: str, *, as_message: bool = False) -> Response:
        """The answer to a request for which the token lacks a scope; over MCP `as_message`, which clients show."""
        description = f"This needs the scope {scope}, which the access token lacks. Nothing was sent to Runway."
        message = {"jsonrpc": "2.0", "id": None, "error": {"code": INVALID_REQUEST, "message": description}}
        return self._refusal(403, "insufficient_scope", description, body=message if as_message else None, scope=scope)

    def ambiguous(self) -> Response:
        """The answer to a request that shows several tokens: whose it is can't be told."""
        return self._refusal(400, "invalid_request", "There is more than one Authorization header.")

    def _refusal(
        self, status: int, error: str, description: str, *, body: object = None, **parameters: str
    ) -> Response:
        named = {"error": error, **parameters, "error_description": description}
        if self.metadata_url:
            named["resource_metadata"] = str(self.metadata_url)
        challenge = ", ".join(f'{name}="{value}"' for name, value in named.items())
        body = body or {"error": error, "error_description": description}
        return JSONResponse(body, status, {"WWW-Authenticate": f"Bearer {challenge}", "Cache-Control": "no-store"})


class _TooManyStrangersError(Exception):
    """Too many tokens that one address has shown are being looked at."""


class _Backend(BearerAuthBackend):
    """Looks at a few tokens from one address at a time: an authorization server is not to be flooded through us."""

    def __init__(self, verifier: TokenVerifier) -> None:
        super().__init__(verifier)
        self._looking: Counter[str] = Counter()

    async def authenticate(self, conn: HTTPConnection) -> Any:
        address = conn.client.host if conn.client else ""
        if self._looking[address] >= MAX_LOOKED_AT:
            raise _TooManyStrangersError
        self._looking[address] += 1
        try:
            return await super().authenticate(conn)
        finally:
            self._looking[address] -= 1
            if not self._looking[address]:
                del self._looking[address]


class Authenticated:
    """Finds out whose each request is, and puts it into the request's record."""

    def __init__(self, app: ASGIApp, authentication: Authentication) -> None:
        self._authentication = authentication
        self._app = AuthenticationMiddleware(_Known(app), backend=_Backend(authentication.verifier))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and len(HTTPConnection(scope).headers.getlist("authorization")) > 1:
            await self._authentication.ambiguous()(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        except _TooManyStrangersError:
            message = "Too many access tokens from this address are being looked at. Nothing was done: repeat it."
            await JSONResponse({"error": message}, 429, {"Retry-After": "1"})(scope, receive, send)
        except VerifierUnavailableError as error:
            await JSONResponse({"error": str(error)}, 503, {"Retry-After": str(RETRY_SECONDS)})(scope, receive, send)


class _Known:
    """Takes the caller over from the SDK's authentication."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = getattr(scope.get("user"), "access_token", None)
        if isinstance(token, CallerToken):
            RequestRecord.from_scope(scope).caller = token.caller
        await self._app(scope, receive, send)


class ScopeChallengeMiddleware:
    """Answers 403 where the MCP server found that a scope is missing.

    Only it knows what a message asks for, so its answer's head is held back until it has looked.
    """

    def __init__(self, app: ASGIApp, authentication: Authentication) -> None:
        self._app = app
        self._authentication = authentication

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        call = RequestRecord.from_scope(scope)
        if scope["method"] != "POST" or call.caller.scopes.issuperset(SCOPES):
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

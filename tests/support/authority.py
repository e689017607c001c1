"""An authorization server on a socket: the SDK's own routes, with keys, introspection and tokens beside them.

It signs with another library than the one that verifies, and can be told to misbehave.
"""

import secrets
import time
from base64 import b64decode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from mcp.server.auth.provider import (
    AuthorizationCode,
    AuthorizationParams,
    construct_redirect_uri,
)
from mcp.server.auth.routes import build_metadata, create_auth_routes
from mcp.server.auth.settings import ClientRegistrationOptions, RevocationOptions
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from support.serving import served

CLIENT_ID = "runway:mcp"
CLIENT_SECRET = "client-secret-5ecre7/marked"
SCOPES = ["runway:read", "runway:write"]

RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
OTHER_RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig", "alg": "ES256"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})


class Users:
    """The resource owner, who allows at once whatever is asked for, up to `allowed`; there are no refresh tokens."""

    def __init__(self, authority: "AuthorizationServer") -> None:
        self.allowed = set(SCOPES)
        self.subject = "alice"
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self._authority = authority
        self._codes: dict[str, AuthorizationCode] = {}

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        """Remember a client, which may ask for every scope later."""
        self.clients[client_info.client_id] = client_info.model_copy(update={"scope": " ".join(SCOPES)})

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        code = AuthorizationCode(
            code=secrets.token_urlsafe(32),
            scopes=sorted(self.allowed & set(params.scopes or SCOPES)),
            expires_at=time.time() + 60,
            client_id=client.client_id,
            subject=self.subject,
            **params.model_dump(exclude={"scopes", "state"}),
        )
        self._codes[code.code] = code
        return construct_redirect_uri(str(params.redirect_uri), code=code.code, state=params.state)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        found = self._codes.get(authorization_code)
        return found if found and found.client_id == client.client_id else None

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        del self._codes[authorization_code.code]
        scope = " ".join(authorization_code.scopes)
        claims: dict[str, Any] = {
            "sub": authorization_code.subject,
            "aud": authorization_code.resource,
            "scope": scope,
            "client_id": client.client_id,
        }
        make = self._authority.opaque if self._authority.issues_opaque else self._authority.token
        return OAuthToken(access_token=make(**claims), expires_in=300, scope=scope)


class AuthorizationServer:
    """The server: an app that says what its state says.

    Attributes:
        metadata: What replaces or extends its metadata; None for a member leaves it out.
        replies: A path, and what is answered there in place of the real answer, or when that comes.
        introspected: The tokens that it knows, by what it says of them.
        issues_opaque: Whether clients get tokens that only it can read.
    """

    def __init__(self) -> None:
        self.issuer = ""
        self.begin_anew()

    def begin_anew(self) -> None:
        self.users = Users(self)
        self.keys: list[Any] = [key.as_dict(private=False) for key in (RSA, EC, ED)]
        self.metadata: dict[str, Any] = {}
        self.replies: dict[str, Response | anyio.Event] = {}
        self.asked: list[str] = []
        self.introspected: dict[str, dict[str, Any]] = {}
        self.issues_opaque = False
        self._app: ASGIApp | None = None

    @property
    def introspection(self) -> str:
        """Where tokens are looked up."""
        return f"{self.issuer}/introspect"

    def count(self, path: str) -> int:
        return self.asked.count(path)

    def claims(self, **replaced: Any) -> dict[str, Any]:
        """The claims of a good token, with some replaced; None leaves one out."""
        now = int(time.time())
        whole = {"iss": self.issuer, "sub": "alice", "scope": " ".join(SCOPES), "iat": now, "exp": now + 300}
        return {name: value for name, value in (whole | replaced).items() if value is not None}

    def token(self, *, key: Key = RSA, alg: str = "RS256", header: dict[str, Any] | None = None, **claims: Any) -> str:
        whole = {"alg": alg, "kid": key.kid, "typ": "at+jwt"} | (header or {})
        whole = {name: value for name, value in whole.items() if value is not None}
        registry = JWSRegistry(algorithms=[alg], strict_check_header=False)
        return jwt.encode(whole, self.claims(**claims), key, algorithms=[alg], registry=registry)

    def opaque(self, *, text: str | None = None, **claims: Any) -> str:
        token = text or secrets.token_urlsafe(32)
        self.introspected[token] = {"active": True, **self.claims(**claims)}
        return token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        self.asked.append(scope["path"])
        reply = self.replies.get(scope["path"])
        if isinstance(reply, anyio.Event):
            await reply.wait()
        self._app = self._app or self._make()
        await (reply if isinstance(reply, Response) else self._app)(scope, receive, send)

    def _make(self) -> ASGIApp:
        url = AnyHttpUrl(self.issuer)
        registration = ClientRegistrationOptions(enabled=True, valid_scopes=SCOPES)

        async def metadata(_: Request) -> Response:
            made = build_metadata(url, None, registration, RevocationOptions()).model_dump(
                mode="json", exclude_none=True
            )
            extra = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks"}
            whole = made | extra | {"introspection_endpoint": self.introspection} | self.metadata
            return JSONResponse({name: value for name, value in whole.items() if value is not None})

        async def jwks(_: Request) -> Response:
            return JSONResponse({"keys": self.keys})

        async def introspect(request: Request) -> Response:
            kind, _, encoded = request.headers.get("authorization", "").partition(" ")
            if kind != "Basic" or b64decode(encoded) != b"runway%3Amcp:client-secret-5ecre7%2Fmarked":
                return JSONResponse({"error": "invalid_client"}, 401)
            form = await request.form()
            return JSONResponse(self.introspected.get(str(form["token"]), {"active": False}))

        routes = [
            Route("/.well-known/oauth-authorization-server", metadata),
            Route("/jwks", jwks),
            Route("/introspect", introspect, methods=["POST"]),
            Route("/elsewhere", RedirectResponse("/jwks")),
            *create_auth_routes(cast("Any", self.users), url, client_registration_options=registration),
        ]
        return Starlette(routes=routes)


@asynccontextmanager
async def authority() -> AsyncGenerator[AuthorizationServer]:
    server = AuthorizationServer()
    async with served(server) as server.issuer:
        yield server


async def consent(url: str) -> httpx2.URL:
    """Go where a browser would be sent for consent, and return where it is sent back to."""
    async with httpx2.AsyncClient(trust_env=False) as browser:
        reply = await browser.get(url)
    assert reply.status_code == 302, reply.text
    return httpx2.URL(reply.headers["location"])

"""Access tokens of an authorization server: JWTs are verified here, opaque tokens by introspection.

A token must have this server as its audience. It is never sent anywhere but to its own authorization server.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

import jwt
from pydantic import SecretStr, ValidationError

from runway_mcp.tasks.callers import Caller
from runway_mcp.web.auth.introspection import Introspection
from runway_mcp.web.auth.jwks import Jwks
from runway_mcp.web.auth.token_claims import LEEWAY_SECONDS, CallerToken, TokenClaims

logger = logging.getLogger(__name__)

MAX_TOKEN = 16_384
TYPES = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
"""The `typ` values of access tokens; a JWT made for another purpose has another one."""

_B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)


@dataclass(frozen=True)
class OAuthVerifier:
    """Verifies the access tokens of one issuer.

    Attributes:
        issuer: Its issuer URL, exactly as it writes it.
        audiences: The URLs that tokens may be issued for.
        key_of: Returns the Runway key of a caller by issuer and subject, or None.
        introspection: Looks up opaque tokens; without it they are refused.
    """

    issuer: str
    audiences: frozenset[str]
    jwks: Jwks
    key_of: Callable[[str, str], SecretStr | None]
    introspection: Introspection | None = None

    async def verify_token(self, token: str) -> CallerToken | None:
        """Return the caller of a token, or None if the token does not hold here.

        Raises:
            VerifierUnavailableError: The authorization server can't be asked.
        """
        if len(token) > MAX_TOKEN or _B64TOKEN.fullmatch(token) is None:
            return None
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            claims = await self.introspection.claims(token) if self.introspection else None
        else:
            claims = await self._verified(token, header)
        if claims is None:
            return None
        key = self.key_of(self.issuer, claims.sub)
        return CallerToken.of(Caller(claims.sub, issuer=self.issuer, scopes=claims.scopes, key=key), claims.expires_at)

    async def _verified(self, token: str, header: dict[str, object]) -> TokenClaims | None:
        """Return the claims of a JWT. Its header chooses among the issuer's keys, and nothing else."""
        kid, kind = header.get("kid"), header.get("typ") or ""
        if not isinstance(kid, str) or not isinstance(kind, str) or kind.lower() not in TYPES:
            return None
        key = await self.jwks.key(kid)
        if key is None:
            return None
        try:
            decoded = jwt.decode(
                token,
                key.key,
                algorithms=key.algorithms,
                options={"require": ["iss", "sub", "aud", "exp"], "enforce_minimum_key_length": True},
                issuer=self.issuer,
                audience=self.audiences,
                leeway=LEEWAY_SECONDS,
            )
            return TokenClaims.model_validate(decoded)
        except (jwt.PyJWTError, ValidationError) as error:
            logger.info("An access token was refused: %s", type(error).__name__)
            return None

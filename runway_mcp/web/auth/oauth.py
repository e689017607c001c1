"""Access tokens of an authorization server: verified here where they are JWTs, asked about where they are not.

A token counts only if this very server is its audience, and none is ever sent anywhere but to the
authorization server that issued it.
"""

import logging
import re
from collections.abc import Callable

import jwt
from pydantic import SecretStr, ValidationError

from runway_mcp.tasks.callers import Caller
from runway_mcp.web.auth.bearer import CallerToken
from runway_mcp.web.auth.introspection import Introspection
from runway_mcp.web.auth.jwks import Jwks
from runway_mcp.web.auth.token_claims import LEEWAY_SECONDS, Audience, TokenClaims

logger = logging.getLogger(__name__)

MAX_TOKEN = 16_384
TYPES = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
"""The `typ` that access tokens have; a JWT that was made for something else names another."""

_B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)


class OAuthVerifier:
    """Verifies the access tokens of one issuer.

    Args:
        issuer: Its issuer URL, exactly as it writes it.
        audience: What tokens must have been issued for.
        jwks: The keys that it signs with.
        key_of: Returns the Runway key of a caller by issuer and subject, or None where they have none.
        introspection: Asks about tokens that are no JWT; without it, none of those counts.
    """

    def __init__(
        self,
        issuer: str,
        audience: Audience,
        *,
        jwks: Jwks,
        key_of: Callable[[str, str], SecretStr | None],
        introspection: Introspection | None = None,
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._jwks = jwks
        self._key_of = key_of
        self._introspection = introspection

    async def verify_token(self, token: str) -> CallerToken | None:
        """Return whose a token is, or None where it does not hold here.

        Raises:
            VerifierUnavailableError: The authorization server can't be asked.
        """
        if len(token) > MAX_TOKEN or _B64TOKEN.fullmatch(token) is None:
            return None
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            grant = await self._introspection.grant(token) if self._introspection else None
        else:
            grant = await self._signed(token, header)
        if grant is None:
            return None
        key = self._key_of(self._issuer, grant.sub)
        return CallerToken.of(Caller(grant.sub, issuer=self._issuer, scopes=grant.scopes, key=key))

    async def _signed(self, token: str, header: dict[str, object]) -> TokenClaims | None:
        """What a JWT says; its header chooses among the issuer's keys, and nothing else."""
        kid, kind = header.get("kid"), header.get("typ") or ""
        if not isinstance(kid, str) or not isinstance(kind, str) or kind.lower() not in TYPES:
            return None
        key = await self._jwks.key(kid)
        if key is None:
            return None
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=key.algorithms,
                options={"require": ["iss", "sub", "aud", "exp"], "enforce_minimum_key_length": True},
                issuer=self._issuer,
                audience=self._audience.spellings,
                leeway=LEEWAY_SECONDS,
            )
            return TokenClaims.model_validate(claims)
        except (jwt.PyJWTError, ValidationError) as error:
            logger.info("An access token was refused: %s", type(error).__name__)
            return None

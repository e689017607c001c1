"""Opaque access tokens: the authorization server is asked about each (RFC 7662), at most once a minute."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote
from weakref import WeakValueDictionary

import anyio
from pydantic import BaseModel, ConfigDict, FiniteFloat, SecretStr, StrictBool, ValidationError

from runway_mcp.web.auth.jwks import UNAVAILABLE
from runway_mcp.web.auth.oidc_discovery import OidcDiscovery, OidcDiscoveryError
from runway_mcp.web.auth.token_claims import LEEWAY_SECONDS, TokenClaims, VerifierUnavailableError

logger = logging.getLogger(__name__)

MAX_SECONDS = 60.0
"""How long an answer counts at most, and so how long a revoked token may still be accepted."""
REFUSAL_SECONDS = 5.0
"""How long a token that does not hold is not asked about again."""
BACKOFF_SECONDS = 5.0
"""How long nothing is asked after the authorization server failed."""
MAX_CACHED = 10_000
MAX_CONCURRENT = 20
"""Concurrent requests to the authorization server; others wait."""
TOKEN_REFUSED = {400, 413}
"""Statuses that say something about the token, not about the server: no caller can make us back off for all."""


class _Answer(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    active: StrictBool
    iss: str | None = None
    aud: str | list[str] = []
    exp: FiniteFloat | None = None
    nbf: FiniteFloat | None = None


@dataclass(frozen=True, slots=True)
class _Cached:
    until: float
    claims: TokenClaims | None


@dataclass
class Introspection:
    """Asks the introspection endpoint `url` about tokens; the latest `max_cached` answers are kept."""

    server: OidcDiscovery
    url: str
    audiences: frozenset[str]
    client_id: str
    client_secret: SecretStr
    max_cached: int = MAX_CACHED
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._cached: OrderedDict[bytes, _Cached] = OrderedDict()
        self._locks: WeakValueDictionary[bytes, anyio.Lock] = WeakValueDictionary()
        self._concurrent = anyio.Semaphore(MAX_CONCURRENT)
        self._retry_at = float("-inf")

    async def claims(self, token: str) -> TokenClaims | None:
        """Return the claims of a token, or None if it does not hold here.

        Raises:
            VerifierUnavailableError: The authorization server can't be asked.
        """
        digest = sha256(token.encode()).digest()
        async with self._locks.setdefault(digest, anyio.Lock()):
            found = self._cached.get(digest)
            if found is None or self.clock() >= found.until:
                found = await self._ask(token)
                self._cached[digest] = found
                self._cached.move_to_end(digest)
                if len(self._cached) > self.max_cached:
                    self._cached.popitem(last=False)
        return found.claims

    async def _ask(self, token: str) -> _Cached:
        form = {"token": token, "token_type_hint": "access_token"}
        secret = self.client_secret.get_secret_value()
        auth = quote(self.client_id, safe=""), quote(secret, safe="")  # as RFC 6749 (2.3.1) encodes them
        try:
            with anyio.fail_after(self.server.seconds):
                async with self._concurrent:
                    if self.clock() < self._retry_at:
                        raise VerifierUnavailableError(UNAVAILABLE)
                    body = await self.server.ask("POST", self.url, form=form, auth=auth)
            answer = _Answer.model_validate_json(body)
        except (OidcDiscoveryError, ValidationError, TimeoutError) as error:
            reason = error if isinstance(error, OidcDiscoveryError) else type(error).__name__
            logger.warning("A token could not be introspected: %s", reason)
            if isinstance(error, OidcDiscoveryError) and error.status in TOKEN_REFUSED:
                return _Cached(self.clock() + REFUSAL_SECONDS, None)
            self._retry_at = self.clock() + BACKOFF_SECONDS
            raise VerifierUnavailableError(UNAVAILABLE) from None
        left = MAX_SECONDS if answer.exp is None else min(MAX_SECONDS, answer.exp - time.time())
        claims = self._accepted(answer, body) if left > 0 else None
        return _Cached(self.clock() + (left if claims else REFUSAL_SECONDS), claims)

    def _accepted(self, answer: _Answer, body: bytes) -> TokenClaims | None:
        holds = (
            answer.active
            and answer.iss in {None, self.server.issuer}
            and not self.audiences.isdisjoint([answer.aud] if isinstance(answer.aud, str) else answer.aud)
            and (answer.nbf is None or answer.nbf <= time.time() + LEEWAY_SECONDS)
        )
        try:
            return TokenClaims.model_validate_json(body) if holds else None
        except ValidationError:
            return None

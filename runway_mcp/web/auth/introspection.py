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


class Introspection:
    """Asks the introspection endpoint `url` about tokens; the latest `max_cached` answers are kept."""

    def __init__(
        self,
        server: OidcDiscovery,
        url: str,
        audiences: frozenset[str],
        *,
        client_id: str,
        client_secret: SecretStr,
        max_cached: int = MAX_CACHED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._url = url
        self._audiences = audiences
        self._client_id = client_id
        self._client_secret = client_secret
        self._max_cached = max_cached
        self._clock = clock
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
            if found is None or self._clock() >= found.until:
                found = await self._ask(token)
                self._cached[digest] = found
                self._cached.move_to_end(digest)
                if len(self._cached) > self._max_cached:
                    self._cached.popitem(last=False)
        return found.claims

    async def _ask(self, token: str) -> _Cached:
        form = {"token": token, "token_type_hint": "access_token"}
        try:
            with anyio.fail_after(self._server.seconds):
                async with self._concurrent:
                    if self._clock() < self._retry_at:
                        raise VerifierUnavailableError(UNAVAILABLE)
                    body = await self._server.ask("POST", self._url, form=form, auth=self._credentials())
            answer = _Answer.model_validate_json(body)
        except (OidcDiscoveryError, ValidationError, TimeoutError) as error:
            reason = error if isinstance(error, OidcDiscoveryError) else type(error).__name__
            logger.warning("A token could not be introspected: %s", reason)
            if isinstance(error, OidcDiscoveryError) and error.status in TOKEN_REFUSED:
                return _Cached(self._clock() + REFUSAL_SECONDS, None)
            self._retry_at = self._clock() + BACKOFF_SECONDS
            raise VerifierUnavailableError(UNAVAILABLE) from None
        left = MAX_SECONDS if answer.exp is None else min(MAX_SECONDS, answer.exp - time.time())
        claims = self._accepted(answer, body) if left > 0 else None
        return _Cached(self._clock() + (left if claims else REFUSAL_SECONDS), claims)

    def _credentials(self) -> tuple[str, str]:
        # as RFC 6749 (2.3.1) encodes them
        return quote(self._client_id, safe=""), quote(self._client_secret.get_secret_value(), safe="")

    def _accepted(self, answer: _Answer, body: bytes) -> TokenClaims | None:
        holds = (
            answer.active
            and answer.iss in {None, self._server.issuer}
            and not self._audiences.isdisjoint([answer.aud] if isinstance(answer.aud, str) else answer.aud)
            and (answer.nbf is None or answer.nbf <= time.time() + LEEWAY_SECONDS)
        )
        try:
            return TokenClaims.model_validate_json(body) if holds else None
        except ValidationError:
            return None

"""The signing keys of an issuer: found by its metadata, cached, and refreshed when they change.

Unlike `jwt.PyJWKClient` this limits the size and the total time of a response, skips keys that are malformed
or unfit, and serves known keys while a refresh runs or fails.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import anyio
import jwt
from jwt.algorithms import AllowedPublicKeys
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from runway_mcp.web.auth.oidc_discovery import OidcDiscovery, OidcDiscoveryError
from runway_mcp.web.auth.token_claims import VerifierUnavailableError

logger = logging.getLogger(__name__)

FRESH_SECONDS = 600.0
"""Age at which keys are refreshed, so that a withdrawn key stops counting."""
STALE_SECONDS = 24 * 3600.0
"""How long keys count while they can't be refreshed."""
REFRESH_SECONDS = 60.0
"""Minimum time between two refreshes, however many unknown key IDs callers show."""
RETRY_SECONDS = 5.0
"""Time until the next attempt while there are no keys yet."""
UNAVAILABLE = (
    "The authorization server can't be reached, so the access token could not be checked. "
    "Nothing was done; the same request may succeed a little later."
)

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_ALGORITHMS = {
    ("RSA", None): _RSA,
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""The algorithms of each kind of key. All are asymmetric; `none` is never among them."""


class _Jwk(BaseModel):
    model_config = ConfigDict(extra="allow")

    kty: str
    kid: str
    crv: str | None = None
    use: Literal["sig"] = "sig"
    alg: str | None = None
    key_ops: list[str] = ["verify"]


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key and the algorithms that it may verify."""

    key: AllowedPublicKeys = field(repr=False)
    algorithms: tuple[str, ...]


class Jwks:
    """The keys of one issuer."""

    def __init__(self, server: OidcDiscovery, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._clock = clock
        self._lock = anyio.Lock()
        self._keys: dict[str, VerifyingKey] = {}
        self._fetched = self._next = float("-inf")
        self._has_failed = False

    async def key(self, kid: str) -> VerifyingKey | None:
        """Return a key by its ID, or None if the issuer has no such key.

        Raises:
            VerifierUnavailableError: The key is unknown and the issuer can't be asked.
        """
        if self._is_due(kid) and not (kid in self._keys and self._lock.locked()):
            async with self._lock:
                if self._is_due(kid):
                    await self._refresh()
        if self._age() > STALE_SECONDS or (kid not in self._keys and self._has_failed):
            raise VerifierUnavailableError(UNAVAILABLE)
        return self._keys.get(kid)

    def _is_due(self, kid: str) -> bool:
        return (kid not in self._keys or self._age() > FRESH_SECONDS) and self._clock() >= self._next

    def _age(self) -> float:
        return self._clock() - self._fetched

    async def _refresh(self) -> None:
        try:
            found = await self._server.key_set()
        except OidcDiscoveryError as error:
            logger.warning("The keys of %s could not be fetched: %s", self._server.issuer, error)
            self._has_failed = True
            self._next = self._clock() + (REFRESH_SECONDS if self._keys else RETRY_SECONDS)
        else:
            self._has_failed = False
            self._keys = dict(filter(None, map(_verifying_key, found)))
            self._fetched = self._clock()
            self._next = self._fetched + REFRESH_SECONDS


def _verifying_key(found: JsonValue) -> tuple[str, VerifyingKey] | None:
    try:
        jwk = _Jwk.model_validate(found)
    except ValidationError:
        return None
    fitting = _ALGORITHMS.get((jwk.kty, jwk.crv), ())
    algorithms = tuple(name for name in fitting if jwk.alg in {None, name})
    if not algorithms or "verify" not in jwk.key_ops:
        return None
    public = {name: value for name, value in jwk.model_dump(exclude_unset=True).items() if name != "d"}
    try:
        return jwk.kid, VerifyingKey(jwt.PyJWK(public, algorithms[0]).key, algorithms)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None

"""The keys that an issuer signs with: fetched where its metadata says, kept, and renewed as they change."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import anyio
import jwt
from jwt.algorithms import AllowedPublicKeys
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from runway_mcp.web.auth.bearer import VerifierUnavailableError
from runway_mcp.web.auth.oidc_discovery import OidcDiscovery, OidcDiscoveryError

logger = logging.getLogger(__name__)

FRESH_SECONDS = 600.0
"""After how long keys are asked for again, lest one that was withdrawn go on counting."""
STALE_SECONDS = 24 * 3600.0
"""How long they count while they can't be renewed."""
RENEW_SECONDS = 60.0
"""How often they are renewed at most, whoever asks for keys that are not among them."""
RETRY_SECONDS = 5.0
"""How soon they are asked for again where there are none yet."""
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
"""The algorithms that fit each kind of key: asymmetric ones, and never `none`."""


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
    """A public key, and the algorithms that it may be used with."""

    key: AllowedPublicKeys = field(repr=False)
    algorithms: tuple[str, ...]


class Jwks:
    """The keys of one issuer.

    Args:
        authority: Where they are fetched.
        clock: Seconds that only grow.
    """

    def __init__(self, authority: OidcDiscovery, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._authority = authority
        self._clock = clock
        self._lock = anyio.Lock()
        self._keys: dict[str, VerifyingKey] = {}
        self._fetched = self._next = float("-inf")
        self._has_failed = False

    async def key(self, kid: str) -> VerifyingKey | None:
        """Return a key by its id, or None where the issuer has no such key.

        Raises:
            VerifierUnavailableError: The issuer can't be asked, and no key of this id is known.
        """
        if self._is_due(kid) and not (kid in self._keys and self._lock.locked()):
            async with self._lock:
                if self._is_due(kid):
                    await self._renew()
        if self._age() > STALE_SECONDS or (kid not in self._keys and self._has_failed):
            raise VerifierUnavailableError(UNAVAILABLE)
        return self._keys.get(kid)

    def _is_due(self, kid: str) -> bool:
        return (kid not in self._keys or self._age() > FRESH_SECONDS) and self._clock() >= self._next

    def _age(self) -> float:
        return self._clock() - self._fetched

    async def _renew(self) -> None:
        try:
            found = await self._authority.key_set()
        except OidcDiscoveryError as error:
            logger.warning("The keys of %s could not be fetched: %s", self._authority.issuer, error)
            self._has_failed = True
            self._next = self._clock() + (RENEW_SECONDS if self._keys else RETRY_SECONDS)
        else:
            self._has_failed = False
            self._keys = dict(filter(None, map(_verifying_key, found)))
            self._fetched = self._clock()
            self._next = self._fetched + RENEW_SECONDS


def _verifying_key(found: JsonValue) -> tuple[str, VerifyingKey] | None:
    """A key by its id; None for one that is not there to verify with, or can't be."""
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

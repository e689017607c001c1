"""Tokens that only the authorization server can read: it is asked about each (RFC 7662), at most once a minute."""

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

from runway_mcp.web.auth.bearer import VerifierUnavailableError
from runway_mcp.web.auth.jwks import UNAVAILABLE
from runway_mcp.web.auth.oidc_discovery import OidcDiscovery, OidcDiscoveryError
from runway_mcp.web.auth.token_claims import LEEWAY_SECONDS, Audience, TokenClaims

logger = logging.getLogger(__name__)

MAX_SECONDS = 60.0
"""How long an answer counts, at most: that long a withdrawn token may go on being accepted."""
REFUSAL_SECONDS = 5.0
"""How long a token that does not hold is not asked about again, nor any while the server is down."""
MAX_KEPT = 10_000
MAX_AT_ONCE = 20
"""Requests to the authorization server at once; what comes beyond waits."""


class _Answer(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    active: StrictBool
    iss: str | None = None
    aud: str | list[str] = []
    exp: FiniteFloat | None = None
    nbf: FiniteFloat | None = None


@dataclass(frozen=True, slots=True)
class _Finding:
    """What is known of a token, and until when (by the clock that only grows)."""

    until: float
    grant: TokenClaims | None
    is_unavailable: bool = False


class Introspection:
    """Asks the authorization server about tokens.

    Args:
        authority: Whose tokens they are.
        url: The introspection endpoint.
        audience: What they must have been issued for.
        client_id: This server's name there.
        client_secret: Its password.
        most_kept: How many answers are kept, the latest ones.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        authority: OidcDiscovery,
        url: str,
        audience: Audience,
        *,
        client_id: str,
        client_secret: SecretStr,
        most_kept: int = MAX_KEPT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._authority = authority
        self._url = url
        self._audience = audience
        self._client_id = client_id
        self._client_secret = client_secret
        self._most_kept = most_kept
        self._clock = clock
        self._found: OrderedDict[bytes, _Finding] = OrderedDict()
        self._turns: WeakValueDictionary[bytes, anyio.Lock] = WeakValueDictionary()
        self._at_once = anyio.Semaphore(MAX_AT_ONCE)

    async def grant(self, token: str) -> TokenClaims | None:
        """Return what a token says, or None where it does not hold here.

        Raises:
            VerifierUnavailableError: The authorization server can't be asked.
        """
        digest = sha256(token.encode()).digest()
        turn = self._turns.setdefault(digest, anyio.Lock())
        async with turn:
            found = self._found.get(digest)
            if found is None or self._clock() >= found.until:
                found = await self._ask(token)
                self._found[digest] = found
                self._found.move_to_end(digest)
                if len(self._found) > self._most_kept:
                    self._found.popitem(last=False)
        if found.is_unavailable:
            raise VerifierUnavailableError(UNAVAILABLE)
        return found.grant

    async def _ask(self, token: str) -> _Finding:
        form = {"token": token, "token_type_hint": "access_token"}
        try:
            with anyio.fail_after(self._authority.seconds):
                async with self._at_once:
                    body = await self._authority.ask("POST", self._url, form=form, auth=self._credentials())
            answer = _Answer.model_validate_json(body)
        except (OidcDiscoveryError, ValidationError, TimeoutError) as error:
            reason = error if isinstance(error, OidcDiscoveryError) else type(error).__name__
            logger.warning("A token could not be introspected: %s", reason)
            return _Finding(self._clock() + REFUSAL_SECONDS, None, is_unavailable=True)
        left = MAX_SECONDS if answer.exp is None else min(MAX_SECONDS, answer.exp - time.time())
        grant = self._grant(answer, body) if left > 0 else None
        return _Finding(self._clock() + (left if grant else REFUSAL_SECONDS), grant)

    def _credentials(self) -> tuple[str, str]:
        """User name and password as RFC 6749 (2.3.1) has them encoded."""
        return quote(self._client_id, safe=""), quote(self._client_secret.get_secret_value(), safe="")

    def _grant(self, answer: _Answer, body: bytes) -> TokenClaims | None:
        holds = (
            answer.active
            and answer.iss in {None, self._authority.issuer}
            and self._audience.is_among(answer.aud)
            and (answer.nbf is None or answer.nbf <= time.time() + LEEWAY_SECONDS)
        )
        try:
            return TokenClaims.model_validate_json(body) if holds else None
        except ValidationError:
            return None

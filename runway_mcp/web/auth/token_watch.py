"""Ends the open streams and waits of a caller whose access token was revoked or has expired."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
from mcp.server.auth.provider import TokenVerifier
from pydantic import SecretStr
from starlette.types import Scope

from runway_mcp.observability.request_record import RequestRecord
from runway_mcp.tasks.callers import Caller
from runway_mcp.web.auth.token_claims import CallerToken, VerifierUnavailableError
from runway_mcp.web.shutdown import IN_FLIGHT_KEY, InFlightRequest

logger = logging.getLogger(__name__)

CHECK_SECONDS = 2.0
"""How often the tokens of requests in flight are verified again."""
STREAM = "subscriptions/listen"


@dataclass(frozen=True, slots=True, eq=False)
class _Open:
    shown: SecretStr
    token: CallerToken
    scope: Scope

    def holds(self, now: CallerToken | None) -> bool:
        expires_at = self.token.expires_at
        has_expired = expires_at is not None and expires_at <= time.time()
        return now is not None and now.caller == self.token.caller and not has_expired


@dataclass
class TokenWatch:
    """Verifies the tokens of requests in flight again and again.

    Streams are cut off, and waits return their tasks as they stand. Everything else ends within a minute by itself,
    and what may already have changed something is never cut off.
    """

    verifier: TokenVerifier
    end_waits: Callable[[Caller], object]
    seconds: float = CHECK_SECONDS
    _open: set[_Open] = field(default_factory=set[_Open], init=False)

    @contextmanager
    def watching(self, shown: SecretStr, token: CallerToken, scope: Scope) -> Generator[None]:
        request = _Open(shown, token, scope)
        self._open.add(request)
        try:
            yield
        finally:
            self._open.discard(request)

    async def run(self) -> None:
        while True:
            await anyio.sleep(self.seconds)
            requests: defaultdict[SecretStr, list[_Open]] = defaultdict(list)
            for request in self._open:
                requests[request.shown].append(request)
            async with anyio.create_task_group() as checks:
                for shown, same in requests.items():
                    checks.start_soon(self._check, shown, same)

    async def _check(self, shown: SecretStr, requests: Sequence[_Open]) -> None:
        try:
            now = await self.verifier.verify_token(shown.get_secret_value())
        except VerifierUnavailableError:
            now = requests[0].token  # it goes on until it expires
        except Exception:
            logger.exception("A token could not be verified again")
            return
        assert now is None or isinstance(now, CallerToken)  # noqa: S101 - our verifiers return no other
        for request in requests:
            if request in self._open and not request.holds(now):
                if RequestRecord.from_scope(request.scope).method == STREAM:
                    in_flight: InFlightRequest = request.scope[IN_FLIGHT_KEY]
                    in_flight.cut_off()
                else:
                    self.end_waits(request.token.caller)

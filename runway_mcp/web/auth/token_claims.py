"""The claims of an access token that an authorization server issued, once the token is known to hold."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Annotated

from pydantic import AnyHttpUrl, BaseModel, Field, FiniteFloat

from runway_mcp.tasks.callers import SCOPES

LEEWAY_SECONDS = 30
"""How far the authorization server's clock may be from ours."""


class TokenClaims(BaseModel):
    """The claims that a JWT (RFC 9068) and an introspection response (RFC 7662) share.

    Attributes:
        sub: The subject.
        scope: The scopes, separated by spaces.
        scp: The same under the name that some authorization servers use.
        exp: When the token expires, in UNIX seconds.
    """

    sub: Annotated[str, Field(min_length=1, max_length=255)]
    scope: str = ""
    scp: str | list[str] = ""
    exp: FiniteFloat | None = None

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes that mean something here."""
        scp = self.scp.split() if isinstance(self.scp, str) else self.scp
        return frozenset(SCOPES) & {*self.scope.split(), *scp}

    @property
    def expires_at(self) -> int | None:
        """When the token stops counting here, in UNIX seconds."""
        return None if self.exp is None else ceil(self.exp) + LEEWAY_SECONDS


@dataclass(frozen=True, slots=True)
class Audience:
    """The URL that tokens for this server are issued for (RFC 8707).

    Attributes:
        url: As the operator wrote it.
    """

    url: str

    @property
    def spellings(self) -> frozenset[str]:
        """The URL as written and as URLs are normalised, each with a slash at its end and without."""
        plain = {self.url.rstrip("/"), str(AnyHttpUrl(self.url)).rstrip("/")}
        return frozenset(plain | {f"{url}/" for url in plain})

    def is_among(self, audiences: str | Iterable[str]) -> bool:
        """Whether a token with this `aud` was issued for this server."""
        return not self.spellings.isdisjoint({audiences} if isinstance(audiences, str) else audiences)

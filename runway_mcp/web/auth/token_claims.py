"""What an access token of an authorization server says, once it is known to hold."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import AnyHttpUrl, BaseModel, Field

from runway_mcp.tasks.callers import SCOPES

LEEWAY_SECONDS = 30
"""How far the authorization server's clock may be from ours."""


class TokenClaims(BaseModel):
    """The claims that both a JWT (RFC 9068) and an introspection's answer (RFC 7662) have.

    Attributes:
        sub: Whose the token is.
        scope: What it allows, between spaces.
        scp: The same, as some authorization servers have it.
    """

    sub: Annotated[str, Field(min_length=1, max_length=255)]
    scope: str = ""
    scp: str | list[str] = ""

    @property
    def scopes(self) -> frozenset[str]:
        """What it allows here."""
        scp = self.scp.split() if isinstance(self.scp, str) else self.scp
        return frozenset(SCOPES) & {*self.scope.split(), *scp}


@dataclass(frozen=True, slots=True)
class Audience:
    """The URL that tokens for this server are issued for (RFC 8707).

    Attributes:
        url: As the operator wrote it.
    """

    url: str

    @property
    def spellings(self) -> frozenset[str]:
        """The URL as it may stand in a token: as written or as URLs are normalised, with a slash at its end or not."""
        plain = {self.url.rstrip("/"), str(AnyHttpUrl(self.url)).rstrip("/")}
        return frozenset(plain | {f"{url}/" for url in plain})

    def is_among(self, audiences: str | Iterable[str]) -> bool:
        """Whether a token with this `aud` was issued for us."""
        return not self.spellings.isdisjoint({audiences} if isinstance(audiences, str) else audiences)

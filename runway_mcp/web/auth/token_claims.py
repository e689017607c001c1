"""What is known of an access token once it is verified: its claims and its caller."""

from math import ceil
from typing import Annotated

from mcp.server.auth.provider import AccessToken
from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, FiniteFloat

from runway_mcp.tasks.callers import SCOPES, Caller

LEEWAY_SECONDS = 30
"""How far the authorization server's clock may be from ours."""


class TokenClaims(BaseModel):
    """The claims that a JWT (RFC 9068) and an introspection response (RFC 7662) share.

    Attributes:
        scp: The scopes, under the name that some authorization servers use.
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


def audience_spellings(url: str) -> frozenset[str]:
    """Return the URL that tokens are issued for (RFC 8707), as written and as URLs are normalised.

    Each stands with a slash at its end and without.
    """
    plain = {url.rstrip("/"), str(AnyHttpUrl(url)).rstrip("/")}
    return frozenset(plain | {f"{spelling}/" for spelling in plain})


class CallerToken(AccessToken):
    """A verified access token with its caller. The token itself is not kept."""

    model_config = ConfigDict(frozen=True)

    token: str = Field(exclude=True, repr=False)
    caller: Caller = Field(exclude=True, repr=False)

    @classmethod
    def of(cls, caller: Caller, expires_at: int | None = None) -> "CallerToken":
        """Return the token of a caller, which stops counting at `expires_at`, in UNIX seconds."""
        return cls(
            token="",
            client_id=caller.subject,
            scopes=sorted(caller.scopes),
            subject=caller.subject,
            expires_at=expires_at,
            claims={"iss": caller.issuer} if caller.issuer else None,
            caller=caller,
        )


class VerifierUnavailableError(Exception):
    """A token can't be verified now. The message goes to the caller."""

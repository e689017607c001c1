"""What a token verifier returns and raises."""

from mcp.server.auth.provider import AccessToken
from pydantic import ConfigDict, Field

from runway_mcp.tasks.callers import Caller


class CallerToken(AccessToken):
    """A verified access token with its caller. The token itself is not kept.

    Attributes:
        caller: Who shows it.
    """

    model_config = ConfigDict(frozen=True)

    token: str = Field(exclude=True, repr=False)
    caller: Caller = Field(exclude=True, repr=False)

    @classmethod
    def of(cls, caller: Caller, expires_at: int | None = None) -> "CallerToken":
        """Return the token of a caller.

        Args:
            caller: The caller.
            expires_at: When the token stops counting, in UNIX seconds.
        """
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

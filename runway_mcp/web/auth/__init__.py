"""Who calls, and with whose Runway key: access tokens from a file, or from an authorization server."""

from runway_mcp.web.auth.bearer import (
    Authenticated,
    Authentication,
    CallerToken,
    ScopeChallengeMiddleware,
    VerifierUnavailableError,
)

__all__ = ["Authenticated", "Authentication", "CallerToken", "ScopeChallengeMiddleware", "VerifierUnavailableError"]

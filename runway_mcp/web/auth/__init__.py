"""Who calls, and with whose Runway key: access tokens from a file, or from an authorization server."""

from runway_mcp.web.auth.bearer import Authenticated, Authentication, ScopeChallengeMiddleware
from runway_mcp.web.auth.token_claims import CallerToken, VerifierUnavailableError

__all__ = ["Authenticated", "Authentication", "CallerToken", "ScopeChallengeMiddleware", "VerifierUnavailableError"]

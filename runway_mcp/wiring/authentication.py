"""Builds the authentication that the settings ask for."""

from collections.abc import Callable
from functools import partial

from pydantic import SecretStr

from runway_mcp.api.connection import trust
from runway_mcp.config.settings import SANDBOX_KEY, Settings, SettingsError
from runway_mcp.web.auth import Authentication
from runway_mcp.web.auth.reloading_file import ReloadingFileError
from runway_mcp.web.auth.runway_keys import RunwayKeys

FindKey = Callable[[str], SecretStr | None]


def authentication_of(settings: Settings, find_key: FindKey) -> Authentication | None:
    """Return how callers authenticate and which Runway key each uses; None without authentication.

    Raises:
        SettingsError: A tokens or tenants file can't be used.
    """
    if settings.auth == "none":
        return None
    from runway_mcp.web.auth.tokens import TokensFile

    if settings.allow_shared_key and settings.api_key is None and not settings.sandbox:
        raise SettingsError("--allow-shared-key: there is no key to share; set RUNWAYML_API_SECRET")
    shared = settings.api_key if settings.allow_shared_key else None
    keys = RunwayKeys(lambda _: SANDBOX_KEY, SANDBOX_KEY) if settings.sandbox else RunwayKeys(find_key, shared)
    try:
        if settings.auth == "oauth":
            return _by_oauth(settings, keys)
        assert settings.tokens_file  # noqa: S101 - the settings see to it
        tokens = TokensFile(settings.tokens_file, keys)
        return Authentication(tokens, reread=tokens.reread)
    except ReloadingFileError as error:
        raise SettingsError(f"--{'tokens' if settings.auth == 'token' else 'tenants'}-file: {error}") from None


def _by_oauth(settings: Settings, keys: RunwayKeys) -> Authentication:
    from runway_mcp.web.auth.introspection import Introspection
    from runway_mcp.web.auth.jwks import Jwks
    from runway_mcp.web.auth.oauth import OAuthVerifier
    from runway_mcp.web.auth.oidc_discovery import OidcDiscovery
    from runway_mcp.web.auth.tenants import Tenants
    from runway_mcp.web.auth.token_claims import audience_spellings

    issuer, resource = settings.oauth_issuer, settings.oauth_audience
    assert issuer and resource  # noqa: S101, PT018 - the settings see to it
    server = OidcDiscovery(issuer, trust=partial(trust, settings.ca_file))
    audiences = audience_spellings(resource)
    introspection = None
    if settings.oauth_introspection_url:
        if settings.oauth_client_id is None or settings.oauth_client_secret is None:
            raise SettingsError(
                "--oauth-introspection-url: it needs --oauth-client-id and the variable RUNWAY_MCP_OAUTH_CLIENT_SECRET"
            )
        introspection = Introspection(
            server,
            settings.oauth_introspection_url,
            audiences,
            client_id=settings.oauth_client_id,
            client_secret=settings.oauth_client_secret,
        )
    tenants = Tenants(settings.tenants_file, keys)
    verifier = OAuthVerifier(issuer, audiences, jwks=Jwks(server), key_of=tenants.key_of, introspection=introspection)
    return Authentication(verifier, issuer, resource, tenants.reread)

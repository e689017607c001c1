"""The connection pool to the API: credentials, time-outs, proxy and trust settings."""

import ssl
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path

import httpx2
from pydantic import SecretStr

from runway_mcp import __version__
from runway_mcp.api.direct_transport import DirectTransport
from runway_mcp.api.errors import NetworkSettingsError
from runway_mcp.api.proxies import find_proxy

USER_AGENT = f"runway-mcp/{__version__}"
MIN_SECRET_LENGTH = 16
"""Characters of a key that is searched for in replies; a shorter one is a placeholder."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that each part of a call may take.

    `attempt`, `delete` and `create` bound one request and its whole reply, `total` a call with all its retries: below
    the 60 s after which common MCP hosts give up on a tool call.
    """

    connect: float = 5
    pool: float = 5
    attempt: float = 15
    delete: float = 8
    create: float = 30
    total: float = 45


TIMEOUTS = Timeouts()
LIMITS = httpx2.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30)


class RunwayAuth:
    """The credentials of every request. It shows neither key nor token."""

    def __init__(self, key: SecretStr, version: str) -> None:
        self._key = key
        self._version = version

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key.get_secret_value()}", "X-Runway-Version": self._version}

    def redact(self, text: str) -> str:
        """Return `text` without the key, in case upstream echoed it."""
        key = self._key.get_secret_value()
        return text.replace(key, "[API key]") if len(key) >= MIN_SECRET_LENGTH else text


def open_pool(
    auth: RunwayAuth,
    base_url: str,
    *,
    ca_file: Path | None,
    transport: httpx2.AsyncBaseTransport | None,
    timeouts: Timeouts,
) -> httpx2.AsyncClient:
    """Return the connections to the API at `base_url`, none of which is made yet.

    Raises:
        NetworkSettingsError: The machine's network settings can't be used.
    """
    try:
        return httpx2.AsyncClient(
            base_url=base_url,
            headers={"User-Agent": USER_AGENT, "Accept": "application/json", **auth.headers()},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            timeout=httpx2.Timeout(None, connect=timeouts.connect, pool=timeouts.pool),
            follow_redirects=False,
            trust_env=False,
            transport=transport or open_transport(base_url, ca_file),
        )
    except (ValueError, OSError, httpx2.InvalidURL):
        raise NetworkSettingsError from None


def open_transport(base_url: str, ca_file: Path | None) -> httpx2.AsyncBaseTransport:
    """Return connections to where a URL leads: through the machine's proxy where there is one."""
    # http is only for this machine (see the settings): no proxy may see the key on its way there
    if not base_url.startswith("https:"):
        return DirectTransport(None, LIMITS)
    context, proxy = trust(ca_file), find_proxy(httpx2.URL(base_url))
    return proxy.open(context, LIMITS) if proxy else DirectTransport(context, LIMITS)


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """Return the operating system's trust store, and the certificates of `ca_file` beside it."""
    context = httpx2.create_ssl_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context

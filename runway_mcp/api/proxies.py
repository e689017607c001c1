"""Which proxy a URL is reached through: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, or the system's settings.

Only the setting that applies to the URL counts. httpx2 opens all of them at once, and fails if one can't be used.
"""

import re
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from urllib.request import getproxies

import httpx2

from runway_mcp.api.errors import ProxySettingError


@dataclass(frozen=True, slots=True)
class ProxySetting:
    """The `variable` that names a proxy, and what it says, which may hold a password."""

    variable: str
    url: str = field(repr=False)

    def open(self, context: ssl.SSLContext, limits: httpx2.Limits) -> httpx2.AsyncHTTPTransport:
        """Return connections through this proxy.

        Raises:
            ProxySettingError: It is no proxy that can be used.
        """
        url = self.url if "://" in self.url else f"http://{self.url}"
        try:
            return httpx2.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits, proxy=httpx2.Proxy(url))
        except (ImportError, ValueError, httpx2.InvalidURL):
            raise ProxySettingError(variable=self.variable) from None


def find_proxy(url: httpx2.URL) -> ProxySetting | None:
    """Return the setting that applies to a URL; None where it is reached directly."""
    settings = getproxies()
    for kind in (url.scheme, "all"):
        if settings.get(kind) and not _is_exempt(url, settings.get("no", "")):
            return ProxySetting(f"{kind.upper()}_PROXY", settings[kind])
    return None


def _is_exempt(url: httpx2.URL, no_proxy: str) -> bool:
    # as curl reads it: a name stands for its subdomains too, with or without a dot or *. before it
    port = url.port or (443 if url.scheme == "https" else 80)
    for entry in filter(None, re.split(r"[,\s]+", no_proxy.lower())):
        name = entry.rpartition("://")[2].removesuffix(f":{port}").strip("[]").lstrip("*").lstrip(".")
        if not name or url.host == name or url.host.endswith(f".{name}"):
            return True
        with suppress(ValueError):
            if ip_address(url.host) in ip_network(name, strict=False):
                return True
    return False

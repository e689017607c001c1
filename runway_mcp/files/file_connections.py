"""How files travel: to the sandbox, through the machine's proxy, or straight to a public address.

The proxy settings are those of the API. Only a direct connection's address is checked: a proxy resolves names itself.
"""

import ssl
from pathlib import Path

import httpcore2
import httpx2

from runway_mcp.api.connection import trust
from runway_mcp.api.direct_transport import DirectTransport
from runway_mcp.files.file_errors import UrlNotAllowedError

MAX_CONNECTIONS = 128
"""Connections of all callers together."""
MAX_PORT = 0xFFFF

_LIMITS = httpx2.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=10)


class Connections:
    """The connections of all callers."""

    def __init__(
        self,
        own_origin: str | None,
        own_transport: httpx2.AsyncBaseTransport | None,
        ca_file: Path | None,
        network: httpcore2.AsyncNetworkBackend,
    ) -> None:
        self._own_origin = own_origin and _origin(httpx2.URL(own_origin))
        self._own_transport = own_transport
        self._ca_file = ca_file
        self._network = network
        self._others: _ProxyRules | None = None

    def transport(self, url: httpx2.URL) -> httpx2.AsyncBaseTransport:
        """Return what carries requests to `url`.

        Raises:
            UrlNotAllowedError: Nothing does.
        """
        is_own = _origin(url) == self._own_origin
        if not is_own and (url.scheme != "https" or not url.host or (url.port or 0) > MAX_PORT):
            raise UrlNotAllowedError("not_https", url.host)
        try:
            if is_own:
                self._own_transport = self._own_transport or self._open_own(url)
                return self._own_transport
            self._others = self._others or _ProxyRules(trust(self._ca_file), self._network)
        except (ImportError, ValueError, OSError, httpx2.InvalidURL):
            raise UrlNotAllowedError("unusable_network", url.host) from None
        return self._others.transport(url)

    def _open_own(self, url: httpx2.URL) -> httpx2.AsyncBaseTransport:
        verify = trust(self._ca_file) if url.scheme == "https" else False
        return httpx2.AsyncHTTPTransport(verify=verify, trust_env=False, limits=_LIMITS)

    async def aclose(self) -> None:
        if self._own_transport is not None:
            await self._own_transport.aclose()
        if self._others is not None:
            await self._others.aclose()


class _ProxyRules(httpx2.AsyncClient):
    """httpx2's choice of a proxy, by the environment and NO_PROXY, as for the API; else a direct connection.

    Only the choice is used: a client's cookies, credentials and default headers are not for files.
    """

    def __init__(self, context: ssl.SSLContext, network: httpcore2.AsyncNetworkBackend) -> None:
        super().__init__(verify=context, trust_env=True, limits=_LIMITS)
        self._direct = DirectTransport(context, _LIMITS, network)

    def transport(self, url: httpx2.URL) -> httpx2.AsyncBaseTransport:
        found = self._transport_for_url(url)
        return self._direct if found is self._transport else found

    async def aclose(self) -> None:
        await self._direct.aclose()
        await super().aclose()


def _origin(url: httpx2.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"

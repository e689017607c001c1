"""The edge: which hosts are asked for, and which web pages may ask. Checked on every route.

A page that a browser loaded from anywhere can send requests to a server on the same machine; what
it can't do is choose their Host and Origin.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from runway_mcp.web.error_response import refused

LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
EVERY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104 - nobody is served under them
METHODS = ("GET", "POST", "DELETE")
EXPOSED_HEADERS = ("WWW-Authenticate", "Retry-After", "X-Request-Id", "Mcp-Session-Id")

_HOST = re.compile(r"(?:([\w.-]+)|\[([\da-f:.]+)\])(?::(\d{1,5}))?", re.ASCII | re.IGNORECASE)
_ORIGIN = re.compile(r"(https?)://(.+)", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}

Host = tuple[str, int | None]
"""A name or address, and the port where one is named."""


class OriginPolicy:
    """Who may be asked for, and by which pages."""

    def __init__(
        self, hosts: Sequence[str] = (), origins: Sequence[str] = (), *, listens_on: str = "localhost"
    ) -> None:
        """Take the names.

        Args:
            hosts: Host headers beside those of this machine; without a port, any port is meant.
            origins: Origins of web pages that may ask and read the answers. Pages of this machine, and those that
                an allowed host serves over https, may ask too, but read only what their own host answers.
            listens_on: The address or name that is listened on, which is this machine's too.
        """
        self.origins = origins
        self._own = {_normal(name) for name in (*LOCAL_NAMES, listens_on)} - EVERY_ADDRESS
        self._hosts = {found for host in hosts if (found := _host(host))}
        self._origins = {found for origin in origins if (found := _origin(origin))}

    def serves(self, host: str) -> bool:
        """Whether a Host header names this server."""
        found = _host(host)
        return found is not None and self._is_served(found)

    def admits(self, origin: str) -> bool:
        """Whether a page of this origin may send requests."""
        found = _origin(origin)
        if found is None:
            return False
        scheme, host = found
        return found in self._origins or host[0] in self._own or (scheme == "https" and self._is_served(host))

    def shares_with(self, origin: str) -> bool:
        """Whether a page of this origin may read answers though another host served it."""
        return _origin(origin) in self._origins

    def _is_served(self, host: Host) -> bool:
        name, port = host
        ports = (None, *_PORTS.values()) if port is None else (None, port)
        return name in self._own or any((name, port) in self._hosts for port in ports)


_twice = refused(400, "There is more than one Host or Origin header. Nothing was done.")
_unreadable = refused(400, "The path holds a line break. Nothing was done.")
_misdirected = refused(421, "No such host is served here (see --allowed-host). Nothing was done.")
_forbidden = refused(403, "Web pages of this origin may not ask here (see --allowed-origin). Nothing was done.")


class Guarded:
    """An app that is reached only through the edge."""

    def __init__(self, app: ASGIApp, edge: OriginPolicy) -> None:
        self._app = app
        self._edge = edge
        self._shared = _Cors(app, edge) if edge.origins else app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) > 1 or len(origins) > 1:
            await _twice(scope, receive, send)
        elif "\n" in scope["path"]:
            await _unreadable(scope, receive, send)
        elif not hosts or not self._edge.serves(hosts[0]):
            await _misdirected(scope, receive, send)
        elif not origins:
            await self._shared(scope, receive, send)
        elif not self._edge.admits(origins[0]):
            await _forbidden(scope, receive, send)
        else:
            shared = self._edge.shares_with(origins[0])
            await (self._shared if shared else self._app)(scope, receive, send)


class _Cors(CORSMiddleware):
    """Starlette's CORS, by the edge's way to compare origins.

    Any request header may be sent: an allowed page is trusted with them, and MCP's `Mcp-Param-*` are
    as many as there are parameters. Credentials that a browser keeps are never asked for.
    """

    def __init__(self, app: ASGIApp, edge: OriginPolicy) -> None:
        super().__init__(app, edge.origins, allow_methods=METHODS, allow_headers=("*",), expose_headers=EXPOSED_HEADERS)
        self._edge = edge

    def is_allowed_origin(self, origin: str) -> bool:
        return self._edge.shares_with(origin)


@lru_cache(maxsize=256)
def _host(text: str) -> Host | None:
    """What a Host header or the rest of an origin names; None where it names nothing."""
    found = _HOST.fullmatch(text)
    if found is None:
        return None
    name, address, port = found.groups()
    return _normal(name or address), None if port is None else int(port)


def _origin(text: str) -> tuple[str, Host] | None:
    found = _ORIGIN.fullmatch(text)
    host = _host(found[2]) if found else None
    if found is None or host is None:
        return None
    scheme = found[1].lower()
    return scheme, (host[0], _PORTS[scheme] if host[1] is None else host[1])


def _normal(name: str) -> str:
    """A name or address in the one form of the many that it has."""
    name = name.lower().removesuffix(".")
    try:
        return str(ip_address(name))
    except ValueError:
        return name

"""Which Host and Origin headers are accepted, on every route.

A web page from anywhere can send requests to a server on the browser's machine, but it can't choose their Host
and Origin headers.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from runway_mcp.web.error_response import error_response

LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
EVERY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104 - never accepted as a host
METHODS = ("GET", "POST", "DELETE")
EXPOSED_HEADERS = ("WWW-Authenticate", "Retry-After", "X-Request-Id", "Mcp-Session-Id")

_HOST = re.compile(r"(?:([\w.-]+)|\[([\da-f:.]+)\])(?::(\d{1,5}))?", re.ASCII | re.IGNORECASE)
_ORIGIN = re.compile(r"(https?)://(.+)", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}

Host = tuple[str, int | None]
"""A name or address, and the port if one is named."""


class OriginPolicy:
    """Which hosts the server answers for, and which web pages may send requests.

    Args:
        hosts: Host headers to accept beside this machine's; one without a port accepts any port.
        origins: Origins of web pages that may send requests and read the responses. Pages of this machine, and
            pages that an accepted host serves over https, may send too, but read only their own host's responses.
        listens_on: The address or name that the server listens on.
    """

    def __init__(
        self, hosts: Sequence[str] = (), origins: Sequence[str] = (), *, listens_on: str = "localhost"
    ) -> None:
        self.origins = origins
        self._own = {_normal(name) for name in (*LOCAL_NAMES, listens_on)} - EVERY_ADDRESS
        self._hosts = {found for host in hosts if (found := _host(host))}
        self._origins = {found for origin in origins if (found := _origin(origin))}

    def serves(self, host: str) -> bool:
        found = _host(host)
        return found is not None and self._is_served(found)

    def admits(self, origin: str) -> bool:
        """Whether web pages of this origin may send requests."""
        found = _origin(origin)
        if found is None:
            return False
        scheme, host = found
        return found in self._origins or host[0] in self._own or (scheme == "https" and self._is_served(host))

    def shares_with(self, origin: str) -> bool:
        """Whether web pages of this origin may read responses although another host served them."""
        return _origin(origin) in self._origins

    def _is_served(self, host: Host) -> bool:
        name, port = host
        ports = (None, *_PORTS.values()) if port is None else (None, port)
        return name in self._own or any((name, port) in self._hosts for port in ports)


_twice = error_response(400, "There is more than one Host or Origin header. Nothing was done.")
_two_lengths = error_response(400, "There are both Content-Length and Transfer-Encoding. Nothing was done.")
_two_lengths.headers["Connection"] = "close"  # where the next request begins would be anyone's guess
_unreadable = error_response(400, "The path holds a line break. Nothing was done.")
_misdirected = error_response(421, "This Host header is not accepted here (see --allowed-host). Nothing was done.")
_forbidden = error_response(
    403, "This web page's origin is not accepted here (see --allowed-origin). Nothing was done."
)


class OriginMiddleware:
    """Refuses requests that the policy does not accept, and adds CORS headers for allowed origins."""

    def __init__(self, app: ASGIApp, policy: OriginPolicy) -> None:
        self._app = app
        self._policy = policy
        self._shared = _Cors(app, policy) if policy.origins else app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) > 1 or len(origins) > 1:
            await _twice(scope, receive, send)
        elif "content-length" in headers and "transfer-encoding" in headers:
            await _two_lengths(scope, receive, send)
        elif "\n" in scope["path"]:
            await _unreadable(scope, receive, send)
        elif not hosts or not self._policy.serves(hosts[0]):
            await _misdirected(scope, receive, send)
        elif not origins:
            await self._shared(scope, receive, send)
        elif not self._policy.admits(origins[0]):
            await _forbidden(scope, receive, send)
        else:
            shared = self._policy.shares_with(origins[0])
            await (self._shared if shared else self._app)(scope, receive, send)


class _Cors(CORSMiddleware):
    """Starlette's CORS middleware with the policy's comparison of origins.

    An allowed page may send any header, because MCP has an `Mcp-Param-*` for each parameter. Cookies are not allowed.
    """

    def __init__(self, app: ASGIApp, policy: OriginPolicy) -> None:
        origins = policy.origins
        super().__init__(app, origins, allow_methods=METHODS, allow_headers=("*",), expose_headers=EXPOSED_HEADERS)
        self._policy = policy

    def is_allowed_origin(self, origin: str) -> bool:
        return self._policy.shares_with(origin)


@lru_cache(maxsize=256)
def _host(text: str) -> Host | None:
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
    name = name.lower().removesuffix(".")
    try:
        return str(ip_address(name))
    except ValueError:
        return name

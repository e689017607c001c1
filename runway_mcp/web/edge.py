"""The edge: which hosts are asked for, and which web pages may ask. Checked on every route.

A page that a browser loaded from anywhere can send requests to a server on the same machine; what
it can't do is choose their Host and Origin.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Edge:
    """Who may be asked for, and by which pages.

    Attributes:
        hosts: Host headers beside those of this machine; without a port, any port is meant.
        origins: Origins of web pages beside those of this machine.
    """

    hosts: Sequence[str] = ()
    origins: Sequence[str] = ()

    def transport_security(self) -> TransportSecuritySettings:
        """What the SDK is to check."""
        names = [*LOCAL_NAMES, *self.hosts]
        return TransportSecuritySettings(
            allowed_hosts=[*names, *(f"{name}:*" for name in names)],
            allowed_origins=[
                *self.origins,
                *(f"http://{name}" for name in LOCAL_NAMES),
                *(f"http://{name}:*" for name in LOCAL_NAMES),
            ],
        )


def guarded(app: ASGIApp, edge: Edge) -> ASGIApp:
    """`app`, reached only through the edge."""
    security = TransportSecurityMiddleware(edge.transport_security())

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        refusal = await security.validate_request(Request(scope)) if scope["type"] == "http" else None
        await (refusal or app)(scope, receive, send)

    return guard

"""Connections to public addresses only, so that no link can make this machine call its own network.

A name is resolved once, all its addresses are checked, and the connection goes to one of them. What the name
resolves to a moment later does not matter. TLS still verifies the name.
"""

import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import cast

import anyio
import httpcore2

ADDRESS_TIMEOUT = 2.0
"""Seconds to connect to one address before the next one is tried."""

# IANA's registries of special-purpose addresses, and what else is not for everyone; the standard library's
# `is_global` differs between versions of Python.
_NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # shared by a provider's customers
            "127.0.0.0/8",  # this machine
            "168.63.129.16/32",  # Azure's host, which tells secrets as 169.254.169.254 does elsewhere
            "169.254.0.0/16",  # link-local, and the metadata of clouds
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo among them
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which holds an IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a host's name and a port to its addresses, as literals; raises OSError."""


class NotPublicError(Exception):
    """A host has an address that is not public, so no connection to it was begun."""


def is_public(address: str) -> bool:
    """Whether a literal IP address belongs to a host that everyone may reach.

    A NAT64 address (64:ff9b::/96) is as public as the IPv4 address in it; other addresses that hold one
    (mapped, 6to4, Teredo) never are.
    """
    with suppress(AddressValueError):
        four = IPv4Address(address)
        return not any(four in network for network in _NOT_PUBLIC_4)
    with suppress(AddressValueError):
        six = IPv6Address(address)
        if six in _NAT64:
            return is_public(str(IPv4Address(int(six) & 0xFFFFFFFF)))
        return six in _GLOBAL_UNICAST_6 and not any(six in network for network in _NOT_PUBLIC_6)
    return False


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, the system's preferred one first.

    Raises:
        OSError: It has none.
    """
    found = await anyio.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(address for *_, (address, _) in found))


class PublicNetwork(httpcore2.AsyncNetworkBackend):
    """Connects only to hosts whose addresses are all public, over `network` or else the event loop's."""

    def __init__(self, resolve: Resolve = resolve, network: httpcore2.AsyncNetworkBackend | None = None) -> None:
        self._resolve = resolve
        # the library declares a second class of this name, for where anyio is missing
        self._network = network or cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Return a connection to `host`, made within `timeout` seconds.

        Raises:
            NotPublicError: One of its addresses is not public; nothing was sent.
            httpcore2.ConnectError: It has no address, or none that answers; ConnectTimeout where none did in time.
        """
        try:
            with anyio.fail_after(timeout):
                *others, last = await self._addresses(host, port)
                for address in others:
                    with suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                        return await self._network.connect_tcp(
                            address, port, ADDRESS_TIMEOUT, local_address, socket_options
                        )
                return await self._network.connect_tcp(last, port, timeout, local_address, socket_options)
        except TimeoutError:
            raise httpcore2.ConnectTimeout from None

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = await self._resolve(host, port)
        except OSError:
            raise httpcore2.ConnectError("its name is not known") from None
        if not found:
            raise httpcore2.ConnectError("its name has no address")
        if not all(map(is_public, found)):
            raise NotPublicError
        seen = Counter[bool]()

        def turn(address: str) -> int:
            seen[":" in address] += 1
            return seen[":" in address]

        return sorted(found, key=turn)

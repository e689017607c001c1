"""Which addresses are public, and that nothing else is ever connected to."""

from collections.abc import Iterable, Sequence

import anyio
import httpcore2
import pytest

from runway_mcp.files.public_addresses import NotPublicError, PublicNetwork, is_public, resolve

PUBLIC = (
    "1.1.1.1",
    "8.8.8.8",
    "52.84.150.39",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "198.17.255.255",
    "223.255.255.255",
    "2001:4860:4860::8888",
    "2600:9000:2251::1",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "64:ff9b::101:101",
)
NOT_PUBLIC = {
    "this network": ["0.0.0.0", "0.1.2.3"],
    "this machine": ["127.0.0.1", "127.255.255.254", "::1"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1"],
    "shared by a provider": ["100.64.0.1", "100.100.100.200", "100.127.255.255"],
    "metadata and link-local": ["169.254.169.254", "168.63.129.16", "fe80::1", "fe80::1%eth0", "febf::1"],
    "protocol assignments": ["192.0.0.1", "192.0.0.9", "192.0.0.192", "2001:1::1", "2001:20::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "benchmarks": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "6to4 relays": ["192.88.99.1"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "4000::1", "100::1"],
    "unspecified": ["::"],
    "unique local": ["fc00::1", "fd00:ec2::254", "fdff::1"],
    "site-local": ["fec0::1"],
    "IPv4-mapped": ["::ffff:127.0.0.1", "::ffff:1.1.1.1", "::ffff:a9fe:a9fe"],
    "IPv4-compatible": ["::127.0.0.1", "::1.1.1.1"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::101:101"],
    "6to4": ["2002:7f00:1::", "2002:101:101::1"],
    "Teredo": ["2001:0:4136:e378:8000:63bf:3fff:fdd2"],
    "no address": ["", "files.example", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "1.1.1.1.", "[::1]"],
}


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_that_everyone_reaches_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("what", NOT_PUBLIC)
def test_every_other_address_is_not(what: str) -> None:
    assert [address for address in NOT_PUBLIC[what] if is_public(address)] == []


class Names:
    """A resolver with an answer for each time that it is asked; the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.asked: list[tuple[str, int]] = []
        self._answers = answers

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self._answers[min(len(self.asked), len(self._answers)) - 1]


class Wire(httpcore2.AsyncNetworkBackend):
    """Makes no connection, but notes what was to be connected to; some addresses refuse, are late, or silent."""

    def __init__(self, *, refuse: Sequence[str] = (), late: Sequence[str] = (), silent: Sequence[str] = ()) -> None:
        self.tried: list[str] = []
        self._refuse = refuse
        self._late = late
        self._silent = silent

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        assert port == 443
        assert local_address is None
        assert socket_options is None
        self.tried.append(host)
        if host in self._refuse:
            raise httpcore2.ConnectError("refused")
        if host in self._late:
            raise httpcore2.ConnectTimeout
        if host in self._silent:
            await anyio.sleep_forever()
        assert timeout is None or timeout > 0
        return httpcore2.AsyncMockStream([])


async def test_a_private_address_among_several_refuses_all() -> None:
    """Whoever answers with both may answer with the private one alone the next time."""
    for found in (["127.0.0.1"], ["1.1.1.1", "10.0.0.1"], ["::1", "1.1.1.1"], ["1.1.1.1", "::ffff:1.1.1.1"]):
        wire = Wire()
        with pytest.raises(NotPublicError):
            await PublicNetwork(Names(found), wire).connect_tcp("files.example", 443)
        assert wire.tried == []


async def test_what_was_checked_is_what_is_connected_to() -> None:
    """A name that turns private afterwards is not asked for again."""
    names, wire = Names(["1.1.1.1"], ["127.0.0.1"]), Wire()
    await PublicNetwork(names, wire).connect_tcp("files.example", 443, 5)
    assert (names.asked, wire.tried) == ([("files.example", 443)], ["1.1.1.1"])
    with pytest.raises(NotPublicError):
        await PublicNetwork(names, wire).connect_tcp("files.example", 443, 5)
    assert wire.tried == ["1.1.1.1"]


async def test_the_next_address_is_tried_of_the_other_family_first() -> None:
    """One of the two often leads nowhere; the last one's error is told."""
    found = ["2606:4700::1", "2606:4700::2", "1.1.1.1", "1.1.1.2"]
    wire = Wire(refuse=found[:1], late=found[1:3])
    await PublicNetwork(Names(found), wire).connect_tcp("files.example", 443, 5)
    assert wire.tried == ["2606:4700::1", "1.1.1.1", "2606:4700::2", "1.1.1.2"]
    with pytest.raises(httpcore2.ConnectError, match="refused"):
        await PublicNetwork(Names(found), Wire(refuse=found)).connect_tcp("files.example", 443, 5)


async def test_the_whole_search_has_one_deadline() -> None:
    """A name that is not answered, and an address that is silent, take no longer than said."""

    async def never(_host: str, _port: int) -> Sequence[str]:
        await anyio.sleep_forever()
        return []

    for network in (PublicNetwork(never), PublicNetwork(Names(["1.1.1.1"]), Wire(silent=["1.1.1.1"]))):
        with pytest.raises(httpcore2.ConnectTimeout):
            await network.connect_tcp("files.example", 443, 0.02)


async def test_a_name_without_an_address_can_not_be_reached() -> None:
    with pytest.raises(httpcore2.ConnectError, match="not known"):
        await PublicNetwork().connect_tcp("files.invalid", 443, 5)
    with pytest.raises(httpcore2.ConnectError, match="no address"):
        await PublicNetwork(Names([])).connect_tcp("files.example", 443, 5)


async def test_an_address_is_resolved_to_itself_once() -> None:
    assert await resolve("1.1.1.1", 443) == ["1.1.1.1"]
    assert await resolve("2606:4700::1111", 443) == ["2606:4700::1111"]

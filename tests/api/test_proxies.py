"""The proxy that applies to a URL, by the variables that other programs read too."""

import ssl
from collections.abc import Mapping

import httpx2
import pytest

from runway_mcp.api.connection import LIMITS
from runway_mcp.api.errors import ProxySettingError
from runway_mcp.api.proxies import find_proxy
from runway_mcp.mcp_server.messages import explain

API = "https://api.dev.runwayml.com"
SOCKS = "socks://127.0.0.1:7891/"
GOOD = "http://proxy.example:3128"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("variables", "url", "variable"),
    [
        ({}, API, None),
        ({"HTTPS_PROXY": GOOD}, API, "HTTPS_PROXY"),
        ({"https_proxy": GOOD, "ALL_PROXY": SOCKS}, API, "HTTPS_PROXY"),
        ({"ALL_PROXY": GOOD, "HTTP_PROXY": SOCKS}, API, "ALL_PROXY"),
        ({"HTTP_PROXY": GOOD}, API, None),
        ({"HTTPS_PROXY": "", "all_proxy": GOOD}, API, "ALL_PROXY"),
        *(
            ({"ALL_PROXY": SOCKS, "NO_PROXY": exempt}, API, None)
            for exempt in (
                "*",
                "runwayml.com",
                ".runwayml.com",
                "*.RunwayML.com",
                "localhost, api.dev.runwayml.com",
                "localhost api.dev.runwayml.com:443",
                "https://api.dev.runwayml.com",
                "*, other.example",
            )
        ),
        *(
            ({"ALL_PROXY": SOCKS, "NO_PROXY": other}, API, "ALL_PROXY")
            for other in ("wayml.com", "api.dev.runwayml.com:8443", "192.168.0.0/16,,::1", "api.dev.runwayml.co")
        ),
        ({"ALL_PROXY": SOCKS, "NO_PROXY": "192.168.0.0/16"}, "https://192.168.7.7", None),
        ({"ALL_PROXY": SOCKS, "NO_PROXY": "fd00::/8"}, "https://[fd00::7]", None),
        ({"ALL_PROXY": SOCKS, "NO_PROXY": "[fd00::7]:8443"}, "https://[fd00::7]:8443", None),
    ],
)
def test_the_setting_that_applies_to_a_url_counts(
    variables: Mapping[str, str], url: str, variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = find_proxy(httpx2.URL(url))
    assert (found and found.variable) == variable


@pytest.mark.parametrize("value", [SOCKS, "socks5://user:marked@127.0.0.1", "ftp://marked", "marked:port"])
def test_a_proxy_that_can_not_be_used_is_named_by_its_variable_alone(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it says may hold a password."""
    monkeypatch.setenv("ALL_PROXY", value)
    found = find_proxy(httpx2.URL(API))
    assert found
    assert value not in repr(found)
    with pytest.raises(ProxySettingError) as caught:
        found.open(ssl.create_default_context(), LIMITS)
    assert "The proxy that ALL_PROXY or " in explain(caught.value)
    assert "marked" not in explain(caught.value)


async def test_a_proxy_may_be_named_without_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    found = find_proxy(httpx2.URL(API))
    assert found
    await found.open(ssl.create_default_context(), LIMITS).aclose()

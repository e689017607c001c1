"""The origin policy of a process that listens: which hosts, which origins, and what their pages may read."""

from collections.abc import AsyncGenerator

import anyio
import pytest
from support.process import request
from support.served import Served, connection, serving_http

from runway_mcp.sandbox import SAMPLES
from runway_mcp.web.origin_policy import OriginPolicy

PAGE = "https://app.example.com"
ROUTES = (
    ("POST", "/mcp"),
    ("GET", "/mcp"),
    ("OPTIONS", "/mcp"),
    ("GET", f"/v1/tasks/{SAMPLES['running'].id}"),
    ("DELETE", f"/v1/tasks/{SAMPLES['running'].id}"),
    ("GET", "/openapi.json"),
    ("GET", "/healthz"),
    ("HEAD", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/.well-known/oauth-protected-resource/mcp"),
    ("PUT", "/nothing/here"),
)


@pytest.fixture(scope="module")
async def served() -> AsyncGenerator[Served]:
    """A process that is known under a name of its own, and to one web page."""
    names = ("--allowed-host", "mcp.example.com", "--allowed-origin", PAGE)
    async with serving_http(None, "--metrics", *names) as one:
        yield one
        await one.server.stop("SIGTERM")
        await one.server.ends_quietly(timeout=20)


@pytest.mark.parametrize(
    ("header", "status"), [(("Host", "evil.example"), 421), (("Origin", "http://evil.example"), 403)]
)
async def test_every_route_is_behind_the_policy(header: tuple[str, str], status: int, served: Served) -> None:
    for method, path in ROUTES:
        answer = await served.ask(method, path, header)
        assert answer.status_code == status
        assert method == "HEAD" or "Nothing was done" in answer.json()["error"]
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert {"server", "x-powered-by"}.isdisjoint(answer.headers)
    answer = await served.ask("GET", f"/v1/tasks/{SAMPLES['running'].id}")
    assert (answer.status_code, answer.json()["status"]) == (200, "RUNNING")


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
async def test_this_machines_names_pass(name: str, served: Served) -> None:
    for host in (name, f"{name}:{served.port}"):
        answer = await served.post(request(1, "tools/list"), Host=host, Origin=f"http://{host}")
        assert answer.status_code == 200
        assert {"server", "x-powered-by"}.isdisjoint(answer.headers)
        assert answer.headers["date"]


@pytest.mark.parametrize(
    "headers",
    [
        [("Host", "localhost"), ("Host", "localhost")],
        [("Host", "localhost"), ("Host", "evil.example")],
        [("Host", "localhost"), ("Origin", PAGE), ("Origin", PAGE)],
    ],
)
async def test_a_header_that_says_two_things_is_400(headers: list[tuple[str, str]], served: Served) -> None:
    """A proxy might have looked at the other one."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    async with connection(served.port) as (reader, writer):
        writer.write(f"GET /healthz HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode())
        with anyio.fail_after(5):
            assert (await reader.read()).startswith(b"HTTP/1.1 400")


async def test_a_body_of_two_lengths_is_400_and_the_last_request_of_its_connection(served: Served) -> None:
    lengths = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"
    async with connection(served.port) as (reader, writer):
        writer.write(f"POST /mcp HTTP/1.1\r\nHost: localhost\r\n{lengths}\r\n0\r\n\r\n".encode())
        with anyio.fail_after(5):
            answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"Nothing was done" in answer


async def test_a_page_that_is_allowed_reads_what_clients_need(served: Served) -> None:
    for answer in (
        await served.post(request(1, "tools/list"), Origin=PAGE),
        await served.ask("GET", "/nothing/here", ("Origin", PAGE)),
    ):
        assert answer.headers["access-control-allow-origin"] == PAGE
        exposed = answer.headers["access-control-expose-headers"]
        assert exposed == "WWW-Authenticate, Retry-After, X-Request-Id, Mcp-Session-Id"
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize("origin", ["http://localhost:6274", "https://mcp.example.com"])
async def test_a_page_that_is_not_named_gets_no_cors(origin: str, served: Served) -> None:
    """A page of this machine or of ours passes, but its browser lets it read only what its own host answers."""
    asked = ("Access-Control-Request-Method", "POST")
    for answer in (
        await served.ask("GET", "/healthz", ("Origin", origin)),
        await served.ask("OPTIONS", "/mcp", ("Origin", origin), asked),
    ):
        assert answer.status_code in {200, 405}
        assert not [name for name in answer.headers if name.startswith("access-control-")]


POLICY = OriginPolicy(
    ["mcp.example.com", "other.example:8443", "plain.example:443", "[2001:DB8::1]"],
    ["https://app.example.com", "http://dev.example:3000"],
    listens_on="192.0.2.7",
)


@pytest.mark.parametrize(
    ("host", "is_served"),
    [
        ("mcp.example.com", True),
        ("MCP.Example.com.", True),
        ("mcp.example.com:443", True),
        ("mcp.example.com:", False),
        ("mcp.example.com:x", False),
        ("mcp.example.com@evil.example", False),
        ("evil.example/mcp.example.com", False),
        ("mcp.example.com.evil.example", False),
        ("other.example:8443", True),
        ("other.example", False),
        ("other.example:443", False),
        ("plain.example", True),
        ("plain.example:443", True),
        ("plain.example:8443", False),
        ("[2001:db8:0::1]:9000", True),
        ("[2001:db8::2]", False),
        ("2001:db8::1", False),
        ("192.0.2.7:8000", True),
        ("LOCALHOST:1", True),
        ("localhost.", True),
        ("localhost.evil.example:80", False),
        ("127.0.0.1.evil.example", False),
        ("[0:0:0:0:0:0:0:1]", True),
        ("127.0.0.2", False),
        ("127.1", False),
        ("2130706433", False),
        ("[::ffff:127.0.0.1]", False),
        ("0.0.0.0", False),
        ("local host", False),
        ("loc\u00e4lhost", False),
        ("", False),
    ],
)
def test_hosts_are_compared_by_what_they_mean(host: str, *, is_served: bool) -> None:
    assert POLICY.serves(host) is is_served


@pytest.mark.parametrize(
    ("origin", "is_admitted", "is_shared"),
    [
        ("https://app.example.com", True, True),
        ("HTTPS://App.Example.com:443", True, True),
        ("http://app.example.com", False, False),
        ("https://app.example.com:8443", False, False),
        ("http://dev.example:3000", True, True),
        ("http://dev.example", False, False),
        ("https://mcp.example.com", True, False),
        ("http://mcp.example.com", False, False),
        ("https://other.example:8443", True, False),
        ("https://plain.example", True, False),
        ("http://localhost:6274", True, False),
        ("https://[::1]", True, False),
        ("http://192.0.2.7:8000", True, False),
        ("http://0.0.0.0:8000", False, False),
        ("null", False, False),
        ("https://localhost.evil.example", False, False),
        ("http://127.0.0.1.evil.example:80", False, False),
        ("", False, False),
        ("https://", False, False),
        ("file://", False, False),
        ("chrome-extension://abcdefgh", False, False),
        ("https://app.example.com/", False, False),
        ("https://app.example.com https://evil.example", False, False),
        ("https://user@app.example.com", False, False),
    ],
)
def test_origins_are_compared_by_what_they_mean(origin: str, *, is_admitted: bool, is_shared: bool) -> None:
    assert (POLICY.admits(origin), POLICY.shares_with(origin)) == (is_admitted, is_shared)


def test_a_server_on_every_address_is_not_asked_for_by_that_name() -> None:
    for every in ("0.0.0.0", "::"):
        policy = OriginPolicy(listens_on=every)
        assert not policy.serves(every if every != "::" else "[::]")
        assert policy.serves("localhost")

"""The server over streamable HTTP: a process of its own, a real socket, and clients good and bad."""

import json
import socket
from collections.abc import AsyncGenerator
from contextlib import suppress

import anyio
import httpx2
import pytest
from mcp import Client
from support.process import call, lines, request, running
from support.served import ERAS, Served, connection, serving_http
from support.upstream import HANG, TASK_ID, Upstream, upstream
from support.waiting import together

from runway_mcp.sandbox import SAMPLES


@pytest.fixture(scope="module")
async def sandboxed() -> AsyncGenerator[Served]:
    """One process for all that must leave it alive."""
    async with serving_http(None, "--log-level", "debug") as served:
        yield served


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_each_of_many_calls_at_once_gets_its_own_answer(mode: str, sandboxed: Served) -> None:
    names = ("succeeded_video", "succeeded_images", "cancelled", "failed_moderation")
    wanted = [SAMPLES[name].id for name in names] * 10
    found: dict[int, object] = {}

    async def read(number: int) -> None:
        result = await client.call_tool("runway_getTask", {"taskId": wanted[number]})
        found[number] = (result.structured_content or {})["id"]

    async with Client(sandboxed.url, mode=mode) as client:
        await together(read, range(len(wanted)))
    assert [found[number] for number in range(len(wanted))] == wanted


@pytest.mark.parametrize("path", ["/", "/mcpx", "/mcp/more", "/other", "//mcp", "/mcp%2fx", "/.env"])
async def test_a_foreign_path_is_404(path: str, sandboxed: Served) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        for method in ("GET", "POST"):
            answer = await http.request(method, f"http://127.0.0.1:{sandboxed.port}{path}")
            assert answer.status_code == 404


async def test_the_endpoint_takes_posts_with_a_slash_at_its_end_or_without(sandboxed: Served) -> None:
    """There is no session, so there is no stream to open, to resume or to close: 405."""
    async with Client(f"{sandboxed.url}/") as client:
        assert (await client.list_tools()).tools
    for path in ("/mcp", "/mcp/"):
        for method, header in (
            ("GET", ("Accept", "text/event-stream")),
            ("GET", ("Last-Event-ID", "1")),
            ("DELETE", ("Mcp-Session-Id", "1")),
        ):
            answer = await sandboxed.ask(method, path, header)
            assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


_LONE = rb'"\ud800"'
GARBAGE: dict[str, bytes] = {
    "nothing": b"",
    "bad JSON": b'{"jsonrpc":',
    "bytes that are not UTF-8": b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}',
    "a batch": b"[]",
    "null": b"null",
    "deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "a huge number": b'{"jsonrpc":"2.0","id":' + b"9" * 5_000 + b',"method":"ping"}',
    "a number that is none": b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}',
    "a surrogate as a method": b'{"jsonrpc":"2.0","id":1,"method":' + _LONE + b',"params":{}}',
    **{
        f"a surrogate as {what}": json.dumps(call("ID", "runway_getTask", TASK_ID)).encode().replace(what, _LONE)
        for what in (b'"ID"', b'"runway_getTask"', b'"taskId"', f'"{TASK_ID}"'.encode(), b'"test"')
    },
    "arguments that are none": json.dumps(request(1, "tools/call", name="runway_getTask", arguments=7)).encode(),
    "an id with a NUL": json.dumps(call(1, "runway_getTask", f"{TASK_ID}\0")).encode(),
}


HEADERS = [
    {"Content_Type": "text/plain"},
    {"Content_Type": "application/x-www-form-urlencoded"},
    {"Accept": "text/html"},
    {"MCP_Protocol_Version": "1999-01-01"},
    {"MCP_Protocol_Version": "\u00e9"},
    {"Mcp_Method": "tools/call"},
    {"Content_Encoding": "gzip"},
]


@pytest.mark.parametrize("era", ERAS)
async def test_garbage_is_answered_and_survived(era: str, sandboxed: Served) -> None:
    """It is no failure of the server."""

    async def check(case: tuple[bytes, dict[str, str]]) -> None:
        content, headers = case
        assert (await sandboxed.post(content, **{"MCP_Protocol_Version": era} | headers)).status_code < 500

    good = json.dumps(request(1, "tools/list")).encode()
    bodies: list[tuple[bytes, dict[str, str]]] = [(content, {}) for content in GARBAGE.values()]
    await together(check, [*bodies, *((good, headers) for headers in HEADERS)])
    await sandboxed.assert_alive()


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"\0" * 64, b"\r\n\r\n", b"GET /\xff HTTP/9.9\r\n\r\n"]
)
async def test_bytes_that_are_not_http_are_survived(data: bytes, sandboxed: Served) -> None:
    async with connection(sandboxed.port) as (reader, writer):
        writer.write(data + b"\r\n\r\n")
        refusal = b""
        with anyio.fail_after(10), suppress(ConnectionError):
            refusal = await reader.read()
    assert refusal == b"" or refusal.startswith(b"HTTP/1.1 400")
    await sandboxed.assert_alive()


@pytest.fixture(scope="module")
async def unanswered() -> AsyncGenerator[tuple[Upstream, Served]]:
    async with upstream([HANG]) as api, serving_http(api) as served:
        yield api, served


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("tool", ["runway_getTask", "runway_cancelTask", "runway_deleteTask"])
async def test_a_client_that_goes_away_cancels_its_call(
    tool: str, era: str, unanswered: tuple[Upstream, Served]
) -> None:
    api, served = unanswered
    before = api.count("GET")
    async with served.under_way(call(1, tool, TASK_ID), era):
        await api.asked("GET", times=before + 1)
    await api.left(timeout=1)
    assert (await served.post(request(1, "tools/list"))).status_code == 200
    assert api.count("DELETE") == 0


async def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        async with running("--sandbox", "--transport", "streamable-http", "--port", port, measured=True) as server:
            assert await server.ends(timeout=30) == 1
            assert len(lines(server.stderr)) == 1
            assert f"127.0.0.1:{port}" in server.stderr


async def test_no_subscription_is_announced_where_none_can_be_made(sandboxed: Served) -> None:
    """The revisions with a handshake would need a session for it; the newest one has a stream of its own."""
    handshake = {"protocolVersion": ERAS[1], "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": handshake}
    answer = await sandboxed.post(message, MCP_Protocol_Version=ERAS[1], Accept="application/json")
    resources = answer.json()["result"]["capabilities"]["resources"]
    assert "subscribe" not in resources
    discovered = await sandboxed.post(request(1, "server/discover"))
    assert discovered.json()["result"]["capabilities"]["resources"]["subscribe"] is True

"""The server as a process that listens on a port, and clients of it that are as bad as they like."""

import asyncio
import json
import secrets
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256

import anyio
import httpx2
from support.process import KEY, Message, Server, call, running
from support.upstream import Upstream

from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import SCOPES

NO_TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""What clients are made with that speak plain HTTP: loading a trust store for each takes 20 ms."""
ERAS = ("2026-07-28", "2025-11-25")


@asynccontextmanager
async def connection(port: int) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with anyio.move_on_after(1, shield=True), suppress(OSError):
            await writer.wait_closed()


@dataclass(frozen=True, slots=True)
class Served:
    server: Server
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    async def ask(self, method: str, path: str, *headers: tuple[str, str]) -> httpx2.Response:
        async with httpx2.AsyncClient(trust_env=False, timeout=10, verify=NO_TRUST) as http:
            return await http.request(method, f"http://127.0.0.1:{self.port}{path}", headers=headers)

    async def post(self, content: Message | bytes | AsyncIterator[bytes], **headers: str) -> httpx2.Response:
        """Send one request, with the headers of the newest protocol revision where none replaces them."""
        replaced = {name.replace("_", "-"): text for name, text in headers.items()}
        named = [(name.encode(), text.encode()) for name, text in (headers_of(content) | replaced).items()]
        body = json.dumps(content).encode() if isinstance(content, dict) else content
        async with httpx2.AsyncClient(trust_env=False, timeout=10, verify=NO_TRUST) as http:
            return await http.post(self.url, content=body, headers=named)

    @asynccontextmanager
    async def stream(
        self, message: Message, era: str = ERAS[0], **headers: str
    ) -> AsyncGenerator[asyncio.StreamReader]:
        """Send a request, and read its answer byte for byte; go away at the end."""
        body = json.dumps(message).encode()
        named = headers_of(message) | {"Host": "localhost", "MCP-Protocol-Version": era} | headers
        head = "".join(f"{name}: {text}\r\n" for name, text in named.items())
        async with connection(self.port) as (reader, writer):
            writer.write(f"POST /mcp HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
            yield reader

    @asynccontextmanager
    async def under_way(self, message: Message, era: str, **headers: str) -> AsyncGenerator[None]:
        """Send a request, leave its answer unread, and go away at the end."""
        async with self.stream(message, era, **headers):
            yield

    async def assert_alive(self) -> None:
        answer = await self.post(call("alive", "runway_getTask", SAMPLES["failed_moderation"].id))
        assert answer.json()["result"]["structuredContent"]["status"] == "FAILED"
        assert "Traceback" not in self.server.stderr


def headers_of(content: object) -> dict[str, str]:
    headers = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": ERAS[0],
    }
    match content:
        case {"method": str(method), "params": {"name": str(name)}}:
            return headers | {"Mcp-Method": method, "Mcp-Name": name}
        case {"method": str(method)}:
            return headers | {"Mcp-Method": method}
        case _:
            return headers | {"Mcp-Method": "tools/call", "Mcp-Name": "runway_getTask"}


def token_entry(token: str, name: str, *scopes: str, key: str = "") -> str:
    """An entry of a tokens file."""
    digest = sha256(token.encode()).hexdigest()
    listed = ", ".join(f'"{scope}"' for scope in scopes or SCOPES)
    own = f'runway_key_env = "{key}"\n' if key else ""
    return f'[[token]]\nname = "{name}"\nsha256 = "{digest}"\nscopes = [{listed}]\n{own}'


async def start_task(api: str, key: str = KEY) -> str:
    """Have the simulated API at this URL start a task; return its id."""
    body = {"model": "gen4.5", "promptText": "Waves", "ratio": "1280:720", "duration": 5}
    headers = {"Authorization": f"Bearer {key}", "X-Runway-Version": "2024-11-06"}
    async with httpx2.AsyncClient(headers=headers, trust_env=False, verify=NO_TRUST) as http:
        return str((await http.post(f"{api}/v1/text_to_video", json=body)).json()["id"])


def free_port() -> int:
    """A port that nobody listens on, and that no connection is given before it is listened on."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)  # below those that systems hand out
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@asynccontextmanager
async def serving_http(
    api: Upstream | None = None, *arguments: str, key: str = KEY, measured: bool = True
) -> AsyncGenerator[Served]:
    port = free_port()
    env = {"RUNWAYML_BASE_URL": api.url, "RUNWAYML_API_SECRET": key} if api else {"RUNWAY_MCP_SANDBOX": "true"}
    http = ("--transport", "streamable-http", "--port", str(port))
    async with running(*http, *arguments, env=env, measured=measured) as server:
        await server.logged("MCP over streamable HTTP at ")
        yield Served(server, port)

"""Replicas over one database, behind the proxy of `deploy/Caddyfile` or not: processes, and clients of them."""

import json
import ssl
import sys
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from subprocess import DEVNULL

import anyio
import httpx2
from deployment.databases import PASSWORD, Postgres
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from support.process import ENVIRONMENT, Server, running
from support.served import NO_TRUST, free_port
from support.waiting import until

from runway_mcp.sandbox import SAMPLES

BROKEN = SAMPLES["cancelled"].id
FAULT = f"GET /v1/tasks/{BROKEN} 503"
"""The API is unavailable for one task."""
CADDYFILE = Path(__file__).parents[2] / "deploy" / "Caddyfile"
DOMAIN = "mcp.localhost"
"""A name for which Caddy makes the certificate itself."""
KEY = "key_of_the_sandbox"


class ToThisMachine(httpx2.AsyncHTTPTransport):
    """The network, on which every name is this machine's."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.extensions["sni_hostname"] = request.url.host
        request.url = request.url.copy_with(host="127.0.0.1")
        return await super().handle_async_request(request)


@dataclass(slots=True)
class Replica:
    """A server process and the port that it keeps when it is started anew."""

    port: int
    server: Server

    def served(self, method: str) -> int:
        """How many requests of a method stand in its access log, answered with 200."""
        records = [json.loads(line) for line in self.server.stderr.splitlines()]
        return sum(record["message"] == method and record.get("status") == 200 for record in records)


class Deployment:
    """The simulated API, replicas over one database, and the proxy, each a process of its own."""

    def __init__(self, folder: Path, postgres: Postgres, *options: str, replicas: int = 2, speed: int = 3) -> None:
        self.folder = folder
        self._postgres, self._options, self._speed = postgres, options, speed
        self.token = ""
        self.replicas: list[Replica] = []
        self._ports = [free_port() for _ in range(replicas)]
        self.api = f"http://127.0.0.1:{free_port()}"
        self._proxy = free_port()
        self.url = f"https://{DOMAIN}:{self._proxy}"

    @property
    def log(self) -> Path:
        return self.folder / "caddy.log"

    @property
    def certificate(self) -> Path:
        return self.folder / "caddy/pki/authorities/local/root.crt"

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            self.token = await self._make_token()
            port = self.api.rpartition(":")[2]
            await stack.enter_async_context(
                running("sandbox", "--port", port, "--speed", str(self._speed), "--fault", FAULT)
            )
            for port in self._ports:
                self.replicas.append(Replica(port, await stack.enter_async_context(self.serving(port))))
            for replica in self.replicas:
                await replica.server.logged("MCP over streamable HTTP at ")
            yield

    @asynccontextmanager
    async def proxied(self) -> AsyncGenerator[None]:
        async with self._caddy():
            await self._reached()
            yield

    def serving(self, port: int) -> AbstractAsyncContextManager[Server]:
        """A replica, with the flags of `compose.yaml` as far as they fit this machine."""
        return running(
            *("--transport=streamable-http", f"--port={port}", "--auth=token", "--allow-shared-key"),
            *(f"--tokens-file={self.folder / 'tokens.toml'}", f"--allowed-host={DOMAIN}", "--trusted-proxy=127.0.0.1"),
            *("--log-format=json", "--log-level=info", "--metrics", "--poll-seconds=0.5"),
            *(f"--history={self._postgres.url}", *self._options),
            env={
                "RUNWAYML_BASE_URL": self.api,
                "RUNWAYML_API_SECRET": KEY,
                "PGPASSWORD": PASSWORD,
                # A state folder for each: what is shared is shared by the database.
                "RUNWAY_MCP_STATE_DIR": str(self.folder / str(port)),
            },
        )

    @asynccontextmanager
    async def http(self) -> AsyncGenerator[httpx2.AsyncClient]:
        """A client that comes through the proxy with the token, and trusts only the proxy's certificate."""
        trust = ssl.create_default_context(cafile=self.certificate)
        headers = {"Authorization": f"Bearer {self.token}"}
        async with httpx2.AsyncClient(
            transport=ToThisMachine(verify=trust, trust_env=False),
            base_url=self.url,
            headers=headers,
            trust_env=False,
            timeout=20,
        ) as http:
            yield http

    @asynccontextmanager
    async def client(self, mode: str = "auto") -> AsyncGenerator[Client]:
        async with (
            self.http() as http,
            Client(streamable_http_client(f"{self.url}/mcp", http_client=http), mode=mode) as client,
        ):
            yield client

    @asynccontextmanager
    async def direct(self, replica: Replica) -> AsyncGenerator[Client]:
        """A client of one replica, past the proxy."""
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"http://127.0.0.1:{replica.port}/mcp"
        limits = httpx2.Limits(max_connections=100)
        async with (
            httpx2.AsyncClient(headers=headers, trust_env=False, verify=NO_TRUST, timeout=60, limits=limits) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            yield client

    async def waiting(self) -> list[Replica]:
        """The replicas that have a wait under way, by their metrics."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with httpx2.AsyncClient(headers=headers, trust_env=False, verify=NO_TRUST, timeout=10) as http:
            pages = [(await http.get(f"http://127.0.0.1:{one.port}/metrics")).text for one in self.replicas]
        waits = "\nrunway_mcp_waits_in_progress 1.0"
        return [one for one, page in zip(self.replicas, pages, strict=True) if waits in page]

    async def _reached(self) -> None:
        await until(self.certificate.exists, "the proxy's certificate")
        async with self.http() as http:
            with anyio.fail_after(10):
                while True:
                    with suppress(httpx2.TransportError):
                        if (await http.get("/readyz")).status_code == HTTPStatus.OK:
                            return
                    await anyio.sleep(0.05)

    async def _make_token(self) -> str:
        made = await anyio.run_process([sys.executable, "-m", "runway_mcp", "token", "ci"], env=ENVIRONMENT)
        token, _, entry = made.stdout.decode().partition("\n")
        (self.folder / "tokens.toml").write_text(entry.partition("[[token]]")[1] + entry.partition("[[token]]")[2])
        return token

    @asynccontextmanager
    async def _caddy(self) -> AsyncGenerator[None]:
        with self.log.open("wb") as log:
            process = await anyio.open_process(
                ["caddy", "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=log,
                env={
                    "HOME": str(self.folder),
                    "XDG_DATA_HOME": str(self.folder),
                    "XDG_CONFIG_HOME": str(self.folder),
                    "DOMAIN": DOMAIN,
                    "UPSTREAMS": " ".join(f"127.0.0.1:{port}" for port in self._ports),
                    "HTTP_PORT": str(free_port()),
                    "HTTPS_PORT": str(self._proxy),
                    "PATH": ENVIRONMENT["PATH"],
                },
            )
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                process.kill()
                await process.aclose()

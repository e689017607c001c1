"""The whole of OAuth: the SDK's client, a server process of ours, and an authorization server, each on a socket."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl
from support.authority import CLIENT_ID, CLIENT_SECRET, RSA, AuthorizationServer, authority, consent
from support.process import KEY, call, request, running
from support.served import Served, free_port
from support.upstream import TASK_ID, Reply, Request, Upstream, reply, task, upstream
from support.waiting import together

from runway_mcp.web.auth.token_claims import LEEWAY_SECONDS

ALICES_KEY = "key_a11ce5ecre70123456789marked"


def runway(asked: Request) -> Reply:
    return reply(200, task("RUNNING")) if asked.method == "GET" else reply(204)


@dataclass
class World:
    """The authorization server, our server, and the Runway API behind it."""

    authority: AuthorizationServer
    served: Served
    api: Upstream


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[World]:
    """One of each for the module; alice has a Runway key of her own, and nobody else has any."""
    port = free_port()
    async with authority() as server, upstream(runway) as api:
        tenants = tmp_path_factory.mktemp("tenants") / "tenants.toml"
        tenants.write_text(
            f'[[tenant]]\nissuer = "{server.issuer}"\nsubject = "alice"\nrunway_key_env = "ALICE_KEY"\n', "utf-8"
        )
        arguments = {
            "--transport": "streamable-http",
            "--port": str(port),
            "--auth": "oauth",
            "--oauth-issuer": server.issuer,
            "--oauth-audience": f"http://127.0.0.1:{port}/mcp",
            "--oauth-introspection-url": server.introspection,
            "--oauth-client-id": CLIENT_ID,
            "--tenants-file": str(tenants),
            "--log-level": "debug",
            "--poll-seconds": "0.05",
        }
        env = {
            "RUNWAYML_BASE_URL": api.url,
            "RUNWAYML_API_SECRET": KEY,
            "ALICE_KEY": ALICES_KEY,
            "RUNWAY_MCP_OAUTH_CLIENT_SECRET": CLIENT_SECRET,
        }
        async with running(*(word for pair in arguments.items() for word in pair), env=env, measured=True) as process:
            await process.logged("MCP over streamable HTTP at ")
            yield World(server, Served(process, port), api)
            await process.stop("SIGTERM")
            await process.ends_quietly(timeout=20)


@pytest.fixture(autouse=True)
def _anew(world: World) -> None:
    world.authority.begin_anew()
    world.api.requests.clear()


class Keychain:
    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.issued: list[str] = []
        self._client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens
        self.issued.append(tokens.access_token)

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._client = client_info


@asynccontextmanager
async def dancing(world: World, mode: str = "auto") -> AsyncGenerator[tuple[Client, Keychain]]:
    """A client that knows nothing but our URL, and finds out all else."""
    keychain = Keychain()
    back: list[httpx2.URL] = []

    async def go(url: str) -> None:
        back.append(await consent(url))

    async def come_back() -> AuthorizationCodeResult:
        parameters = back.pop().params
        return AuthorizationCodeResult(code=parameters["code"], state=parameters["state"])

    metadata = OAuthClientMetadata(redirect_uris=[AnyUrl("http://127.0.0.1:3030/callback")], client_name="test")
    oauth = OAuthClientProvider(world.served.url, metadata, keychain, go, come_back)
    async with (
        httpx2.AsyncClient(auth=oauth, trust_env=False, timeout=20) as http,
        Client(streamable_http_client(world.served.url, http_client=http), mode=mode) as client,
    ):
        with anyio.fail_after(20):
            yield client, keychain


def assert_only_her_key_was_sent(world: World, *tokens: str) -> None:
    assert world.api.requests
    for asked in world.api.requests:
        assert asked.headers["authorization"] == f"Bearer {ALICES_KEY}"
        for value in asked.headers.values():
            assert not any(token in value for token in tokens)


@pytest.mark.parametrize("opaque", [False, True], ids=["jwt", "opaque"])
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_that_knows_only_the_url_gets_to_its_task(world: World, mode: str, opaque: bool) -> None:
    world.authority.issues_opaque = opaque
    async with dancing(world, mode) as (client, keychain):
        result = await client.call_tool("runway_getTask", {"taskId": TASK_ID})
        assert (result.structured_content or {})["status"] == "RUNNING"
    [token] = keychain.issued
    for step in ("/.well-known/oauth-authorization-server", "/register", "/authorize", "/token"):
        assert step in world.authority.asked
    assert (world.authority.count("/introspect") > 0) == opaque
    assert_only_her_key_was_sent(world, token)


async def test_a_client_whose_token_lacks_a_scope_steps_up(world: World) -> None:
    world.authority.users.allowed = {"runway:read"}
    async with dancing(world) as (client, keychain):
        await client.call_tool("runway_getTask", {"taskId": TASK_ID})
        assert [asked.method for asked in world.api.requests] == ["GET"]
        world.authority.users.allowed = {"runway:read", "runway:write"}
        result = await client.call_tool("runway_cancelTask", {"taskId": TASK_ID})
        assert not result.is_error
        assert "DELETE" in [asked.method for asked in world.api.requests]
        assert len(keychain.issued) == 2
        assert keychain.tokens is not None
        assert set((keychain.tokens.scope or "").split()) == {"runway:read", "runway:write"}
    assert_only_her_key_was_sent(world, *keychain.issued)


async def ask(world: World, tool: str, token: str) -> httpx2.Response:
    return await world.served.post(call(1, tool, TASK_ID), Authorization=f"Bearer {token}")


async def test_a_token_of_the_same_issuer_for_another_server_is_refused(world: World) -> None:
    tokens = [
        world.authority.token(aud="https://other.example/mcp"),
        world.authority.opaque(aud="https://other.example/mcp"),
        world.authority.token(aud=world.served.url, exp=1),
        "unknown",
    ]
    for token in tokens:
        answer = await ask(world, "runway_getTask", token)
        assert answer.status_code == 401
        origin = world.served.url.removesuffix("/mcp")
        metadata = f'resource_metadata="{origin}/.well-known/oauth-protected-resource/mcp"'
        assert metadata in answer.headers["WWW-Authenticate"]
    assert world.api.requests == []


async def test_a_stranger_to_runway_is_not_served_with_anybodys_key(world: World) -> None:
    answer = await ask(world, "runway_getTask", world.authority.token(aud=world.served.url, sub="bob"))
    assert answer.status_code == 200
    assert "no Runway API key for the caller of this access token" in answer.text
    assert world.api.requests == []


async def test_a_token_that_expires_ends_its_streams_and_waits(world: World) -> None:
    """A JWT's clock may differ by half a minute; an opaque token ends when the authorization server says so."""
    now = time.time()
    tokens = {
        "jwt": world.authority.token(aud=world.served.url, exp=int(now) - LEEWAY_SECONDS + 4),
        "opaque": world.authority.opaque(aud=world.served.url, exp=now + 3),
    }

    async def check(kind: str) -> None:
        shown = {"Authorization": f"Bearer {tokens[kind]}", "Connection": "close"}
        listen = request(1, "subscriptions/listen", notifications={"toolsListChanged": True})
        async with (
            world.served.stream(listen, **shown) as listening,
            world.served.stream(call(2, "runway_waitForTask", TASK_ID), **shown) as waiting,
        ):
            await listening.readuntil(b"acknowledged")
            with anyio.fail_after(20):
                listened, waited = await listening.read(), await waiting.read()
        assert listened.endswith(b"0\r\n\r\n")
        assert b'"status":"RUNNING"' in waited
        assert (await ask(world, "runway_getTask", tokens[kind])).status_code == 401

    await together(check, tokens)


async def test_no_secret_is_logged(world: World) -> None:
    token = world.authority.token(aud=world.served.url)
    opaque = world.authority.opaque(aud=world.served.url)
    for one in (token, opaque):
        assert (await ask(world, "runway_getTask", one)).status_code == 200
    said = world.served.server.stderr
    assert "Traceback" not in said
    private = str(RSA.as_dict(private=True)["d"])
    for secret in (token, token.split(".")[2], opaque, KEY, ALICES_KEY, CLIENT_SECRET, private):
        assert secret not in said

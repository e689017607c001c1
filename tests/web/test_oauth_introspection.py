"""Tokens that only the authorization server can read, looked up at a real one on a socket."""

import logging
import time
from typing import Any

import anyio
import pytest
from pydantic import SecretStr
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse
from support.authority import CLIENT_ID, CLIENT_SECRET, AuthorizationServer
from support.waiting import Clock, together, until

from runway_mcp.api.connection import trust
from runway_mcp.tasks.callers import READ, SCOPES
from runway_mcp.web.auth import VerifierUnavailableError
from runway_mcp.web.auth.introspection import (
    BACKOFF_SECONDS,
    MAX_CONCURRENT,
    MAX_SECONDS,
    REFUSAL_SECONDS,
    Introspection,
)
from runway_mcp.web.auth.jwks import Jwks
from runway_mcp.web.auth.oauth import OAuthVerifier
from runway_mcp.web.auth.oidc_discovery import OidcDiscovery
from runway_mcp.web.auth.token_claims import audience_spellings

US = "https://mcp.example/mcp"


def introspection_of(
    server: AuthorizationServer, clock: Clock | None = None, secret: str = CLIENT_SECRET, max_cached: int = 100
) -> Introspection:
    return Introspection(
        OidcDiscovery(server.issuer, trust=lambda: trust(None), seconds=60),
        server.introspection,
        audience_spellings(US),
        client_id=CLIENT_ID,
        client_secret=SecretStr(secret),
        max_cached=max_cached,
        clock=clock or Clock(),
    )


async def test_an_opaque_token_for_us_says_who_calls(server: AuthorizationServer) -> None:
    """As a signed one does; of those, none is ever looked up."""
    verifier = OAuthVerifier(
        server.issuer,
        audience_spellings(US),
        jwks=Jwks(OidcDiscovery(server.issuer, trust=lambda: trust(None))),
        key_of=lambda _issuer, _subject: None,
        introspection=introspection_of(server),
    )
    found = await verifier.verify_token(server.opaque(aud=[US], scope=f"{READ} openid"))
    assert found is not None
    assert (found.caller.subject, found.caller.issuer) == ("alice", server.issuer)
    assert found.caller.scopes == {READ}
    assert await verifier.verify_token("unknown") is None
    asked = server.count("/introspect")
    assert await verifier.verify_token(server.token(aud=US))
    assert await verifier.verify_token(server.token(aud="https://other.example")) is None
    assert server.count("/introspect") == asked == 2


async def test_what_the_server_says_must_fit(server: AuthorizationServer) -> None:
    now = int(time.time())
    looked_up = introspection_of(server)
    fine: list[dict[str, Any]] = [{"iss": None}, {"exp": None}, {"nbf": now + 10}, {"aud": US + "/"}]
    for good in fine:
        assert await looked_up.claims(server.opaque(**{"aud": US} | good))
    bad: list[dict[str, Any]] = [
        {"active": False},
        {"aud": None},
        {"aud": []},
        {"aud": "https://other.example/mcp"},
        {"iss": "https://other.example"},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"scope": 7},
        {"exp": now - 1},
        {"exp": 0},
        {"nbf": now + 120},
    ]

    async def refused(claims: dict[str, Any]) -> None:
        assert await looked_up.claims(server.opaque(**{"aud": US} | claims)) is None

    await together(refused, bad)


async def test_an_answer_counts_for_a_minute_at_most(server: AuthorizationServer) -> None:
    """A token that is withdrawn stops counting then; one that never held is soon asked about again."""
    clock = Clock()
    looked_up = introspection_of(server, clock)
    token = server.opaque(aud=US)
    for _ in range(3):
        claims = await looked_up.claims(token)
        assert claims is not None
        assert (claims.sub, claims.scopes) == ("alice", set(SCOPES))
    assert server.count("/introspect") == 1
    server.introspected[token]["active"] = False
    clock.now += MAX_SECONDS
    for _ in range(3):
        assert await looked_up.claims(token) is None
    assert server.count("/introspect") == 2
    server.introspected[token]["active"] = True
    clock.now += REFUSAL_SECONDS
    assert await looked_up.claims(token)


async def test_an_answer_counts_no_longer_than_the_token(server: AuthorizationServer) -> None:
    clock = Clock()
    looked_up = introspection_of(server, clock)
    token = server.opaque(aud=US, exp=time.time() + 20)
    assert await looked_up.claims(token)
    clock.now += 20
    server.introspected[token]["exp"] = time.time() - 1
    assert await looked_up.claims(token) is None
    assert server.count("/introspect") == 2


async def test_calls_with_one_token_share_one_look(server: AuthorizationServer) -> None:
    looked_up = introspection_of(server)
    token = server.opaque(aud=US)
    server.replies["/introspect"] = answer = anyio.Event()
    async with anyio.create_task_group() as others:
        async with anyio.create_task_group() as first:
            first.start_soon(looked_up.claims, token)
            await until(lambda: server.count("/introspect") == 1, "the first look")
            for _ in range(20):
                others.start_soon(looked_up.claims, token)
            first.cancel_scope.cancel()
        await until(lambda: server.count("/introspect") == 2, "the second look")
        answer.set()
    assert server.count("/introspect") == 2


async def test_many_unknown_tokens_do_not_flood_the_server(server: AuthorizationServer) -> None:
    looked_up = introspection_of(server)
    server.replies["/introspect"] = answer = anyio.Event()
    async with anyio.create_task_group() as calls:
        for number in range(MAX_CONCURRENT * 2):
            calls.start_soon(looked_up.claims, f"unknown{number}")
        await until(lambda: server.count("/introspect") == MAX_CONCURRENT, "the looks")
        await anyio.wait_all_tasks_blocked()
        assert server.count("/introspect") == MAX_CONCURRENT
        answer.set()
    assert server.count("/introspect") == MAX_CONCURRENT * 2


async def test_only_so_many_answers_are_kept(server: AuthorizationServer) -> None:
    looked_up = introspection_of(server, max_cached=2)
    for token in ("one", "two", "three", "two", "three", "one"):
        assert await looked_up.claims(token) is None
    assert server.count("/introspect") == 4


@pytest.mark.parametrize(
    "reply",
    [
        PlainTextResponse("down", 503),
        PlainTextResponse("no JSON"),
        JSONResponse({"active": "true"}),
        JSONResponse({}),
        PlainTextResponse('{"active": true, "exp": NaN}'),
        RedirectResponse("/elsewhere"),
    ],
)
async def test_while_the_server_fails_nobody_new_is_let_in(server: AuthorizationServer, reply: Any) -> None:
    """It is left alone for a few seconds, whatever token is shown; a token whose answer is cached goes on."""
    clock = Clock()
    looked_up = introspection_of(server, clock)
    known, token = server.opaque(aud=US), server.opaque(aud=US)
    assert await looked_up.claims(known)
    server.replies["/introspect"] = reply
    for one in (token, token, "another", "a third"):
        with pytest.raises(VerifierUnavailableError):
            await looked_up.claims(one)
    assert server.count("/introspect") == 2
    assert await looked_up.claims(known)
    del server.replies["/introspect"]
    clock.now += BACKOFF_SECONDS
    assert await looked_up.claims(token)


@pytest.mark.parametrize("status", [400, 413])
async def test_a_token_that_the_server_rejects_locks_nobody_else_out(server: AuthorizationServer, status: int) -> None:
    looked_up = introspection_of(server)
    server.replies["/introspect"] = PlainTextResponse("bad token", status)
    assert await looked_up.claims("odd") is None
    assert await looked_up.claims("odd") is None
    del server.replies["/introspect"]
    assert await looked_up.claims(server.opaque(aud=US))
    assert server.count("/introspect") == 2


async def test_no_token_or_secret_is_shown(server: AuthorizationServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    looked_up = introspection_of(server, secret="wrong-5ecre7-marked")
    token = server.opaque(aud=US)
    with pytest.raises(VerifierUnavailableError) as raised:
        await looked_up.claims(token)
    assert f"{server.introspection} answered 401" in caplog.text
    shown = caplog.text + str(raised.value) + repr(vars(looked_up))
    assert token not in shown
    assert "5ecre7" not in shown

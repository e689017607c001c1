"""Signed access tokens, against the keys of a real authorization server on a socket."""

import base64
import hmac
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import RSAKey
from pydantic import SecretStr
from starlette.responses import JSONResponse, PlainTextResponse
from support.authority import EC, ED, OTHER_RSA, RSA, AuthorizationServer
from support.waiting import Clock, together, until

from runway_mcp.api.connection import trust
from runway_mcp.tasks.callers import READ, SCOPES, WRITE, Caller
from runway_mcp.web.auth import VerifierUnavailableError
from runway_mcp.web.auth.jwks import FRESH_SECONDS, REFRESH_SECONDS, RETRY_SECONDS, STALE_SECONDS, Jwks
from runway_mcp.web.auth.oauth import MAX_TOKEN, OAuthVerifier
from runway_mcp.web.auth.oidc_discovery import MAX_REPLY, OidcDiscovery, OidcDiscoveryError
from runway_mcp.web.auth.token_claims import audience_spellings

US = "https://mcp.example/mcp"
KEY = SecretStr("key_of_alice")


def verifier_of(server: AuthorizationServer, clock: Clock | None = None, audience: str = US) -> OAuthVerifier:
    keys = {(server.issuer, "alice"): KEY}
    jwks = Jwks(OidcDiscovery(server.issuer, trust=lambda: trust(None)), clock=clock or Clock())

    def key_of(issuer: str, subject: str) -> SecretStr | None:
        return keys.get((issuer, subject))

    return OAuthVerifier(server.issuer, audience_spellings(audience), jwks=jwks, key_of=key_of)


async def caller(verifier: OAuthVerifier, token: str) -> Caller | None:
    found = await verifier.verify_token(token)
    return found.caller if found else None


@pytest.mark.parametrize(("key", "alg"), [(RSA, "RS256"), (RSA, "PS512"), (EC, "ES256")])
async def test_a_token_for_us_says_who_calls(server: AuthorizationServer, key: Any, alg: str) -> None:
    for subject, own in (("alice", KEY), ("mallory", None)):
        found = await caller(verifier_of(server), server.token(key=key, alg=alg, aud=US, sub=subject))
        assert found == Caller(subject, issuer=server.issuer, scopes=frozenset(SCOPES), key=own)


async def test_scopes_come_from_either_claim_and_only_ours_count(server: AuthorizationServer) -> None:
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({"scope": f"openid {READ} admin"}, {READ}),
        ({"scope": None, "scp": [WRITE, "files"]}, {WRITE}),
        ({"scope": None, "scp": f"{READ} {WRITE}"}, {READ, WRITE}),
        ({"scope": None}, set()),
        ({"scope": "runway:*"}, set()),
    ]
    verifier = verifier_of(server)
    for claims, scopes in cases:
        found = await caller(verifier, server.token(aud=US, **claims))
        assert found is not None
        assert found.scopes == scopes


async def test_the_audience_may_be_one_of_several_and_end_with_a_slash(server: AuthorizationServer) -> None:
    """Clients name the resource as URLs are normalised, which is not always as the operator wrote it."""
    verifier = verifier_of(server)
    for good in (US, [US, "https://other.example"], US + "/"):
        assert await caller(verifier, server.token(aud=good))
    bare = verifier_of(server, audience="https://MCP.example")
    for good in ("https://mcp.example/", "https://mcp.example", "https://MCP.example"):
        assert await caller(bare, server.token(aud=good))


def by_hand(server: AuthorizationServer, sign: Callable[[bytes], bytes], header: dict[str, object]) -> str:
    """A token that no library would make."""
    parts = [json.dumps(part).encode() for part in ({"kid": "rsa"} | header, server.claims(aud=US))]
    signed = b".".join(_base64(part) for part in parts)
    return (signed + b"." + _base64(sign(signed))).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def hs256(secret: bytes) -> Callable[[bytes], bytes]:
    """A signature with a secret that everyone can know."""
    return lambda signed: hmac.digest(secret, signed, "sha256")


async def test_edwards_curves_verify_too(server: AuthorizationServer) -> None:
    """By the name that most issuers still use for them."""
    private = ED.private_key
    assert isinstance(private, Ed25519PrivateKey)
    token = by_hand(server, private.sign, {"alg": "EdDSA", "kid": "ed"})
    assert await caller(verifier_of(server), token)


def rs256(key: RSAKey) -> Callable[[bytes], bytes]:
    private = key.private_key
    assert private is not None
    return lambda signed: private.sign(signed, PKCS1v15(), SHA256())


async def test_what_does_not_hold_is_refused(server: AuthorizationServer) -> None:
    now = int(time.time())
    good = server.token(aud=US)
    head, body, signature = good.split(".")
    cases: dict[str, str] = {
        "no audience": server.token(),
        "another audience": server.token(aud="https://other.example/mcp"),
        "a longer audience": server.token(aud=US + "/more"),
        "an audience that is no text": server.token(aud=[1]),
        "another issuer": server.token(aud=US, iss="https://other.example"),
        "the issuer with a slash": server.token(aud=US, iss=server.issuer + "/"),
        "no issuer": server.token(aud=US, iss=None),
        "expired": server.token(aud=US, exp=now - 60),
        "never expires": server.token(aud=US, exp=None),
        "expires at nought": server.token(aud=US, exp=0),
        "not yet valid": server.token(aud=US, nbf=now + 120),
        "not yet issued": server.token(aud=US, iat=now + 120),
        "no subject": server.token(aud=US, sub=None),
        "an empty subject": server.token(aud=US, sub=""),
        "an endless subject": server.token(aud=US, sub="x" * 256),
        "a subject that is no text": server.token(aud=US, sub=7),
        "scopes that are no text": server.token(aud=US, scope=[READ]),
        "algorithm none": by_hand(server, lambda _: b"", {"alg": "none"}),
        "no algorithm": by_hand(server, lambda _: b"", {}),
        "HS256 by the public key": by_hand(server, hs256(RSA.as_pem(private=False)), {"alg": "HS256"}),
        "HS256 by the modulus": by_hand(server, hs256(str(RSA.as_dict(private=False)["n"]).encode()), {"alg": "HS256"}),
        "an unknown key": server.token(aud=US, header={"kid": "unknown"}),
        "no key id": server.token(aud=US, header={"kid": None}),
        "an impostor's key": server.token(aud=US, key=OTHER_RSA),
        "the signature of another": ".".join([head, body, server.token(aud=US, sub="bob").split(".")[2]]),
        "the claims of another": ".".join([head, server.token(aud=US, sub="bob").split(".")[1], signature]),
        "no signature": f"{head}.{body}.",
        "an id token's kind": server.token(aud=US, header={"typ": "logout+jwt"}),
        "a kind that is no text": by_hand(server, rs256(RSA), {"alg": "RS256", "typ": 7}),
        "an unknown extension": by_hand(server, rs256(RSA), {"alg": "RS256", "crit": ["exp2"], "exp2": 1}),
        "a key of the wrong curve": server.token(aud=US, key=EC, header={"kid": "rsa"}, alg="ES256"),
        "opaque": "opaque",
        "empty": "",
        "spaces": f" {good}",
        "not ASCII": "é" * 40,
        "enormous": server.token(aud=US, more="x" * 100_000),
        "a little too long": "x" * (MAX_TOKEN + 1),
    }
    verifier = verifier_of(server)
    assert await caller(verifier, good)
    assert await caller(verifier, by_hand(server, rs256(RSA), {"alg": "RS256"}))
    assert await caller(verifier, server.token(aud=US, exp=now - 10)), "clocks may differ a little"
    assert await caller(verifier, server.token(aud=US, nbf=now + 10, iat=now + 10))

    async def refused(case: str) -> None:
        assert await caller(verifier, cases[case]) is None

    await together(refused, cases)


async def test_a_token_chooses_no_key_of_its_own(server: AuthorizationServer) -> None:
    mine = RSAKey.generate_key(2048, {"kid": "rsa"})
    verifier = verifier_of(server)
    for header in (
        {"jku": f"{server.issuer}/mine"},
        {"x5u": f"{server.issuer}/mine"},
        {"jwk": mine.as_dict(private=False)},
    ):
        assert await caller(verifier, server.token(aud=US, key=mine, header=header)) is None
    assert server.count("/mine") == 0


async def test_only_keys_that_are_there_to_verify_with_are_used(server: AuthorizationServer) -> None:
    public = RSA.as_dict(private=False)
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that it is too short is the point
    modulus = _base64(short.public_key().public_numbers().n.to_bytes(128)).decode()
    server.keys = [
        public | {"kid": "enc", "use": "enc"},
        public | {"kid": "other", "alg": "RS512"},
        public | {"kid": "odd", "alg": "HS256"},
        public | {"kid": "ops", "key_ops": ["encrypt"]},
        public | {"kid": "broken", "n": "!"},
        public | {"kid": "curved", "crv": "P-256"},
        {"kid": "half", "kty": "RSA"},
        {"kid": "secret", "kty": "oct", "k": "c2VjcmV0"},
        {"kid": 7},
        "text",
        {"kid": "short", "kty": "RSA", "e": "AQAB", "n": modulus},
        public | {"kid": "good", "use": "sig", "alg": "RS256", "key_ops": ["verify"]},
        RSA.as_dict(private=True),  # the issuer's mistake: it is used as public
    ]
    verifier = verifier_of(server)
    for kid in ("good", "rsa"):
        assert await caller(verifier, server.token(aud=US, header={"kid": kid}))
    for kid in ("enc", "other", "odd", "ops", "broken", "curved", "half", "secret"):
        assert await caller(verifier, server.token(aud=US, header={"kid": kid})) is None
    by_short = by_hand(server, lambda data: short.sign(data, PKCS1v15(), SHA256()), {"kid": "short", "alg": "RS256"})
    assert await caller(verifier, by_short) is None


async def test_keys_are_fetched_once_and_again_for_an_unknown_id_once_a_minute(server: AuthorizationServer) -> None:
    """A key that was rotated in is found; asking for others in plenty costs the server nothing."""
    clock = Clock()
    verifier = verifier_of(server, clock)
    new = RSAKey.generate_key(2048, {"kid": "new"})

    async def good(_: int) -> None:
        assert await caller(verifier, server.token(aud=US))

    await together(good, range(20))
    assert server.count("/jwks") == 1
    server.keys.append(new.as_dict(private=False))
    for _ in range(5):
        assert await caller(verifier, server.token(aud=US, key=new)) is None
    assert server.count("/jwks") == 1
    clock.now += REFRESH_SECONDS
    assert await caller(verifier, server.token(aud=US, key=new))
    for number in range(5):
        assert await caller(verifier, server.token(aud=US, header={"kid": f"unknown {number}"})) is None
    assert server.count("/jwks") == 2
    server.keys = []
    clock.now += FRESH_SECONDS + 1
    assert await caller(verifier, server.token(aud=US)) is None, "a withdrawn key counts no more"


async def test_while_the_issuer_is_down_known_keys_go_on_counting(
    server: AuthorizationServer, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    verifier = verifier_of(server, clock)
    token = server.token(aud=US)
    assert await caller(verifier, token)
    server.replies["/jwks"] = PlainTextResponse("down", 500)
    for _ in range(3):
        clock.now += FRESH_SECONDS / 2
        assert await caller(verifier, token)
    with pytest.raises(VerifierUnavailableError, match="can't be reached"):
        await caller(verifier, server.token(aud=US, header={"kid": "unknown"}))
    assert [record.getMessage() for record in caplog.records] == [
        f"The keys of {server.issuer} could not be fetched: {server.issuer}/jwks answered 500"
    ]
    clock.now += STALE_SECONDS
    with pytest.raises(VerifierUnavailableError):
        await caller(verifier, token)
    del server.replies["/jwks"]
    clock.now += REFRESH_SECONDS
    assert await caller(verifier, token)


async def test_a_renewal_keeps_nobody_waiting_whose_key_is_known(server: AuthorizationServer) -> None:
    clock = Clock()
    verifier = verifier_of(server, clock)
    token = server.token(aud=US)
    assert await caller(verifier, token)
    server.replies["/jwks"] = answer = anyio.Event()
    clock.now += FRESH_SECONDS + 1
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(caller, verifier, token)
        await until(lambda: server.count("/jwks") == 2, "the renewal")
        with anyio.fail_after(2):
            assert await caller(verifier, token)
        tasks.cancel_scope.cancel()
    answer.set()
    assert await caller(verifier, token)
    assert server.count("/jwks") == 3


@pytest.mark.parametrize(
    ("path", "reply"),
    [
        ("/.well-known/oauth-authorization-server", PlainTextResponse("down", 503)),
        ("/.well-known/oauth-authorization-server", PlainTextResponse("no JSON")),
        ("/.well-known/oauth-authorization-server", JSONResponse({"issuer": 7})),
        ("/jwks", PlainTextResponse("down", 503)),
        ("/jwks", PlainTextResponse("[" * 100_000)),
        ("/jwks", JSONResponse({"keys": "none"})),
        ("/jwks", JSONResponse({"keys": [], "more": "x" * MAX_REPLY})),
    ],
)
async def test_without_keys_no_token_is_let_in(server: AuthorizationServer, path: str, reply: Any) -> None:
    """It can't be told whether a token holds: neither an open door, nor a lasting refusal."""
    clock = Clock()
    server.replies[path] = reply
    verifier = verifier_of(server, clock)
    for _ in range(2):
        with pytest.raises(VerifierUnavailableError):
            await caller(verifier, server.token(aud=US))
    assert server.count(path) == 1
    del server.replies[path]
    clock.now += RETRY_SECONDS
    assert await caller(verifier, server.token(aud=US))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("issuer", "https://other.example"),
        *(("jwks_uri", url) for url in ("http://other.example/jwks", "http://[/", "file:///etc/passwd", None, "/jwks")),
        ("jwks_uri", "{issuer}/elsewhere"),
    ],
)
async def test_metadata_that_is_not_the_issuers_not_safe_or_redirected_is_not_used(
    server: AuthorizationServer, name: str, value: str | None
) -> None:
    server.metadata = {name: value and value.replace("{issuer}", server.issuer)}
    with pytest.raises(VerifierUnavailableError):
        await caller(verifier_of(server), server.token(aud=US))
    assert server.count("/jwks") == 0


async def test_metadata_is_looked_for_where_each_standard_puts_it(server: AuthorizationServer) -> None:
    """RFC 8414 with the issuer's path at the end, then OpenID Connect Discovery, both ways."""
    issuer = f"{server.issuer}/realms/one/"
    found = JSONResponse({"issuer": issuer, "jwks_uri": f"{server.issuer}/jwks"})
    server.replies["/realms/one/.well-known/openid-configuration"] = found
    assert await OidcDiscovery(issuer, trust=lambda: trust(None)).key_set() == server.keys
    assert server.asked == [
        "/.well-known/oauth-authorization-server/realms/one",
        "/.well-known/openid-configuration/realms/one",
        "/realms/one/.well-known/openid-configuration",
        "/jwks",
    ]


async def test_an_issuer_that_never_answers_is_given_up(server: AuthorizationServer) -> None:
    server.replies["/.well-known/oauth-authorization-server"] = PlainTextResponse("none", 404)
    server.replies["/.well-known/openid-configuration"] = never = anyio.Event()
    with pytest.raises(OidcDiscoveryError, match="did not answer in time"):
        await OidcDiscovery(server.issuer, trust=lambda: trust(None), seconds=0.2).key_set()
    never.set()


async def test_an_issuer_that_cannot_be_reached_is_named_with_the_reason() -> None:
    nobody = OidcDiscovery("http://127.0.0.1:1", trust=lambda: trust(None))
    with pytest.raises(OidcDiscoveryError, match=r"127\.0\.0\.1:1/.* was not reached \(ConnectError\)"):
        await nobody.key_set()

    def no_store() -> Any:
        raise FileNotFoundError

    with pytest.raises(OidcDiscoveryError, match=r"was not reached \(FileNotFoundError\)"):
        await OidcDiscovery("https://127.0.0.1:1", trust=no_store).key_set()
    encrypted = OidcDiscovery("https://127.0.0.1:1", trust=lambda: trust(None))
    for _ in range(2):
        with pytest.raises(OidcDiscoveryError, match="ConnectError"):
            await encrypted.key_set()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=80), place=st.integers(0, 400))
async def test_no_garbled_token_is_more_than_refused(server: AuthorizationServer, text: str, place: int) -> None:
    good = server.token(aud=US, header={"kid": None})
    verifier = verifier_of(server)
    assert await caller(verifier, text) is None
    assert await caller(verifier, good[:place] + text + good[place + 1 :]) is None


async def test_no_token_or_key_is_shown(server: AuthorizationServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    verifier = verifier_of(server)
    token, expired = server.token(aud=US), server.token(aud=US, exp=1)
    found = await verifier.verify_token(token)
    assert await verifier.verify_token(expired) is None
    assert found is not None
    assert (found.token, found.subject) == ("", "alice")
    shown = caplog.text + repr(found) + str(found) + found.model_dump_json() + repr(found.caller) + repr(vars(verifier))
    assert "ExpiredSignatureError" in caplog.text
    for secret in (*token.split("."), *expired.split("."), KEY.get_secret_value()):
        assert secret not in shown

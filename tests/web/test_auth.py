"""Access tokens at the door: none, several, refused, unverifiable; and what clients are told to do about it."""

from collections.abc import AsyncGenerator

import anyio
import httpx2
import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send
from support.faulty import FaultyWire, faulty_client
from support.process import call
from support.served import headers_of
from support.serving import Names, served

from runway_mcp.mcp_server.server import build_server
from runway_mcp.observability.request_record import SCOPE_KEY, RequestRecord
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import ANONYMOUS, READ, WRITE, CallerRegistry
from runway_mcp.web.app import build_app
from runway_mcp.web.auth import (
    Authenticated,
    Authentication,
    CallerToken,
    ScopeChallengeMiddleware,
    VerifierUnavailableError,
)
from runway_mcp.web.auth.bearer import MAX_CONCURRENT
from runway_mcp.web.auth.token_watch import TokenWatch
from runway_mcp.web.origin_policy import OriginPolicy

RUNNING = SAMPLES["running"].id
ISSUER = "https://id.example"
US = "https://mcp.example/mcp"
METADATA = "https://mcp.example/.well-known/oauth-protected-resource/mcp"


class Verifier(Names):
    async def verify_token(self, token: str) -> CallerToken | None:
        if token == "unavailable":
            raise VerifierUnavailableError("The authorization server can't be reached.")
        if token == "odd":
            raise LookupError(token)
        return await super().verify_token(token)


VERIFIER = Verifier(ISSUER, lambda _: SecretStr("key_secret"))
AUTHENTICATION = Authentication(VERIFIER, ISSUER, US)


def refuse(scope: Scope) -> None:
    """Find that a scope is missing, if the request asks for that."""
    if scope["query_string"]:
        RequestRecord.from_scope(scope).missing_scope = WRITE


async def whole(scope: Scope, receive: Receive, send: Send) -> None:
    refuse(scope)
    await PlainTextResponse("whole")(scope, receive, send)


async def in_parts(scope: Scope, receive: Receive, send: Send) -> None:
    async def parts() -> AsyncGenerator[bytes]:
        yield b"one "
        yield b"two"

    refuse(scope)
    await StreamingResponse(parts())(scope, receive, send)


@pytest.fixture(scope="module")
async def url() -> AsyncGenerator[str]:
    async def who(request: Request) -> Response:
        return PlainTextResponse(RequestRecord.from_scope(request.scope).caller.subject)

    callers = CallerRegistry(lambda _: faulty_client(FaultyWire()), poll_seconds=0.05)
    app = build_app(
        build_server(callers, local=ANONYMOUS),
        origin_policy=OriginPolicy(),
        path="/mcp",
        caller=ANONYMOUS,
        authentication=AUTHENTICATION,
        routes=[
            Route("/who", who),
            Route("/whole", ScopeChallengeMiddleware(whole, AUTHENTICATION)),
            Route("/parts", ScopeChallengeMiddleware(in_parts, AUTHENTICATION)),
        ],
    )
    async with served(app) as one:
        yield one


async def posted(url: str, *authorization: str, tool: str = "runway_getTask") -> httpx2.Response:
    message = call(1, tool, RUNNING)
    headers = [*headers_of(message).items(), *(("Authorization", text) for text in authorization)]
    async with httpx2.AsyncClient(trust_env=False) as http:
        return await http.post(f"{url}/mcp", json=message, headers=headers)


async def get(url: str, token: str) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {token}"}) as http:
        return await http.get(url)


@pytest.mark.parametrize("authorization", ["", "Bearer stranger", "Basic cmVhZGVyOg==", "Bearer", "reader"])
async def test_without_a_token_that_holds_nothing_is_done(url: str, authorization: str) -> None:
    answer = await posted(url, *filter(None, [authorization]))
    assert answer.status_code == 401
    assert f'resource_metadata="{METADATA}"' in answer.headers["WWW-Authenticate"]
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
    assert RUNNING not in answer.text


@pytest.mark.parametrize("pair", [("Bearer reader", "Bearer reader"), ("Bearer reader", "Bearer stranger")])
async def test_several_tokens_are_a_bad_request(url: str, pair: tuple[str, str]) -> None:
    """Which of them counts would be anyone's guess: here and at a proxy before us."""
    answer = await posted(url, *pair)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert 'error="invalid_request"' in answer.headers["WWW-Authenticate"]
    assert METADATA in answer.headers["WWW-Authenticate"]


async def test_where_tokens_can_not_be_checked_the_caller_is_asked_back_later(url: str) -> None:
    """Neither an open door nor a refusal, which would send clients through the whole login again."""
    answer = await posted(url, "Bearer unavailable")
    assert answer.status_code == 502
    assert int(answer.headers["Retry-After"]) > 0
    assert "can't be reached" in answer.json()["error"]
    assert "WWW-Authenticate" not in answer.headers


async def test_a_token_that_breaks_the_verifier_is_a_fault_of_this_replica(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await posted(url, "Bearer odd")
    assert answer.status_code == 503
    assert answer.headers["X-Should-Retry"] == "false"
    assert "a fault of this server. Nothing was done." in answer.json()["error"]
    assert "could not be verified" in caplog.text


async def test_each_request_is_its_callers(url: str) -> None:
    for token, subject in (("ann", "ann"), ("bob", "bob"), ("stranger", "nobody")):
        assert (await get(f"{url}/who", token)).text == subject


async def test_the_metadata_needs_no_token_and_names_the_issuer_to_the_letter(url: str) -> None:
    """RFC 9728: clients compare the issuer with its own metadata character by character."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        found = (await http.get(f"{url}/.well-known/oauth-protected-resource/mcp")).json()
    assert found["resource"] == US
    assert found["authorization_servers"] == [ISSUER]
    assert found["scopes_supported"] == [READ, WRITE]
    assert found["bearer_methods_supported"] == ["header"]


async def test_metadata_of_urls_without_a_path_gains_no_slash() -> None:
    assert str(Authentication(VERIFIER, ISSUER, "https://mcp.example").metadata_url) == (
        "https://mcp.example/.well-known/oauth-protected-resource"
    )
    for issuer in (ISSUER, f"{ISSUER}/", f"{ISSUER}/realms/one"):
        [route] = Authentication(VERIFIER, issuer, "https://mcp.example").routes()
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(route.app), base_url="http://us") as http:
            found = (await http.get(route.path)).json()
        assert found["authorization_servers"] == [issuer]
        assert found["resource"] == "https://mcp.example"


async def test_without_an_authorization_server_nobody_is_sent_to_one() -> None:
    plain = Authentication(VERIFIER)
    plain.reread()
    assert plain.routes() == []
    assert "resource_metadata" not in plain.forbidden(WRITE).headers["WWW-Authenticate"]


async def test_a_missing_scope_is_named_and_where_to_get_it(url: str) -> None:
    answer = await posted(url, "Bearer reader", tool="runway_deleteTask")
    assert answer.status_code == 403
    said = answer.json()["error"]["message"]
    assert said == "This needs the scope runway:write, which the access token lacks. Nothing was sent to Runway."
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith(f'Bearer error="insufficient_scope", scope="{WRITE}"')
    assert challenge.endswith(f'resource_metadata="{METADATA}"')


@pytest.mark.parametrize("token", ["reader", "ann"])
async def test_a_response_passes_as_it_is_unless_a_scope_is_missing(token: str, url: str) -> None:
    for path, body in (("whole", "whole"), ("parts", "one two")):
        answer = await get(f"{url}/{path}", token)
        assert (answer.status_code, answer.text) == (200, body)


@pytest.mark.parametrize("path", ["whole", "parts"])
async def test_nothing_of_a_response_gets_out_if_a_scope_is_missing(path: str, url: str) -> None:
    answer = await get(f"{url}/{path}?refused", "reader")
    assert answer.status_code == 403
    assert answer.json()["error"]["message"].startswith("This needs the scope runway:write")


async def test_one_address_does_not_take_all_the_looking_up_there_is() -> None:
    answered: list[tuple[str, int]] = []
    release = anyio.Event()

    class Slow:
        async def verify_token(self, token: str) -> None:
            if token == "slow":
                await release.wait()

    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("served")(scope, receive, send)

    guarded = Authenticated(nothing, Authentication(Slow()), TokenWatch(Slow(), lambda _: None))

    async def ask(address: str, token: str) -> None:
        async def send(message: Message) -> None:
            if "status" in message:
                answered.append((address, message["status"]))

        async def receive() -> Message:
            raise AssertionError

        headers = [(b"authorization", f"Bearer {token}".encode())]
        scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "client": (address, 1)}
        await guarded(scope | {SCOPE_KEY: RequestRecord(id="1", caller=ANONYMOUS)}, receive, send)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as asking:
            for _ in range(MAX_CONCURRENT):
                asking.start_soon(ask, "10.0.0.1", "slow")
            await anyio.wait_all_tasks_blocked()
            await ask("10.0.0.1", "other")
            await ask("10.0.0.2", "other")
            assert answered == [("10.0.0.1", 429), ("10.0.0.2", 200)]
            release.set()
    assert answered[2:] == [("10.0.0.1", 200)] * MAX_CONCURRENT

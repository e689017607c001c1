"""Open streams and waits end when the caller's access token is revoked or expires."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from pydantic import SecretStr
from starlette.types import Message, Scope
from support.waiting import until

from runway_mcp.observability.request_record import SCOPE_KEY, RequestRecord
from runway_mcp.tasks.callers import READ, Caller
from runway_mcp.web.auth import CallerToken, VerifierUnavailableError
from runway_mcp.web.auth.token_watch import STREAM, TokenWatch
from runway_mcp.web.shutdown import GracefulShutdown


@dataclass
class Door:
    """A verifier that returns or raises `token`, and the requests in flight behind it."""

    token: CallerToken | Exception | None
    ended: list[str] = field(default_factory=list[str])
    checks: int = 0

    async def verify_token(self, token: str) -> CallerToken | None:
        assert token == "t0ken"
        self.checks += 1
        if isinstance(self.token, Exception):
            raise self.token
        return self.token

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Have a stream and a call in flight that began with the token of now."""
        watch = TokenWatch(self, lambda caller: self.ended.append(f"waits of {caller.subject}"), seconds=0.01)
        began_with = self.token
        assert isinstance(began_with, CallerToken)

        async def serve(method: str) -> None:
            async def app(scope: Any, _receive: Any, _send: Any) -> None:
                with watch.watching(SecretStr("t0ken"), began_with, scope):
                    await anyio.sleep_forever()

            async def send(message: Message) -> None:
                if "status" in message:
                    self.ended.append(method)

            record = RequestRecord(id="1", caller=began_with.caller, method=method)
            scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": [], SCOPE_KEY: record}
            await GracefulShutdown().guard(app)(scope, anyio.sleep_forever, send)  # pyright: ignore[reportArgumentType]

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch.run)
            tasks.start_soon(serve, STREAM)
            tasks.start_soon(serve, "tools/call")
            yield
            tasks.cancel_scope.cancel()

    async def checked(self, times: int = 3) -> None:
        before = self.checks
        await until(lambda: self.checks >= before + times, "the checks", timeout=10)


ANA = Caller("ana")


@pytest.mark.parametrize(
    "found",
    [
        None,
        CallerToken.of(Caller("ana", scopes=frozenset({READ}))),
        CallerToken.of(Caller("ana", key=SecretStr("another"))),
    ],
    ids=["revoked", "fewer scopes", "another key"],
)
async def test_a_token_that_means_something_else_ends_what_is_open(found: CallerToken | None) -> None:
    door = Door(CallerToken.of(ANA))
    async with door.open():
        await door.checked()
        assert door.ended == []
        door.token = found
        await until(lambda: {STREAM, "waits of ana"} <= set(door.ended), "the end", timeout=10)


async def test_a_token_that_expires_ends_what_is_open_even_if_it_can_not_be_verified() -> None:
    """While the authorization server is down, streams go on until then."""
    door = Door(CallerToken.of(ANA, expires_at=int(time.time()) + 2))
    async with door.open():
        door.token = VerifierUnavailableError("down")
        await door.checked()
        assert door.ended == []
        await until(lambda: {STREAM, "waits of ana"} <= set(door.ended), "the end", timeout=10)


async def test_a_verifier_that_breaks_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    door = Door(CallerToken.of(ANA))
    async with door.open():
        door.token = LookupError("a fault")
        await door.checked()
        assert door.ended == []
    assert "could not be verified again" in caplog.text
    assert "t0ken" not in caplog.text

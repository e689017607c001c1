"""An app on a real socket in this event loop, and clients of the SDK's that show an access token."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from pydantic import SecretStr
from starlette.types import ASGIApp
from support.waiting import until

from runway_mcp.tasks.callers import READ, SCOPES, WRITE, Caller
from runway_mcp.web.auth import CallerToken


class Names:
    """Access tokens that are their callers' names: `reader` may only read, `writer` only write, `stranger` nothing."""

    def __init__(self, issuer: str = "", key_of: Callable[[str], SecretStr | None] = lambda _: None) -> None:
        self._issuer = issuer
        self._key_of = key_of

    async def verify_token(self, token: str) -> CallerToken | None:
        if token == "stranger":
            return None
        scopes = frozenset({"reader": {READ}, "writer": {WRITE}}.get(token, SCOPES))
        return CallerToken.of(Caller(token, issuer=self._issuer, scopes=scopes, key=self._key_of(token)))


@asynccontextmanager
async def listening(app: ASGIApp, **options: Any) -> AsyncGenerator[tuple[str, uvicorn.Server]]:
    """Serve an app on a free port of 127.0.0.1, with uvicorn's `options`; yield its URL and the server."""
    config = uvicorn.Config(app, ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1, **options)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        try:
            await until(lambda: server.started, "uvicorn to start")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", server
        finally:
            server.should_exit = True
            with anyio.move_on_after(5, shield=True):
                await serving


@asynccontextmanager
async def served(app: ASGIApp, **options: Any) -> AsyncGenerator[str]:
    async with listening(app, **options) as (url, _):
        yield url


@asynccontextmanager
async def authorized(
    url: str, token: str, *, answers: list[httpx2.Response] | None = None, **options: Any
) -> AsyncGenerator[Client]:
    """A client of the endpoint at `url` that shows `token` with each request, and notes the `answers`."""

    async def note(answer: httpx2.Response) -> None:
        if answers is not None:
            answers.append(answer)

    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=20, event_hooks={"response": [note]}) as http,
        Client(streamable_http_client(url, http_client=http), **options) as client,
    ):
        yield client

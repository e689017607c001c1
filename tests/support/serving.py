"""An app on a real socket in this event loop, and clients of the SDK's that show an access token."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from starlette.types import ASGIApp
from support.waiting import until

from runway_mcp.tasks.callers import Caller
from runway_mcp.web.auth import CallerToken


class Names:
    async def verify_token(self, token: str) -> CallerToken | None:
        return CallerToken.of(Caller(token))


@asynccontextmanager
async def listening(app: ASGIApp, **options: Any) -> AsyncGenerator[tuple[str, uvicorn.Server]]:
    """Serve an app on a free port of 127.0.0.1; yield its URL without a path, and the server."""
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
async def served(app: ASGIApp) -> AsyncGenerator[str]:
    async with listening(app) as (url, _):
        yield url


@asynccontextmanager
async def authorized(
    url: str, token: str, *, answers: list[httpx2.Response] | None = None, **options: Any
) -> AsyncGenerator[Client]:
    async def note(answer: httpx2.Response) -> None:
        if answers is not None:
            answers.append(answer)

    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=20, event_hooks={"response": [note]}) as http,
        Client(streamable_http_client(url, http_client=http), **options) as client,
    ):
        yield client

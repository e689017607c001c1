"""Sandboxes that fail on purpose, in this process and over a socket."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import httpx2
import pytest
import uvicorn
from sandbox_client import HEADERS, Client, connected
from starlette.types import ASGIApp
from support.served import NO_TRUST
from support.waiting import until

from runway_mcp.sandbox import Fault, create_app
from runway_mcp.web.deadlines import DeadlineProtocol
from runway_mcp.web.shutdown import GracefulShutdown

Wire = Callable[..., AbstractAsyncContextManager[Client]]


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncGenerator[tuple[str, uvicorn.Server]]:
    config = uvicorn.Config(
        GracefulShutdown().guard(app),
        http=DeadlineProtocol,
        lifespan="on",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve([listener]))
        try:
            await until(lambda: server.started, "uvicorn to start")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", server
        finally:
            server.should_exit = True
            with anyio.move_on_after(5, shield=True):
                await task


@asynccontextmanager
async def client_of(url: str) -> AsyncGenerator[Client]:
    async with httpx2.AsyncClient(
        base_url=url, headers=dict(HEADERS), trust_env=False, timeout=10, verify=NO_TRUST
    ) as http:
        yield Client(http)


@asynccontextmanager
async def in_process(*faults: str) -> AsyncGenerator[Client]:
    async with connected(create_app(faults=[Fault.parse(text) for text in faults])) as client:
        yield client


@asynccontextmanager
async def over_a_socket(*faults: str) -> AsyncGenerator[Client]:
    app = create_app(faults=[Fault.parse(text) for text in faults])
    async with serving(app) as (url, _), client_of(url) as client:
        yield client


wires = pytest.mark.parametrize("wire", [in_process, over_a_socket])

"""Sandboxes that fail on purpose, in this process and over a socket."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx2
import pytest
import uvicorn
from sandbox_client import HEADERS, Client, connected
from starlette.types import ASGIApp
from support.served import NO_TRUST
from support.serving import listening

from runway_mcp.sandbox import Fault, create_app
from runway_mcp.web.deadlines import DeadlineProtocol
from runway_mcp.web.shutdown import GracefulShutdown

Wire = Callable[..., AbstractAsyncContextManager[Client]]


def serving(app: ASGIApp) -> AbstractAsyncContextManager[tuple[str, uvicorn.Server]]:
    """Serve an app in this event loop as the package serves it."""
    return listening(GracefulShutdown().guard(app), http=DeadlineProtocol, lifespan="on")


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

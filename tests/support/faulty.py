"""The sandbox behind a wire that can fail, and the use cases over it."""

from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Literal

import httpx2
from pydantic import SecretStr
from support.scripted import Sleeper, context_of

from runway_mcp.api.client import RunwayClient
from runway_mcp.api.connection import RunwayAuth
from runway_mcp.sandbox import create_app
from runway_mcp.tasks.callers import CallerContext

Fault = int | Literal["lost before", "lost after"]
"""A status in the API's place, or a connection that breaks before or after the API has acted."""


class FaultyWire(httpx2.AsyncBaseTransport):
    """Carries requests to a sandbox of its own, and fails as told: `faults` are what the next of a method meet.

    `between` is called before each request, with its number, for what happens elsewhere meanwhile.
    """

    def __init__(self, *, price_factor: float = 1) -> None:
        self.now = 1_795_000_000.0
        self.methods: list[str] = []
        self.faults: dict[str, deque[Fault | None]] = {"GET": deque(), "DELETE": deque(), "POST": deque()}
        self.between: Callable[[int], None] = lambda _: None
        self._api = httpx2.ASGITransport(app=create_app(clock=lambda: self.now, price_factor=price_factor))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.methods.append(request.method)
        self.between(len(self.methods))
        faults = self.faults[request.method]
        fault = faults.popleft() if faults else None
        if isinstance(fault, int):
            return httpx2.Response(fault, json={"error": "injected"})
        if fault == "lost before":
            raise httpx2.ReadError("injected")
        response = await self._api.handle_async_request(request)
        if fault == "lost after":
            raise httpx2.ReadError("injected")
        return response


@asynccontextmanager
async def faulty_client(wire: FaultyWire) -> AsyncGenerator[RunwayClient]:
    """A client over `wire`; its waits take no time."""
    auth = RunwayAuth(SecretStr("key_of_the_faulty_wire"), "2024-11-06")
    async with httpx2.AsyncClient(transport=wire, base_url="http://sandbox.localhost", headers=auth.headers()) as http:
        yield RunwayClient(lambda: http, sleep=Sleeper(), random=lambda: 0.0)


@asynccontextmanager
async def faulty_context(wire: FaultyWire, sleep: Sleeper | None = None) -> AsyncGenerator[CallerContext]:
    async with faulty_client(wire) as client, context_of(client, sleep=sleep or Sleeper()) as context:
        yield context

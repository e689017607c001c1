"""Sandboxes on a stopped clock."""

from collections.abc import AsyncIterator

import pytest
from sandbox_client import Client, Clock, connected

from runway_mcp.sandbox import create_app


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(clock: Clock) -> AsyncIterator[Client]:
    async with connected(create_app(clock=clock, samples=False)) as one:
        yield one


@pytest.fixture
async def sampled(clock: Clock) -> AsyncIterator[Client]:
    async with connected(create_app(clock=clock)) as one:
        yield one

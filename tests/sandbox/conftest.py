"""Fixtures of the sandbox's tests, and whether the API's own document is at hand."""

from collections.abc import AsyncIterator

import pytest
from sandbox_client import Client, Clock, connected
from sandbox_document import DOCUMENT

from runway_mcp.sandbox import create_app

# the document is not ours to ship: where it is absent the data made from it stands alone
collect_ignore = [] if DOCUMENT.is_file() else ["test_sandbox_inputs_document.py"]


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio alone, as uvicorn does."""
    return "asyncio"


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

"""Direct connections: kept open between requests, and never used once the host has closed them."""

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import suppress

import httpx2
import pytest

from runway_mcp.api.direct_transport import DirectTransport

LIMITS = httpx2.Limits(max_connections=2)


class Host:
    """Answers every request with 204, and counts connections."""

    def __init__(self) -> None:
        self.connections: list[asyncio.StreamWriter] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections.append(writer)
        with suppress(ConnectionError):
            while await reader.readline():
                while (await reader.readline()).strip():
                    pass
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async def close(self, *, reset: bool) -> None:
        """Close the latest connection, with or without a reset."""
        writer = self.connections[-1]
        if reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def host() -> AsyncGenerator[tuple[Host, httpx2.AsyncClient]]:
    """A host, and a client of it."""
    host = Host()
    server = await asyncio.start_server(host.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", transport=DirectTransport(None, LIMITS)
    ) as client:
        yield host, client
    server.close()
    for writer in host.connections:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_connection_serves_one_request_after_the_other(host: tuple[Host, httpx2.AsyncClient]) -> None:
    answering, client = host
    for _ in range(3):
        assert (await client.get("/")).status_code == 204
    assert len(answering.connections) == 1


@pytest.mark.parametrize("reset", [False, True])
async def test_a_connection_that_the_host_closed_carries_no_further_request(
    host: tuple[Host, httpx2.AsyncClient], reset: bool
) -> None:
    """A create that was sent over it would count as lost."""
    answering, client = host
    await client.get("/")
    await answering.close(reset=reset)
    assert (await client.post("/")).status_code == 204
    assert len(answering.connections) == 2

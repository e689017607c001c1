"""A server whose database is away at its start, comes, is killed and comes back. It is never started anew."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult
from support.databases import KillablePostgres
from support.process import KEY
from support.scripted import texts
from support.serving import served
from support.upstream import TASK_ID, Reply, Request, Upstream, reply, task, upstream

from runway_mcp.config.sources import find_key_in, load
from runway_mcp.wiring.core import build_core
from runway_mcp.wiring.http import build_http

START: dict[str, Any] = {
    "type": "text_to_video",
    "input": {"promptText": "a kite", "ratio": "1280:720", "duration": 5},
}


def runway(asked: Request) -> Reply:
    return reply(200, {"id": TASK_ID}) if asked.method == "POST" else reply(200, task("RUNNING"))


class Server:
    """What a client and an operator see of it."""

    def __init__(self, http: httpx2.AsyncClient, client: Client) -> None:
        self._http, self._client = http, client

    async def start(self, token: str) -> CallToolResult:
        return await self._client.call_tool("runway_startTask", START | {"clientToken": token})

    async def read(self) -> str:
        return (await self._http.get(f"/v1/tasks/{TASK_ID}")).json()["status"]

    async def becomes(self, state: str) -> None:
        """Return once both readiness and metrics tell that the database is so; it is ready all the time."""
        told = ""
        with anyio.fail_after(60):
            while told != f"{state} {float(state == 'reached')}":
                ready = await self._http.get("/readyz")
                assert ready.status_code == 200
                page = (await self._http.get("/metrics")).text
                up = page.partition("\nrunway_mcp_database_up ")[2].partition("\n")[0]
                told = f"{ready.json()['database']} {up}"
                await anyio.sleep(0.02)


@asynccontextmanager
async def serving(api: Upstream, database: str, folder: Path) -> AsyncGenerator[Server]:
    settings = load(
        {
            "transport": "streamable-http",
            "history": database,
            "api_key": KEY,
            "base_url": api.url,
            "metrics": True,
            "state_dir": folder,
            "poll_seconds": 0.1,
        }
    )
    built = build_http(settings, find_key_in(), build_core(settings, lambda _: None))
    async with (
        served(built.app) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, timeout=30) as http,
        Client(streamable_http_client(f"{url}/mcp")) as client,
    ):
        yield Server(http, client)


async def test_starts_wait_for_the_database_and_all_else_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "runway_mcp")
    with anyio.fail_after(180):
        async with (
            KillablePostgres.installed() as database,
            upstream(runway) as api,
            serving(api, database.url, tmp_path) as server,
        ):
            for bought in range(2):
                await database.kill()
                refused = await server.start(f"kite {bought}")
                assert refused.is_error
                assert "Nothing was sent" in texts(refused)[0]
                assert [await server.read() for _ in range(3)] == ["RUNNING"] * 3
                await server.becomes("away")
                assert api.count("POST") == bought
                await database.start()
                await server.becomes("reached")
                for _ in range(2):  # the second repeats the first
                    assert not (await server.start(f"kite {bought}")).is_error
                assert api.count("POST") == bought + 1
    told = [record.levelname for record in caplog.records if "database can" in record.message]
    assert len(told) >= 4  # a busy machine may add short ones
    assert told == ["WARNING", "INFO"] * (len(told) // 2)
    assert "postgres@" not in caplog.text

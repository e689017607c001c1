"""Liveness and readiness, as a load balancer or an orchestrator sees them."""

from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from support.process import KEY, call
from support.served import serving_http
from support.upstream import reply, task, upstream

from runway_mcp.config.sources import find_key_in, load
from runway_mcp.web.health import Health
from runway_mcp.web.shutdown import GracefulShutdown
from runway_mcp.wiring.core import build_core
from runway_mcp.wiring.http import build_http


async def asked(health: Health, path: str) -> tuple[int, dict[str, str]]:
    transport = httpx2.ASGITransport(app=Starlette(routes=health.routes()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await http.get(path)
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("statuses", "runway"),
    [
        ([], "unknown"),
        ([200], "reached"),
        ([404], "reached"),
        ([500], "reached"),
        ([200, 401], "key refused"),
        ([403], "key refused"),
        ([200, None], "unreachable"),
        ([None, 401, 429], "reached"),
    ],
)
async def test_readiness_tells_how_runway_responded_last_and_does_not_depend_on_it(
    statuses: list[int | None], runway: str
) -> None:
    """An outage of Runway must not take every replica out of the balancer at once."""
    health = Health(GracefulShutdown())
    for status in statuses:
        health.observe("GET /v1/tasks/{id}", status, 0.1)
    assert await asked(health, "/readyz") == (200, {"status": "ready", "runway": runway})


async def test_a_server_that_stops_is_alive_and_not_ready() -> None:
    stop = GracefulShutdown()
    health = Health(stop)
    await stop.finish()
    reason = "The server is stopping."
    assert await asked(health, "/readyz") == (503, {"status": "not ready", "reason": reason, "runway": "unknown"})
    assert await asked(health, "/healthz") == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ({}, "No Runway API key is set."),
        ({"sandbox": True}, None),
        ({"auth": "token", "tokens_file": __file__}, None),
    ],
    ids=["no key", "the sandbox", "keys of the callers"],
)
async def test_a_server_that_lacks_its_key_is_alive_but_not_ready(
    flags: dict[str, object], reason: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what is missing. The sandbox needs no key, nor does a server whose callers have their own."""
    monkeypatch.delenv("RUNWAYML_API_SECRET", raising=False)
    if "tokens_file" in flags:
        flags = flags | {"tokens_file": tmp_path / "tokens.toml"}
        (tmp_path / "tokens.toml").touch()
    settings = load({"transport": "streamable-http", "state_dir": tmp_path} | flags)
    served = build_http(settings, find_key_in(), build_core(settings, lambda _: None))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(served.app), base_url="http://localhost") as http:
        assert (await http.get("/healthz")).status_code == 200
        found = await http.get("/readyz")
        assert (found.status_code, found.json().get("reason")) == (503 if reason else 200, reason)
        assert (await http.post("/readyz")).status_code == 405


async def test_ordinary_calls_tell_how_runway_responds() -> None:
    """The question itself costs no request, and its answer shows nothing secret."""
    script = [reply(200, task("RUNNING")), reply(401, {"error": "Unauthorized"})]
    async with upstream(script) as api, serving_http(api) as served:
        for number, runway in enumerate(("unknown", "reached", "key refused")):
            found = await served.ask("GET", "/readyz")
            assert found.json() == {"status": "ready", "runway": runway}
            assert KEY not in found.text
            assert len(api.requests) == number
            await served.post(call(1, "runway_getTask", f"00000000-0000-4000-8000-00000000000{number}"))

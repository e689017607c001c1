"""Liveness and readiness, as a load balancer or an orchestrator sees them."""

from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from support.process import KEY, call
from support.served import serving_http
from support.upstream import TASK_ID, Reply, reply, task, upstream
from support.waiting import together

from runway_mcp.web.health import Health
from runway_mcp.web.shutdown import GracefulShutdown


async def asked(health: Health, path: str) -> tuple[int, dict[str, str]]:
    """Status and body of a response."""
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
    """From the signal on."""
    stop = GracefulShutdown()
    health = Health(stop)
    await stop.finish()
    reason = "The server is stopping."
    assert await asked(health, "/readyz") == (503, {"status": "not ready", "reason": reason, "runway": "unknown"})
    assert await asked(health, "/healthz") == (200, {"status": "ok"})


async def test_a_server_without_a_key_is_alive_but_not_ready(tmp_path: Path) -> None:
    """It says which setting is missing. A server whose callers have their own keys needs none."""
    file = tmp_path / "tokens.toml"
    file.write_text("")
    async with (
        upstream([reply(404)]) as api,
        serving_http(api, key="") as keyless,
        serving_http(api, "--auth", "token", "--tokens-file", str(file), key="") as multi_tenant,
    ):
        assert (await keyless.ask("GET", "/healthz")).status_code == 200
        found = await keyless.ask("GET", "/readyz")
        assert (found.status_code, found.json()["reason"]) == (503, "No Runway API key is set.")
        assert (await keyless.ask("POST", "/readyz")).status_code == 405
        assert (await multi_tenant.ask("GET", "/readyz")).status_code == 200
        assert api.requests == []


async def test_the_question_costs_no_request_and_ordinary_calls_answer_it() -> None:
    """Nothing secret is told."""

    async def check(case: tuple[Reply, str]) -> None:
        answer, runway = case
        async with upstream([answer]) as api, serving_http(api) as served:
            assert (await served.ask("GET", "/readyz")).json() == {"status": "ready", "runway": "unknown"}
            assert api.requests == []
            await served.post(call(1, "runway_getTask", TASK_ID))
            found = await served.ask("GET", "/readyz")
            assert found.json() == {"status": "ready", "runway": runway}
            assert KEY not in found.text

    await together(check, [(reply(200, task("RUNNING")), "reached"), (reply(401, {"error": "No"}), "key refused")])

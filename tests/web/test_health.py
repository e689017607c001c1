"""Alive and ready: what a balancer or an orchestrator is told, and what the question costs."""

from contextlib import nullcontext
from pathlib import Path

import anyio
import httpx2
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from support.process import KEY
from support.served import serving_http
from support.upstream import Reply, reply, upstream
from support.waiting import together

from runway_mcp.api.client import open_client
from runway_mcp.api.errors import AuthenticationError, RunwayError, UnavailableError, UnreachableError
from runway_mcp.web.health import Health
from runway_mcp.web.shutdown import GracefulShutdown

MINUTE = 60.0


async def test_a_server_on_its_own_asks_runway_once() -> None:
    """Whatever Runway answers, but that it refuses the key, it is reached; and nothing secret is told."""

    async def check(case: tuple[Reply, int, str | None]) -> None:
        answer, status, reason = case
        async with upstream([answer]) as api, serving_http(api) as served:
            assert (await served.ask("GET", "/healthz")).json() == {"status": "ok"}
            assert api.requests == []
            for _ in range(3):
                found = await served.ask("GET", "/readyz")
                assert (found.status_code, found.json().get("reason")) == (status, reason)
                assert found.headers["cache-control"] == "no-store"
                assert KEY not in found.text
            (asked,) = api.requests
            assert (asked.method, asked.headers["authorization"]) == ("GET", f"Bearer {KEY}")
            assert asked.path == "/v1/tasks/00000000-0000-0000-0000-000000000000"
            await served.server.stop("SIGTERM")
            await served.server.ends_quietly(10)
            assert KEY not in served.server.stderr

    await together(
        check,
        [
            (reply(404, {"error": "Not found"}), 200, None),
            (reply(401, {"error": "Unauthorized"}), 503, "Runway refuses the API key."),
        ],
    )


async def test_a_server_without_a_key_is_alive_but_not_ready() -> None:
    """It says which setting is missing; the sandbox needs none, nor does who has a key for each caller."""
    async with serving_http(None) as sandbox, upstream([reply(404)]) as api:
        assert (await sandbox.ask("GET", "/readyz")).json() == {"status": "ready"}
        async with serving_http(api, key="") as served:
            assert (await served.ask("GET", "/healthz")).status_code == 200
            found = await served.ask("GET", "/readyz")
            assert (found.status_code, found.json()["reason"]) == (503, "No Runway API key is set.")
            assert (await served.ask("POST", "/readyz")).status_code == 405
        assert api.requests == []


async def test_where_each_has_a_key_of_their_own_the_question_is_asked_with_none(tmp_path: Path) -> None:
    """That Runway wants one is an answer too."""
    file = tmp_path / "tokens.toml"
    file.write_text("")
    async with upstream([reply(401, {"error": "Unauthorized"})]) as api:
        async with serving_http(api, "--auth", "token", "--tokens-file", str(file), key="") as served:
            assert (await served.ask("GET", "/readyz")).json() == {"status": "ready"}
            await served.server.stop("SIGTERM")
            await served.server.ends_quietly(10)
        (asked,) = api.requests
        assert "authorization" not in asked.headers


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply(404), None),
        (reply(200, {}), None),
        (reply(403), AuthenticationError),
        (reply(503), UnavailableError),
        (Reply(then="reset"), UnreachableError),
    ],
)
async def test_to_reach_the_api_is_one_request(answer: Reply, error: type[RunwayError] | None) -> None:
    """It is never repeated, whatever comes back."""
    async with (
        upstream([answer]) as api,
        open_client(api_key=SecretStr(KEY), base_url=api.url, api_version="2024-11-06") as client,
    ):
        with pytest.raises(error) if error else nullcontext():
            await client.reach()
    assert len(api.requests) == 1


class Runway:
    """What a probe meets, at a time that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.probes = 0
        self.error: RunwayError | None = None
        self.answers = anyio.Event()
        self.answers.set()
        self.stop = GracefulShutdown()
        self.health = Health(self.stop, probe=self.probe, clock=lambda: self.now)

    async def probe(self) -> None:
        """Answer, or fail as told."""
        self.probes += 1
        await self.answers.wait()
        if self.error is not None:
            raise self.error


@pytest.fixture
def runway() -> Runway:
    """A Runway that answers."""
    return Runway()


async def test_without_a_key_there_is_nothing_to_ask_with() -> None:
    """Where one is needed the server is not ready; where each caller brings their own, it is."""
    assert await Health(GracefulShutdown(), missing="No Runway API key is set.").reason() == "No Runway API key is set."
    assert await Health(GracefulShutdown()).reason() is None


async def test_ordinary_calls_make_the_question_free(runway: Runway) -> None:
    """While Runway answers anything within a minute, nothing is asked of it."""
    for status in (200, 404, 429, 500):
        runway.health.heard("GET /v1/tasks/{id}", status, 0.1)
        runway.now += MINUTE - 1
        assert await runway.health.reason() is None
    assert runway.probes == 0


@pytest.mark.parametrize("status", [None, 401, 403])
async def test_a_call_that_did_not_get_through_proves_nothing(status: int | None, runway: Runway) -> None:
    """No answer, or a caller's key that is refused: then the server asks with its own."""
    runway.health.heard("GET /v1/tasks/{id}", status, 0.1)
    assert await runway.health.reason() is None
    assert runway.probes == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, None),
        (UnavailableError("x", status=503), None),
        (UnreachableError("x"), "Runway was not reached within the last minute."),
        (AuthenticationError("x", status=401), "Runway refuses the API key."),
        (RunwayError("The proxy of this machine can't be used."), "Runway was not reached within the last minute."),
    ],
)
async def test_a_probe_is_made_once_a_minute_whatever_it_brings(
    error: RunwayError | None, reason: str | None, runway: Runway
) -> None:
    """However often readiness is asked for, failures included."""
    runway.error = error
    for minute in range(1, 4):
        for _ in range(5):
            assert await runway.health.reason() == reason
        assert runway.probes == minute
        runway.now += MINUTE


async def test_a_call_that_gets_through_makes_it_ready_at_once(runway: Runway) -> None:
    """After a probe that failed, the next minute need not be waited for."""
    runway.error = UnreachableError("x")
    assert await runway.health.reason() is not None
    runway.health.heard("GET /v1/tasks/{id}", 200, 0.1)
    assert await runway.health.reason() is None
    assert runway.probes == 1


async def test_questions_at_once_share_a_probe(runway: Runway) -> None:
    """They wait for the one that is under way."""
    runway.answers = anyio.Event()
    found: list[str | None] = []

    async def ask() -> None:
        found.append(await runway.health.reason())

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        runway.answers.set()
    assert (found, runway.probes) == ([None] * 10, 1)


async def asked(health: Health, path: str) -> httpx2.Response:
    """What the routes answer."""
    transport = httpx2.ASGITransport(app=Starlette(routes=health.routes()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return await http.get(path)


async def test_a_server_that_stops_is_alive_and_not_ready(runway: Runway) -> None:
    """From the signal on."""
    assert (await asked(runway.health, "/readyz")).json() == {"status": "ready"}
    await runway.stop.finish()
    ready = await asked(runway.health, "/readyz")
    assert (ready.status_code, ready.json()["reason"]) == (503, "The server is stopping.")
    assert (await asked(runway.health, "/healthz")).json() == {"status": "ok"}

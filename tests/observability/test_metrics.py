"""`/metrics`: what is counted, who may see it, and that nobody else's words get into it."""

import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.server.auth.provider import AccessToken
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from support.process import ENVIRONMENT, KEY, MEASURING
from support.serving import served
from support.upstream import TASK_ID, Reply, reply, task, upstream
from support.upstream import Request as Asked

from runway_mcp.api.client import open_client
from runway_mcp.cli.main import main
from runway_mcp.mcp_server.server import build_server
from runway_mcp.observability.metrics import Metrics
from runway_mcp.tasks.callers import ANONYMOUS, READ, WRITE, Caller, CallerRegistry
from runway_mcp.web.app import build_app
from runway_mcp.web.auth import Authentication, CallerToken
from runway_mcp.web.health import metrics_route
from runway_mcp.web.origin_policy import OriginPolicy

LOCAL = Caller("local-caller", key=SecretStr(KEY))
BROKEN = "00000000-0000-4000-8000-000000000000"
SLOW = "00000000-0000-4000-8000-000000000001"
Sample = tuple[str, frozenset[tuple[str, str]]]


def script(asked: Asked) -> Reply:
    if BROKEN in asked.path:
        return reply(400, {"error": "No."})
    return reply(200, task("RUNNING", SLOW)) if SLOW in asked.path else reply(200, task("SUCCEEDED"))


@asynccontextmanager
async def measured(authentication: Authentication | None = None) -> AsyncGenerator[str]:
    metrics = Metrics()
    async with upstream(script) as api:
        callers = CallerRegistry(
            lambda _: open_client(
                api_key=LOCAL.key, base_url=api.url, api_version="2024-11-06", on_api_response=metrics.on_api_response
            )
        )
        local = ANONYMOUS if authentication else LOCAL
        app = build_app(
            build_server(callers, local=local),
            origin_policy=OriginPolicy(),
            path="/mcp",
            caller=local,
            authentication=authentication,
            routes=[metrics_route(metrics.page, authentication)],
            on_request_end=[metrics.on_request_end],
        )
        metrics.follow(callers)
        async with served(metrics.counted(app)) as url:
            yield url


async def scrape(url: str) -> dict[Sample, float]:
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{url}/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def sample(name: str, **labels: str) -> Sample:
    return f"runway_mcp_{name}", frozenset(labels.items())


async def test_what_is_asked_and_done_is_counted() -> None:
    async with measured() as url:
        async with Client(f"{url}/mcp") as client:
            for task_id in (TASK_ID, TASK_ID, BROKEN):
                await client.call_tool("runway_getTask", {"taskId": task_id})
            with pytest.raises(MCPError):
                await client.call_tool(f"made-up-{KEY}", {})
        async with httpx2.AsyncClient(trust_env=False) as http:
            for number in range(3):
                await http.get(f"{url}/made-up-{number}")
            await http.request("BREW", f"{url}/mcp")
        found = await scrape(url)
    called = {"method": "tools/call", "tool": "runway_getTask", "status": "2xx"}
    api = {"endpoint": "GET /v1/tasks/{id}"}
    expected = {
        sample("requests_total", **called, outcome=""): 2,
        sample("requests_total", **called, outcome="tool_error"): 1,
        sample("requests_total", method="tools/call", tool="other", status="4xx", outcome="error -32602"): 1,
        sample("requests_total", method="GET", tool="", status="4xx", outcome=""): 3,
        sample("request_duration_seconds_count", method="tools/call", tool="runway_getTask"): 3,
        sample("api_requests_total", **api, status="200"): 1,
        sample("api_requests_total", **api, status="400"): 1,
        sample("api_request_duration_seconds_count", **api): 2,
        sample("polls_total"): 2,
        sample("cache_hits_total"): 1,
        sample("waits_in_progress"): 0,
        sample("requests_in_progress"): 1,
    }
    assert {name: found.get(name) for name in expected} == expected
    shown = str(list(found))
    assert [word for word in ("made-up", "BREW", KEY, TASK_ID, LOCAL.subject) if word in shown] == []
    assert ("python_info" in shown, "_created" in shown) == (True, False)


async def test_what_is_under_way_is_shown() -> None:
    async with measured() as url, Client(f"{url}/mcp") as client, anyio.create_task_group() as tasks:
        waits = sample("waits_in_progress")
        under_way: dict[Sample, float] = {}
        tasks.start_soon(client.call_tool, "runway_waitForTask", {"taskId": SLOW})
        while under_way.get(waits) != 1:
            under_way = await scrape(url)
        assert under_way[sample("requests_in_progress")] >= 2
        tasks.cancel_scope.cancel()


class Tokens:
    async def verify_token(self, token: str) -> AccessToken | None:
        known = token in {READ, WRITE}
        return CallerToken.of(Caller("ann", scopes=frozenset({token}))) if known else None


async def test_behind_authentication_only_who_may_read_sees_them() -> None:
    async with measured(Authentication(Tokens())) as url, httpx2.AsyncClient(trust_env=False) as http:
        answers = [
            await http.get(f"{url}/metrics", headers={"Authorization": f"Bearer {token}"})
            for token in ("none", WRITE, READ)
        ]
        refused = await http.post(f"{url}/metrics", headers={"Authorization": f"Bearer {READ}"})
        foreign = await http.get(f"{url}/metrics", headers={"Host": "evil.example"})
    assert [answer.status_code for answer in answers] == [401, 403, 200]
    assert READ in answers[1].headers["WWW-Authenticate"]
    assert "runway_mcp_requests_total" in answers[2].text
    assert answers[2].headers["Cache-Control"] == "no-store"
    assert (refused.status_code, foreign.status_code) == (405, 421)


def test_without_a_port_there_is_nothing_to_look_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--metrics"]) == 2
    assert "--metrics" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "blocked", "extra"),
    [
        (["--metrics", "--transport", "streamable-http"], "prometheus_client", "metrics"),
        (["--tracing"], "opentelemetry.exporter", "tracing"),
        (["--history", "postgresql://db/films"], "asyncpg", "postgres"),
    ],
)
def test_a_missing_package_is_told_in_one_line_with_what_to_install(flags: list[str], blocked: str, extra: str) -> None:
    code = (
        f"import sys; sys.modules[{blocked!r}] = None; from runway_mcp.cli.main import main; sys.exit(main({flags!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT | MEASURING, check=False
    )
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert line.startswith(f"runway-mcp: {flags[0]} needs the package ")
    assert line.endswith(f"in this server's checkout it comes with: uv tool install '.[{extra}]'")

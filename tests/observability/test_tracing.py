"""A call and what it asks of Runway are one trace, which reaches a collector without holding anything up."""

import logging
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest
from mcp import Client
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from support.process import KEY, call, request, running
from support.scripted import Script, Sleeper, reply, scripted_client, task
from support.serving import served
from support.spans import Spans, traced
from support.upstream import HANG, TASK_ID, Upstream, upstream
from support.upstream import reply as raw_reply
from support.upstream import task as raw_task
from support.waiting import together

from runway_mcp.api.client import open_client
from runway_mcp.api.errors import RunwayError, UnreachableError
from runway_mcp.api.models import parse_task_id
from runway_mcp.mcp_server.server import build_server
from runway_mcp.observability.tracing import Reporting, continued
from runway_mcp.tasks.callers import READ, Caller, CallerRegistry
from runway_mcp.web.app import build_app
from runway_mcp.web.origin_policy import OriginPolicy
from runway_mcp.web.rest import task_route

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
TRACE_HEADERS = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"}
ID = parse_task_id(TASK_ID)
GET = "GET /v1/tasks/{id}"


@pytest.fixture(scope="module")
def all_spans() -> Generator[Spans]:
    with traced() as spans:
        yield spans


@pytest.fixture
def spans(all_spans: Spans) -> Spans:
    all_spans.clear()
    return all_spans


def callers(api: Upstream) -> CallerRegistry:
    return CallerRegistry(
        lambda _: open_client(api_key=SecretStr(KEY), base_url=api.url, api_version="2024-11-06"), poll_seconds=0.05
    )


def trace_ids(spans: Sequence[ReadableSpan]) -> set[str]:
    return {trace.format_trace_id(span.context.trace_id) for span in spans if span.context}


async def test_a_request_to_runway_is_a_span_of_the_conventions_without_the_url(spans: Spans) -> None:
    async with scripted_client(Script(reply(200, task("RUNNING")))) as client:
        await client.get_task(ID)
    (span,) = spans.of_our_client
    assert (span.name, span.kind, span.status.status_code) == (GET, trace.SpanKind.CLIENT, trace.StatusCode.UNSET)
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "url.template": "/v1/tasks/{id}",
        "server.address": "api.example",
        "server.port": 443,
        "http.response.status_code": 200,
    }
    assert TASK_ID not in span.to_json()


async def test_each_attempt_is_a_span_and_says_what_failed(spans: Spans) -> None:
    broken = httpx2.ReadError(f"broken: {KEY}")
    steps = (reply(503, {"error": KEY}), broken, reply(404, {"error": "No."}))
    async with scripted_client(Script(*steps), sleep=Sleeper()) as client:
        with pytest.raises(RunwayError):
            await client.get_task(ID)
    told = [dict(span.attributes or {}) for span in spans.of_our_client]
    assert [one["error.type"] for one in told] == ["503", UnreachableError.__name__, "404"]
    assert [one.get("http.response.status_code") for one in told] == [503, None, 404]
    assert [one.get("http.request.resend_count") for one in told] == [None, 1, 2]
    assert all(span.status.status_code is trace.StatusCode.ERROR for span in spans.of_our_client)
    assert not [span for span in spans.of_our_client if span.events or span.status.description]
    assert KEY not in "".join(span.to_json() for span in spans.of_our_client)


async def test_a_request_that_is_given_up_is_a_span_too(spans: Spans) -> None:
    async with (
        upstream([HANG]) as api,
        open_client(api_key=SecretStr(KEY), base_url=api.url, api_version="2024-11-06") as client,
    ):
        with anyio.move_on_after(0.05):
            await client.get_task(ID)
    (span,) = spans.of_our_client
    assert dict(span.attributes or {})["error.type"] == "CancelledError"


RUNS, ENDED = raw_reply(200, raw_task("RUNNING")), raw_reply(200, raw_task("SUCCEEDED"))
CANCELLED = raw_reply(200, raw_task("CANCELLED", cost={"credits": 5}))
DELETE = "DELETE /v1/tasks/{id}"
CALLS = {
    "runway_getTask": ([RUNS], [GET]),
    "runway_waitForTask": ([RUNS, RUNS, ENDED], [GET, GET, GET]),
    "runway_cancelTask": ([RUNS, raw_reply(204), CANCELLED], [GET, DELETE, GET]),
}
"""What the API answers to each tool's requests, and what they are."""


@pytest.mark.parametrize("tool", CALLS)
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_call_and_its_requests_are_one_trace(mode: str, tool: str, spans: Spans) -> None:
    answers, requests = CALLS[tool]
    async with upstream(answers) as api, Client(build_server(callers(api)), mode=mode) as client:
        with trace.get_tracer("host").start_as_current_span("host") as host:
            await client.call_tool(tool, {"taskId": TASK_ID})
    (server,) = [span for span in spans.of_the_server if span.name == f"tools/call {tool}"]
    assert server.context is not None
    assert [span.name for span in spans.of_our_client] == requests
    assert {span.parent and span.parent.span_id for span in spans.of_our_client} == {server.context.span_id}
    assert trace_ids([*spans.of_our_client, server]) == {trace.format_trace_id(host.get_span_context().trace_id)}


async def test_over_http_a_trace_is_continued_from_the_headers(spans: Spans) -> None:
    ids = [f"00000000-0000-4000-8000-{number:012}" for number in range(3)]
    async with upstream(lambda asked: raw_reply(200, raw_task("RUNNING", asked.path.rpartition("/")[2]))) as api:
        served_by = callers(api)
        app = build_app(
            build_server(served_by),
            origin_policy=OriginPolicy(),
            path="/mcp",
            caller=Caller("local"),
            routes=[task_route(served_by, {"GET": READ})],
        )
        async with served(continued(app)) as url, httpx2.AsyncClient(base_url=url, trust_env=False) as http:
            headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
            message = call(1, "runway_getTask", ids[0])
            message["params"].pop("_meta")
            (await http.post("/mcp", json=message, headers={**headers, **TRACE_HEADERS})).raise_for_status()
            (server,) = spans.of_the_server
            assert server.parent is not None
            assert trace.format_span_id(server.parent.span_id) == PARENT_ID
            assert trace_ids([server, *spans.of_our_client]) == {TRACE_ID}
            spans.clear()
            for task_id, given in ((ids[1], TRACE_HEADERS), (ids[2], {"traceparent": "nonsense"})):
                (await http.get(f"/v1/tasks/{task_id}", headers=given)).raise_for_status()
            assert [trace_ids([span]) == {TRACE_ID} for span in spans.of_our_client] == [True, False]


@asynccontextmanager
async def collecting() -> AsyncGenerator[tuple[list[bytes], str]]:
    """The bodies that a collector over OTLP/HTTP has received, and its URL."""
    bodies: list[bytes] = []

    async def take(asked: Request) -> Response:
        bodies.append(await asked.body())
        return Response(b"", headers={"Content-Type": "application/x-protobuf"})

    async with served(Starlette(routes=[Route("/v1/traces", take, methods=["POST"])])) as url:
        yield bodies, url


async def test_a_process_sends_its_spans_to_the_collector_before_it_ends() -> None:
    async with collecting() as (bodies, url), upstream([raw_reply(200, raw_task("RUNNING"))]) as api:
        env = {
            "RUNWAYML_BASE_URL": api.url,
            "RUNWAYML_API_SECRET": KEY,
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_BSP_SCHEDULE_DELAY": "60000",
            "OTEL_RESOURCE_ATTRIBUTES": "service.version=theirs",
        }
        async with running("--tracing", "--log-level", "debug", env=env, measured=True) as server:
            await server.ask(call(1, "runway_getTask", TASK_ID))
            assert bodies == []
            await server.stop("eof")
            await server.ends_quietly(timeout=5)
            assert KEY not in server.stderr
    groups = [group for body in bodies for group in ExportTraceServiceRequest.FromString(body).resource_spans]
    resource = {one.key: one.value.string_value for group in groups for one in group.resource.attributes}
    assert (resource["service.name"], resource["service.version"]) == ("runway-mcp", "theirs")
    sent = [span for group in groups for scope in group.scope_spans for span in scope.spans]
    (tool,) = [span for span in sent if span.name == "tools/call runway_getTask"]
    (read,) = [span for span in sent if span.name == GET]
    assert (read.trace_id, read.parent_span_id) == (tool.trace_id, tool.span_id)
    assert KEY.encode() not in b"".join(bodies)


async def test_a_span_holds_a_callers_words_as_short_as_the_log() -> None:
    long = "x" * 100_000
    async with collecting() as (bodies, url):
        env = {"RUNWAY_MCP_SANDBOX": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
        async with running("--tracing", env=env, measured=True) as server:
            for message in (
                request(long, "tools/call", name=long, arguments={}),
                request(long, long),
                request(long, "resources/read", uri=f"runway://task/{long}"),
                request(long, "prompts/get", name=long),
            ):
                await server.send(message)
                await server.answer(long)
            await server.stop("eof")
            await server.ends_quietly(timeout=5)
    assert b"tools/call xxx" in b"".join(bodies)
    assert b"x" * 101 not in b"".join(bodies)


async def test_a_collector_that_is_away_or_hangs_costs_neither_time_nor_lines() -> None:
    async def check(case: tuple[str, str]) -> None:
        where, timeout = case
        env = {
            "RUNWAY_MCP_SANDBOX": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": where,
            "OTEL_EXPORTER_OTLP_TIMEOUT": timeout,
            "OTEL_BSP_SCHEDULE_DELAY": "20",
        }
        async with running("--tracing", env=env, measured=True) as server:
            for number in range(20):
                await server.ask(request(number, "tools/list"))
            if timeout == "0.3":
                await server.logged("collector")
            await server.stop("SIGTERM")
            await server.ends_quietly(timeout=4)
            (line,) = server.stderr.splitlines()
            assert "runway_mcp.observability.tracing: The OpenTelemetry collector does not take spans" in line

    async with upstream([HANG]) as hanging:
        await together(check, [("http://127.0.0.1:1", "0.3"), (hanging.url, "10")])


class Exporter(SpanExporter):
    def __init__(self, *results: SpanExportResult | Exception) -> None:
        self._results = iter(results)
        self.is_shut_down = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - takes none
        result = next(self._results)
        if isinstance(result, Exception):
            raise result
        return result

    def shutdown(self) -> None:
        self.is_shut_down = True


def test_a_collectors_absence_is_told_of_once_and_its_return_too(caplog: pytest.LogCaptureFixture) -> None:
    failed, fine = SpanExportResult.FAILURE, SpanExportResult.SUCCESS
    exporter = Exporter(fine, failed, RuntimeError(KEY), failed, fine, fine, failed)
    reporting = Reporting(exporter)
    with caplog.at_level(logging.WARNING, "runway_mcp.observability.tracing"):
        results = [reporting.export([]) for _ in range(7)]
    reporting.shutdown()
    assert results == [fine, failed, failed, failed, fine, fine, failed]
    assert ["again" in message for message in caplog.messages] == [False, True, False]
    assert KEY not in caplog.text
    assert exporter.is_shut_down

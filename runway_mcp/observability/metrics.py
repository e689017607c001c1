"""`GET /metrics` for Prometheus.

Labels have few values: none names a caller or holds a client's words.
"""

from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from runway_mcp.observability.request_record import RequestRecord
from runway_mcp.tasks.callers import CallerRegistry

REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Upper bounds of the buckets; waits take minutes, everything else less than one."""
API_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)


class Metrics:
    """The process's metrics, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._requests = Counter(
            "runway_mcp_requests",
            "Requests over HTTP that have ended.",
            ("method", "tool", "status", "outcome"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "runway_mcp_request_duration_seconds",
            "How long requests over HTTP took.",
            ("method", "tool"),
            buckets=REQUEST_SECONDS,
            registry=self._registry,
        )
        self._in_progress = Gauge(
            "runway_mcp_requests_in_progress", "Requests over HTTP in progress.", registry=self._registry
        )
        self._api_requests = Counter(
            "runway_mcp_api_requests",
            "Requests to the Runway API, by the status that came back.",
            ("endpoint", "status"),
            registry=self._registry,
        )
        self._api_seconds = Histogram(
            "runway_mcp_api_request_duration_seconds",
            "How long requests to the Runway API took.",
            ("endpoint",),
            buckets=API_SECONDS,
            registry=self._registry,
        )

    def follow(self, callers: CallerRegistry) -> None:
        """Add the counters of `callers`."""
        self._registry.register(_CallerCounters(callers))

    def on_request_end(self, record: RequestRecord) -> None:
        """Count a request that has ended."""
        status = f"{record.status // 100}xx" if record.status else "none"
        self._requests.labels(record.method, record.tool, status, record.outcome).inc()
        self._seconds.labels(record.method, record.tool).observe(record.seconds)

    def on_api_response(self, endpoint: str, status: int | None, seconds: float) -> None:
        """Count a request to the Runway API."""
        self._api_requests.labels(endpoint, str(status or "none")).inc()
        self._api_seconds.labels(endpoint).observe(seconds)

    def counted(self, app: ASGIApp) -> ASGIApp:
        """Return `app` with its requests in progress counted."""

        async def count(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                with self._in_progress.track_inprogress():
                    await app(scope, receive, send)
            else:
                await app(scope, receive, send)

        return count

    def page(self) -> Response:
        """Return the page that Prometheus reads."""
        return Response(
            generate_latest(self._registry),
            headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4, "Cache-Control": "no-store"},
        )


class _CallerCounters(Collector):
    def __init__(self, callers: CallerRegistry) -> None:
        self._callers = callers

    def collect(self) -> Iterator[Metric]:
        counters = self._callers.counters
        yield CounterMetricFamily("runway_mcp_polls", "Tasks read from Runway.", counters.polls)
        yield CounterMetricFamily(
            "runway_mcp_cache_hits",
            "Reads answered from a state less than a poll interval old.",
            counters.shared_reads,
        )
        yield GaugeMetricFamily("runway_mcp_waits_in_progress", "Waits in progress.", self._callers.waits_in_progress)
        if (database := self._callers.database) is not None:
            yield GaugeMetricFamily(
                "runway_mcp_database_up", "Whether the history's database can be used.", not database.is_away
            )

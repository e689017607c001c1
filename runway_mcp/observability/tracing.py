"""Sends OpenTelemetry traces to a collector over OTLP/HTTP, as the standard OTEL_* variables say.

The MCP SDK and our client make spans in any case. A thread of its own sends them: a slow collector costs spans, not
calls.
"""

import logging
import threading
from collections.abc import Callable, Sequence

from opentelemetry import propagate, trace
from opentelemetry.context import attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Status
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from runway_mcp import __version__
from runway_mcp.observability.logs import MAX_FIELD, MAX_RECORD

FLUSH_SECONDS = 1.5
"""How long the end of the process waits for the last spans to be sent."""

LIMITS = SpanLimits(max_span_attribute_length=MAX_FIELD, max_attribute_length=MAX_RECORD)
"""Characters of an attribute, and of what an exception says. Callers choose names and ids of any length."""

logger = logging.getLogger(__name__)


def start_tracing() -> Callable[[], None]:
    """Send spans from now on. Return a function that sends the last ones, within `FLUSH_SECONDS`."""
    known = {"service.name": "runway-mcp", "service.version": __version__}
    resource = Resource.create({**known, **OTELResourceDetector().detect().attributes})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False, span_limits=LIMITS)
    reporting = Reporting(OTLPSpanExporter())
    provider.add_span_processor(ShortSpanProcessor(reporting))
    trace.set_tracer_provider(provider)
    for library in ("opentelemetry.exporter", "opentelemetry.sdk"):
        logging.getLogger(library).setLevel(logging.CRITICAL)

    def finish() -> None:
        last = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
        last.start()
        last.join(FLUSH_SECONDS)
        if last.is_alive():
            reporting.note(SpanExportResult.FAILURE)

    return finish


class ShortSpanProcessor(BatchSpanProcessor):
    """Keeps spans with names and descriptions as short as in the log, because many may wait for the collector."""

    def on_end(self, span: ReadableSpan) -> None:
        name, description = span.name, span.status.description or ""
        if max(len(name), len(description)) > MAX_FIELD:
            span = ReadableSpan(
                name[:MAX_FIELD],
                context=span.context,
                parent=span.parent,
                resource=span.resource,
                attributes=span.attributes,
                events=span.events,
                links=span.links,
                kind=span.kind,
                status=Status(span.status.status_code, description[:MAX_FIELD] or None),
                start_time=span.start_time,
                end_time=span.end_time,
                instrumentation_scope=span.instrumentation_scope,
            )
        super().on_end(span)


class Reporting(SpanExporter):
    """Logs once when a collector stops taking spans, and once when it takes them again.

    The exporter itself would log each failure, with what the collector said.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._is_failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception:  # noqa: BLE001 - whatever a wrong setting or a broken reply makes of it
            result = SpanExportResult.FAILURE
        self.note(result)
        return result

    def note(self, result: SpanExportResult) -> None:
        """Log the result of sending spans if it differs from the last one."""
        is_failing = result is not SpanExportResult.SUCCESS
        if is_failing and not self._is_failing:
            logger.warning(
                "The OpenTelemetry collector does not take spans; they are dropped until it does. "
                "Where it is, the variables OTEL_EXPORTER_OTLP_* say."
            )
        elif self._is_failing and not is_failing:
            logger.warning("The OpenTelemetry collector takes spans again.")
        self._is_failing = is_failing

    def shutdown(self) -> None:
        self._exporter.shutdown()


def continued(app: ASGIApp) -> ASGIApp:
    """Return `app` with each request in the trace that its headers name (W3C Trace Context)."""

    async def continue_trace(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        token = attach(propagate.extract(Headers(scope=scope)))
        try:
            await app(scope, receive, send)
        finally:
            detach(token)

    return continue_trace

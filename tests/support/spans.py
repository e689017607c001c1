"""What has been traced in this process. Its tracer provider can be set once only, so all tests share one."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

OURS = "runway_mcp"
"""The instrumentation scope of our client's spans."""


class Spans:
    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def clear(self) -> None:
        self._exporter.clear()

    @property
    def all(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    @property
    def of_our_client(self) -> list[ReadableSpan]:
        return [span for span in self.all if span.instrumentation_scope and span.instrumentation_scope.name == OURS]

    @property
    def of_the_server(self) -> list[ReadableSpan]:
        return [span for span in self.all if span.kind is trace.SpanKind.SERVER]


@contextmanager
def traced() -> Generator[Spans]:
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield Spans(exporter)
    exporter.shutdown()

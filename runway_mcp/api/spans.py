"""One OpenTelemetry CLIENT span for each request to Runway, within the trace of the call that asked for it.

Without a tracer provider it costs next to nothing. Its attributes follow OpenTelemetry's semantic conventions for HTTP
clients, without the URL and error texts, which may hold an id or a secret.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
from opentelemetry import trace

from runway_mcp import __version__

ERRORS_FROM = 400
PORTS = {"http": 80, "https": 443}

_tracer = trace.get_tracer("runway_mcp", __version__)


@dataclass(slots=True)
class Exchange:
    """One request, and the status that came back, if any."""

    status: int | None = None


@contextmanager
def client_span(method: str, template: str, *, server: httpx2.URL, resends: int) -> Generator[Exchange]:
    """Trace one request, whose `Exchange` takes the status; `template` is its path with the parameters' names."""
    exchange = Exchange()
    attributes: dict[str, str | int] = {
        "http.request.method": method,
        "url.template": template,
        "server.address": server.host,
        "server.port": server.port or PORTS[server.scheme],
    }
    if resends:
        attributes["http.request.resend_count"] = resends
    span = _tracer.start_span(f"{method} {template}", kind=trace.SpanKind.CLIENT, attributes=attributes)
    failure = ""
    try:
        yield exchange
    except BaseException as error:
        failure = type(error).__qualname__
        raise
    finally:
        if exchange.status is not None:
            span.set_attribute("http.response.status_code", exchange.status)
            failure = str(exchange.status) if exchange.status >= ERRORS_FROM else failure
        if failure:
            span.set_attribute("error.type", failure)
            span.set_status(trace.StatusCode.ERROR)
        span.end()

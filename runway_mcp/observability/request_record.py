"""The record of one request, over whichever transport it comes.

HTTP makes the record and puts it into the request's scope. The MCP server adds the method, tool and outcome. At the
end the access log and the metrics get it.
"""

import logging
from collections.abc import Callable, Generator, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from runway_mcp.tasks.callers import Caller

MAX_NAME = 1_000
"""Characters of a name that are searched for secrets; the log shows fewer."""
SCOPE_KEY = "runway.record"
OTHER = "other"
"""Replaces a name that does not exist here, so that clients can't make up metric labels."""


@dataclass(slots=True)
class RequestRecord:
    """One request.

    Attributes:
        method: An MCP method, or an HTTP method and route; one of few.
        tool: The tool that is called, where one is; one of few.
        requested: The client's own name for it, where nothing here has that name.
        missing_scope: The scope that the request lacked.
        outcome: How it ended where no status tells: `tool_error`, `error -32602`, `failed`, `cancelled`.
    """

    id: str
    caller: Caller
    method: str = ""
    tool: str = ""
    requested: str = ""
    missing_scope: str | None = None
    status: int | None = None
    outcome: str = ""
    seconds: float = 0.0

    @classmethod
    def from_scope(cls, scope: MutableMapping[str, Any]) -> "RequestRecord":
        """Return the record in an ASGI scope; without one the request has no caller: `KeyError`."""
        record = scope[SCOPE_KEY]
        assert isinstance(record, cls)  # noqa: S101 - nothing else is put there
        return record


OnRequestEnd = Callable[[RequestRecord], None]
"""Called at a request's end."""

_access_log = logging.getLogger("runway_mcp.observability.access_log")
_CURRENT: ContextVar[RequestRecord | None] = ContextVar("record", default=None)


@contextmanager
def in_flight(record: RequestRecord, on_request_end: Sequence[OnRequestEnd]) -> Generator[None]:
    """Make `record` the current one while the request is handled; report it at the end."""
    before = _CURRENT.set(record)
    started = perf_counter()
    try:
        yield
    finally:
        record.seconds = perf_counter() - started
        for report in on_request_end:
            report(record)
        _CURRENT.reset(before)


def current_id() -> str:
    """Return the id of the current request, or of the one that started this background task; empty without one."""
    record = _CURRENT.get()
    return record.id if record else ""


def log_request(record: RequestRecord) -> None:
    """Write the access log's line for a request, without arguments, URL queries or results."""
    fields = {
        "request_id": record.id,
        "caller": record.caller.subject[:MAX_NAME],
        "tool": record.tool,
        "requested": record.requested[:MAX_NAME],
        "status": record.status,
        "duration_ms": round(record.seconds * 1000, 1),
        "outcome": record.outcome,
    }
    _access_log.info(
        "%s", record.method, extra={name: value for name, value in fields.items() if value not in {"", None}}
    )

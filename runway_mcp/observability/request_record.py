"""The record of one request, over whichever transport it comes.

HTTP makes the record and puts it into the request's scope. The MCP server adds the method, tool and outcome. At the
end the access log and the metrics get it.
"""

from collections.abc import Callable, Generator, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from runway_mcp.tasks.callers import Caller

SCOPE_KEY = "runway.record"
OTHER = "other"
"""Replaces a name that does not exist here, so that clients can't make up metric labels."""


@dataclass(slots=True)
class RequestRecord:
    """One request.

    Attributes:
        id: What names it in the log.
        caller: Who asks.
        method: What is asked: an MCP method, or an HTTP method and route; one of few.
        tool: The tool that is called, where one is; one of few.
        requested: The client's own name for it, where nothing here has that name.
        missing_scope: The scope that the request lacked.
        status: The HTTP status of the answer, or None where there was none.
        outcome: How it ended where no status tells: `tool_error`, `error -32602`, `failed`, `cancelled`.
        seconds: How long it took; known at its end.
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

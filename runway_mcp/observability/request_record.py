"""What is known of one request while it is handled, by whichever way it came in.

HTTP makes the record and puts it into the request's scope, the MCP server finds it there and
adds what it alone knows; at the end the access log and the metrics tell it.
"""

from collections.abc import Callable, Generator, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from runway_mcp.tasks.callers import Caller

SCOPE_KEY = "runway.call"
OTHER = "other"
"""What stands in a record for a name that nothing here bears, so that no client can think up new ones."""


@dataclass(slots=True)
class RequestRecord:
    """One request.

    Attributes:
        id: What names it in the log.
        caller: Who asks.
        method: What is asked: an MCP method, or an HTTP method and route; one of few.
        tool: The tool that is called, where one is; one of few.
        asked: What was asked for in the client's own words, where nothing here bears that name.
        missing_scope: The scope for want of which it was refused.
        status: The HTTP status of the answer, or None where there was none.
        outcome: How it ended where no status tells: `tool error`, `error -32602`, `failed`, `cancelled`.
        seconds: How long it took; known at its end.
    """

    id: str
    caller: Caller
    method: str = ""
    tool: str = ""
    asked: str = ""
    missing_scope: str | None = None
    status: int | None = None
    outcome: str = ""
    seconds: float = 0.0

    @classmethod
    def from_scope(cls, scope: MutableMapping[str, Any]) -> "RequestRecord":
        """Return the record that stands in an ASGI scope; without one, nobody has said who asks: `KeyError`."""
        call = scope[SCOPE_KEY]
        assert isinstance(call, cls)  # noqa: S101 - nothing else is put there
        return call


OnRequestEnd = Callable[[RequestRecord], None]
"""Hears of a request at its end."""

_UNDER_WAY: ContextVar[RequestRecord | None] = ContextVar("call", default=None)


@contextmanager
def under_way(call: RequestRecord, tell: Sequence[OnRequestEnd]) -> Generator[None]:
    """Have the context be the handling of `call`, of which `tell` hears at the end."""
    before = _UNDER_WAY.set(call)
    started = perf_counter()
    try:
        yield
    finally:
        call.seconds = perf_counter() - started
        for hear in tell:
            hear(call)
        _UNDER_WAY.reset(before)


def current_id() -> str:
    """Return the id of the request that is handled here, or that began what is done here; empty where none did."""
    call = _UNDER_WAY.get()
    return call.id if call else ""

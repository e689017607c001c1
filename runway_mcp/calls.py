"""What is known of one request while it is handled, by whichever way it came in.

HTTP makes the record and puts it into the request's scope, the MCP server finds it there and
adds what it alone knows; at the end the access log and the metrics tell it.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from runway_mcp.tasks.callers import Caller

SCOPE_KEY = "runway.call"


@dataclass(slots=True)
class Call:
    """One request.

    Attributes:
        id: What names it in the log.
        caller: Who asks.
        method: What is asked: an MCP method, or an HTTP method and route.
        tool: The tool that is called, where one is.
        missing_scope: The scope for want of which it was refused.
    """

    id: str
    caller: Caller
    method: str = ""
    tool: str = ""
    missing_scope: str | None = None

    @classmethod
    def within(cls, scope: MutableMapping[str, Any]) -> "Call":
        """Return the record that stands in an ASGI scope; without one, nobody has said who asks: `KeyError`."""
        call = scope[SCOPE_KEY]
        assert isinstance(call, cls)  # noqa: S101 - nothing else is put there
        return call

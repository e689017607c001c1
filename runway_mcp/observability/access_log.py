"""The access log: one line for each request, with what an operator needs and nothing of what a caller said.

No arguments, no URL query, no result; of a name that does not exist here, what the log makes of any field.
"""

import logging

from runway_mcp.observability.request_record import RequestRecord

MAX_NAME = 1_000
"""Characters that the log is given to look for secrets in, of which it shows fewer."""

logger = logging.getLogger(__name__)


def log_request(record: RequestRecord) -> None:
    """Log a request that has ended."""
    fields = {
        "request_id": record.id,
        "caller": record.caller.subject[:MAX_NAME],
        "tool": record.tool,
        "requested": record.requested[:MAX_NAME],
        "status": record.status,
        "duration_ms": round(record.seconds * 1000, 1),
        "outcome": record.outcome,
    }
    logger.info("%s", record.method, extra={name: value for name, value in fields.items() if value not in {"", None}})

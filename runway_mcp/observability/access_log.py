"""The access log: one line for each request, without arguments, URL queries or results."""

import logging

from runway_mcp.observability.request_record import RequestRecord

MAX_NAME = 1_000
"""Characters of a name that are searched for secrets; the log shows fewer."""

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

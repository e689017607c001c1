"""When to retry, and how long to wait before: decisions only, no I/O.

The figures are those of Runway's official SDKs: two retries, 0.5 s doubling to at most 8 s,
up to half of it taken off at random, and `Retry-After` honoured up to a minute.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

RETRIES = 2
FIRST_DELAY = 0.5
MAX_DELAY = 8.0
MAX_RETRY_AFTER = 60.0


def delay(attempt: int, random: Callable[[], float]) -> float:
    """Return the seconds to wait after the failed `attempt` (1 for the first); `random` returns 0 to 1."""
    return min(FIRST_DELAY * 2.0 ** (attempt - 1), MAX_DELAY) * (1 - random() / 2)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header, seconds or an HTTP date, asks for; None if it is unusable."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())

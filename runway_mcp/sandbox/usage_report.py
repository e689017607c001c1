"""Credits used by day and model, as the API's usage query answers it. All days are in UTC."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta
from typing import cast

from runway_mcp.sandbox.body_issues import Issue, find_issues
from runway_mcp.sandbox.lifecycle import Entry

_EPOCH = date(1970, 1, 1)
_DAY = 86_400
_USUAL_DAYS, _MAX_DAYS = 30, 90
_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def read_days(body: object, now: float) -> tuple[date, date] | list[Issue]:
    """Return the first day that a query asks for and the one after the last, or what is wrong with the query.

    Left out, they are thirty days before today and thirty days after the first.
    """
    if issues := find_issues(body, {"type": "object"}):
        return issues
    given = cast("Mapping[str, object]", body)
    days = {name: _parse(given[name]) for name in ("startDate", "beforeDate") if name in given}
    if wrong := [name for name, day in days.items() if day is None]:
        return [{"code": "invalid_format", "path": [name], "message": "Invalid ISO date"} for name in wrong]
    start = days.get("startDate") or _day(now) - timedelta(days=_USUAL_DAYS)
    before = days.get("beforeDate") or start + min(timedelta(days=_USUAL_DAYS), date.max - start)
    if before - start > timedelta(days=_MAX_DAYS):
        return [{"code": "custom", "path": ["beforeDate"], "message": f"More than {_MAX_DAYS} days after startDate"}]
    return start, before


def describe_usage(ledger: Iterable[Entry], models: Collection[str], start: date, before: date) -> dict[str, object]:
    """Return the net credits on each day with any, of each of these models."""
    days = defaultdict[date, Counter[str]](Counter)
    for entry in ledger:
        if entry.model in models and start <= (day := _day(entry.when)) < before:
            days[day][entry.model] += entry.credits
    return {
        "results": [
            {"date": str(day), "usedCredits": [{"model": model, "amount": used} for model, used in days[day].items()]}
            for day in sorted(days)
        ],
        "models": sorted({model for used in days.values() for model in used}),
    }


def _parse(day: object) -> date | None:
    try:
        return date.fromisoformat(day) if isinstance(day, str) and _FORM.fullmatch(day) else None
    except ValueError:
        return None


def _day(when: float) -> date:
    return _EPOCH + timedelta(days=when // _DAY)

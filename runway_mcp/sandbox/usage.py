"""Credits used by day and model, as the API's usage query answers it. All days are in UTC."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import cast

from runway_mcp.sandbox.catalogue import MODELS
from runway_mcp.sandbox.inputs.rules import Issue, Path, judge, loose, maybe
from runway_mcp.sandbox.lifecycle import Entry

_EPOCH = date(1970, 1, 1)
_DAY = 86_400
_USUAL_DAYS, _MAX_DAYS = 30, 90
_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _calendar_day(value: object, path: Path) -> Iterator[Issue]:
    """A day that there is, as YYYY-MM-DD."""
    if not (isinstance(value, str) and _FORM.fullmatch(value) and _parse(value)):
        yield {"code": "invalid_format", "path": list(path), "message": "Invalid ISO date"}


_RULE = loose(startDate=maybe(_calendar_day), beforeDate=maybe(_calendar_day))


def read_days(body: object, now: float) -> tuple[date, date] | list[Issue]:
    """The first day that a query asks for and the one after the last, or what is wrong with the query.

    Left out, they are thirty days before today and thirty days after the first.
    """
    if issues := judge(_RULE, body)[0]:
        return issues
    days = cast("Mapping[str, str]", body)
    start = _parse(days.get("startDate", "")) or _day(now) - timedelta(days=_USUAL_DAYS)
    before = _parse(days.get("beforeDate", "")) or start + min(timedelta(days=_USUAL_DAYS), date.max - start)
    if before - start > timedelta(days=_MAX_DAYS):
        return [{"code": "custom", "path": ["beforeDate"], "message": f"More than {_MAX_DAYS} days after startDate"}]
    return start, before


def describe_usage(ledger: Iterable[Entry], start: date, before: date) -> dict[str, object]:
    """The net credits of each model on each day with any; models that the API does not name are left out."""
    days = defaultdict[date, Counter[str]](Counter)
    for entry in ledger:
        if entry.model in MODELS and start <= (day := _day(entry.when)) < before:
            days[day][entry.model] += entry.credits
    return {
        "results": [
            {"date": str(day), "usedCredits": [{"model": model, "amount": used} for model, used in days[day].items()]}
            for day in sorted(days)
        ],
        "models": sorted({model for used in days.values() for model in used}),
    }


def _parse(day: str) -> date | None:
    try:
        return date.fromisoformat(day)
    except ValueError:
        return None


def _day(when: float) -> date:
    return _EPOCH + timedelta(days=when // _DAY)

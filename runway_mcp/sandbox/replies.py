"""The shapes of the API's answers, exactly as its description gives them: no key less, none more."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from starlette.responses import JSONResponse

from runway_mcp.sandbox.catalogue import DAILY_GENERATIONS, MODELS, MONTHLY_SPEND, Endpoint, concurrency
from runway_mcp.sandbox.lifecycle import Account, Task
from runway_mcp.sandbox.media import FORMATS, Kind

Body = dict[str, object]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SLUG = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_RESOLVED_INPUT: Mapping[Kind, Body] = MappingProxyType(
    {
        "video": {"duration": 5, "ratio": "1280:720", "resolution": "720p"},
        "image": {"ratio": "1024:1024", "aspectRatio": "1:1", "resolution": "1k"},
        "audio": {"type": "speech", "voice": "default"},
    }
)


def error(status: int, message: str, *, allow: str | None = None, issue: Body | None = None) -> JSONResponse:
    """Refuse a request; ``issue`` says which field was wrong, ``allow`` which methods are right."""
    body: Body = {"error": message}
    if issue:
        body["issues"] = [issue]
    return JSONResponse(body, status, headers={"Allow": allow} if allow else None)


def describe(task: Task, now: float, link: Callable[[str], str]) -> Body:
    """A task as GET answers it; ``link`` makes the URL of an output file named ``task id/number.suffix``."""
    status = task.status(now)
    since = (_EPOCH + timedelta(seconds=task.created)).isoformat(timespec="milliseconds")
    body: Body = {"id": task.id, "status": status, "createdAt": since.replace("+00:00", "Z")}
    if status == "RUNNING":
        body["progress"] = task.progress(now)
    elif status == "SUCCEEDED":
        files = enumerate(task.outcome.output)
        body["output"] = [link(f"{task.id}/{number}.{FORMATS[kind].suffix}") for number, kind in files]
    elif status == "FAILED":
        body |= {"failure": task.outcome.failure, "failureCode": task.outcome.failure_code}
    price = "estimatedCost" if now < task.ends else "cost"
    return body | {price: {"credits": task.cost(now)}}


def created(endpoint: Endpoint, task: Task, request: Body) -> Body:
    """The answer to a create request."""
    estimate: Body = {"credits": task.credits}
    if endpoint.reply == "bare":
        return {"id": task.id}
    if endpoint.reply == "priced":
        return {"id": task.id, "estimatedCost": estimate}
    config = str(request.get("configId", ""))
    routing: Body = {
        "model": task.model,
        "provider": "elevenlabs" if endpoint.kind == "audio" else "runway",
        "configId": config if _SLUG.fullmatch(config) else "default",
        "resolvedSettings": {"optimizeFor": "quality", "priceCeiling": None},
        "resolvedInput": _RESOLVED_INPUT[endpoint.kind],
        "estimatedCost": estimate,
    }
    return {"id": task.id, "routing": routing}


def organization(account: Account, now: float) -> Body:
    """The organization's limits, credits and usage."""
    generations = account.generations(now)
    limits = {
        model: {"maxConcurrentGenerations": concurrency(model), "maxDailyGenerations": DAILY_GENERATIONS}
        for model in MODELS
    }
    return {
        "tier": {"maxMonthlyCreditSpend": MONTHLY_SPEND, "models": limits},
        "creditBalance": account.balance(now),
        "usage": {"models": {model: {"dailyGenerations": generations[model]} for model in MODELS}},
    }

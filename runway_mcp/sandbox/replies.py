"""The shapes of the API's answers, exactly as its description gives them: no key less, none more.

One is beside it: the API also gives `previewUrls` of videos.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

from starlette.responses import Response

from runway_mcp.sandbox.body_issues import Issue
from runway_mcp.sandbox.endpoints import Endpoint
from runway_mcp.sandbox.lifecycle import Account, Task, concurrency
from runway_mcp.sandbox.output_files import FORMATS, PREVIEW, Kind

Body = dict[str, object]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DOCUMENTATION = "https://docs.dev.runwayml.com/api"
_RESOLVED_INPUT: Mapping[Kind, Body] = {
    "video": {"duration": 5, "ratio": "1280:720", "resolution": "720p"},
    "image": {"ratio": "1024:1024", "aspectRatio": "1:1", "resolution": "1k"},
    "audio": {"type": "speech", "voice": "default"},
}


def error(
    status: int,
    message: str,
    *,
    issues: Sequence[Issue] = (),
    doc_url: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Refuse a request; `issues` say which fields were wrong."""
    body: Body = {"error": message, "issues": list(issues), "docUrl": doc_url, "code": code}
    # all ASCII: an issue may name a field that UTF-8 has no bytes for
    content = json.dumps({name: value for name, value in body.items() if value})
    return Response(content, status, headers, media_type="application/json")


def invalid(issues: Sequence[Issue], *, routed: bool = False) -> Response:
    """Refuse a body; a router's refusal has no link to the documentation."""
    return error(400, "Validation of body failed", issues=issues, doc_url=None if routed else _DOCUMENTATION)


def describe(task: Task, now: float, link: Callable[[str], str]) -> Body:
    """Return a task as GET answers it; `link` makes the URL of the file `ID/NUMBER.SUFFIX`: an output or a preview."""
    status = task.status(now)
    since = (_EPOCH + timedelta(seconds=task.created)).isoformat(timespec="milliseconds")
    body: Body = {"id": task.id, "status": status, "createdAt": since.replace("+00:00", "Z")}
    if status == "RUNNING":
        body["progress"] = task.progress(now)
    elif status == "SUCCEEDED":
        files = list(enumerate(task.outcome.output))
        body["output"] = [link(f"{task.id}/{number}.{extension}") for number, extension in files]
        if all(FORMATS[extension].content_type.startswith("video/") for _, extension in files):
            body["previewUrls"] = [link(f"{task.id}/{number}.{PREVIEW}") for number, _ in files]
    elif status == "FAILED":
        body["failure"] = task.outcome.failure
        if task.outcome.failure_code:
            body["failureCode"] = task.outcome.failure_code
    price = "estimatedCost" if now < task.ends else "cost"
    return body | {price: {"credits": task.cost(now)}}


def created(endpoint: Endpoint, task: Task, request: Mapping[str, object]) -> Body:
    """Return the answer to a create request."""
    estimate: Body = {"credits": task.script.credits}
    body: Body = {"id": task.id, "estimatedCost": estimate}
    if endpoint.routed:
        body["routing"] = {
            "model": task.script.model,
            "provider": "elevenlabs" if endpoint.kind == "audio" else "runway",
            "configId": request["configId"],
            "resolvedSettings": {"optimizeFor": "quality", "priceCeiling": None},
            "resolvedInput": _resolved(cast("Body", request["input"]), _RESOLVED_INPUT[endpoint.kind]),
            "estimatedCost": estimate,
        }
    return {name: body[name] for name in endpoint.reply}


def _resolved(given: Body, usual: Body) -> Body:
    """The router's settings, each as it was given or as usual; of a voice only the type is told."""
    settings = {name: given.get(name, value) for name, value in usual.items()}
    return {name: cast("Body", value)["type"] if isinstance(value, dict) else value for name, value in settings.items()}


def organization(account: Account, models: Collection[str], now: float, daily_generations: int) -> Body:
    """Return the organization's limits, credits and usage."""
    generations = account.generations(now)
    limits = {
        model: {"maxConcurrentGenerations": concurrency(model), "maxDailyGenerations": daily_generations}
        for model in models
    }
    return {
        "tier": {"maxMonthlyCreditSpend": 100_000, "models": limits},
        "creditBalance": account.balance(now),
        "usage": {"models": {model: {"dailyGenerations": generations[model]} for model in models}},
    }

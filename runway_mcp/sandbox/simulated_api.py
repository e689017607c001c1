"""The simulated API's endpoints and the rules that hold for every request.

A request is checked in this order: key (401), API version (400), path (404), method (405), body (400, 404),
the account's limits (429, 400).
"""

import json
import math
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn, cast

from pydantic import BaseModel, ConfigDict
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from runway_mcp.sandbox import replies
from runway_mcp.sandbox.charges import count_outputs
from runway_mcp.sandbox.endpoints import Endpoint, load_endpoints, read_data
from runway_mcp.sandbox.failures import asked_failure
from runway_mcp.sandbox.faults import Fault, FaultInjection
from runway_mcp.sandbox.lifecycle import LONG_QUEUE_MODEL, LONG_RUN_MODEL, Account, Outcome, Script, Task
from runway_mcp.sandbox.output_files import FORMATS, LIFETIME, PREVIEW, admits, sign
from runway_mcp.sandbox.samples import SAMPLES
from runway_mcp.sandbox.state_file import StateFile
from runway_mcp.sandbox.upload_slots import Upload, UploadSlots, check_slot_request
from runway_mcp.sandbox.usage_report import describe_usage, read_days

_API_VERSION = "2024-11-06"
_REFUSED_KEY = "invalid"
_UNKNOWN_ROUTER = "unknown"
_TASK_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)


def create_app(
    *,
    clock: Callable[[], float] = time.time,
    speed: float = 1.0,
    samples: bool = True,
    opening_balance: int = 100_000,
    daily_generations: int = 5_000,
    faults: Sequence[Fault] = (),
    price_factor: float = 1.0,
    catalogue: Mapping[str, object] | None = None,
    state_file: Path | None = None,
) -> Starlette:
    """Build a simulated Runway API with an account of its own.

    Any key is accepted but `invalid`, and any router but `unknown`, so that refusals can be seen too.
    `sandbox:fail` or `sandbox:fail:CODE` in a create request makes the task fail, see `failures`.

    Args:
        clock: Returns UNIX seconds; every state is a function of it.
        speed: How many times faster than life tasks go through their states, above 0. Clock times
            (`createdAt`, the expiry of output URLs and uploads, a day's usage) are not affected.
        samples: Whether the tasks of `SAMPLES` are there.
        opening_balance: Credits that were bought; the samples and all tasks are paid from them.
        daily_generations: How many tasks of each model may be created in 24 hours.
        faults: The first that is for a request counts, before any rule is looked at.
        price_factor: How many times more than the price table says a task costs.
        catalogue: What `catalogue.json` holds; the package's own by default.
        state_file: Keeps the account, which is in memory otherwise. Several processes may use it at once.

    Raises:
        sqlite3.Error: `state_file` can't be used.
        ValueError: `state_file` holds something else.
    """
    endpoints = load_endpoints(catalogue or read_data("catalogue.json"), read_data("prices.toml"))
    account = Account(
        clock=clock, speed=speed, opening_balance=opening_balance, samples=SAMPLES.values() if samples else ()
    )
    api = _Api(account, endpoints, daily_generations, price_factor)
    kept = [Middleware(StateFile(state_file, api.restore, api.dump).guard)] if state_file else []
    app = Starlette(
        routes=[
            Route("/v1/tasks/{id}", api.task, methods=["GET", "DELETE"]),
            Route("/v1/organization", api.organization),
            Route("/v1/organization/usage", api.usage, methods=["POST"]),
            *(Route(path, partial(api.create, one), methods=["POST"]) for path, one in endpoints.items()),
            Route("/v1/uploads", api.upload, methods=["POST"]),
            Route("/storage", api.storage, methods=["POST"]),
            Route("/outputs/{id}/{file}", api.output),
        ],
        middleware=[Middleware(FaultInjection, faults), Middleware(_rules), *kept],
        exception_handlers={HTTPException: _refuse},
    )
    app.router.redirect_slashes = False
    return app


def _rules(app: ASGIApp) -> ASGIApp:
    async def check(scope: Scope, receive: Receive, send: Send) -> None:
        in_api = scope["type"] == "http" and f"{scope['path']}/".startswith("/v1/")
        refusal = _refusal(Request(scope)) if in_api else None
        await (refusal or app)(scope, receive, send)

    return check


def _refusal(request: Request) -> Response | None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or key.strip() in ("", _REFUSED_KEY):
        return replies.error(401, "The API key is missing or not valid.")
    if request.headers.get("X-Runway-Version") != _API_VERSION:
        return replies.error(400, f"The header X-Runway-Version must be {_API_VERSION}.")
    return None


def _refuse(_request: Request, reason: Exception) -> Response:
    # the router's own, 404 and 405
    refusal = cast("HTTPException", reason)  # Starlette's signature is wider than what it calls this with
    return replies.error(refusal.status_code, refusal.detail, headers=refusal.headers)


class _State(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="constants")

    key: str
    tasks: list[Task]
    uploads: dict[str, Upload]


class _Api:
    def __init__(
        self, account: Account, endpoints: Mapping[str, Endpoint], daily_generations: int, price_factor: float
    ) -> None:
        self._price_factor = price_factor
        self._account = account
        self._daily_generations = daily_generations
        self._key = secrets.token_bytes(32)
        self._slots = UploadSlots(self._key)
        models = {model.name for one in endpoints.values() for model in one.models.values() if model.documented}
        self._models = sorted({LONG_QUEUE_MODEL, LONG_RUN_MODEL, *models})

    def dump(self) -> str:
        return _State(key=self._key.hex(), tasks=self._account.tasks, uploads=self._slots.files).model_dump_json()

    def restore(self, text: str) -> None:
        state = _State.model_validate_json(text)
        self._key = self._slots.key = bytes.fromhex(state.key)
        self._account.restore(state.tasks)
        self._slots.files = state.uploads

    async def task(self, request: Request) -> Response:
        task_id = str(request.path_params["id"])
        if not _TASK_ID.fullmatch(task_id):
            issue = {"code": "invalid_format", "path": ["id"], "message": "Not a version 4 UUID."}
            return replies.error(400, "The task id is not valid.", issues=[issue])
        now = self._account.now()
        missing = replies.error(404, "There is no such task, or it was cancelled or deleted.")
        if request.method == "DELETE":
            return Response(status_code=204) if self._account.remove(task_id.lower(), now) else missing
        task = self._account.find(task_id.lower(), now)
        if task is None:
            return missing
        return JSONResponse(replies.describe(task, now, partial(self._link, request, now)))

    async def create(self, endpoint: Endpoint, request: Request) -> Response:
        content = await request.body()
        content = content.replace(f'"{request.base_url}outputs/'.encode(), b'"https://outputs.example/')  # as at Runway
        parsed, now = _parse(content), self._account.now()
        model = endpoint.model(parsed)
        issues = endpoint.check(parsed, self._slots.kinds(now))
        if model is None or issues:
            return replies.invalid(issues, routed=endpoint.routed)
        body = cast("Mapping[str, object]", parsed)
        if endpoint.routed and body["configId"] == _UNKNOWN_ROUTER:
            return replies.error(404, "There is no such router config.", code="router_config_not_found")
        settings = endpoint.settings(model, body)
        credit = math.ceil(endpoint.credits_for(model, settings, self._slots.lengths(now)) * self._price_factor)
        if self._account.generations(now)[model.name] >= self._daily_generations:
            return replies.error(429, "You have exceeded your daily quota of generations for this model.")
        if credit > self._account.balance(now):
            return replies.error(400, "You do not have enough credits to run this task.")
        files = (endpoint.format(model, settings),) * count_outputs(settings)
        outcome = asked_failure(content) or Outcome("SUCCEEDED", output=files)
        task = self._account.create(Script(model.name, credit, outcome), now)
        return JSONResponse(replies.created(endpoint, task, body))

    async def upload(self, request: Request) -> Response:
        body = _parse(await request.body())
        if issues := check_slot_request(body):
            return replies.invalid(issues)
        fields, uri = self._slots.reserve(cast("Mapping[str, str]", body)["filename"], self._account.now())
        return JSONResponse({"uploadUrl": f"{request.base_url}storage", "fields": fields, "runwayUri": uri})

    async def storage(self, request: Request) -> Response:
        return await self._slots.store(request, self._account.now())

    async def organization(self, _request: Request) -> Response:
        now = self._account.now()
        return JSONResponse(replies.organization(self._account, self._models, now, self._daily_generations))

    async def usage(self, request: Request) -> Response:
        now = self._account.now()
        days = read_days(_parse(await request.body() or b"{}"), now)
        if isinstance(days, tuple):
            return JSONResponse(describe_usage(self._account.ledger(now), self._models, *days))
        return replies.invalid(days)

    async def output(self, request: Request) -> Response:
        now = self._account.now()
        task_id, file = str(request.path_params["id"]), str(request.path_params["file"])
        if not admits(self._key, request.query_params.get("_jwt", ""), f"{task_id}/{file}", now):
            return replies.error(403, "The link is not valid, or it has expired.")
        task = self._account.find(task_id, now)
        if task is None:
            return replies.error(404, "The file was deleted.")
        number, _, extension = file.partition(".")
        output = FORMATS["png" if extension == PREVIEW else task.outcome.output[int(number)]]
        return FileResponse(output.path, media_type=output.content_type)

    def _link(self, request: Request, now: float, file: str) -> str:
        return f"{request.base_url}outputs/{file}?_jwt={sign(self._key, file, now + LIFETIME)}"


def _parse(content: bytes) -> object:
    try:
        return json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None


def _refuse_constant(name: str) -> NoReturn:
    # NaN and Infinity, which Python reads and JSON does not know
    raise ValueError(name)

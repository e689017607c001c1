"""The OpenAPI document of the REST endpoints: `openapi.json`, without what this server does not serve."""

import json
from collections.abc import Collection
from functools import cache
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runway_mcp import __version__
from runway_mcp.api.client import TASK


def document(methods: Collection[str], *, authenticated: bool, sandbox: bool) -> dict[str, Any]:
    """Return the OpenAPI document of these `methods` of a task: GET, DELETE."""
    made: dict[str, Any] = json.loads(files("runway_mcp.web").joinpath("openapi.json").read_text(encoding="utf-8"))
    made["info"]["version"] = __version__
    if sandbox:
        made["info"]["title"] += " (sandbox)"
        made["info"]["description"] = f"SANDBOX: simulated tasks. {made['info']['description']}"
    task = made["paths"][TASK]
    for method in {"GET", "DELETE"}.difference(methods):
        del task[method.lower()]
    if not authenticated:
        del made["security"], made["components"]["securitySchemes"], made["components"]["responses"]["Unauthorized"]
        for method in methods:
            del task[method.lower()]["responses"]["401"]
    return made


def document_route(methods: Collection[str], *, authenticated: bool, sandbox: bool) -> Route:
    """Return the route of the document, which anybody may read; see `document`."""
    make = cache(document)

    async def openapi(_request: Request) -> Response:
        return JSONResponse(make(tuple(methods), authenticated=authenticated, sandbox=sandbox))

    return Route("/openapi.json", openapi)

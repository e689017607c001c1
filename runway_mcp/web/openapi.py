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

Document = dict[str, Any]


def document(methods: Collection[str], *, authenticated: bool, sandbox: bool) -> Document:
    """Return the OpenAPI document.

    Args:
        methods: The HTTP methods that are served of a task: GET, DELETE.
        authenticated: Whether callers need an access token.
        sandbox: Whether the tasks are simulated, which the title then says.
    """
    made: Document = json.loads(files("runway_mcp.web").joinpath("openapi.json").read_text(encoding="utf-8"))
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

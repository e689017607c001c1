"""What is served beside MCP, described as OpenAPI 3.1: made from the models, scopes and routes that serve it."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema, models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runway_mcp import __version__
from runway_mcp.api.client import TASK
from runway_mcp.web.docs import CONTENT_SECURITY_POLICY, page
from runway_mcp.web.error_response import Refusal, optional

Document = dict[str, Any]

TASK_ID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"
"""The ids that the API takes: UUIDs of version 4."""
EXAMPLES = {"GET": "00000000-0000-4000-8000-000000000005", "DELETE": "00000000-0000-4000-8000-000000000003"}
"""For each method a task that there is in the sandbox, so that the examples can be tried there."""

_JSON = "application/json"
_AT_THE_EDGE = (400, 403, 421)
_OF_A_TASK = (*_AT_THE_EDGE, 404, 408, 413, 429, 500, 502, 503, 504)
_REFUSALS: Mapping[int, tuple[str, str]] = {
    400: ("BadRequest", "The request is malformed; its `issues` say where."),
    401: ("Unauthorized", "There is no access token, or it does not hold."),
    403: (
        "Forbidden",
        "The token lacks the scope that `WWW-Authenticate` names, the caller has no Runway key, or a page may not ask.",
    ),
    404: ("NotFound", "Runway has no such task: it is gone, never existed, or belongs to another key's organization."),
    408: ("Late", "The request's body did not come in time."),
    409: ("Finished", "The task finished while it was to be cancelled. It was left alone, and so was its output."),
    413: ("TooLarge", "The request's body is too large."),
    421: ("Misdirected", "The Host header is not one that is served here."),
    429: ("TooMany", "Too many requests of the caller are under way, or Runway limits them."),
    500: ("Failed", "A fault of this server."),
    502: ("BadGateway", "Runway's answer is not usable, or it does not accept this server's key."),
    503: ("Unavailable", "Runway, the authorization server or this server can't serve the request now."),
    504: ("Unclear", "Runway sent no whole answer in time. After a DELETE, a GET shows how the task stands."),
}
"""For each status of a refusal its name among the components, and what it says."""
_TASK_EXAMPLES: Mapping[str, Mapping[str, object]] = {
    "running": {"status": "RUNNING", "progress": 0.45, "estimatedCost": {"credits": 60}},
    "succeeded": {
        "status": "SUCCEEDED",
        "output": ["https://cdn.example.com/output.mp4?_jwt=signature"],
        "cost": {"credits": 60},
    },
    "failed": {
        "status": "FAILED",
        "failure": "An input was refused by moderation.",
        "failureCode": "SAFETY.INPUT.IMAGE",
        "cost": {"credits": 0},
    },
}


class Health(BaseModel):
    """How the server is."""

    model_config = ConfigDict(title="Health", extra="allow")

    status: Literal["ok", "ready", "not ready"] = Field(description="How it is.")
    reason: str | SkipJsonSchema[None] = Field(
        default=None, description="Why it is not ready.", json_schema_extra=optional
    )


def _references(*statuses: int) -> Document:
    return {str(status): {"$ref": f"#/components/responses/{_REFUSALS[status][0]}"} for status in sorted(statuses)}


def _health(description: str, example: Mapping[str, str]) -> Document:
    content = {"schema": {"$ref": "#/components/schemas/Health"}, "example": example}
    return {"description": description, "content": {_JSON: content}}


_PROBE: Document = {"tags": ["health"], "security": []}
_ALIVE: Document = {
    **_PROBE,
    "operationId": "isAlive",
    "summary": "Alive",
    "description": "Answers for as long as the process does.",
    "responses": {"200": _health("It is alive.", {"status": "ok"}), **_references(*_AT_THE_EDGE)},
}
_READY: Document = {
    **_PROBE,
    "operationId": "isReady",
    "summary": "Ready",
    "description": "Says whether the settings are complete and Runway was reached within the last minute.",
    "responses": {
        "200": _health("It is ready.", {"status": "ready"}),
        **_references(*_AT_THE_EDGE),
        "503": _health("It is not ready.", {"status": "not ready", "reason": "The server is stopping."}),
    },
}


def document(
    task: type[BaseModel], scopes: Mapping[str, str], *, authenticated: bool = False, sandbox: bool = False
) -> Document:
    """Return the OpenAPI document.

    Args:
        task: The shape of a task.
        scopes: The scope that each method of a task needs; a method that is not among them is not served.
        authenticated: Whether callers have to show an access token.
        sandbox: Say that nothing here is real.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Runway tasks (sandbox)" if sandbox else "Runway tasks",
            "version": __version__,
            "summary": "Read, cancel and delete Runway generation tasks.",
            "description": ("SANDBOX: simulated tasks, nothing real and nothing charged. " if sandbox else "")
            + "Runway's own REST of a task, served by runway-mcp. Runway's SDKs work when their base URL is this "
            f"server and their API key {'an access token of it' if authenticated else 'any text'}. Whoever reads a "
            "task, it is asked for at Runway once in five seconds, which is as often as Runway updates it.",
            "contact": {"name": "runway-mcp", "url": "https://docs.dev.runwayml.com/"},
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "This server."}],
        "tags": [
            {"name": "tasks", "description": "A Runway generation task."},
            {"name": "health", "description": "How the server is, for who operates it."},
        ],
        **({"security": [{"accessToken": []}]} if authenticated else {}),
        "paths": {
            TASK: {
                "parameters": [{"$ref": "#/components/parameters/Version"}],
                **{method.lower(): _operation(method, scopes[method], authenticated) for method in scopes},
            },
            "/healthz": {"get": _ALIVE},
            "/readyz": {"get": _READY},
        },
        "components": {
            "schemas": {"Task": task.model_json_schema(), **_schemas(Health, Refusal)},
            "parameters": {
                "Version": {
                    "name": "X-Runway-Version",
                    "in": "header",
                    "description": "Taken from Runway's SDKs and ignored: this server sends its own.",
                    "schema": {"type": "string"},
                    "example": "2024-11-06",
                }
            },
            "responses": {
                name: _refusal(status, text)
                for status, (name, text) in _REFUSALS.items()
                if (status != 401 or authenticated) and (status != 409 or "DELETE" in scopes)  # noqa: PLR2004 - HTTP's statuses
            },
            **(
                {
                    "securitySchemes": {
                        "accessToken": {
                            "type": "http",
                            "scheme": "bearer",
                            "description": "An access token of this server, not a Runway API key.",
                        }
                    }
                }
                if authenticated
                else {}
            ),
        },
        "externalDocs": {"description": "Runway's API", "url": "https://docs.dev.runwayml.com/api/"},
    }


def document_routes(make: Callable[[], Document]) -> list[Route]:
    """Return the routes of the document and of the page that shows it; neither holds a secret.

    Args:
        make: Makes the document, when it is first asked for.
    """
    made = cache(make)

    async def openapi(_request: Request) -> Response:
        return JSONResponse(made())

    async def docs(request: Request) -> Response:
        html = page(made(), str(request.base_url).rstrip("/"))
        headers = {
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return Response(html, media_type="text/html", headers=headers)

    return [Route("/openapi.json", openapi), Route("/docs", docs)]


def _operation(method: str, scope: str, authenticated: bool) -> Document:
    needs = f" Needs the scope {scope}." if authenticated else ""
    statuses = (*_OF_A_TASK, *((401,) if authenticated else ()))
    if method == "GET":
        known: Document = {
            "operationId": "getTask",
            "summary": "Retrieve task status and output",
            "description": "Returns the task as Runway has it, every field kept. It changes at most every five "
            f"seconds. The URLs of its output expire within 24-48 h; reading it again gives fresh ones.{needs}",
        }
        success: Document = {"200": _task_answer()}
    else:
        statuses = (*statuses, 409)
        known = {
            "operationId": "deleteTask",
            "summary": "Cancel or delete a task",
            "description": "Cancels a task that has not finished; deletes one that has, together with its output. "
            "Neither can be undone. It is looked at first, and one that finishes while it is being cancelled is left "
            f"alone. No error of a DELETE may be answered by sending it again blindly: a GET shows what it did.{needs}",
        }
        success = {"204": {"description": "The task is cancelled or deleted."}}
    task_id = {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The id that starting the task returned.",
        "schema": {"type": "string", "format": "uuid", "pattern": TASK_ID},
        "example": EXAMPLES[method],
    }
    return {**known, "tags": ["tasks"], "parameters": [task_id], "responses": success | _references(*statuses)}


def _task_answer() -> Document:
    known = {"id": EXAMPLES["GET"], "createdAt": "2026-11-21T10:00:00.000Z"}
    examples = {
        name: {"summary": fields["status"], "value": {**known, **fields}} for name, fields in _TASK_EXAMPLES.items()
    }
    return {
        "description": "The task.",
        "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Task"}, "examples": examples}},
    }


def _refusal(status: int, text: str) -> Document:
    headers: Document = {}
    if status in {401, 403}:
        headers["WWW-Authenticate"] = {"description": "What is missing (RFC 6750).", "schema": {"type": "string"}}
    if status in {429, 503}:
        headers["Retry-After"] = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}
    return {
        "description": text,
        **({"headers": headers} if headers else {}),
        "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Refusal"}, "example": {"error": text}}},
    }


def _schemas(*models: type[BaseModel]) -> Document:
    _, schemas = models_json_schema(
        [(model, "serialization") for model in models], ref_template="#/components/schemas/{model}"
    )
    return schemas["$defs"]

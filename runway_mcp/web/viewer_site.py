"""The viewer for one browser of this machine: a host page of ours, the app in it, and the calls that it makes.

Whoever opens the link first gets a session. Nothing else is answered, but for the sandbox's signed links.
"""

import json
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp import Client
from mcp.client.extension import advertise
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from mcp.server.mcpserver import MCPServer
from mcp_types import TextResourceContents
from pydantic import BaseModel, JsonValue, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from runway_mcp import __version__
from runway_mcp.mcp_server.viewer.app_page import URI

TOOLS = ("runway_listTasks", "runway_getTask", "runway_waitForTask", "runway_cancelTask", "runway_downloadOutput")
"""What the page calls. A start is not among them."""

_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
_SANDBOX = "sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox"
_MAX_BODY = 100_000
_HOST = Path(__file__).with_name("viewer_host.html")


class _Call(BaseModel):
    name: str
    arguments: dict[str, JsonValue] = {}


@dataclass(frozen=True, slots=True)
class SimulatedApi:
    """The simulated API, whose outputs the site serves.

    Attributes:
        url: Where it says that its outputs are.
        tasks: What it begins with, which the history does not list: a few words about each task, by its id.
    """

    app: ASGIApp
    url: str
    tasks: Mapping[str, str]


class ViewerSite:
    """The site.

    Args:
        server: Whose page is shown and whose tools are called, in process.
        port: Where the site is served, on 127.0.0.1.
    """

    def __init__(self, server: MCPServer[Any], port: int, sandbox: SimulatedApi | None = None) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self._token, self._session = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._cookie = f"runway_viewer_{port}"  # cookies are the same for all ports, and a person may have two viewers
        self._is_opened = False
        self._server = server
        self._sandbox = sandbox
        routes = [Route("/", self._open), Route("/page", self._page), Route("/call", self._call, methods=["POST"])]
        if sandbox:
            routes.append(Route("/outputs/{path:path}", sandbox.app))
        self.app = Starlette(routes=routes, lifespan=self._lifespan)

    @property
    def link(self) -> str:
        """The address that gives a session to the first who opens it."""
        return f"{self.origin}/?token={self._token}"

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        shows_apps = advertise(EXTENSION_ID, {"mimeTypes": [APP_MIME_TYPE]})
        async with Client(self._server, extensions=[shows_apps]) as self._client:
            yield

    def _refusal(self, request: Request) -> Response | None:
        if request.headers.getlist("host") != [self.origin.removeprefix("http://")]:
            return _text(421, "This Host header is not accepted here.")
        if not secrets.compare_digest(request.cookies.get(self._cookie, "").encode(), self._session.encode()):
            return _text(403, "This link was used already, or is not complete. Start `runway-mcp viewer` again.")
        return None

    async def _open(self, request: Request) -> Response:
        token = request.query_params.get("token", "").encode()
        is_first = not self._is_opened and secrets.compare_digest(token, self._token.encode())
        if is_first:
            request.cookies[self._cookie] = self._session
        if refusal := self._refusal(request):
            return refusal
        nonce = secrets.token_urlsafe(16)
        html = _HOST.read_text(encoding="utf-8").replace("{{NONCE}}", nonce).replace("{{VERSION}}", __version__)
        html = html.replace("{{TASKS}}", json.dumps(dict(self._sandbox.tasks) if self._sandbox else {}))
        policy = f"script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; frame-src 'self'"
        reply = _html(html, f"{policy}; frame-ancestors 'none'")
        if is_first:
            self._is_opened = True
            reply.set_cookie(self._cookie, self._session, httponly=True, samesite="strict")
        return reply

    async def _page(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        contents = (await self._client.read_resource(URI)).contents[0]
        assert isinstance(contents, TextResourceContents)  # noqa: S101 - our own page
        domains: list[str] = (contents.meta or {})["ui"]["csp"]["resourceDomains"]
        media = " ".join((*domains, self.origin) if self._sandbox else domains)
        policy = f"script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src {media}; media-src {media}"
        return _html(contents.text, f"{policy}; frame-ancestors 'self'; {_SANDBOX}")

    async def _call(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        if request.headers.getlist("origin") != [self.origin]:
            return _text(403, "Only the page itself may call. Nothing was done.")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BODY:
                return _text(413, "The call is too long. Nothing was done.")
        try:
            call = _Call.model_validate_json(body)
        except ValidationError:
            return _text(400, "This is no call of a tool. Nothing was done.")
        if call.name not in TOOLS:
            return _text(403, "The page does not call this tool. Nothing was done.")
        result = await self._client.call_tool(call.name, call.arguments)
        text = result.model_dump_json(by_alias=True, exclude_none=True)
        if self._sandbox:
            text = text.replace(f"{self._sandbox.url}/outputs/", f"{self.origin}/outputs/")
        return Response(text, headers=_HEADERS, media_type="application/json")


def _html(html: str, policy: str) -> HTMLResponse:
    policy = f"default-src 'none'; base-uri 'none'; form-action 'none'; {policy}"
    return HTMLResponse(html, headers=_HEADERS | {"Content-Security-Policy": policy})


def _text(status: int, text: str) -> Response:
    return PlainTextResponse(text, status, headers=_HEADERS)

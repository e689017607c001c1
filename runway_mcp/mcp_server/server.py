"""The MCP server: its identity, toolsets, middleware and instructions."""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from mcp.server import ServerRequestContext
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import CallNext, HandlerResult
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.request_state import RequestStateSecurity
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolResult,
    GetPromptResult,
    InputRequiredResult,
    Tool,
)
from pydantic import ValidationError

from runway_mcp import __version__
from runway_mcp.mcp_server import prompts, results
from runway_mcp.mcp_server.access import Access
from runway_mcp.mcp_server.answer_codec import AnswerCodec
from runway_mcp.mcp_server.arguments import Arguments, ArgumentsError
from runway_mcp.mcp_server.cancelled_waits import CancelledWaits
from runway_mcp.mcp_server.message_reader import name_wrong_params
from runway_mcp.mcp_server.messages import explain_arguments, explain_name
from runway_mcp.mcp_server.prompt_recipes import RECIPES
from runway_mcp.mcp_server.resources import TaskResources
from runway_mcp.mcp_server.tasks_extension import McpTasksExtension, RunwayMcpTasks
from runway_mcp.mcp_server.tools.account import ACCOUNT
from runway_mcp.mcp_server.tools.capability import CAPABILITY
from runway_mcp.mcp_server.tools.confirmation import StartRefusedError
from runway_mcp.mcp_server.tools.files import FILES
from runway_mcp.mcp_server.tools.generation import GENERATION
from runway_mcp.mcp_server.tools.tasks import TASKS
from runway_mcp.mcp_server.tools.toolset import Toolset, plain_schema
from runway_mcp.mcp_server.tools.wait import WAITING
from runway_mcp.mcp_server.viewer.app_page import MEDIA_DOMAINS, viewer_app
from runway_mcp.mcp_server.viewer.start_details import add_details
from runway_mcp.observability.mcp_middleware import McpRequestMiddleware
from runway_mcp.observability.request_record import OnRequestEnd, RequestRecord
from runway_mcp.tasks.callers import Caller, CallerContext, CallerRegistry

logger = logging.getLogger(__name__)

WEBSITE = "https://docs.dev.runwayml.com/"
OURS = (TASKS, WAITING, GENERATION, ACCOUNT, FILES)
"""The toolsets that are offered unless others are asked for."""
TOOLSETS = {toolset.name: toolset for toolset in (*OURS, CAPABILITY)}
LOCAL = Caller("local")
"""The caller where nobody authenticates: the host that started the process, or anyone on this machine."""
CACHE_HINTS: dict[CacheableMethod, CacheHint] = {
    "resources/read": CacheHint(ttl_ms=5_000),
    **dict.fromkeys(("tools/list", "resources/templates/list", "prompts/list"), CacheHint(3_600_000)),
}
"""A task is fresh for as long as Runway does not update it; what the server offers, for as long as it runs."""
MAX_IN_FLIGHT = 5_000
"""Messages that a process handles at once; at 23 KB each that is about 115 MB."""

_SUBJECT = "Runway generation tasks: video, image, audio."
_READ_ONLY = "This server is read-only: it can't cancel or delete."
_SANDBOX = "SANDBOX: simulated tasks, nothing real and nothing charged."
_SAVES = "The server itself saves what is started once it finishes; runway_downloadOutput gives the paths."


class InFlightLimit:
    """Refuses requests while too many others are in flight: the SDK itself sets no bound."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_flight = 0

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if self._in_flight >= self._limit and ctx.request_id is not None:
            raise MCPError(INTERNAL_ERROR, f"{self._limit} requests are in flight; this one was not handled.")
        self._in_flight += 1
        try:
            return await call_next(ctx)
        finally:
            self._in_flight -= 1


class RunwayServer(MCPServer[CallerContext]):
    """The SDK's server, which takes arguments as they were meant and says what is wrong with them."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.arguments = Arguments(self.list_tools)

    async def list_tools(self) -> list[Tool]:
        tools = await super().list_tools()
        for tool in tools:
            plain_schema(tool.input_schema)
        return tools

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[CallerContext, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        try:
            taken = await self.arguments.take(name, arguments)
        except ArgumentsError as error:
            return results.error_result(str(error))
        result = await self._call(name, taken.arguments, context)
        if not isinstance(result, CallToolResult):
            return result
        result = results.with_notes(result, taken.notes)
        await add_details(result, context)
        return result

    async def _call(
        self, name: str, arguments: dict[str, Any], context: Context[CallerContext, Any] | None
    ) -> CallToolResult | InputRequiredResult:
        try:
            return await super().call_tool(name, arguments, context)
        except MCPError as error:  # a resolver's: the tool has not run
            if error.code == MISSING_REQUIRED_CLIENT_CAPABILITY:
                raise
            return _no_answer(name)
        except UnexpectedToolError as error:
            logger.exception("%s failed unexpectedly", name, exc_info=error.__cause__)
            return results.error_result(
                f"{name} failed through a fault of this server; its log says more. What the call was to start or "
                "change may have happened or not: read the task, or the account, to see."
            )
        except ToolError as error:
            match error.__cause__:
                case ValidationError():
                    schema = await self.arguments.schema(name)
                    return results.error_result(explain_arguments(name, arguments, schema))
                case StartRefusedError() as refusal:
                    return results.error_result(str(refusal))
                case ToolError():
                    return _no_answer(name)
                case _:
                    raise MCPError(INVALID_PARAMS, explain_name("tool", name, await self.arguments.tools())) from None

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[CallerContext, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        names = [prompt.name for prompt in await self.list_prompts()]
        if name not in names:
            raise MCPError(INVALID_PARAMS, explain_name("prompt", name, names))
        return await super().get_prompt(name, arguments, context)


def build_server(
    callers: CallerRegistry,
    *,
    toolsets: Sequence[Toolset] = OURS,
    local: Caller = LOCAL,
    read_only: bool = False,
    sandbox: bool = False,
    on_request_end: Sequence[OnRequestEnd] = (),
    media_domains: Sequence[str] = MEDIA_DOMAINS,
) -> MCPServer[CallerContext]:
    """Return a server that is complete but not yet running.

    Args:
        callers: The callers' contexts, which live as long as the server runs.
        toolsets: What a model can call.
        local: The caller of a request that comes without HTTP.
        read_only: Register only the tools that change nothing.
        sandbox: Tell the host that nothing is real.
        on_request_end: Called at the end of each request that does not come over HTTP.
        media_domains: Origins that the viewer may load outputs from.
    """

    @asynccontextmanager
    async def lifespan(_: MCPServer[CallerContext]) -> AsyncGenerator[CallerContext]:
        async with callers.running():
            yield await callers.of(local)

    tools = [tool for toolset in toolsets for tool in toolset.tools]
    offered = {tool.name for tool in tools if tool.annotations.read_only_hint or not read_only}
    records = McpRequestMiddleware(local, {tool.name for tool in tools}, on_request_end)
    answers = AnswerCodec()
    guards = (name_wrong_params, InFlightLimit(MAX_IN_FLIGHT), CancelledWaits(), Access(callers, tools))
    resources = TaskResources()
    mcp_tasks = McpTasksExtension(
        lambda ctx: RunwayMcpTasks(
            ctx.lifespan_context,
            read_only=read_only,
            take=server.arguments.take,
            offers_waits=WAITING in toolsets,
            poll_seconds=callers.poll_seconds,
        )
    )
    server = RunwayServer(
        **_identity(sandbox=sandbox),
        instructions=_instructions(toolsets, read_only=read_only, sandbox=sandbox, saves=callers.saves_starts),
        lifespan=lifespan,
        request_state_security=RequestStateSecurity(codec=answers, bind_principal=_who_asks),
        subscriptions=resources.bus,
        cache_hints=CACHE_HINTS,
        extensions=[mcp_tasks, viewer_app(offered, media_domains)],
        middleware=[records, *guards, mcp_tasks.subscriptions, resources, answers.before_seal],
    )
    lowlevel = server._lowlevel_server  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - MCPServer's own middleware is within its seal
    lowlevel.middleware.insert(0, answers.before_unseal)
    resources.register(server)
    for toolset in toolsets:
        toolset.register(server, read_only=read_only, saves=FILES in toolsets and not read_only)
    prompts.register(server, RECIPES, offered)
    return server


def _identity(*, sandbox: bool) -> dict[str, str]:
    return {
        "name": "runway-mcp-sandbox" if sandbox else "runway-mcp",
        "title": "Runway tasks (sandbox)" if sandbox else "Runway tasks",
        "description": "Start, wait for, save, cancel and delete Runway generation tasks.",
        "website_url": WEBSITE,
        "version": __version__,
    }


def _no_answer(name: str) -> CallToolResult:
    return results.error_result(f"The host gave {name} no usable answer to its question. Nothing was done or charged.")


def _who_asks(ctx: ServerRequestContext[Any, Any]) -> str | None:
    return None if ctx.request is None else repr(RequestRecord.from_scope(ctx.request.scope).caller.identity)


def _instructions(toolsets: Sequence[Toolset], *, read_only: bool, sandbox: bool, saves: bool) -> str:
    guides = [toolset.guide for toolset in toolsets]
    changes = [_READ_ONLY] if read_only else [toolset.guide_to_changes for toolset in toolsets]
    return " ".join(filter(None, [_SANDBOX if sandbox else "", _SUBJECT, *guides, *changes, _SAVES if saves else ""]))

"""What the host can be asked, in either version of the protocol."""

from contextlib import suppress

import anyio
from mcp.server.mcpserver import Context, ListRoots
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types import ListRootsRequest, ListRootsResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from runway_mcp.tasks.callers import CallerContext

ANSWER_SECONDS = 10.0
"""How long a host may take to list its folders, which asks no person."""


def can_ask_person(ctx: Context[CallerContext]) -> bool:
    """Whether the host declares that it can show a person a form, and can be reached."""
    able = ctx.client_capabilities.elicitation if ctx.client_capabilities else None
    return able is not None and (able.form is not None or able.url is None) and _is_reachable(ctx)


def can_list_roots(ctx: Context[CallerContext]) -> bool:
    """Whether the host declares that it can list its folders, and can be reached."""
    return ctx.client_capabilities is not None and ctx.client_capabilities.roots is not None and _is_reachable(ctx)


async def list_roots(ctx: Context[CallerContext]) -> ListRoots | ListRootsResult:
    """Ask the host for its folders: through the SDK in the newer protocol, by a request in the older one.

    A host of the older protocol that does not list them in time has none.
    """
    if _is_modern(ctx):
        return ListRoots()
    with anyio.move_on_after(ANSWER_SECONDS), suppress(MCPError, ValidationError):
        related = ServerMessageMetadata(related_request_id=ctx.request_id)
        return await ctx.session.send_request(ListRootsRequest(), ListRootsResult, metadata=related)
    return ListRootsResult(roots=[])


def _is_reachable(ctx: Context[CallerContext]) -> bool:
    return _is_modern(ctx) or ctx.session.can_send_request


def _is_modern(ctx: Context[CallerContext]) -> bool:
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS

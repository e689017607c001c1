"""What the host on the other side can be asked, in either generation of the protocol."""

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
"""How long a host may take to name its folders, which asks nobody."""


def can_ask_person(ctx: Context[CallerContext]) -> bool:
    """Whether the host has said that it can show a person a form, and can be reached to do so."""
    able = ctx.client_capabilities.elicitation if ctx.client_capabilities else None
    return able is not None and (able.form is not None or able.url is None) and _is_reachable(ctx)


def can_tell_roots(ctx: Context[CallerContext]) -> bool:
    """Whether the host has said that it can name its folders, and can be reached to do so."""
    return ctx.client_capabilities is not None and ctx.client_capabilities.roots is not None and _is_reachable(ctx)


async def ask_for_roots(ctx: Context[CallerContext]) -> ListRoots | ListRootsResult:
    """Ask the host for its folders, by the SDK where the protocol has that as part of an answer.

    A host of the older protocol that does not tell them, or not in time, has none.
    """
    if _is_modern(ctx):
        return ListRoots()
    with anyio.move_on_after(ANSWER_SECONDS), suppress(MCPError, ValidationError):
        related = ServerMessageMetadata(related_request_id=ctx.request_id)
        return await ctx.session.send_request(ListRootsRequest(), ListRootsResult, metadata=related)
    return ListRootsResult(roots=[])


def _is_reachable(ctx: Context[CallerContext]) -> bool:
    """Whether a question reaches the host: as part of an answer, or, in the older protocol, while the call goes on."""
    return _is_modern(ctx) or ctx.session.can_send_request


def _is_modern(ctx: Context[CallerContext]) -> bool:
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS

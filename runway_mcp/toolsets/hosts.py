"""What the host on the other side can be asked, in either generation of the protocol."""

from mcp.server.mcpserver import Context
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from runway_mcp.tasks.service import TaskService


def can_ask_person(ctx: Context[TaskService]) -> bool:
    """Whether the host has said that it can show a person a form, and can be reached to do so."""
    able = ctx.client_capabilities.elicitation if ctx.client_capabilities else None
    return able is not None and (able.form is not None or able.url is None) and _is_reachable(ctx)


def can_tell_roots(ctx: Context[TaskService]) -> bool:
    """Whether the host has said that it can name its folders, and can be reached to do so."""
    return ctx.client_capabilities is not None and ctx.client_capabilities.roots is not None and _is_reachable(ctx)


def _is_reachable(ctx: Context[TaskService]) -> bool:
    """Whether a question reaches the host: as part of an answer, or, in the older protocol, while the call goes on."""
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS or ctx.session.can_send_request

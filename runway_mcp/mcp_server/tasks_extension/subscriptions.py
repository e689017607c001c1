"""`notifications/tasks`: changes of MCP tasks on a `subscriptions/listen` stream.

The SDK serves that method with filters of its own and has no place for another one. So its
handler goes on doing its part, and what `taskIds` asks for is done around it: the MCP tasks are
looked up before, named in the handler's acknowledgement on its way out, and followed beside it
for as long as the stream is open.
"""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import anyio
from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.server.mcpserver import require_client_extension
from mcp.server.session import ServerSession
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    Notification,
    RequestId,
    ServerNotification,
    SubscriptionsAcknowledgedNotification,
    SubscriptionsListenRequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import TypeAdapter, ValidationError

from runway_mcp.mcp_server.tasks_extension import wire
from runway_mcp.mcp_server.tasks_extension.wire import McpTasks, UnknownMcpTaskError

MAX_MCP_TASKS = 100
"""MCP tasks that one stream may follow."""

_TASK_IDS = TypeAdapter(list[str] | None)


class _Changed(Notification[dict[str, Any], Literal["notifications/tasks"]]):
    method: Literal["notifications/tasks"] = wire.NOTIFICATION
    params: dict[str, Any]


class McpTaskSubscriptions:
    """The middleware that adds `taskIds` to what `subscriptions/listen` can follow."""

    def __init__(self, tasks_of: Callable[[ServerRequestContext[Any, Any]], McpTasks]) -> None:
        self._tasks_of = tasks_of

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        task_ids = _wanted(ctx)
        if not task_ids:
            return await call_next(ctx)
        require_client_extension(ctx, wire.EXTENSION_ID)
        return await _Stream(ctx, call_next, self._tasks_of(ctx), task_ids).serve()


@dataclass
class _Stream:
    """One open stream. An id that is unknown at first is left out of the acknowledgement.

    A later error ends the stream: a client that would go on listening in vain learns that it has to ask.
    """

    ctx: ServerRequestContext[Any, Any]
    call_next: CallNext
    tasks: McpTasks
    task_ids: Sequence[str]

    def __post_init__(self) -> None:
        self._known: set[str] = set()
        self._unseen = set(self.task_ids)
        self._all_seen = anyio.Event()
        self._acknowledged = anyio.Event()
        self._result: HandlerResult = None
        self._error: MCPError | ValidationError | None = None

    async def serve(self) -> HandlerResult:
        async with anyio.create_task_group() as group:
            for task_id in self.task_ids:
                group.start_soon(self._follow, task_id, group.cancel_scope)
            await self._all_seen.wait()
            agreed = [task_id for task_id in self.task_ids if task_id in self._known]
            session = _AcknowledgingSession(self.ctx.session, agreed, self._acknowledged)
            try:
                self._result = await self.call_next(replace(self.ctx, session=session))
            except (MCPError, ValidationError) as error:
                self._error = error
            group.cancel_scope.cancel()
        if self._error is not None:
            raise self._error
        return self._result

    async def _follow(self, task_id: str, stream: anyio.CancelScope) -> None:
        try:
            async with aclosing(self.tasks.watch(task_id)) as states:
                async for state in states:
                    self._note(task_id, known=True)
                    await self._acknowledged.wait()
                    await self._notify(state)
        except UnknownMcpTaskError as error:
            if task_id in self._known:
                self._error = MCPError(INVALID_PARAMS, str(error))
                stream.cancel()
            self._note(task_id, known=False)
        except MCPError as error:
            self._error = error
            stream.cancel()

    def _note(self, task_id: str, *, known: bool) -> None:
        if known:
            self._known.add(task_id)
        self._unseen.discard(task_id)
        if not self._unseen:
            self._all_seen.set()

    async def _notify(self, state: wire.McpTask) -> None:
        subscription = self.ctx.request_id
        changed = _Changed(params=wire.notification_params(state, {SUBSCRIPTION_ID_META_KEY: subscription}))
        # The SDK's union of notifications has none of an extension's; it only writes what it is given.
        await self.ctx.session.send_notification(cast("ServerNotification", changed), subscription)


class _AcknowledgingSession(ServerSession):
    """The stream's session, which adds to the acknowledgement the MCP tasks that are agreed on."""

    def __init__(self, session: ServerSession, agreed: list[str], acknowledged: anyio.Event) -> None:
        self._session = session
        self._agreed = agreed
        self._acknowledged = acknowledged

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def send_notification(
        self, notification: ServerNotification, related_request_id: RequestId | None = None
    ) -> None:
        if self._agreed and isinstance(notification, SubscriptionsAcknowledgedNotification):
            asked = notification.params.notifications
            notification.params.notifications = asked.model_copy(update={"taskIds": self._agreed})
        await self._session.send_notification(notification, related_request_id)
        self._acknowledged.set()


def _wanted(ctx: ServerRequestContext[Any, Any]) -> list[str]:
    if ctx.method != "subscriptions/listen" or ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return []
    params = SubscriptionsListenRequestParams.model_validate(ctx.params or {}, by_name=False)
    extra = params.notifications.model_extra or {}
    task_ids = list(dict.fromkeys(_TASK_IDS.validate_python(extra.get("taskIds"), strict=True) or ()))
    if len(task_ids) > MAX_MCP_TASKS:
        raise MCPError(INVALID_PARAMS, f"One stream follows at most {MAX_MCP_TASKS} MCP tasks.")
    return task_ids

"""`runway://tasks/{taskId}`: a task as a resource to read and to subscribe to.

A subscriber hears of each change and of the end of a task: a client of the 2026-07-28 revision on its
`subscriptions/listen` stream, an older one on its connection.
"""

from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, cast
from weakref import WeakKeyDictionary

import anyio
from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated, ServerEvent
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_REQUEST,
    CompleteRequestParams,
    EmptyResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    SubscribeRequestParams,
    UnsubscribeRequestParams,
)

from runway_mcp.api.errors import NotFoundError, RunwayError
from runway_mcp.api.models import InvalidTaskIdError, TaskId, parse_task_id
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.messages import explain, explain_read
from runway_mcp.mcp_server.offered_resources import PREFIX, TEMPLATE, complete, listing_tasks, reading_files
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.poll_loop import TaskState
from runway_mcp.tasks.poller import CallerLimitError

MAX_SUBSCRIPTIONS = 100
"""Tasks that one stream, or one older connection, may subscribe to."""


class TaskResources:
    """The task resources of one server.

    Attributes:
        bus: Where the server's listen streams hear of changes.
    """

    def __init__(self) -> None:
        self.bus = _StreamBus()
        self._subscribed: WeakKeyDictionary[CallerContext, dict[str, Callable[[], None]]] = WeakKeyDictionary()

    def register(self, server: MCPServer[CallerContext]) -> None:
        """Add the resource, the latest tasks and files, completion, and the older revisions' subscriptions."""
        server.resource(
            TEMPLATE,
            name="task",
            title="Runway task",
            description="A Runway task in the API's own JSON.",
            mime_type="application/json",
        )(_read)
        # MCPServer offers no public way to serve these methods with a context.
        lowlevel = server._lowlevel_server  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        lowlevel.add_request_handler("completion/complete", CompleteRequestParams, complete)
        listed = lowlevel.get_request_handler("resources/list")
        read = lowlevel.get_request_handler("resources/read")
        assert listed is not None and read is not None  # noqa: PT018, S101 - the SDK has both
        lowlevel.add_request_handler("resources/list", PaginatedRequestParams, listing_tasks(listed.handler))
        lowlevel.add_request_handler("resources/read", ReadResourceRequestParams, reading_files(read.handler))
        lowlevel.add_request_handler("resources/subscribe", SubscribeRequestParams, self._subscribe)
        lowlevel.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe)

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method != "subscriptions/listen":
            return await call_next(ctx)
        context: CallerContext = ctx.lifespan_context
        wanted = list(_wanted(ctx.params))
        _check_limit(len(wanted))
        with ExitStack() as following, self.bus.opened() as stream:
            for uri, task_id in wanted:
                following.callback(_follow(context, task_id, partial(stream.send, uri)))
            return await call_next(ctx)

    async def _subscribe(
        self, ctx: ServerRequestContext[CallerContext, Any], params: SubscribeRequestParams
    ) -> EmptyResult:
        if ctx.request is not None:
            raise MCPError(
                INVALID_REQUEST,
                "Over HTTP no session exists that could carry changes: use subscriptions/listen of the 2026-07-28 "
                "revision, or stdio.",
            )
        context, session, uri = ctx.lifespan_context, ctx.session, str(params.uri)
        task_id = _task_id(uri)
        if task_id is None:
            raise MCPError(INVALID_REQUEST, f"Only {TEMPLATE} can be subscribed to, with a task's id.")
        subscribed = self._subscribed.setdefault(context, {})

        async def notify(state: TaskState) -> None:
            if state.is_final:
                subscribed.pop(uri, None)
            await session.send_resource_updated(uri)

        if uri not in subscribed:
            _check_limit(len(subscribed) + 1)
            subscribed[uri] = _follow(context, task_id, notify)
        return EmptyResult()

    async def _unsubscribe(
        self, ctx: ServerRequestContext[CallerContext, Any], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        stop = self._subscribed.get(ctx.lifespan_context, {}).pop(str(params.uri), None)
        if stop is not None:
            stop()
        return EmptyResult()


class _Stream:
    """A listen stream, which can be written to once the SDK has subscribed it to the bus."""

    def __init__(self) -> None:
        self.listener: Callable[[ServerEvent], None] = lambda _: None
        self.is_open = anyio.Event()

    async def send(self, uri: str, _: TaskState) -> None:
        await self.is_open.wait()
        self.listener(ResourceUpdated(uri=uri))


class _StreamBus(InMemorySubscriptionBus):
    """The SDK's bus, which also tells each stream apart: a task's changes go to the streams that follow it alone."""

    def __init__(self) -> None:
        super().__init__()
        self._opening: ContextVar[_Stream] = ContextVar("opening")

    @contextmanager
    def opened(self) -> Generator[_Stream]:
        stream = _Stream()
        before = self._opening.set(stream)
        try:
            yield stream
        finally:
            self._opening.reset(before)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        stream = self._opening.get()
        stream.listener = listener
        stream.is_open.set()
        return super().subscribe(listener)


def _follow(
    context: CallerContext, task_id: TaskId, on_change: Callable[[TaskState], Awaitable[None]]
) -> Callable[[], None]:
    try:
        return context.poller.subscribe(task_id, on_change)
    except CallerLimitError as error:
        raise MCPError(INVALID_REQUEST, explain(error)) from error


async def _read(taskId: str, ctx: Context) -> str:  # noqa: N803 - the template's variable, as clients see it
    context = cast("CallerContext", ctx.request_context.lifespan_context)
    try:
        return results.compact_json((await context.tasks.get(parse_task_id(taskId))).data)
    except (InvalidTaskIdError, NotFoundError) as error:
        raise ResourceNotFoundError(explain(error)) from error
    except RunwayError as error:
        raise ResourceError(explain_read(error)) from error


def _check_limit(subscriptions: int) -> None:
    if subscriptions > MAX_SUBSCRIPTIONS:
        raise MCPError(INVALID_REQUEST, f"At most {MAX_SUBSCRIPTIONS} tasks can be subscribed to at once.")


def _task_id(uri: str) -> TaskId | None:
    try:
        return parse_task_id(uri.removeprefix(PREFIX)) if uri.startswith(PREFIX) else None
    except InvalidTaskIdError:
        return None


def _wanted(params: Mapping[str, Any] | None) -> Iterator[tuple[str, TaskId]]:
    match params:
        case {"notifications": {"resourceSubscriptions": [*uris]}}:
            for uri in dict.fromkeys(uri for uri in uris if isinstance(uri, str)):
                if (task_id := _task_id(uri)) is not None:
                    yield uri, task_id
        case _:
            return

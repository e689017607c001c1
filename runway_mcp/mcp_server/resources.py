"""`runway://tasks/{taskId}`: a task as a resource to read, to complete and to subscribe to.

While somebody subscribes to a task it is watched, and each change is told: to clients of the
2026-07-28 revision on their `subscriptions/listen` streams, to older ones on their connection.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any, cast
from weakref import WeakKeyDictionary

from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated, ServerEvent
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_REQUEST,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    EmptyResult,
    PromptReference,
    SubscribeRequestParams,
    UnsubscribeRequestParams,
)

from runway_mcp.api.errors import NotFoundError, RunwayError
from runway_mcp.api.models import InvalidTaskIdError, TaskId, parse_task_id
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.messages import explain, explain_read
from runway_mcp.tasks.callers import CallerContext

PREFIX = "runway://tasks/"
TEMPLATE = PREFIX + "{taskId}"
MAX_COMPLETIONS = 100
MAX_SUBSCRIPTIONS = 100
"""Tasks that one stream, or one older connection, may have watched."""


class TaskResources:
    """The task resources of one server.

    Attributes:
        bus: Where the server's listen streams hear of changes.
    """

    def __init__(self) -> None:
        self.bus = _BusOfEachCaller()
        self._followed: WeakKeyDictionary[CallerContext, dict[str, _Followed]] = WeakKeyDictionary()
        self._subscribed: WeakKeyDictionary[CallerContext, dict[str, Callable[[], None]]] = WeakKeyDictionary()

    def register(self, server: MCPServer[CallerContext]) -> None:
        """Add the resource, its completion, and the older revisions' subscriptions to `server`."""
        server.resource(
            TEMPLATE,
            name="task",
            title="Runway task",
            description="A Runway task in the API's own JSON.",
            mime_type="application/json",
        )(_read)
        # MCPServer offers no public way to serve these methods with a context.
        lowlevel = server._lowlevel_server  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        lowlevel.add_request_handler("completion/complete", CompleteRequestParams, _complete)
        lowlevel.add_request_handler("resources/subscribe", SubscribeRequestParams, self._subscribe)
        lowlevel.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe)

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Watch what a listen stream asks for, for as long as it is open; the middleware of the server."""
        if ctx.method != "subscriptions/listen":
            return await call_next(ctx)
        context: CallerContext = ctx.lifespan_context
        wanted = list(_wanted(ctx.params))
        _bound(len(wanted))
        with ExitStack() as followed:
            for uri, task_id in wanted:
                followed.callback(self._follow(context, uri, task_id))
            with self.bus.heard_by(context):
                return await call_next(ctx)

    def _follow(self, context: CallerContext, uri: str, task_id: TaskId) -> Callable[[], None]:
        """Have a task's changes told on the bus, once for all streams; return what ends this stream's part."""
        followed = self._followed.setdefault(context, {})
        one = followed.get(uri)
        if one is None:

            async def tell() -> None:
                await bus.publish(ResourceUpdated(uri=uri))

            bus = self.bus.of(context)
            one = followed[uri] = _Followed(context.poller.follow(task_id, tell))
        one.streams += 1

        def leave() -> None:
            one.streams -= 1
            if not one.streams:
                one.stop()
                del followed[uri]

        return leave

    async def _subscribe(
        self, ctx: ServerRequestContext[CallerContext, Any], params: SubscribeRequestParams
    ) -> EmptyResult:
        if ctx.request is not None:
            raise MCPError(
                INVALID_REQUEST,
                "Over HTTP there is no session to tell changes on: use subscriptions/listen of the 2026-07-28 "
                "revision, or stdio.",
            )
        context, session, uri = ctx.lifespan_context, ctx.session, str(params.uri)
        task_id = _task_id(uri)
        if task_id is None:
            raise MCPError(INVALID_REQUEST, f"Only {TEMPLATE} can be subscribed to, with a task's id.")
        subscribed = self._subscribed.setdefault(context, {})
        if uri not in subscribed:
            _bound(len(subscribed) + 1)
            subscribed[uri] = context.poller.follow(task_id, lambda: session.send_resource_updated(uri))
        return EmptyResult()

    async def _unsubscribe(
        self, ctx: ServerRequestContext[CallerContext, Any], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        stop = self._subscribed.get(ctx.lifespan_context, {}).pop(str(params.uri), None)
        if stop is not None:
            stop()
        return EmptyResult()


class _BusOfEachCaller:
    """What the SDK subscribes a stream to, which knows no callers: each stream hears its own caller's bus."""

    def __init__(self) -> None:
        self._buses: WeakKeyDictionary[CallerContext, InMemorySubscriptionBus] = WeakKeyDictionary()
        self._listening: ContextVar[CallerContext] = ContextVar("listening")

    def of(self, context: CallerContext) -> InMemorySubscriptionBus:
        """The bus on which a caller's streams are told of changes."""
        return self._buses.setdefault(context, InMemorySubscriptionBus())

    @contextmanager
    def heard_by(self, context: CallerContext) -> Generator[None]:
        """Have whoever subscribes within the context hear this caller's bus."""
        before = self._listening.set(context)
        try:
            yield
        finally:
            self._listening.reset(before)

    async def publish(self, event: ServerEvent) -> None:
        """Tell every caller's streams of what concerns them all."""
        for bus in list(self._buses.values()):
            await bus.publish(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Have a stream hear its caller's bus."""
        return self.of(self._listening.get()).subscribe(listener)


class _Followed:
    """A task that is watched for listen streams: how many, and what ends it."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self.streams = 0
        self.stop = stop


async def _read(taskId: str, ctx: Context) -> str:  # noqa: N803 - the template's variable, as clients see it
    context = cast("CallerContext", ctx.request_context.lifespan_context)
    try:
        return results.compact_json((await context.tasks.get(parse_task_id(taskId))).data)
    except (InvalidTaskIdError, NotFoundError) as error:
        raise ResourceNotFoundError(explain(error)) from error
    except RunwayError as error:
        raise ResourceError(explain_read(error)) from error


async def _complete(ctx: ServerRequestContext[CallerContext, Any], params: CompleteRequestParams) -> CompleteResult:
    """Complete an id, a prompt's too, with those that this process has read, the latest first."""
    found: list[str] = []
    if params.argument.name == "taskId" and (isinstance(params.ref, PromptReference) or params.ref.uri == TEMPLATE):
        begun = params.argument.value.lower()
        found = [task_id for task_id in ctx.lifespan_context.poller.remembered if task_id.startswith(begun)]
    values = found[:MAX_COMPLETIONS]
    return CompleteResult(completion=Completion(values=values, total=len(found), has_more=len(found) > len(values)))


def _bound(subscriptions: int) -> None:
    if subscriptions > MAX_SUBSCRIPTIONS:
        raise MCPError(INVALID_REQUEST, f"At most {MAX_SUBSCRIPTIONS} tasks can be subscribed to at once.")


def _task_id(uri: str) -> TaskId | None:
    """The id of the task that a resource's URI names, or None where it names none."""
    try:
        return parse_task_id(uri.removeprefix(PREFIX)) if uri.startswith(PREFIX) else None
    except InvalidTaskIdError:
        return None


def _wanted(params: Mapping[str, Any] | None) -> Iterator[tuple[str, TaskId]]:
    """The task resources that a listen request asks to hear of, each once."""
    match params:
        case {"notifications": {"resourceSubscriptions": [*uris]}}:
            for uri in dict.fromkeys(uri for uri in uris if isinstance(uri, str)):
                if (task_id := _task_id(uri)) is not None:
                    yield uri, task_id
        case _:
            return

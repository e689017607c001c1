"""What hosts show in their pickers: the latest tasks and, on this machine, the files saved of them; ids complete."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

from anyio import to_thread
from mcp.server import ServerRequestContext
from mcp.server.context import HandlerResult
from mcp.server.lowlevel.server import RequestHandler
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    BlobResourceContents,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    ListResourcesResult,
    PaginatedRequestParams,
    PromptReference,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
)

from runway_mcp.api.errors import quote
from runway_mcp.api.models import amount
from runway_mcp.files.saved_files import SavedFileTooLargeError, existing, read_saved
from runway_mcp.history.records import HistoryError
from runway_mcp.history.task_records import PROMPT_CHARACTERS, SavedOutput, TaskQuery, TaskRecord
from runway_mcp.mcp_server.messages import explain, word
from runway_mcp.mcp_server.prompt_recipes import RECIPES
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.listing import latest_tasks

PREFIX = "runway://tasks/"
TEMPLATE = PREFIX + "{taskId}"
MAX_TASKS = 20
"""Tasks that are listed, the latest ones."""
MAX_READABLE = 100
"""Tasks whose files can be read: a host may have kept an older list."""
MAX_COMPLETIONS = 100
MAX_NAME = 60
"""Characters of a name."""
MAX_FILE = 10_000_000
"""Bytes of a file that is read as a resource."""

_PROMPTS = {recipe.name for recipe in RECIPES if any(one.name == "taskId" for one in recipe.arguments)}

word({SavedFileTooLargeError: "has {error.size:,} bytes, a resource at most {error.limit:,}"})


def listing_tasks(
    list_others: RequestHandler[CallerContext, PaginatedRequestParams],
) -> RequestHandler[CallerContext, PaginatedRequestParams]:
    """Return what answers `resources/list`: the latest tasks and files, then what `list_others` does."""

    async def listed(ctx: ServerRequestContext[CallerContext], params: PaginatedRequestParams) -> HandlerResult:
        others = await list_others(ctx, params)
        assert isinstance(others, ListResourcesResult)  # noqa: S101 - the SDK's own answer
        return ListResourcesResult(resources=[*await _listed(ctx), *others.resources])

    return listed


async def _listed(ctx: ServerRequestContext[CallerContext]) -> list[Resource]:
    # From the history alone. Over HTTP the disk is another machine's: no files there.
    tasks = [task for task in await _latest(ctx.lifespan_context, MAX_TASKS) if task.task_id]
    sizes: Mapping[str, int] = {}
    if ctx.request is None:
        paths = [output.path for task in tasks for output in task.outputs]
        sizes = await to_thread.run_sync(existing, paths)
    return [resource for task in tasks for resource in _resources(task, sizes)]


async def complete(ctx: ServerRequestContext[CallerContext], params: CompleteRequestParams) -> CompleteResult:
    """Answer `completion/complete`."""
    found: list[str] = []
    place = params.ref.name if isinstance(params.ref, PromptReference) else params.ref.uri
    if params.argument.name == "taskId" and place in {TEMPLATE, *_PROMPTS}:
        found = await _task_ids(ctx.lifespan_context, params.argument.value.strip())
    values = found[:MAX_COMPLETIONS]
    return CompleteResult(completion=Completion(values=values, total=len(found), has_more=len(found) > len(values)))


async def _task_ids(context: CallerContext, text: str) -> list[str]:
    """Return the ids of the caller's latest tasks that begin with a text, then of those with it in their prompt."""
    tasks = await _latest(context, MAX_COMPLETIONS)
    known = [*(task.task_id or "" for task in tasks), *context.poller.remembered]
    found = [task_id for task_id in known if task_id.startswith(text.lower())]
    if text:
        named = await _latest(context, MAX_COMPLETIONS, text)
        found += [task.task_id or "" for task in named]
    return [task_id for task_id in dict.fromkeys(found) if task_id]


def reading_files(
    read_other: RequestHandler[CallerContext, ReadResourceRequestParams],
) -> RequestHandler[CallerContext, ReadResourceRequestParams]:
    """Return what answers `resources/read`: with a saved file, or as `read_other` does."""

    async def read(ctx: ServerRequestContext[CallerContext], params: ReadResourceRequestParams) -> HandlerResult:
        uri = str(params.uri)
        if ctx.request is not None or not uri.lower().startswith("file:"):
            return await read_other(ctx, params)
        return ReadResourceResult(contents=[await _read_file(ctx.lifespan_context, uri)], ttl_ms=0)

    return read


async def _latest(context: CallerContext, limit: int, text: str = "") -> list[TaskRecord]:
    try:
        return await latest_tasks(context, TaskQuery(text=text, limit=limit))
    except HistoryError as error:
        raise MCPError(INTERNAL_ERROR, f"{explain(error)} Nothing was changed.") from error


def _resources(task: TaskRecord, sizes: Mapping[str, int]) -> Iterator[Resource]:
    prompt = task.prompt or task.type
    kind = " ".join(filter(None, (task.type, task.model)))
    cost = "" if task.credits is None else f", {'' if task.is_charged else '~'}{amount(task.credits)}"
    yield Resource(
        uri=f"{PREFIX}{task.task_id}",
        name=_line(prompt, MAX_NAME),
        title=_line(prompt, PROMPT_CHARACTERS),
        description=f"{kind}, {_line(task.status, MAX_NAME)}{cost}",
        mime_type="application/json",
    )
    for output in task.outputs:
        if output.path in sizes:
            yield Resource(
                uri=Path(output.path).as_uri(),
                name=Path(output.path).name,
                title=Path(output.path).name,
                description=f"Output {output.position} of: {_line(prompt, MAX_NAME)}",
                mime_type=output.content_type,
                size=sizes[output.path],
            )


def _line(text: str, limit: int) -> str:
    return quote(text, limit)[1:-1]


async def _read_file(context: CallerContext, uri: str) -> BlobResourceContents:
    output = await _saved(context, uri)
    if output is None:
        raise _refusal(INVALID_PARAMS, uri, "This is no file that was saved of the latest tasks.")
    shown = quote(output.path)
    try:
        content = await to_thread.run_sync(read_saved, output.path, MAX_FILE)
    except SavedFileTooLargeError as error:
        raise _refusal(INTERNAL_ERROR, uri, f"{shown} {explain(error)}.") from error
    except OSError as error:
        raise _refusal(INTERNAL_ERROR, uri, f"{shown} can't be read: {error.strerror or error}.") from error
    return BlobResourceContents(uri=uri, blob=b64encode(content).decode(), mime_type=output.content_type)


async def _saved(context: CallerContext, uri: str) -> SavedOutput | None:
    outputs = [output for task in await _latest(context, MAX_READABLE) for output in task.outputs]
    return next((one for one in outputs if unquote(Path(one.path).as_uri()) == unquote(uri)), None)


def _refusal(code: int, uri: str, text: str) -> MCPError:
    return MCPError(code, f"{text} Nothing was changed.", {"uri": uri})

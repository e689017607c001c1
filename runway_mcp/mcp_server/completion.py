"""Completion of task ids, in prompts and in the resource's template: by their beginning, or by words of the prompt."""

from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, CompleteRequestParams, CompleteResult, Completion, PromptReference

from runway_mcp.history.records import HistoryError
from runway_mcp.history.task_records import TaskQuery
from runway_mcp.mcp_server.messages import explain
from runway_mcp.mcp_server.offered_resources import TEMPLATE
from runway_mcp.mcp_server.prompt_recipes import RECIPES
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.listing import latest_tasks

MAX_COMPLETIONS = 100
_PROMPTS = {recipe.name for recipe in RECIPES if any(one.name == "taskId" for one in recipe.arguments)}


async def complete(ctx: ServerRequestContext[CallerContext], params: CompleteRequestParams) -> CompleteResult:
    """Answer `completion/complete`."""
    found: list[str] = []
    place = params.ref.name if isinstance(params.ref, PromptReference) else params.ref.uri
    if params.argument.name == "taskId" and place in {TEMPLATE, *_PROMPTS}:
        try:
            found = await _task_ids(ctx.lifespan_context, params.argument.value.strip())
        except HistoryError as error:
            raise MCPError(INTERNAL_ERROR, explain(error)) from error
    values = found[:MAX_COMPLETIONS]
    return CompleteResult(completion=Completion(values=values, total=len(found), has_more=len(found) > len(values)))


async def _task_ids(context: CallerContext, text: str) -> list[str]:
    """Return the ids of the caller's latest tasks that begin with a text, then of those with it in their prompt."""
    tasks = await latest_tasks(context, TaskQuery(limit=MAX_COMPLETIONS))
    known = [*(task.task_id or "" for task in tasks), *context.poller.remembered]
    found = [task_id for task_id in known if task_id.startswith(text.lower())]
    if text:
        named = await latest_tasks(context, TaskQuery(text=text, limit=MAX_COMPLETIONS))
        found += [task.task_id or "" for task in named]
    return [task_id for task_id in dict.fromkeys(found) if task_id]

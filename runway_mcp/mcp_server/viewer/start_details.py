"""What the page shows of a task beside Runway's reply: its type, model, prompt and files, from the history.

They travel in a result's `_meta`, which no model reads.
"""

import logging
from collections.abc import Iterable
from typing import Any

from mcp.server.apps import client_supports_apps
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import JsonValue

from runway_mcp.history.records import HistoryError
from runway_mcp.history.task_records import TaskRecord
from runway_mcp.tasks.callers import CallerContext

logger = logging.getLogger(__name__)
META = "runway-mcp/starts"


async def add_details(result: CallToolResult, ctx: Context[CallerContext, Any] | None) -> None:
    """Add details of the tasks that a result names, where the host may show the page and the result has none yet."""
    ids = _task_ids(result.structured_content)
    if ctx is None or not ids or result.meta is not None or not _may_show(ctx):
        return
    ledger = ctx.request_context.lifespan_context.ledger
    try:
        history = await ledger.begun()
        if history is not None:
            found = [await history.tasks.find(ledger.account, ledger.caller, task_id) for task_id in ids]
            set_details(result, filter(None, found), ctx)
    except HistoryError as error:
        logger.debug("The viewer gets no details of a task's start: %s", error)  # the tool's own result is whole


def set_details(result: CallToolResult, records: Iterable[TaskRecord], ctx: Context[CallerContext, Any]) -> None:
    """Set the details of a result's tasks from the history's records, where the host may show the page."""
    details = {record.task_id: _details(record) for record in records if record.task_id}
    if details and _may_show(ctx):
        result.meta = {META: details}


def _may_show(ctx: Context[CallerContext, Any]) -> bool:
    return ctx.client_capabilities is None or client_supports_apps(ctx)  # some requests over HTTP don't say


def _task_ids(data: JsonValue) -> list[str]:
    match data:
        case {"id": str(task_id)}:
            return [task_id]
        case {"tasks": [*tasks]}:
            return [task_id for task in tasks for task_id in _task_ids(task)]
        case _:
            return []


def _details(record: TaskRecord) -> dict[str, JsonValue]:
    return {
        "type": record.type,
        "model": record.model,
        "prompt": record.prompt,
        "status": record.status,
        "credits": record.credits,
        "isCharged": record.is_charged,
        "begun": record.begun,
        "finished": record.finished,
        "seconds": record.seconds,
        "files": [
            {"index": output.position, "path": output.path, "size": output.size, "contentType": output.content_type}
            for output in record.outputs
        ],
    }

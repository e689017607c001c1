"""The tool that lists the tasks that were started here, with the sum of their credits.

A task is a row of cells and not an object, for names that are repeated in each take more room than what they name.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from time import time as system_time
from typing import Annotated
from zlib import crc32

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import Field, JsonValue

from runway_mcp.api.errors import quote
from runway_mcp.api.models import Task, TaskId, plain
from runway_mcp.catalogue.lookup import find_type, same_spelling, task_types
from runway_mcp.catalogue.suggestions import likely_choice
from runway_mcp.history.records import HistoryError
from runway_mcp.history.task_records import TaskQuery, TaskRecord, plain_text
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.messages import NOTHING_SENT, explain
from runway_mcp.mcp_server.start_messages import describe_open
from runway_mcp.mcp_server.task_messages import describe_lost, describe_task, describe_unread
from runway_mcp.mcp_server.tools.toolset import READS, Output, Tool
from runway_mcp.mcp_server.viewer.start_details import set_details
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.listing import MAX_LOOKS, Listing, list_tasks

COLUMNS = ("id", "type", "model", "prompt", "status", "credits", "created", "until", "files")
MAX_PROMPT = 32
"""Characters of a prompt in a row."""
OUTPUT_SECONDS = 24 * 3600.0
"""How long Runway keeps outputs at least. Counted from the start: when a task finished is known only roughly."""

STATUSES = ("active", "PENDING", "THROTTLED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "DELETED", "UNKNOWN")
_SAME = {
    **dict.fromkeys(("all", "any", "*"), ""),
    **dict.fromkeys(("unfinished", "not finished", "open"), "active"),
    **dict.fromkeys(("in progress", "processing"), "RUNNING"),
    **dict.fromkeys(("success", "successful", "complete", "completed", "done"), "SUCCEEDED"),
    **dict.fromkeys(("error", "failure"), "FAILED"),
    "canceled": "CANCELLED",
}
"""Other words for a status."""
_DAYS = {"today": 0, "yesterday": 1}
_SIGNS = " \t\r\n\"'`"
_CURSOR = re.compile(r"([0-9a-f]{1,15})\.[0-9a-f]{8}")


class ListOutput(Output):
    """Tasks started through this server."""

    columns: list[str] = Field([], description="What the cells of a row are.")
    tasks: list[list[str]] = Field([], description="Rows, newest first; a cell for each file at the end.")
    matched: int = Field(0, description="Tasks on all pages.")
    credits: float = Field(0, description="Their sum.")
    unknown: int = Field(0, description="Those of unknown cost.")
    next_cursor: str = Field("", description="For the next page.")


class ListArgumentError(Exception):
    """An argument of a listing that is not understood; the message says why."""


async def run_list(  # noqa: PLR0917 - a tool is called by name
    ctx: Context[CallerContext],
    status: Annotated[str, Field(title="Status", description='"active" (not finished) or a status.')] = "",
    since: Annotated[
        str, Field(title="Since", description='"today", "yesterday", or an ISO date or time; else all.')
    ] = "",
    type: Annotated[str, Field(title="Type", description="A task type.")] = "",  # noqa: A002 - the field's name at Runway
    text: Annotated[str, Field(title="Text", description="Part of the prompt or the model's name.")] = "",
    limit: Annotated[int, Field(title="Limit", description="Rows of a page.", ge=1, le=100)] = 20,
    cursor: Annotated[str, Field(title="Cursor", description="nextCursor of the page before.")] = "",
) -> Annotated[CallToolResult, ListOutput]:
    """Run `runway_listTasks`."""
    notes: list[str] = []
    try:
        query = TaskQuery(_status(status, notes), _since(since, notes), _type(type), text.strip(), limit)
        query = _after(query, cursor.strip(_SIGNS))
        listing = await list_tasks(ctx.request_context.lifespan_context, query)
    except ListArgumentError as error:
        return results.error_result(str(error))
    except HistoryError as error:
        return results.error_result(
            f"{explain(error)} So the tasks can't be listed: call again when that is settled. Nothing was changed, and "
            "every task goes on at Runway; runway_getTask reads one by its id."
        )
    now = system_time()
    result = results.json_result(_data(listing, query, now), *notes, *_notes(listing, now))
    set_details(result, listing.page.tasks, ctx)
    return result


def since_moment(text: str, now: datetime) -> datetime:
    """Return the moment that a text names, in the zone of this machine; `now` is its local time, without a zone.

    Raises:
        ListArgumentError: It names none.
    """
    word = unicodedata.normalize("NFKC", text).strip(_SIGNS).casefold()
    try:
        if word in _DAYS:
            moment = datetime.combine(now.date() - timedelta(_DAYS[word]), time.min)
        else:
            moment = datetime.fromisoformat(word.upper())
        return moment.astimezone()
    except (ValueError, OverflowError, OSError):
        raise ListArgumentError(
            'since must be "today", "yesterday", a date such as 2026-11-25, or a time such as 2026-11-25T14:00 or '
            f"2026-11-25T14:00Z, not {quote(text, 40)}. {NOTHING_SENT}"
        ) from None


def _since(text: str, notes: list[str]) -> float:
    if not text.strip(_SIGNS):
        return 0
    moment = since_moment(text, datetime.now())  # noqa: DTZ005 - this machine's day is meant
    notes.append(f"Since {moment:%Y-%m-%d %H:%M} ({moment:UTC%z}).")
    return moment.timestamp()


def _status(text: str, notes: list[str]) -> str:
    given = unicodedata.normalize("NFKC", text).strip(_SIGNS)
    if not given:
        return ""
    if found := next((status for status in STATUSES if same_spelling(status, given)), None):
        return found
    meant = next((status for word, status in _SAME.items() if same_spelling(word, given)), None)
    if meant is None:
        raise ListArgumentError(f"status must be one of {', '.join(STATUSES)}, not {quote(text, 40)}. {NOTHING_SENT}")
    notes.append(f"Took status {meant or 'any'} from {quote(text, 40)}.")
    return meant


def _type(text: str) -> str:
    name = text.strip(_SIGNS)
    if not name:
        return ""
    if kind := find_type(name):
        return kind.name
    likely = likely_choice(name, list(task_types()))
    hint = f" Did you mean {likely}?" if likely else ""
    raise ListArgumentError(f"There is no such task type.{hint} runway_listTaskTypes shows them all. {NOTHING_SENT}")


def _after(query: TaskQuery, cursor: str) -> TaskQuery:
    if not cursor:
        return query
    if (parts := _CURSOR.fullmatch(cursor)) and cursor == _cursor(query, before := int(parts[1], 16)):
        return TaskQuery(query.status, query.since, query.type, query.text, query.limit, before)
    raise ListArgumentError(
        "cursor must be the nextCursor of a call with the same status, since, type and text. Leave it out to begin "
        f"with the newest task. {NOTHING_SENT}"
    )


def _cursor(query: TaskQuery, before: int) -> str:
    asked = repr((query.status, query.since, query.type, plain_text(query.text)))
    return f"{before:x}.{crc32(asked.encode()):08x}"


def _data(listing: Listing, query: TaskQuery, now: float) -> Mapping[str, JsonValue]:
    page = listing.page
    rows: list[JsonValue] = [
        list[JsonValue](_row(task, listing.seen.get(task.task_id or ""), now)) for task in page.tasks
    ]
    data: dict[str, JsonValue] = {"columns": [*COLUMNS], "tasks": rows} if rows else {"tasks": []}
    total = float(plain(page.credits))
    data |= {"matched": page.matched, "credits": int(total) if total.is_integer() else total}
    if page.unknown:
        data["unknown"] = page.unknown
    if page.has_more:
        data["nextCursor"] = _cursor(query, page.tasks[-1].number)
    return data


def _row(record: TaskRecord, seen: Task | None, now: float) -> list[str]:
    if seen is None or not record.is_active:
        seen = Task(TaskId(record.task_id or ""), record.status, {})
    prompt = record.prompt if len(record.prompt) <= MAX_PROMPT else f"{record.prompt[: MAX_PROMPT - 1].rstrip()}…"
    row = [
        record.task_id or "",
        record.type,
        record.model or "",
        prompt,
        describe_task(seen),
        _credits(record),
        _moment(record.begun),
        _until(record, now),
        *(output.path for output in record.outputs),
    ]
    while not row[-1]:
        row.pop()
    return row


def _credits(record: TaskRecord) -> str:
    if record.credits is None:
        return "?"
    return plain(record.credits) if record.is_charged else f"~{plain(record.credits)}"


def _until(record: TaskRecord, now: float) -> str:
    until = record.begun + OUTPUT_SECONDS
    is_lost = record.saving in {"lost", "told"}
    return _moment(until) if record.status == "SUCCEEDED" and record.lacks_files and not is_lost and until > now else ""


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%MZ}"


def _notes(listing: Listing, now: float) -> Iterator[str]:
    page = listing.page
    if page.unknown:
        yield f"The sum lacks {page.unknown} whose cost is unknown."
    if any(task.credits is not None and not task.is_charged for task in page.tasks):
        yield "~: expected credits, not charged yet."
    if any(_until(task, now) for task in page.tasks):
        yield "until: outputs can be fetched at least so long; runway_downloadOutput saves them."
    if listing.has_unseen:
        yield f"Only the latest {MAX_LOOKS} active ones were read afresh."
    yield from describe_unread(listing.unread)
    unknown = [task for task in page.tasks if task.status == "UNKNOWN"]
    if lost_starts := [task.number for task in unknown if task.task_id is None]:
        yield describe_open(*lost_starts)
    if len(unknown) > len(lost_starts):
        yield "UNKNOWN with an id: nobody saw how it ended; runway_getTask may still tell."
    if listing.lost:
        yield describe_lost(listing.lost)


LIST_TASKS = Tool(
    name="runway_listTasks",
    title="List Runway tasks",
    description=(
        "List the tasks started through this server, newest first, with status, credits and saved files, and the sum "
        "of credits over all that match. Up to 20 active ones are read afresh. What was made today, and its cost: "
        'since "today". To stop everything: status "active", then runway_cancelTask with taskIds. Free.'
    ),
    annotations=READS,
    run=run_list,
    is_viewed=True,
)

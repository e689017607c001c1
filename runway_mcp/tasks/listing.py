"""Which tasks the caller has started, by the history, with a fresh look at those that have not finished."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import anyio

from runway_mcp.api.errors import NotFoundError, RunwayError
from runway_mcp.api.models import Task, TaskId
from runway_mcp.history.task_records import Seen, TaskPage, TaskQuery, TaskRecord
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.recorder import seen_of

MAX_LOOKS = 20
"""Tasks that a listing looks at, the latest ones."""
LOOK_SECONDS = 10.0
"""How long it looks at them."""
MAX_LOST = 10
"""Tasks of which one listing tells that their outputs are lost."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The tasks that match a query.

    Attributes:
        page: As they were after the look.
        seen: Active tasks as Runway has just told them, by id.
        unread: Why others could not be looked at, by id; None where no answer came in time.
        lost: Tasks whose outputs can't be saved any more. This is told once.
        has_unseen: Whether more are active than were looked at.
    """

    page: TaskPage
    seen: Mapping[str, Task] = field(default_factory=dict[str, Task])
    unread: Mapping[str, RunwayError | None] = field(default_factory=dict[str, RunwayError | None])
    lost: Sequence[TaskRecord] = ()
    has_unseen: bool = False


async def latest_tasks(context: CallerContext, query: TaskQuery) -> list[TaskRecord]:
    """Return the caller's tasks that match a query, as they were last seen; nothing is sent.

    Raises:
        HistoryError: The history can't be read.
    """
    history = await context.ledger.begun()
    if history is None:
        return []
    return (await history.tasks.page(context.ledger.account, context.ledger.caller, query)).tasks


async def list_tasks(context: CallerContext, query: TaskQuery, *, look_seconds: float = LOOK_SECONDS) -> Listing:
    """Return the caller's tasks that match a query.

    Those that match but for their status and have not finished are looked at first, up to `MAX_LOOKS`, for
    `look_seconds`. So statuses and sums are those of now. A task that can't be looked at keeps its last known status.

    Raises:
        HistoryError: The history can't be read or written.
    """
    ledger = context.ledger
    history = await ledger.begun()
    if history is None:
        return Listing(TaskPage([], 0, 0, 0, has_more=False))
    tasks = history.tasks
    active = await tasks.page(ledger.account, ledger.caller, replace(query, status="active", limit=MAX_LOOKS))
    seen: dict[str, Task] = {}
    unread: dict[str, RunwayError | None] = {task.task_id: None for task in active.tasks if task.task_id}

    async def look(task_id: TaskId) -> None:
        try:
            task = seen[task_id] = await context.tasks.get(task_id)
        except NotFoundError:
            tasks.see(ledger.account, task_id, Seen())
        except RunwayError as error:
            unread[task_id] = error
            return
        else:
            tasks.see(ledger.account, task_id, seen_of(task))
        del unread[task_id]

    with anyio.move_on_after(look_seconds):
        async with anyio.create_task_group() as looks:
            for task_id in list(unread):
                looks.start_soon(look, TaskId(task_id))
    page = await tasks.page(ledger.account, ledger.caller, query)
    lost = (await tasks.to_save(ledger.account, ledger.caller, "lost"))[:MAX_LOST]
    for task in lost:
        await tasks.mark_saving(task.number, "told", before="lost")
    return Listing(page, seen, unread, lost, active.has_more)

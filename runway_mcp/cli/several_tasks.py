"""What a command does with several tasks at once, each with a progress bar."""

import json
import shlex
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import cast

import anyio
from pydantic import JsonValue

from runway_mcp.api.models import TERMINAL
from runway_mcp.cli.screen import Report
from runway_mcp.cli.task_session import FAILED, TIME_UP, Answer, Shell, TaskSession, worst

PAGE = 100
"""Rows that one call lists at most."""
WAIT_SECONDS = 3600
"""How long one call waits; a wait goes on with the next one."""


def call_each(shell: Shell, tool: str, task_ids: Sequence[str], interrupted: str = "") -> int:
    """Call a tool for each task; return the exit code. `interrupted` is said where that stops the command."""

    async def run(session: TaskSession) -> int:
        session.on_interrupt = f"{interrupted} The state:{session.command('get', task_ids)}"

        async def act(task_id: str, report: Report) -> int:
            return session.tell(await session.call(tool, {"taskId": task_id}, report), task_id)

        return await session.each(task_ids, act)

    return shell.run(run)


async def wait_for(
    session: TaskSession, task_ids: Sequence[str], *, timeout: float, first: bool = False, then: str = ""
) -> int:
    """Wait for all of the tasks, or for the first; return the exit code. `then` is the command line that follows."""
    left = list(dict.fromkeys(task_ids))
    codes: list[int] = []

    def offer_to_go_on() -> None:
        session.on_interrupt = f"What has not finished goes on. To wait again:{session.command('wait', left)}{then}"

    async def act(task_id: str, report: Report) -> int:
        while True:
            arguments = {"taskId": task_id, "timeoutSeconds": WAIT_SECONDS}
            answer = await session.call("runway_waitForTask", arguments, report)
            if answer.is_error or answer.data["status"] in TERMINAL:
                break
            await anyio.sleep(session.poll_seconds)  # a Retry-After may have ended the wait at once
        code = session.tell(answer, task_id) or (answer.data["status"] != "SUCCEEDED") * FAILED
        left.remove(task_id)
        codes.append(code)
        offer_to_go_on()
        if first and not answer.is_error:
            codes[:] = [code]
            left.clear()
            scope.cancel()
        return code

    offer_to_go_on()
    with anyio.move_on_after(timeout) as scope:
        await session.each(task_ids, act)
    for task_id in left:
        session.tell(await session.call("runway_getTask", {"taskId": task_id}), task_id)
    if left:
        session.screen.fail(f"not finished after {timeout:g} s. {session.on_interrupt}")
        codes.append(TIME_UP)
    return worst(codes)


def save_command(session: TaskSession, task_ids: Sequence[str], directory: Path) -> str:
    """Return the command line that saves the outputs of these tasks."""
    return f"{session.command('save', task_ids)} --dir {shlex.quote(str(directory.absolute()))}"


async def save_outputs(
    session: TaskSession,
    task_ids: Sequence[str],
    directory: Path,
    *,
    name: str | None = None,
    outputs: Sequence[int] | None = None,
) -> int:
    """Save the outputs of each task; return the exit code."""
    session.on_interrupt = f"To go on:{save_command(session, task_ids, directory)}"
    folder = str(directory.absolute())  # noqa: ASYNC240 - asks nothing of the disk
    wanted = {"directory": folder, "name": name, "outputs": outputs}

    async def act(task_id: str, report: Report) -> int:
        while True:
            answer = await session.call("runway_downloadOutput", {"taskId": task_id, **wanted}, report)
            files = cast("list[dict[str, JsonValue]]", answer.data.get("files", []))
            if not any("downloaded" in file for file in files):  # a call ends while a long download goes on
                break
        return session.tell(answer, task_id) or any("error" in file for file in files) * FAILED

    return await session.each(task_ids, act)


async def list_rows(
    session: TaskSession, query: Mapping[str, object], limit: int
) -> tuple[list[Mapping[str, JsonValue]], Answer]:
    """Return the tasks that match, page by page up to a limit, and the answer for the last page."""
    rows, columns, cursor = list[Mapping[str, JsonValue]](), list[str](), ""
    while True:
        page = {"limit": min(PAGE, limit - len(rows)), "cursor": cursor}
        answer = await session.call("runway_listTasks", {**query, **page})
        columns = cast("list[str]", answer.data.get("columns", columns))
        rows += [_row(columns, cells) for cells in cast("list[list[str]]", answer.data.get("tasks", []))]
        cursor = str(answer.data.get("nextCursor", ""))
        if not cursor or len(rows) >= limit:
            return rows, answer


def _row(columns: Sequence[str], cells: Sequence[str]) -> dict[str, JsonValue]:
    named = dict(zip_longest(columns[:-1], cells[: len(columns) - 1], fillvalue=""))
    return {**named, columns[-1]: list[JsonValue](cells[len(columns) - 1 :])}


def typed_row(row: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a row for scripts: the status alone, and credits as a number, null where they are unknown."""
    cell = str(row["credits"])
    number: JsonValue = json.loads(cell.removeprefix("~")) if cell.strip("~?") else None
    status = str(row["status"]).partition(",")[0]
    return {**row, "status": status, "credits": number, "charged": cell[:1].isdecimal()}

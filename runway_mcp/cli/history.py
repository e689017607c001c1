"""The command `runway-mcp history`: starts of unknown outcome, and what a person found out about them."""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import partial

import anyio

from runway_mcp.api.models import InvalidTaskIdError, TaskId, amount, parse_task_id
from runway_mcp.config.options import Parser, UsageError, option, parse_settings
from runway_mcp.history.records import HistoryError, NotOpenError, OpenStart
from runway_mcp.history.sqlite import History, open_history
from runway_mcp.mcp_server.messages import explain
from runway_mcp.wiring.core import history_file

OpenHistory = Callable[[], AbstractAsyncContextManager[History]]

NO_OPEN = "No start has an unknown outcome."


def run_history(arguments: Sequence[str], about: str) -> int:
    """Run `runway-mcp history` and return its exit code: 1 where the history can't be used or has no such start.

    Raises:
        UsageError: The command line or a setting is wrong.
    """
    parser = Parser(
        prog="runway-mcp history",
        description=f"runway-mcp history: {about}.",
        epilog="--state-dir, --env-file and the environment count as they do for the server.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|settle")
    actions.add_parser("list", description="List the starts of unknown outcome.")
    settle = actions.add_parser("settle", description="Record what became of a start.")
    settle.add_argument("number", type=option(int, "must be a start's number"), metavar="NUMBER")
    outcome = settle.add_mutually_exclusive_group(required=True)
    outcome.add_argument("--nothing", action="store_true", help="it bought nothing: its clientToken is free again")
    outcome.add_argument(
        "--task", type=option(_task_id, "must be a task's id"), metavar="ID", help="it became this task"
    )
    options, others = parser.parse_known_args(arguments)
    settings, _ = parse_settings(others, {})
    file = history_file(settings)
    if file is None or not file.exists():
        raise UsageError("no history is kept there; name the server's folder with --state-dir")
    opening = partial(open_history, file, keep_days=settings.history_days, prompts=settings.history_prompts == "on")
    try:
        if options.action == "list":
            print(anyio.run(_list, opening))
        else:
            anyio.run(_settle, opening, options.number, options.task)
            print(f"Start {options.number} is settled.")
    except (HistoryError, NotOpenError) as error:
        print(f"runway-mcp: {explain(error)} Nothing was changed.", file=sys.stderr)
        return 1
    return 0


def _task_id(text: str) -> TaskId:
    try:
        return parse_task_id(text)
    except InvalidTaskIdError as error:
        raise ValueError from error


async def _list(opening: OpenHistory) -> str:
    async with opening() as history:
        return "\n".join(map(_line, await history.open_starts())) or NO_OPEN


async def _settle(opening: OpenHistory, number: int, task_id: str | None) -> None:
    async with opening() as history:
        await history.settle(number, task_id=task_id)


def _line(start: OpenStart) -> str:
    begun = datetime.fromtimestamp(start.begun, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    price = "price unknown" if start.credits is None else f"counts for {amount(start.credits)}"
    return f"{start.number}  {begun}  {start.type}  {price}"

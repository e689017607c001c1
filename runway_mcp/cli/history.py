"""The command `runway-mcp history`: starts of unknown outcome, what a person found out about them, and copies."""

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from math import inf
from pathlib import Path

import anyio

from runway_mcp.api.models import InvalidTaskIdError, TaskId, amount, parse_task_id
from runway_mcp.config.options import Parser, UsageError, option, parse_settings
from runway_mcp.config.settings import SettingsError
from runway_mcp.config.sources import find_database
from runway_mcp.history.history_copy import copy_history
from runway_mcp.history.places import HistoryPlace, open_place
from runway_mcp.history.records import HistoryError, NotOpenError, OpenStart
from runway_mcp.mcp_server.messages import explain
from runway_mcp.wiring.core import history_place, usable_place

NO_OPEN = "No start has an unknown outcome."
UNCHANGED = "Nothing was changed."
STOPPED = "What was copied so far stays; repeat the command to go on."


def run_history(arguments: Sequence[str], about: str) -> int:
    """Run `runway-mcp history` and return its exit code: 1 where the history can't be used or has no such start.

    Raises:
        UsageError: The command line or a setting is wrong.
    """
    parser = Parser(
        prog="runway-mcp history",
        description=f"runway-mcp history: {about}.",
        epilog="--state-dir, --history, --env-file and the environment count as they do for the server.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|settle|copy")
    actions.add_parser("list", description="List the starts of unknown outcome.")
    settle = actions.add_parser("settle", description="Record what became of a start.")
    settle.add_argument("number", type=option(int, "must be a start's number"), metavar="NUMBER")
    outcome = settle.add_mutually_exclusive_group(required=True)
    outcome.add_argument("--nothing", action="store_true", help="it bought nothing: its clientToken is free again")
    outcome.add_argument(
        "--task", type=option(_task_id, "must be a task's id"), metavar="ID", help="it became this task"
    )
    copy = actions.add_parser("copy", description="Copy a history into another. It can be repeated: nothing doubles.")
    for name in ("source", "target"):
        copy.add_argument(name, type=_place, metavar={"source": "FROM"}.get(name, "TO"))
    options, others = parser.parse_known_args(arguments)
    settings, _ = parse_settings(others, {})
    try:
        place = history_place(settings) if options.action != "copy" else usable_place(options.source)
        usable_place(getattr(options, "target", Path()))
    except SettingsError as error:
        raise UsageError(str(error)) from None
    if place is None or (isinstance(place, Path) and not place.exists()):
        raise UsageError("no history is kept there; name the server's folder with --state-dir, or --history")
    try:
        print(anyio.run(_run, options, place))
    except (HistoryError, NotOpenError) as error:
        print(f"runway-mcp: {explain(error)} {STOPPED if options.action == 'copy' else UNCHANGED}", file=sys.stderr)
        return 1
    return 0


def _task_id(text: str) -> TaskId:
    try:
        return parse_task_id(text)
    except InvalidTaskIdError as error:
        raise ValueError from error


def _place(text: str) -> HistoryPlace:
    if "://" not in text:
        return Path(text)
    try:
        return find_database(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


async def _run(options: Namespace, place: HistoryPlace) -> str:
    opening = partial(open_place, keep_days=inf)  # to forget what is old is the server's
    async with opening(place) as history:
        match options.action:
            case "list":
                return "\n".join(map(_line, await history.open_starts())) or NO_OPEN
            case "settle":
                await history.settle(options.number, task_id=options.task)
                return f"Start {options.number} is settled."
            case _:
                async with opening(options.target) as target:
                    return f"Copied {await copy_history(history, target)} starts."


def _line(start: OpenStart) -> str:
    begun = datetime.fromtimestamp(start.begun, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    price = "price unknown" if start.credits is None else f"counts for {amount(start.credits)}"
    return f"{start.number}  {begun}  {start.type}  {price}"

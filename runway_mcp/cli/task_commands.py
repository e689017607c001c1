"""The commands for tasks: each calls the server's own tools and shows what they answer."""

import inspect
import math
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Concatenate, ParamSpec

from typer import Argument, Option

from runway_mcp.cli.several_tasks import call_each, list_rows, save_command, save_outputs, typed_row, wait_for
from runway_mcp.cli.shell_completion import complete_fields, complete_ids, complete_models, complete_types
from runway_mcp.cli.start_fields import local_folders, read_fields
from runway_mcp.cli.task_session import Shell, TaskSession
from runway_mcp.config.options import UsageError

P = ParamSpec("P")
EXAMPLES = {
    "types": "runway-mcp types text_to_video",
    "estimate": "runway-mcp estimate text_to_video promptText='A red kite' \\\n    ratio=1280:720 duration=5",
    "start": "runway-mcp start text_to_video promptText='A red kite' \\\n    ratio=1280:720 duration=5 --save .",
    "get": "runway-mcp get 17f20503-6c24-4c16-946b-35dbbce2af2f",
    "wait": "runway-mcp wait 17f20503-6c24-4c16-946b-35dbbce2af2f --timeout 600",
    "list": "runway-mcp list --since today",
    "save": "runway-mcp save 17f20503-6c24-4c16-946b-35dbbce2af2f --dir videos",
    "cancel": "runway-mcp cancel 17f20503-6c24-4c16-946b-35dbbce2af2f",
    "delete": "runway-mcp delete 17f20503-6c24-4c16-946b-35dbbce2af2f",
    "upload": "runway-mcp upload cat.png",
    "account": "runway-mcp account --detail",
}
"""What the help of each command ends with."""

TypeName = Annotated[str, Argument(metavar="TYPE", autocompletion=complete_types, help="Such as text_to_video.")]
Fields = Annotated[
    list[str] | None,
    Argument(metavar="FIELD=VALUE", autocompletion=complete_fields, help="Media: URL, file or task:ID. -: stdin."),
]
InputFile = Annotated[str, Option("--input", metavar="FILE", help="JSON object of fields; - for stdin.")]
TaskIds = Annotated[list[str], Argument(metavar="ID...", autocompletion=complete_ids, show_default=False)]

Timeout = Annotated[
    float, Option(min=0, metavar="SECONDS", show_default=False, help="Stop waiting after; the task goes on.")
]

_COMMON = [
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
    for name, default, annotation in (
        ("sandbox", False, Annotated[bool, Option("--sandbox", help="Simulated Runway: no key, no cost.")]),
        ("as_json", False, Annotated[bool, Option("--json", help="JSON lines, as in a pipe.")]),
        ("env_file", None, Annotated[Path | None, Option(metavar="PATH", help="File of NAME=value lines.")]),
    )
]


def _command(run: Callable[Concatenate[Shell, P], int]) -> Callable[..., int]:
    """Give a command the options that all have."""

    @wraps(run)
    def command(*, sandbox: bool, as_json: bool, env_file: Path | None, **arguments: object) -> int:
        return run(Shell(sandbox, as_json, env_file), **arguments)  # pyright: ignore[reportCallIssue] - typer gives what the signature names

    _, *own = inspect.signature(run).parameters.values()
    own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    command.__dict__["__signature__"] = inspect.Signature([*own, *_COMMON])
    command.__annotations__ = {one.name: one.annotation for one in (*own, *_COMMON)}
    return command


@_command
def types(
    shell: Shell,
    type_name: Annotated[str, Argument(metavar="[TYPE]", autocompletion=complete_types, show_default=False)] = "",
    model: Annotated[str, Argument(metavar="[MODEL]", autocompletion=complete_models, show_default=False)] = "",
) -> int:
    """Run `runway-mcp types`."""

    async def run(session: TaskSession) -> int:
        return session.tell(await session.call("runway_listTaskTypes", {"type": type_name, "model": model}))

    return shell.run(run)


@_command
def estimate(shell: Shell, type_name: TypeName, fields: Fields = None, input_file: InputFile = "") -> int:
    """Run `runway-mcp estimate`."""
    given = read_fields(type_name, fields or [], input_file)

    async def run(session: TaskSession) -> int:
        return session.tell(await session.call("runway_estimateCost", {"type": type_name, "input": given}))

    return shell.run(run, folders=local_folders(given))


@_command
def start(
    shell: Shell,
    type_name: TypeName,
    fields: Fields = None,
    *,
    input_file: InputFile = "",
    wait: Annotated[bool, Option("--wait", help="Wait until it has finished.")] = False,
    save: Annotated[Path | None, Option(metavar="DIR", help="Wait, and save the outputs here.")] = None,
    timeout: Timeout = math.inf,
    max_credits: Annotated[float | None, Option(min=0, metavar="N", help="Refuse above this price.")] = None,
    client_token: Annotated[str | None, Option(metavar="T", help="Repeat it safely: buys once.")] = None,
    confirm_over: Annotated[float | None, Option(min=0, metavar="N", help="Ask above this price.")] = None,
) -> int:
    """Run `runway-mcp start`."""
    given = read_fields(type_name, fields or [], input_file)
    arguments = {"type": type_name, "input": given, "maxCredits": max_credits, "clientToken": client_token}
    folders = [*local_folders(given), *_made("--save", save)]

    async def run(session: TaskSession) -> int:
        session.on_interrupt = f"If the start had been sent, Runway has the task:{session.command('list')}"
        answer = await session.call("runway_startTask", arguments)
        if answer.is_error or not (wait or save):
            return session.tell(answer)
        task_id = str(answer.data["id"])
        session.screen.note(f"Started {task_id}. {answer.note}")
        then = save_command(session, [task_id], save) if save else ""
        code = await wait_for(session, [task_id], timeout=timeout, then=then)
        return code or (await save_outputs(session, [task_id], save) if save else 0)

    return shell.run(run, folders=folders, given={"confirm_over": confirm_over})


@_command
def get(shell: Shell, task_ids: TaskIds) -> int:
    """Run `runway-mcp get`."""
    return call_each(shell, "runway_getTask", task_ids)


@_command
def cancel(shell: Shell, task_ids: TaskIds) -> int:
    """Run `runway-mcp cancel`."""
    return call_each(shell, "runway_cancelTask", task_ids, "What was sent may have been done.")


@_command
def delete(shell: Shell, task_ids: TaskIds) -> int:
    """Run `runway-mcp delete`."""
    return call_each(shell, "runway_deleteTask", task_ids, "What was sent may have been done.")


@_command
def wait(
    shell: Shell,
    task_ids: TaskIds,
    any_: Annotated[bool, Option("--any", help="Wait for the first of them.")] = False,
    timeout: Timeout = math.inf,
) -> int:
    """Run `runway-mcp wait`."""

    async def run(session: TaskSession) -> int:
        return await wait_for(session, task_ids, timeout=timeout, first=any_)

    return shell.run(run)


@_command
def save(
    shell: Shell,
    task_ids: TaskIds,
    name: Annotated[str | None, Option(metavar="NAME", help="Of the file. Default: date and prompt.")] = None,
    directory: Annotated[Path | None, Option("--dir", metavar="DIR", help="Default: the current folder.")] = None,
    output: Annotated[list[int] | None, Option(metavar="N", help="Only this output (repeatable).")] = None,
) -> int:
    """Run `runway-mcp save`."""
    folders = _made("--dir", directory)

    async def run(session: TaskSession) -> int:
        return await save_outputs(session, task_ids, directory or Path(), name=name, outputs=output)

    return shell.run(run, folders=folders)


@_command
def upload(shell: Shell, file: Annotated[Path, Argument(metavar="FILE", show_default=False)]) -> int:
    """Run `runway-mcp upload`."""
    path = file.expanduser().absolute()

    async def run(session: TaskSession) -> int:
        with session.screen.progress() as bar:
            return session.tell(await session.call("runway_uploadFile", {"path": str(path)}, bar(path.name)))

    return shell.run(run, folders=[path.parent])


@_command
def account(
    shell: Shell, detail: Annotated[bool, Option("--detail", help="Each model's limits and use.")] = False
) -> int:
    """Run `runway-mcp account`."""

    async def run(session: TaskSession) -> int:
        return session.tell(await session.call("runway_getAccount", {"detail": detail}))

    return shell.run(run)


@_command
def list_tasks(
    shell: Shell,
    *,
    status: Annotated[str, Option(metavar="STATUS", help="active (not finished), or a status.")] = "",
    since: Annotated[str, Option(metavar="TIME", help="today, yesterday, or an ISO date or time.")] = "",
    type_name: Annotated[str, Option("--type", metavar="TYPE", autocompletion=complete_types)] = "",
    text: Annotated[str, Option(metavar="TEXT", help="Part of the prompt or the model's name.")] = "",
    limit: Annotated[int, Option(min=1, metavar="N", help="Rows at most.")] = 20,
) -> int:
    """Run `runway-mcp list`."""

    async def run(session: TaskSession) -> int:
        query = {"status": status, "since": since, "type": type_name, "text": text}
        rows, answer = await list_rows(session, query, limit)
        if answer.is_error:
            return session.tell(answer)
        rows = rows if session.screen.is_human else [typed_row(row) for row in rows]
        session.screen.show_rows(rows, ("id", "status", "credits", "prompt"), ("created", "type", "model"))
        session.screen.note(f"{answer.data['matched']} matched, {answer.data['credits']} credits. {answer.note}")
        return 0

    return shell.run(run)


def _made(option: str, folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{option}: the folder can't be used: {error.strerror}") from None
    return [folder.absolute()]

"""The server's own tools, called in this process by the task commands."""

import re
import shlex
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.server.mcpserver import MCPServer
from mcp_types import ElicitRequestParams, ElicitResult, TextContent
from pydantic import JsonValue

from runway_mcp.cli.screen import COMMAND_LINE, Report, Screen
from runway_mcp.config.options import UsageError
from runway_mcp.config.settings import SANDBOX_KEY, SANDBOX_URL, Settings, SettingsError
from runway_mcp.config.sources import load
from runway_mcp.history.records import HistoryError
from runway_mcp.history.task_records import TaskQuery
from runway_mcp.mcp_server.tools.generation import LIMIT
from runway_mcp.observability import logs
from runway_mcp.signals import on_stop_signal
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.listing import latest_tasks
from runway_mcp.wiring.core import build_core, state_dir

FAILED, TIME_UP, LIMITED, INTERRUPTED = 1, 3, 4, 130
"""Exit codes: an error or a task that FAILED; the time was up; a limit; a stop signal."""

COMMANDS = {
    "runway_listTaskTypes": "types",
    "runway_estimateCost": "estimate",
    "runway_startTask": "start",
    "runway_getTask": "get",
    "runway_waitForTask": "wait",
    "runway_listTasks": "list",
    "runway_cancelTask": "cancel",
    "runway_deleteTask": "delete",
    "runway_downloadOutput": "save",
    "runway_uploadFile": "upload",
    "runway_getAccount": "account",
}
"""The command that does what a tool does."""
MAX_IDS = 50
"""Tasks whose ids a shell is offered."""
_IN_WORDS = {
    **{tool: f"`runway-mcp {command}`" for tool, command in COMMANDS.items()},
    "[Tt]his server": "runway-mcp",
    "([Cc])all again": r"\1all the command again",
    "([Rr])epeat the call": r"\1epeat the command",
    "maxCredits": "--max-credits",
    "clientToken": "--client-token",
    "taskId": "ID",
    " in the host's configuration of runway-mcp and restart it": "",
    r" A picture attached to the chat is .* first, then name it\.": "",
}
"""What a person reads in place of a tool's words."""
NOT_OFFERED = "--read-only / RUNWAY_MCP_READ_ONLY is set, and this command changes something. Nothing was done."
NOBODY_ANSWERS = "Nobody can answer here. Start it in a terminal, or allow its price with --confirm-over CREDITS."


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool has answered.

    Attributes:
        data: The API's own object, or what there is beside it.
        note: What is said about it; on an error what happened.
        is_limit: Whether a limit is the error.
    """

    data: Mapping[str, JsonValue]
    note: str
    is_error: bool = False
    is_limit: bool = False


class TaskSession:
    """A server in this process, and the screen that shows what it answers.

    Attributes:
        on_interrupt: What a person reads who interrupts the command now.
    """

    def __init__(
        self, server: MCPServer[CallerContext], screen: Screen, poll_seconds: float, options: Sequence[str]
    ) -> None:
        self.client = Client(server, elicitation_callback=self._ask)
        self.screen = screen
        self.poll_seconds = poll_seconds
        self._options = options
        self.on_interrupt = ""
        self._refusal = ""

    async def call(self, tool: str, arguments: Mapping[str, Any], report: Report | None = None) -> Answer:
        """Call a tool; what was left out of `arguments` is None there."""
        given = {name: value for name, value in arguments.items() if value is not None}
        if tool not in {offered.name for offered in (await self.client.list_tools()).tools}:
            return Answer({}, NOT_OFFERED, is_error=True)
        result = await self.client.call_tool(tool, given, progress_callback=report)
        data = dict(result.structured_content or {})
        first = next((block.text for block in result.content if isinstance(block, TextContent)), "")
        note = str(data.pop("note", first if result.is_error else ""))
        if self._refusal:
            return Answer({}, self._refusal, is_error=True, is_limit=True)
        return Answer(data, as_commands(note), is_error=bool(result.is_error), is_limit=LIMIT in (result.meta or {}))

    def tell(self, answer: Answer, task_id: str = "") -> int:
        """Show an answer; return the exit code."""
        name = f"{task_id}: " if task_id else ""
        if answer.is_error:
            self.screen.fail(f"{name}{answer.note}")
            return LIMITED if answer.is_limit else FAILED
        self.screen.show(answer.data)
        self.screen.note(answer.note and f"{name}{answer.note}")
        return 0

    def command(self, name: str, task_ids: Sequence[str] = ()) -> str:
        """Return the command line that does something with these tasks, as the last line of what is said."""
        return COMMAND_LINE.join(("\n", " ".join(("runway-mcp", name, *task_ids, *self._options))))

    async def each(self, task_ids: Sequence[str], act: Callable[[str, Report], Awaitable[int]]) -> int:
        """Act on several tasks at once, each with a progress bar; return the exit code for all."""
        codes: list[int] = []
        with self.screen.progress() as bar:
            async with anyio.create_task_group() as group:

                async def run(task_id: str) -> None:
                    codes.append(await act(task_id, bar(task_id[:8])))

                for task_id in dict.fromkeys(task_ids):
                    group.start_soon(run, task_id)
        return worst(codes)

    async def _ask(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:  # noqa: ARG002 - the SDK's signature
        question = as_commands(params.message)
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            self._refusal = f"Nothing was sent, and nothing is charged. {question} {NOBODY_ANSWERS}"
        elif not self.screen.confirm(question):
            self._refusal = "Nothing was sent, and nothing is charged: you did not agree."
        return (
            ElicitResult(action="decline") if self._refusal else ElicitResult(action="accept", content={"start": True})
        )


@dataclass(frozen=True, slots=True)
class Shell:
    """The options that all task commands have."""

    sandbox: bool
    as_json: bool
    env_file: Path | None

    def run(
        self,
        command: Callable[[TaskSession], Awaitable[int]],
        *,
        folders: Sequence[Path] = (),
        given: Mapping[str, object] | None = None,
    ) -> int:
        """Run a command to its end, or until a stop signal; return its exit code.

        Args:
            command: What is run.
            folders: Where files may be read and saved, beside the current folder.
            given: Settings by name that win over the environment.

        Raises:
            UsageError: A setting can't be used.
        """
        try:
            settings = self.settings(given or {})
            return anyio.run(self._run, settings, [Path.cwd(), *folders], command)
        except SettingsError as error:
            raise UsageError(str(error)) from None

    def settings(self, given: Mapping[str, object]) -> Settings:
        """Return the server's settings, for a server that one person uses in this process."""
        flags = {"sandbox": True} if self.sandbox else {}
        settings = load({**flags, **{name: value for name, value in given.items() if value is not None}}, self.env_file)
        ours: dict[str, object] = {"transport": "stdio", "auth": "none", "auto_save": False, "metrics": False}
        if settings.sandbox:  # whose history must not depend on the key that happens to be set
            ours |= {"api_key": SANDBOX_KEY, "base_url": SANDBOX_URL}
        return settings.model_copy(update={**ours, "toolsets": Settings.model_fields["toolsets"].default})

    async def _run(
        self, settings: Settings, folders: Sequence[Path], command: Callable[[TaskSession], Awaitable[int]]
    ) -> int:
        screen = Screen(as_json=self.as_json)
        code = INTERRUPTED
        options = ["--sandbox"] if settings.sandbox else []
        options += ["--env-file", shlex.quote(str(self.env_file))] if self.env_file else []
        async with _open(settings.model_copy(update={"files_root": tuple(folders)}), screen, options) as session:
            with anyio.CancelScope() as scope, on_stop_signal(scope.cancel):
                code = await command(session)
        if scope.cancelled_caught:
            screen.fail(f"interrupted. {session.on_interrupt}".rstrip())
        return code or screen.has_lost * FAILED


def sandbox_dir(settings: Settings) -> Path:
    """Return the folder of the sandbox that the task commands share."""
    return state_dir(settings) / "sandbox"


async def latest_ids(settings: Settings) -> list[tuple[str, str]]:
    """Return the ids and prompts of the tasks that were started last, by the history; nothing is sent."""
    folder = sandbox_dir(settings) if settings.sandbox else None
    if folder and not folder.exists():
        return []
    core = build_core(settings, lambda _: None, sandbox_dir=folder)
    async with core.callers.running():
        try:
            tasks = await latest_tasks(await core.callers.of(core.local), TaskQuery(limit=MAX_IDS))
        except HistoryError:
            return []
    return [(task.task_id, task.prompt) for task in tasks if task.task_id]


def worst(codes: Sequence[int]) -> int:
    """Return the exit code for all: an error counts before a limit, and that before a time that was up."""
    return next((code for code in (FAILED, LIMITED, TIME_UP) if code in codes), 0)


def as_commands(text: str) -> str:
    """Return a sentence about tools as one about commands."""
    for pattern, words in _IN_WORDS.items():
        text = re.sub(pattern, words, text)
    return text


@asynccontextmanager
async def _open(settings: Settings, screen: Screen, options: Sequence[str]) -> AsyncGenerator[TaskSession]:
    secrets = [settings.api_key.get_secret_value()] if settings.api_key else []
    redaction = logs.configure(settings.log_level, form=settings.log_format, secrets=secrets)
    kept = None
    if settings.sandbox:
        kept = sandbox_dir(settings)
        try:
            kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"the sandbox can't be kept in {kept}: {error.strerror}") from None
    core = build_core(settings, redaction.hide, sandbox_dir=kept)
    session = TaskSession(core.server, screen, settings.poll_seconds, options)
    async with session.client:
        yield session

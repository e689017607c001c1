"""The main job in a few seconds: a real server process, a real MCP client, a simulated Runway.

It starts `runway-mcp --sandbox` over stdio as a host would, calls each tool, and prints every
call with what came back.
"""

import json
import sys
import textwrap
from typing import Literal

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolResult, Request, Result, TextContent
from pydantic import JsonValue

from runway_mcp.mcp_tasks.wire import EXTENSION_ID
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.service import TaskService

SPEED = 24
WIDTH = 110

_ONE_IN_EACH_STATE = ("pending", "throttled", "running", "succeeded_video", "failed_moderation", "cancelled")


SERVER = StdioServerParameters(
    command=sys.executable,
    args=["-m", "runway_mcp", "--sandbox", f"--sandbox-speed={SPEED}", f"--poll-seconds={5 / SPEED:.2f}"],
)


async def run_demo(server: StdioServerParameters | MCPServer[TaskService] = SERVER) -> int:
    """Run the demo against `server`; return 0 when everything it shows came out as promised, else 1."""
    broken_promises: list[str] = []
    async with Client(server) as client:
        await _Demo(client, broken_promises).show()
    async with Client(server, extensions=[_McpTaskClient()]) as client:
        await _Demo(client, broken_promises).show_mcp_task()
    if broken_promises:
        print(f"\nNot as promised: {', '.join(broken_promises)}", file=sys.stderr)
        return 1
    print("\nTo use the server for real, set RUNWAYML_API_SECRET and see the README for your host.")
    return 0


class _Demo:
    """A sequence of calls over one connection, each printed with its answer."""

    def __init__(self, client: Client, broken_promises: list[str]) -> None:
        self._client = client
        self._broken_promises = broken_promises

    async def show(self) -> None:
        _say("Connected over stdio. The server's tools:")
        for tool in (await self._client.list_tools()).tools:
            kind = "reads" if tool.annotations and tool.annotations.read_only_hint else "changes"
            print(f"  {tool.name:<18} {kind:<8} {tool.title}")

        _say("A task in each state")
        for name in _ONE_IN_EACH_STATE:
            await self._call("runway_getTask", name)

        _say("Wait for one until it has succeeded")
        await self._call("runway_waitForTask", "running", expect={"status": "SUCCEEDED"})

        _say("Cancel one that is running")
        await self._call("runway_cancelTask", "running_long", expect={"done": "cancelled"})

        _say("Cancel leaves a finished one, and its output, alone")
        await self._call("runway_cancelTask", "running", expect={"done": "nothing"})

        _say("Delete removes it, with its output")
        await self._call("runway_deleteTask", "running", expect={"done": "deleted"})

        _say("What an error looks like: it is gone")
        await self._call("runway_getTask", "running", error=True)

    async def show_mcp_task(self) -> None:
        _say("A client that understands MCP tasks gets the same wait as one, and asks for it when it likes")
        await self._call("runway_waitForTask", "running", expect={"status": "SUCCEEDED"})

    async def _call(
        self, tool: str, sample: str, *, expect: dict[str, JsonValue] | None = None, error: bool = False
    ) -> None:
        """Make a call and print it; with progress, where it tells any, as a line on stderr."""
        print(f"\n> {tool}  taskId={SAMPLES[sample].id}", flush=True)
        result = await self._client.call_tool(tool, {"taskId": SAMPLES[sample].id}, progress_callback=_print_progress)
        for text in [block.text for block in result.content if isinstance(block, TextContent)]:
            _print_block(text)
        found: dict[str, JsonValue] = result.structured_content or {}
        if result.is_error != error or any(found.get(name) != value for name, value in (expect or {}).items()):
            self._broken_promises.append(f"{tool} of {sample}")


class _McpTask(Result):
    """An MCP task, as far as the demo looks at it."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: str
    status_message: str = ""
    poll_interval_ms: int = 1000


class _McpTaskState(_McpTask):
    result_type: Literal["complete"] = "complete"  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleVariableOverride] - the answer to tasks/get is itself complete
    result: CallToolResult | None = None


class _GetMcpTask(Request[dict[str, str], Literal["tasks/get"]]):
    name_param = "taskId"
    method: Literal["tasks/get"] = "tasks/get"
    params: dict[str, str]


class _McpTaskClient(ClientExtension):
    """The client's side of the tasks extension: what becomes an MCP task is asked for until it is done."""

    identifier = EXTENSION_ID

    def claims(self) -> list[ResultClaim[_McpTask]]:
        return [ResultClaim(result_type="task", model=_McpTask, resolve=self._follow)]

    async def _follow(self, created: _McpTask, context: ClaimContext) -> CallToolResult:
        print(f"  The call became an MCP task of the same id, {created.status}. Then, with tasks/get:", flush=True)
        request = _GetMcpTask(params={"taskId": created.task_id})
        while True:
            state = await context.session.send_request(request, _McpTaskState)
            print(f"  {state.status:<10} {state.status_message}", file=sys.stderr, flush=True)
            if state.status != "working":
                return state.result or CallToolResult(content=[], is_error=True)
            await anyio.sleep(state.poll_interval_ms / 1000)


async def _print_progress(progress: float, total: float | None, message: str | None) -> None:
    done = progress / (total or 100)
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"  {'#' * round(done * 30):.<30} {message or '':<30}", end=end, file=sys.stderr, flush=True)


def _print_block(text: str) -> None:
    if text.startswith("{"):
        pretty = json.dumps(json.loads(text), indent=2).splitlines()
        lines = [line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..." for line in pretty]
    else:
        lines = textwrap.wrap(text, WIDTH)
    print(textwrap.indent("\n".join(lines), "  "))


def _say(text: str) -> None:
    print(f"\n== {text}", flush=True)

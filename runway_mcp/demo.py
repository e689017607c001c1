"""The main job in a few seconds: a real server process, a real MCP client, a simulated Runway.

It starts `runway-mcp --sandbox` over stdio as a host would, goes from a text to a video in a folder of
this machine, and prints every call with what came back.
"""

import json
import sys
import textwrap
from hashlib import sha256
from tempfile import mkdtemp
from typing import Self, cast

import anyio
from mcp import Client, StdioServerParameters
from mcp.server.mcpserver import MCPServer
from mcp_types import TextContent
from pydantic import JsonValue
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import CallerContext

SPEED = 40
MAX_WIDTH = 110
BAR_WIDTH = 20

_VIDEO: dict[str, JsonValue] = {"ratio": "1280:720", "duration": 5}


async def run_demo(server: MCPServer[CallerContext] | None = None) -> int:
    """Run the demo; return 0 when everything it shows came out as promised, else 1.

    Args:
        server: What is shown; where not given a process, which saves to a fresh temporary folder that stays.
    """
    broken_promises: list[str] = []
    shown = server or _process(mkdtemp(prefix="runway-mcp-demo-"))
    async with Client(shown) as client:
        video = await _Demo(client, broken_promises).show()
    if broken_promises:
        print(f"\nNot as promised: {', '.join(broken_promises)}", file=sys.stderr)
        return 1
    print(f"\n{_wrapped('The video made from a text, a test picture of one second, is this file:')}\n  {video}")
    print(f"\n{_wrapped('To make real ones, set RUNWAYML_API_SECRET and see the README for your host.')}")
    return 0


def _process(folder: str) -> StdioServerParameters:
    options = ["--sandbox", f"--sandbox-speed={SPEED}", f"--poll-seconds={5 / SPEED:.2f}", f"--files-root={folder}"]
    return StdioServerParameters(command=sys.executable, args=["-m", "runway_mcp", *options])


class _Demo:
    def __init__(self, client: Client, broken_promises: list[str]) -> None:
        self._client = client
        self._broken_promises = broken_promises

    async def show(self) -> str:
        _say("Connected over stdio. The server's tools:")
        for tool in (await self._client.list_tools()).tools:
            kind = "reads" if tool.annotations and tool.annotations.read_only_hint else "changes"
            print(f"  {tool.name:<22} {kind:<8} {tool.title}"[: _width()])

        _say("From a text to a video: start it, which tells the price")
        text: dict[str, JsonValue] = {"promptText": "A red kite rises over the sea", **_VIDEO}
        priced: dict[str, JsonValue] = {"estimatedCost": {"credits": 60}}
        started = await self._call("runway_startTask", {"type": "text_to_video", "input": text}, expect=priced)
        task: dict[str, JsonValue] = {"taskId": started.get("id")}

        _say("Wait until it has succeeded")
        await self._call("runway_waitForTask", task, expect={"status": "SUCCEEDED"})

        _say("Save it, before its link expires")
        video, *_ = await self._save(task) or [""]

        _say("From a picture on this disk to a video: another task leaves the picture, which is uploaded")
        picture, *_ = await self._save({"taskId": SAMPLES["succeeded_images"].id}) or [""]
        uploaded = await self._call("runway_uploadFile", {"path": picture})
        image = {"promptImage": uploaded.get("uri"), "promptText": "The colours begin to flow", **_VIDEO}
        wanted: dict[str, JsonValue] = {"type": "image_to_video", "input": image, "wait": True}
        moved = await self._call("runway_startTask", wanted, expect={"status": "SUCCEEDED"})
        await self._save({"taskId": moved.get("id")})

        _say("Cancel leaves a finished one, and its output, alone")
        await self._call("runway_cancelTask", task, expect={"done": "nothing"})

        _say("Delete removes it at Runway; the saved file stays")
        await self._call("runway_deleteTask", task, expect={"done": "deleted"})

        _say("What an error looks like: it is gone")
        await self._call("runway_getTask", task, error=True)
        return video

    async def _save(self, task: dict[str, JsonValue]) -> list[str]:
        saved = await self._call("runway_downloadOutput", task)
        paths = list[str]()
        for file in cast("list[dict[str, JsonValue]]", saved.get("files") or []):
            path = anyio.Path(str(file.get("path")))
            content = await path.read_bytes() if await path.is_file() else b""
            if file.get("sha256") != sha256(content).hexdigest():
                self._broken_promises.append("a saved file")
            paths.append(str(path))
        return paths

    async def _call(
        self,
        tool: str,
        arguments: dict[str, JsonValue],
        *,
        expect: dict[str, JsonValue] | None = None,
        error: bool = False,
    ) -> dict[str, JsonValue]:
        words = f"> {tool}  {json.dumps(arguments)}"
        print(f"\n{_wrapped(words, indent=4)}", flush=True)
        with _Progress() as progress:
            result = await self._client.call_tool(tool, arguments, progress_callback=progress)
        for text in [block.text for block in result.content if isinstance(block, TextContent)]:
            _print_block(text)
        found: dict[str, JsonValue] = result.structured_content or {}
        if result.is_error != error or any(found.get(name) != value for name, value in (expect or {}).items()):
            self._broken_promises.append(tool)
        return found


class _Progress:
    """Draws one line of progress on a terminal, with the first report; elsewhere prints a line for each."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, width=None if sys.stderr.isatty() else MAX_WIDTH)
        column = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        message = TextColumn("{task.description}", markup=False, table_column=column)
        self._bar = Progress(BarColumn(BAR_WIDTH), message, console=self._console, expand=True)
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._task is not None:
            self._bar.stop()

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        if not self._console.is_terminal:
            print(f"  {message or f'{progress:g}'}", file=sys.stderr, flush=True)
            return
        if self._task is None:
            self._task = self._bar.add_task("", total=total)
            self._bar.start()
        self._bar.update(self._task, completed=progress, total=total, description=message or "")


def _width() -> int:
    return min(Console().width, MAX_WIDTH) if sys.stdout.isatty() else MAX_WIDTH


def _print_block(text: str) -> None:
    width = _width() - 2
    if text.startswith("{"):
        pretty = json.dumps(json.loads(text), indent=2).splitlines()
        lines = [line if len(line) <= width else f"{line[: width - 3]}..." for line in pretty]
    else:
        lines = textwrap.wrap(text, width)
    print(textwrap.indent("\n".join(lines), "  "))


def _say(text: str) -> None:
    print(f"\n{_wrapped(f'== {text}', indent=3)}", flush=True)


def _wrapped(text: str, indent: int = 0) -> str:
    return textwrap.fill(text, _width(), subsequent_indent=" " * indent, break_on_hyphens=False)

"""The demo: what it shows, and that it notices when something is not as promised."""

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import av
import httpx2
import pytest
from anyio.abc import TaskGroup
from support.faulty import FaultyWire, faulty_client
from support.scripted import Script, reply, scripted_client

from runway_mcp.demo import run_demo
from runway_mcp.files.downloads import CallerFiles
from runway_mcp.files.file_client import open_file_client
from runway_mcp.files.folders import Folders
from runway_mcp.mcp_server.server import build_server
from runway_mcp.tasks.callers import Caller, CallerRegistry


def test_the_demo_runs_as_the_readme_says(tmp_path: Path) -> None:
    """One command, no key: from a text to a video that a player opens, in a folder that stays."""
    ran = subprocess.run(
        [sys.executable, "-m", "runway_mcp", "demo"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path), "TEMP": str(tmp_path)},
    )
    assert ran.returncode == 0
    for tool in ("startTask", "waitForTask", "downloadOutput", "uploadFile", "cancelTask", "deleteTask", "getTask"):
        assert f"> runway_{tool}  {{" in ran.stdout
    for done in ("nothing", "deleted"):
        assert f'"done": "{done}"' in ran.stdout
    assert '"promptImage": "runway://' in " ".join(ran.stdout.split())
    assert "Runway has no such task" in ran.stdout
    assert sum("RUNNING, " in line for line in ran.stderr.splitlines()) > 2
    assert "\x1b" not in ran.stdout + ran.stderr
    assert max(map(len, ran.stderr.splitlines())) < 80
    told = ran.stdout.split("is this file:\n")[1].splitlines()[0].strip()
    assert Path(told).is_relative_to(tmp_path)
    with av.open(told) as video:
        assert video.streams.video[0].codec_context.name == "h264"
    assert sorted(file.suffix for file in Path(told).parent.iterdir()) == [".mp4", ".mp4", ".png", ".png"]


def run_in_terminal(columns: int, folder: Path) -> str:
    """Run the demo in a pseudo-terminal; return everything that it wrote to it."""
    import termios  # noqa: PLC0415 - Windows has none

    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    environment = {**os.environ, "TMPDIR": str(folder), "TERM": "xterm"}
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        environment.pop(name, None)
    with subprocess.Popen(
        [sys.executable, "-m", "runway_mcp", "demo"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        written = bytearray()
        with suppress(OSError):  # Linux ends a terminal that nobody holds with EIO
            while data := os.read(ours, 65_536):
                written += data
        os.close(ours)
    assert process.returncode == 0
    return written.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="the standard library makes pseudo-terminals on POSIX only")
def test_on_a_terminal_progress_is_one_line_that_fits(tmp_path: Path) -> None:
    """Of 40 or 80 columns: a bar and what the server says, drawn in place, and no line that a terminal would break."""
    widths = (40, 80)
    with ThreadPoolExecutor() as threads:
        shown = threads.map(run_in_terminal, widths, [tmp_path] * len(widths))
    for columns, text in zip(widths, shown, strict=True):
        assert re.search(r"[1-9.]+ of [1-9.]+ kB", text)
        assert "RUNNING, " in text
        lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text))
        assert [line for line in lines if len(line) > columns and str(tmp_path) not in line] == []
        bars = [line for line in lines if "━" in line]
        assert len(bars) > 4
        assert "#" not in text


class Simulated:
    """A server in memory over the sandbox, in which eight seconds pass before each request.

    Args:
        folder: Where it saves.
        files: What carries files in the sandbox's place.
    """

    def __init__(self, folder: Path, files: httpx2.AsyncBaseTransport | None = None) -> None:
        self._folder = folder
        self._wire = FaultyWire()
        self._carrier = files or self._wire
        self._wire.between = self._pass_time
        callers = CallerRegistry(lambda _: faulty_client(self._wire), poll_seconds=0.02, files=self._files)
        self.server = build_server(callers)

    def _pass_time(self, _: int) -> None:
        self._wire.now += 8

    @asynccontextmanager
    async def _files(self, tasks: TaskGroup) -> AsyncGenerator[Callable[[Caller], CallerFiles]]:
        async with open_file_client(own_origin="http://sandbox.localhost", own_transport=self._carrier) as client:
            yield lambda _: CallerFiles(lambda: Folders([self._folder]), client, tasks, takes_roots=False)


async def test_the_demo_shows_json_that_is_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What stands under a call can be read by a person and, where no line was cut, by a program."""
    with anyio.fail_after(15):
        assert await run_demo(Simulated(tmp_path).server) == 0
    shown = capsys.readouterr().out
    uploaded = shown.split("> runway_uploadFile")[1].split("\n  {")[1].split("\n  }")[0]
    assert json.loads(f"{{{uploaded}}}")["contentType"] == "image/png"


class Unkept(httpx2.AsyncBaseTransport):
    """A host that no longer has any file."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:  # noqa: ARG002 - the library's name
        return httpx2.Response(404, stream=httpx2.ByteStream(b""))


async def test_the_demo_says_what_did_not_go_as_promised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a server that knows no task, or that can't save, the exit code is 1 and the broken promises are named."""
    with anyio.fail_after(15):
        server = build_server(CallerRegistry(lambda _: scripted_client(Script(reply(404, {"error": "gone"})))))
        assert await run_demo(server) == 1
        assert "Not as promised: runway_startTask, runway_waitForTask" in capsys.readouterr().err
        assert await run_demo(Simulated(tmp_path, Unkept()).server) == 1
        assert "Not as promised: runway_downloadOutput, a saved file" in capsys.readouterr().err

"""The demo: what it shows, and that it notices when something is not as promised."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import av
import httpx2
import pytest
from support.faulty import FaultyWire, faulty_client
from support.scripted import Script, reply, scripted_client

from runway_mcp.demo import run_demo
from runway_mcp.files.allowed import AllowedFiles
from runway_mcp.files.folders import Folders
from runway_mcp.files.transfers import open_transfers
from runway_mcp.mcp_server.server import build_server
from runway_mcp.tasks.callers import Caller, CallerRegistry


def test_the_demo_runs_as_the_readme_says(tmp_path: Path) -> None:
    """One command, no key: from a text to a video that a player opens, in a folder that stays, in 12 seconds."""
    ran = subprocess.run(
        [sys.executable, "-m", "runway_mcp", "demo"],
        capture_output=True,
        text=True,
        timeout=12,
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
    assert "The call became an MCP task of the same id, working." in ran.stdout
    assert "completed  SUCCEEDED" in ran.stderr
    assert sum("RUNNING, " in line for line in ran.stderr.splitlines()) > 2
    told = ran.stdout.split("is this file:\n")[1].splitlines()[0].strip()
    assert Path(told).is_relative_to(tmp_path)
    with av.open(told) as video:
        assert video.streams.video[0].codec_context.name == "h264"
    assert sorted(file.suffix for file in Path(told).parent.iterdir()) == [".mp4", ".mp4", ".png", ".png"]


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
    async def _files(self) -> AsyncGenerator[Callable[[Caller], AllowedFiles]]:
        async with open_transfers(own_origin="http://sandbox.localhost", own_transport=self._carrier) as transfers:
            yield lambda _: AllowedFiles(Folders([self._folder]), takes_roots=False, transfers=transfers)


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
        """Answer one request."""
        return httpx2.Response(404, stream=httpx2.ByteStream(b""))


async def test_the_demo_says_what_did_not_go_as_promised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a server that knows no task, or that can't save, the exit code is 1 and the broken promises are named."""
    with anyio.fail_after(15):
        server = build_server(CallerRegistry(lambda _: scripted_client(Script(reply(404, {"error": "gone"})))))
        assert await run_demo(server) == 1
        assert "Not as promised: runway_startTask, runway_waitForTask" in capsys.readouterr().err
        assert await run_demo(Simulated(tmp_path, Unkept()).server) == 1
        assert "Not as promised: runway_downloadOutput, a saved file" in capsys.readouterr().err

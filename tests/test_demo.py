"""The demo: what it shows, and that it notices when something is not as promised."""

import json
import subprocess
import sys
from contextlib import AbstractAsyncContextManager

import anyio
import pytest
from support.faulty import FaultyWire, faulty_client
from support.scripted import Script, reply, scripted_client

from runway_mcp.api.client import RunwayClient
from runway_mcp.demo import run_demo
from runway_mcp.sandbox import SAMPLES
from runway_mcp.server import build_server
from runway_mcp.tasks.callers import Caller, Services


def test_the_demo_runs_as_the_readme_says() -> None:
    """One command, no key: every call with its JSON, a progress line on stderr, exit code 0, in 15 seconds."""
    ran = subprocess.run(
        [sys.executable, "-m", "runway_mcp", "demo"], capture_output=True, text=True, timeout=15, check=False
    )
    assert ran.returncode == 0
    for tool in ("runway_getTask", "runway_cancelTask", "runway_deleteTask"):
        assert f"> {tool}  taskId=" in ran.stdout
    for status in ("PENDING", "THROTTLED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"):
        assert f'"status": "{status}"' in ran.stdout
    for done in ("cancelled", "nothing", "deleted"):
        assert f'"done": "{done}"' in ran.stdout
    assert "Runway has no such task" in ran.stdout
    assert "The call became an MCP task of the same id, working." in ran.stdout
    assert "completed  SUCCEEDED" in ran.stderr
    progress = [line for line in ran.stderr.splitlines() if "RUNNING, " in line]
    assert len(progress) > 2


async def test_the_demo_shows_json_that_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """What stands under a call can be read by a person and, where no line was cut, by a program."""

    def simulated(_: Caller) -> AbstractAsyncContextManager[RunwayClient]:
        wire = FaultyWire()

        def pass_time(_: int) -> None:
            wire.now += 8

        wire.between = pass_time
        return faulty_client(wire)

    with anyio.fail_after(15):
        assert await run_demo(build_server(Services(simulated, poll_seconds=0.02))) == 0
    shown = capsys.readouterr().out
    first = shown.split(f"taskId={SAMPLES['pending'].id}\n")[1].split("\n\n")[0]
    assert json.loads(first)["status"] == "PENDING"


async def test_the_demo_says_what_did_not_go_as_promised(capsys: pytest.CaptureFixture[str]) -> None:
    """With a server that knows no task, the exit code is 1 and the broken promises are named."""
    with anyio.fail_after(15):
        server = build_server(Services(lambda _: scripted_client(Script(reply(404, {"error": "gone"})))))
        assert await run_demo(server) == 1
    captured = capsys.readouterr()
    assert "Not as promised: runway_getTask of pending" in captured.err
    assert "runway_deleteTask of running" in captured.err

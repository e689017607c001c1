"""The task commands as a shell runs them: in a pipe or a terminal, with what they write and their exit code."""

import io
import json
import re
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from support.upstream import Script, Upstream, upstream

from runway_mcp.cli.main import main


def video(prompt: str) -> tuple[str, ...]:
    """The words of a start."""
    return "text_to_video", f"promptText={prompt}", "ratio=1280:720", "duration=5"


VIDEO = video("A red kite")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\]8;.*?\x1b\\|\r")


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def id(self) -> str:
        return str(self.lines[0]["id"])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Shell:
    """Runs commands in a folder, by default in the sandbox that they share there."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._patch = patch
        patch.chdir(folder)
        patch.setenv("RUNWAY_MCP_STATE_DIR", str(folder / "state"))
        patch.setenv("RUNWAY_MCP_SANDBOX", "1")
        patch.setenv("RUNWAY_MCP_SANDBOX_SPEED", "100")
        patch.setenv("RUNWAY_MCP_POLL_SECONDS", "0.05")

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self._patch.setenv(name, value)

    def run(self, *arguments: str, stdin: str = "") -> Ran:
        """Run a command in a pipe."""
        return self._run(io.StringIO(stdin), io.StringIO(), io.StringIO(), arguments)

    def show(self, *arguments: str, typed: str = "", width: int = 100, raw: bool = False) -> Ran:
        """Run a command in a terminal; without `raw` what it writes comes without colours, links and movements."""
        self.set(COLUMNS=str(width), TERM="xterm")
        shown = self._run(Terminal(typed), Terminal(), Terminal(), arguments)
        return shown if raw else Ran(shown.code, CONTROL.sub("", shown.out), CONTROL.sub("", shown.err))

    def _run(self, stdin: io.StringIO, out: io.StringIO, err: io.StringIO, arguments: tuple[str, ...]) -> Ran:
        with self._patch.context() as patch:
            patch.setattr(sys, "stdin", stdin)
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            try:
                code = main(arguments)
            except SystemExit as end:  # of a shell's question
                code = int(end.code or 0)
        return Ran(code, out.getvalue(), err.getvalue())

    @contextmanager
    def runway(self, script: Script) -> Generator[Upstream]:
        """Let the commands talk to a scripted Runway on a real socket, in a thread."""
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(upstream(script)) as api:
            self._patch.delenv("RUNWAY_MCP_SANDBOX")
            self.set(RUNWAYML_API_SECRET="key_of_a_test", RUNWAYML_BASE_URL=api.url)
            yield api


def interrupt() -> None:
    """Send this process what Ctrl-C sends."""
    signal.raise_signal(signal.SIGINT)

"""A shell completes commands, task types, models, fields and the ids of tasks."""

from pathlib import Path

import pytest
from shell import VIDEO, Shell

from runway_mcp.cli.main import COMMANDS, main


@pytest.fixture
def complete(shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> object:
    return None


def asked(shell: Shell, monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """What bash is offered for the last word."""
    with monkeypatch.context() as patch:
        patch.setenv("_RUNWAY_MCP_COMPLETE", "complete_bash")
        patch.setenv("COMP_WORDS", "\n".join(["runway-mcp", *words]))
        patch.setenv("COMP_CWORD", str(len(words)))
        return shell.run().out.splitlines()

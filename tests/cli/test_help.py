"""The help of each command fits a screen, and what it and the page about the command line show can be run."""

import re
import shlex
from pathlib import Path

import pytest
from shell import Shell

from runway_mcp.cli.main import COMMANDS, TYPER_COMMANDS
from runway_mcp.cli.task_commands import EXAMPLES

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
LINES = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.replace("\\\n", "").splitlines()
]


@pytest.mark.parametrize("name", [*EXAMPLES, "completion"])
def test_the_help_of_a_task_command_fits_a_screen_and_ends_with_an_example(shell: Shell, name: str) -> None:
    shown = shell.run(name, "--help")
    assert shown.code == 0
    lines = shown.out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert f"Example:\n    runway-mcp {name}" in shown.out


@pytest.mark.parametrize("example", EXAMPLES.values())
def test_each_example_is_one_that_the_command_takes(shell: Shell, example: str) -> None:
    (shell.folder / "cat.png").write_bytes(b"no picture")
    _, *words = shlex.split(example.replace("\\\n", ""))
    ran = shell.run(*words)
    assert ran.code in {0, 1}  # its task is nobody's
    assert ran.code == 0 or "Runway has no such task" in ran.err or "cat.png" in ran.err


def test_every_line_of_the_page_can_be_run_in_turn(shell: Shell) -> None:
    shell.set(RUNWAY_MCP_SANDBOX="")
    for line in LINES:
        before, _, after = line.rpartition(" | ")
        _, *words = shlex.split(after)
        ran = shell.run(*words, stdin=shlex.split(before)[1] + "\n" if before else "")
        assert ran.code == 0, f"{line}\n{ran.err}"


def test_the_page_shows_every_task_command() -> None:
    assert {line.rpartition("runway-mcp ")[2].split()[0] for line in LINES} == {*EXAMPLES}
    assert {*EXAMPLES} <= {*re.findall(r"^\| `(\w+)", PAGE, re.MULTILINE)}
    assert TYPER_COMMANDS.keys() <= COMMANDS.keys()

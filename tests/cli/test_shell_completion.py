"""A shell completes commands, task types, models, fields and the ids of tasks."""

import pytest
from shell import VIDEO, Shell

from runway_mcp.cli.main import COMMANDS


def offered(shell: Shell, *words: str) -> list[str]:
    """What bash is offered for the last word."""
    shell.set(
        _RUNWAY_MCP_COMPLETE="complete_bash",
        COMP_WORDS="\n".join(["runway-mcp", *words]),
        COMP_CWORD=str(len(words)),
    )
    return shell.run().out.split()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["st"], ["start"]),
        (["types", "text_to_s"], ["text_to_speech"]),
        (["types", "text_to_video", "gen4"], ["gen4.5"]),
        (["types", "nonsense", "gen4"], []),
        (["start", "text_to_video", "--max"], ["--max-credits"]),
        (["start", "text_to_video", "model=gen4.5", "promptText=a", "prompt"], []),
        (["start", "text_to_video", "model=gen4.5", "--wait", "du"], ["duration="]),
        (["start", "text_to_video", "du"], ["duration="]),
        (["list", "--type", "voice_d"], ["voice_dubbing"]),
        (["get", "1"], []),
        (["completion", "f"], ["fish"]),
    ],
)
def test_what_can_follow_is_offered(shell: Shell, words: list[str], found: list[str]) -> None:
    assert offered(shell, *words) == found


def test_every_command_is_offered(shell: Shell) -> None:
    assert {*offered(shell, "")} == {*COMMANDS}


def test_the_ids_of_tasks_are_offered_the_latest_first(shell: Shell) -> None:
    first, second = (shell.run("start", *VIDEO).id for _ in range(2))
    assert offered(shell, "wait", "") == [second, first]
    assert offered(shell, "wait", "--sandbox", first[:8]) == [first]
    assert first not in offered(shell, "wait", "--env-file", "missing.env", "")


def test_a_history_that_can_t_be_read_offers_nothing(shell: Shell) -> None:
    shell.run("start", *VIDEO)
    (shell.folder / "state" / "sandbox" / "history.sqlite3").write_text("no database" * 100)
    assert offered(shell, "wait", "") == []
    shell.set(RUNWAY_MCP_SANDBOX="")
    assert offered(shell, "wait", "") == []


@pytest.mark.parametrize("name", ["bash", "zsh", "fish", "powershell"])
def test_each_shell_gets_its_script(shell: Shell, name: str) -> None:
    printed = shell.run("completion", name)
    assert printed.code == 0
    assert f"_RUNWAY_MCP_COMPLETE={'' if name == 'powershell' else 'complete_' + name}" in printed.out.replace(
        " = ", "="
    ).replace('"', "")


def test_an_unknown_shell_is_refused(shell: Shell) -> None:
    assert shell.run("completion", "tcsh").code == 2

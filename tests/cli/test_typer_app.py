"""Commands that typer parses: their exit codes and their errors of usage."""

import io
import sys
from typing import Annotated, Literal

import pytest
import typer

from runway_mcp.cli.typer_app import run_command
from runway_mcp.config.options import UsageError


def count(
    number: Annotated[int, typer.Argument()], name: str = "", of: Literal["cats", "dogs"] = "cats", *, ask: bool = False
) -> int:
    if ask:
        typer.prompt("Which")
    assert of == "cats" or name
    return number


def nothing() -> None:
    pass


def run(*arguments: str) -> int:
    return run_command("count", f"{__name__}:count", "count things", arguments)


def test_the_function_s_result_is_the_exit_code() -> None:
    assert run("3") == 3
    assert run_command("nothing", f"{__name__}:nothing", "do nothing", []) == 0


def test_the_help_says_what_the_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    shown = capsys.readouterr().out
    assert "runway-mcp count [OPTIONS]" in shown
    assert "Count things." in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "missing argument 'number';"),
        (["key_secret"], "'number': "),
        (["1", "key_secret"], "got unexpected extra argument;"),
        (["1", "key_secret", "key_secret (2)"], "got unexpected extra argument;"),
        (["1", "--nam=key_secret"], "--nam"),
        (["1", "--of=key_secret"], "'--of': "),
        (["1", "--of", "key_secret"], "'cats', 'dogs'"),
        (["1", "--ask=key_secret"], "'--ask' does not take a value"),
        (["1", "--name"], "'--name' requires an argument"),
    ],
)
def test_an_error_of_usage_is_one_line_without_a_value(arguments: list[str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        run(*arguments)
    said = str(caught.value)
    assert words in said
    assert said.endswith("; see runway-mcp count --help")
    assert "\n" not in said
    assert "key_secret" not in said


def test_a_question_without_an_answer_is_an_error_of_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(UsageError, match="the question got no answer"):
        run("1", "--ask")

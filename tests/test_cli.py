"""The command line, in the process: help, errors and what is composed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runway_mcp import __version__
from runway_mcp.cli.main import COMMANDS, main
from runway_mcp.config.settings import Settings, flag, variables


def test_help_explains_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name, field in Settings.model_fields.items():
        assert variables(name)[0] in shown
        assert (field.description or "") in shown
        assert flag(name) is None or f"{flag(name)} " in shown
    assert "default: https://api.dev.runwayml.com" in shown
    assert "--env-file PATH" in shown
    for option in (
        "--max-credits-per-task CREDITS",
        "--confirm-over CREDITS",
        "--max-concurrent-waits N",
        "--api-version VERSION",
    ):
        assert f"{option} " in shown
    assert all(command in shown for command in COMMANDS)


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"runway-mcp {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "key_secret"], "--port / RUNWAY_MCP_PORT: "),
        (["--api-key=key_secret"], "unknown option --api-key"),
        (["--api-key", "key_secret"], "unknown option --api-key"),
        (["key_secret"], "unknown command"),
        (["--read-only=key_secret"], "--read-only: takes no value"),
        (["--port"], "--port: expected one argument"),
        (["--base", "key_secret"], "unknown option --base"),
        (["--env-file", "/nowhere/key_secret"], "--env-file: there is no such file"),
        (["--host", "0.0.0.0"], "without authentication"),
        (["sandbox", "--port", "key_secret"], "--port"),
        (["sandbox", "--port", "70000"], "--port: must be a port"),
        (["sandbox", "--speed", "0"], "--speed: must be a positive number"),
        (["sandbox", "--speed", "nan"], "--speed: must be a positive number"),
        (["sandbox", "--price-factor", "0"], "--price-factor: must be a positive number"),
        (["sandbox", "--host", "10.0.0.1"], "--host: must be 127.0.0.1"),
        (["sandbox", "--fault", "key_secret"], "--fault: reads METHOD [/PATH] WHAT"),
        (["demo", "key_secret"], "unknown command"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("runway-mcp: ")
    assert words in captured.err
    assert "key_secret" not in captured.err


def test_importing_the_package_does_nothing_and_loads_little() -> None:
    """The package's own import brings none of the heavy libraries."""
    code = (
        "import sys, runway_mcp.cli.main; "
        "print(*sorted({'mcp', 'httpx2', 'pydantic', 'uvicorn', 'asyncio', 'typer', 'rich'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert ran.stdout.strip() == ""


def test_serving_loads_nothing_of_the_commands_for_people() -> None:
    code = (
        "import sys; from runway_mcp.cli.main import main; code = main(['--sandbox']); "
        "sys.exit(code or ' '.join({'typer', 'tomlkit', 'ruamel', 'runway_mcp.cli.install'} & {*sys.modules}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=20
    )
    assert ran.stderr.strip() == ""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-"])
def test_standard_descriptors_that_are_closed_at_start_do_no_harm(closed: str) -> None:
    """Nothing else gets their numbers: the server ends, as its input does, with exit code 0."""
    command = f"exec '{sys.executable}' -m runway_mcp --sandbox {closed}"
    ran = subprocess.run(  # noqa: S602 - only a shell closes descriptors so
        command, shell=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-"])
def test_a_command_does_without_the_descriptors_that_are_closed(closed: str) -> None:
    words = "estimate text_to_video promptText=- ratio=1280:720 duration=5 --sandbox"
    ran = subprocess.run(  # noqa: S602 - only a shell closes descriptors so
        f"exec '{sys.executable}' -m runway_mcp {words} {closed}",
        shell=True,
        input="A red kite",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ran.returncode == ("<&-" in closed)
    assert ("promptText is missing" in ran.stderr) == (closed == "<&-")


@pytest.mark.skipif(sys.platform == "win32", reason="the standard library makes pseudo-terminals on POSIX only")
@pytest.mark.parametrize("options", [[], ["--log-format", "JSON"]])
def test_in_a_terminal_it_says_what_it_waits_for(options: list[str]) -> None:
    """A person who runs it by hand sees one line; a host, which uses pipes, none (see the test above)."""
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "runway_mcp", "--sandbox", *options], stdin=theirs, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        line = process.stderr.readline()
        assert "waiting for an MCP host" in line
        assert "--help" in line
        assert line.startswith("{" if options else "runway-mcp: ")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stderr.read() == ""
        os.close(ours)
        os.close(theirs)

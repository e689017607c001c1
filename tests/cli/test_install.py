"""`runway-mcp install`: what is written where, what is asked, and what is refused."""

import io
import json
import os
import select
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from support.process import ENVIRONMENT, KEY, MEASURING
from support.upstream import reply, upstream

from runway_mcp.cli.hosts.known_hosts import HOSTS, Host, Machine
from runway_mcp.cli.install import Request, run_install, split_words
from runway_mcp.cli.main import main
from runway_mcp.cli.own_command import is_passing, own_command
from runway_mcp.config.options import UsageError

COMMAND = ["/opt/bin/runway-mcp"]
CURSOR, CODEX = ".cursor/mcp.json", ".codex/config.toml"

Install = Callable[..., int]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RUNWAYML_API_SECRET", "RUNWAY_API_KEY", "RUNWAYML_BASE_URL", "XDG_CONFIG_HOME", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def install(home: Path) -> Install:
    def run(*words: str, **options: Any) -> int:
        machine = Machine("linux", home, {}, home / "project")
        fields: dict[str, Any] = {"check": False, **options}
        return anyio.run(run_install, Request(words, fields.pop("command", COMMAND), machine, **fields))

    return run


def answering(*answers: str, questions: list[tuple[str, bool]] | None = None) -> Callable[[str, bool], str]:
    """A person who gives these answers."""
    rest = iter(answers)

    def ask(question: str, secret: bool) -> str:
        if questions is not None:
            questions.append((question, secret))
        return next(rest)

    return ask


def server(file: Path) -> Any:
    return json.loads(file.read_text())["mcpServers"]["runway"]


def test_the_command_line_writes_the_server_with_its_options(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / ".cursor").mkdir()
    assert main(["install", "cursor", "codex", "--", "--sandbox", "--files-root", "films"]) == 0
    written = server(home / CURSOR)
    assert written["args"] == ["--sandbox", "--files-root", str(home / "films")]
    assert Path(written["command"]).is_absolute()
    assert "env" not in written
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [f"Cursor: written to {home / CURSOR}", f"Codex: written to {home / CODEX}"]
    assert main(["install", "CURSOR", "--", "--sandbox"]) == 0
    assert server(home / CURSOR)["args"] == ["--sandbox"]
    assert f"{home / CURSOR}.bak is the file before" in capsys.readouterr().out
    assert main(["install", "cursor", "codex", "--uninstall"]) == 0
    assert json.loads((home / CURSOR).read_text()) == {"mcpServers": {}}
    assert f"Cursor: taken out of {home / CURSOR}; " in capsys.readouterr().out


def test_run_twice_it_changes_nothing(install: Install, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert install("cursor", "--sandbox", "--read-only") == 0
    assert f"Cursor: nothing to change in {home / CURSOR}" in capsys.readouterr().out
    assert [path.name for path in (home / ".cursor").iterdir()] == ["mcp.json"]
    for _ in range(2):
        assert install("cursor", uninstall=True) == 0
    assert f"Cursor: nothing to change in {home / CURSOR}" in capsys.readouterr().out


def test_the_key_comes_from_its_variable_and_a_new_file_is_private(
    install: Install, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUNWAYML_API_SECRET", KEY)
    assert install("cursor", "vs-code") == 0
    assert server(home / CURSOR)["env"] == {"RUNWAYML_API_SECRET": KEY}
    assert KEY not in (home / ".config/Code/User/mcp.json").read_text()
    if sys.platform != "win32":
        assert stat.S_IMODE((home / CURSOR).stat().st_mode) == 0o600
        (home / CODEX).parent.mkdir()
        (home / CODEX).write_text("")
        (home / CODEX).chmod(0o644)
        assert install("codex") == 0
        assert stat.S_IMODE((home / CODEX).stat().st_mode) == 0o644
        assert "others on this machine can read the key" in capsys.readouterr().out
    monkeypatch.delenv("RUNWAYML_API_SECRET")
    assert install("cursor", "--read-only") == 0
    assert server(home / CURSOR)["env"] == {"RUNWAYML_API_SECRET": KEY}
    assert server(home / CURSOR)["args"] == ["--read-only"]
    assert KEY not in capsys.readouterr().out


def test_a_person_is_asked_for_hosts_key_and_folder(install: Install, home: Path) -> None:
    (home / ".cursor").mkdir()
    (home / ".codex").mkdir()
    asked: list[tuple[str, bool]] = []
    assert install(ask=answering("", f"  {KEY}\n", "films/new", questions=asked)) == 0
    assert [(question.split(" (")[0], secret) for question, secret in asked] == [
        ("Found: cursor, codex. Which of them", False),
        ("Runway API key", True),
        ("Folder that files may be read from and saved to", False),
    ]
    assert server(home / CURSOR)["env"] == {"RUNWAYML_API_SECRET": KEY}
    assert server(home / CURSOR)["args"] == ["--files-root", str(home / "films/new")]
    assert (home / "films/new").is_dir()
    assert KEY in (home / CODEX).read_text()
    assert install(ask=answering("codex", "")) == 0
    assert KEY in (home / CODEX).read_text()
    assert install(uninstall=True, ask=answering("cursor, codex")) == 0
    assert KEY not in (home / CURSOR).read_text() + (home / CODEX).read_text()


def test_the_key_can_be_left_to_a_variable(install: Install, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install("cursor", ask=answering("", "")) == 0
    assert server(home / CURSOR) == {
        "command": COMMAND[0],
        "args": [],
        "env": {"RUNWAYML_API_SECRET": "${env:RUNWAYML_API_SECRET}"},
    }
    assert install("claude-desktop", "codex", key_from_environment=True) == 1
    assert 'env_vars = ["RUNWAYML_API_SECRET"]' in (home / CODEX).read_text()
    said = capsys.readouterr()
    assert said.err.startswith("Claude Desktop: Claude Desktop passes no variables on: ")
    assert said.err.endswith(" Nothing was changed there.\n")


def test_a_project_s_file_holds_no_key(install: Install, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWAYML_API_SECRET", KEY)
    assert install("claude-code", "vscode", scope="project") == 0
    assert server(home / "project/.mcp.json")["env"] == {"RUNWAYML_API_SECRET": "${RUNWAYML_API_SECRET}"}
    assert "${input:runway-api-key}" in (home / "project/.vscode/mcp.json").read_text()
    with pytest.raises(UsageError, match="Goose keeps no servers in a project"):
        install("goose", scope="project")


def test_a_key_in_the_server_s_own_file_is_not_asked_for(install: Install, home: Path) -> None:
    (home / "key.env").write_text(f"RUNWAYML_API_SECRET={KEY}\n")
    assert install("cursor", "--env-file=key.env") == 0
    assert server(home / CURSOR) == {"command": COMMAND[0], "args": [f"--env-file={home / 'key.env'}"]}


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_what_would_be_written_is_shown(
    host: Host, install: Install, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert install(host.name, show=True) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{host.title}: {home}")
    assert COMMAND[0] in said
    assert ("key_..." in said) != bool(host.remembers)
    assert list(home.iterdir()) == []


def test_the_key_is_tried_first(
    install: Install, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    statuses = iter([200, 401])
    serving = upstream(lambda _: reply(next(statuses), {"creditBalance": 5}))
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serving) as api:
        monkeypatch.setenv("RUNWAYML_BASE_URL", api.url)
        monkeypatch.setenv("RUNWAYML_API_SECRET", KEY)
        assert [install(host, check=True) for host in ("cursor", "codex")] == [0, 1]
        assert [(request.method, request.path) for request in api.requests] == [("GET", "/v1/organization")] * 2
        assert install("codex", check=True, show=True) == 0
    assert (home / CURSOR).exists()
    assert not (home / CODEX).exists()
    said = capsys.readouterr()
    assert said.err.endswith(" Nothing was changed; --no-check writes the key untried.\n")
    assert KEY not in said.out + said.err


def test_what_stands_in_the_way_is_named(install: Install, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / ".cursor").mkdir()
    (home / CURSOR).write_text("{'mcpServers': {}}")
    (home / ".gemini").mkdir()
    (home / ".gemini/settings.json").write_text('{"mcpServers": {"runway": {"command": "other"}}}')
    assert install("cursor", "gemini", "codex", ask=answering("", "")) == 1
    said = capsys.readouterr()
    cursor, gemini = said.err.splitlines()
    assert cursor.startswith(f"Cursor: {home / CURSOR} can't be used: line 1, column 2 is not valid JSON. ")
    assert gemini.startswith(f"Gemini CLI: {home / '.gemini/settings.json'} has another server named runway; ")
    assert cursor.endswith(" Nothing was changed there.")
    assert "Codex: written to" in said.out
    assert (home / CURSOR).read_text() == "{'mcpServers': {}}"


@pytest.mark.parametrize(
    ("words", "options", "reason"),
    [
        ([], {}, "name the hosts, of claude-desktop, .*; found here: none"),
        ([], {"uninstall": True, "ask": answering()}, "found here: none"),
        (["c"], {}, "no one host has this name; there are claude-desktop, "),
        (["emacs"], {}, "no one host has this name"),
        (["cursor"], {}, "no key: set RUNWAYML_API_SECRET"),
        (["cursor"], {"ask": answering("sk a b")}, "holds a space.*; nothing was changed"),
        (["cursor"], {"ask": answering("", "file/x")}, "file/x: .*; nothing was changed"),
        (["cursor", "--readonly"], {}, "unknown option --readonly"),
        (["cursor", "--transport=streamable-http"], {}, "leave --transport out"),
        (["cursor"], {"show": True, "uninstall": True}, "--print shows"),
    ],
)
def test_what_can_t_be_done_is_an_error_of_usage(
    words: list[str], options: dict[str, Any], reason: str, install: Install, home: Path
) -> None:
    (home / "file").write_text("")
    with pytest.raises(UsageError, match=reason):
        install(*words, **options)
    assert [path.name for path in home.iterdir()] == ["file"]


def test_without_a_terminal_nobody_is_asked(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / ".cursor").mkdir()
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert main(["install"]) == 2
    assert "found here: cursor" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="the standard library makes pseudo-terminals on POSIX only")
def test_in_a_terminal_the_key_is_not_echoed(home: Path) -> None:
    (home / ".cursor").mkdir()
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "runway_mcp", "install", "--no-check"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**ENVIRONMENT, **MEASURING, "HOME": str(home)},
        start_new_session=True,
    ) as process:
        assert process.stdout
        said = b""
        # a hidden answer counts from its whole question on: what was typed before is thrown away
        for question, answer in ((b"all): ", b""), (b"on): ", KEY.encode()), (b"none): ", b"")):
            while question not in said:
                assert select.select([process.stdout], [], [], 20)[0], said
                read = os.read(process.stdout.fileno(), 10_000)
                assert read, said
                said += read
            os.write(ours, answer + b"\n")
        assert process.wait(20) == 0
        os.close(theirs)
        os.set_blocking(ours, False)
        assert KEY.encode() not in os.read(ours, 10_000)
        os.close(ours)
    assert server(home / CURSOR)["env"] == {"RUNWAYML_API_SECRET": KEY}


@pytest.mark.skipif(sys.platform == "win32", reason="the standard library makes pseudo-terminals on POSIX only")
def test_an_interrupted_question_leaves_the_terminal_with_its_echo(home: Path) -> None:
    import termios  # noqa: PLC0415 - POSIX only

    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "runway_mcp", "install", "cursor"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**ENVIRONMENT, **MEASURING, "HOME": str(home)},
        start_new_session=True,
    ) as process:
        assert process.stdout
        said = b""
        while b"on): " not in said:
            said += (read := os.read(process.stdout.fileno(), 10_000))
            assert read, said
        assert not termios.tcgetattr(theirs)[3] & termios.ECHO
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert b"interrupted; nothing was changed" in process.stdout.read()
    assert termios.tcgetattr(theirs)[3] & termios.ECHO
    os.close(theirs)
    os.close(ours)
    assert not (home / CURSOR).exists()


def test_paths_of_the_server_s_options_are_made_absolute(home: Path) -> None:
    given = ["cursor", "--state-dir", "a", "--ca-file=~/b", "--read-only", "--toolsets=tasks"]
    assert split_words(given) == (
        ["cursor"],
        ["--state-dir", str(home / "a"), f"--ca-file={home / 'b'}", "--read-only", "--toolsets=tasks"],
    )


def test_the_command_is_that_of_this_installation(home: Path) -> None:
    program = home / "bin" / "runway-mcp"
    program.parent.mkdir()
    program.write_text("")
    program.chmod(0o755)
    assert own_command("bin/runway-mcp", home) == [str(program)]
    assert own_command("/elsewhere/runway_mcp/__main__.py", program.parent) == [str(program)]
    assert own_command("runway-mcp", home) == [sys.executable, "-m", "runway_mcp"]


def test_settings_of_this_shell_are_said_not_to_reach_hosts(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUNWAY_MCP_SANDBOX", "1")
    assert main(["install", "cursor"]) == 2
    said = capsys.readouterr()
    assert said.out == "Note: RUNWAY_MCP_SANDBOX is set here alone. Options for the hosts' servers follow after `--`.\n"
    assert "no key" in said.err
    assert list(home.iterdir()) == []


def test_a_command_that_may_vanish_is_pointed_out(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    passing = "/home/u/.cache/uv/archive-v0/x1/bin/runway-mcp"
    assert is_passing(passing)
    assert install("cursor", "--sandbox", command=[passing]) == 0
    assert "may vanish. Run `uv tool install .` first." in capsys.readouterr().out

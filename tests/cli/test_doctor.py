"""`runway-mcp doctor`: what works, what does not, and the one thing to do."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.process import KEY
from support.upstream import reply, upstream

from runway_mcp.catalogue import lookup
from runway_mcp.catalogue.kept_catalogue import NAME as KEPT
from runway_mcp.cli.doctor import run_doctor
from runway_mcp.cli.hosts.known_hosts import Machine
from runway_mcp.cli.hosts.server_start import NoStartError, count_tools
from runway_mcp.cli.main import main
from runway_mcp.history.records import StartRequest
from runway_mcp.history.sqlite import open_history

SERVER = [sys.executable, "-m", "runway_mcp"]
SILENT = [sys.executable, "-c", "import sys; sys.stdin.read()"]

Checks = dict[str, dict[str, Any]]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("RUNWAYML_API_SECRET", "RUNWAY_API_KEY", "RUNWAYML_BASE_URL", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RUNWAY_MCP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    lookup.look_in(None)


def put(home: Path, words: list[str], file: str = ".cursor/mcp.json", **environment: str) -> None:
    entry = {"command": words[0], "args": words[1:], "env": environment}
    (home / file).parent.mkdir(exist_ok=True, parents=True)
    (home / file).write_text(json.dumps({"mcpServers": {"runway": entry}}))


async def examine(home: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Checks]:
    machine = Machine("linux", home, {"PATH": ""}, home)
    capsys.readouterr()
    code = await run_doctor(arguments, machine, as_json=True)
    said = capsys.readouterr().out
    assert KEY not in said
    found = json.loads(said)
    assert found["ok"] == (code == 0)
    return code, {check["name"]: check for check in found["checks"]}


def test_a_screen_says_what_works(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(home, [*SERVER, "--sandbox"])
    (home / ".codex").mkdir()
    assert main(["doctor", "--", "--sandbox", "--files-root", "."]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines if not line.startswith(" ")] == [
        ["ok", name] for name in ("version", "key", "API", "folder", "history", "catalogue", "cursor", "other")
    ]
    assert f"Python {sys.version.split()[0]}" in lines[0]
    assert "with 11 tools" in lines[6]
    assert lines[7].endswith("without this server: codex")
    assert lines[8].strip() == "> `runway-mcp install HOST` adds it."
    assert len(lines) < 24
    assert not list(home.glob(".runway-mcp-*"))


async def test_the_key_of_a_host_is_tried(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(home, SERVER, RUNWAY_API_KEY=KEY)
    statuses = iter([200, 401])
    async with upstream(lambda _: reply(next(statuses), {"creditBalance": 5})) as api:
        monkeypatch.setenv("RUNWAYML_BASE_URL", api.url)
        code, checks = await examine(home, capsys)
        assert (code, checks["key"]["found"]) == (0, "in the file of Cursor")
        assert checks["API"]["found"].startswith(f"{api.url} answered in ")
        put(home, ["/nowhere/runway-mcp"])
        monkeypatch.setenv("RUNWAYML_API_SECRET", KEY)
        code, checks = await examine(home, capsys)
        assert (code, checks["key"]["found"], checks["API"]["state"]) == (1, "set here", "fail")
        assert "key" in checks["API"]["todo"]
        assert all(request.headers["authorization"] == f"Bearer {KEY}" for request in api.requests)
    assert checks["cursor"]["state"] == "fail"
    assert '"/nowhere/runway-mcp" does not start' in checks["cursor"]["found"]
    assert checks["cursor"]["todo"] == "`runway-mcp install cursor` writes it anew."


async def test_a_proxy_in_the_way_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUNWAYML_API_SECRET", KEY)
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://127.0.0.1:9")
    code, checks = await examine(home, capsys)
    assert (code, checks["API"]["state"]) == (1, "fail")
    assert "through the proxy of HTTPS_PROXY, trusting the system's certificates" in checks["API"]["found"]


async def test_without_a_key_it_says_where_one_belongs(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(home, SERVER, RUNWAYML_API_SECRET="${env:RUNWAYML_API_SECRET}")
    code, checks = await examine(home, capsys)
    assert (code, checks["key"]["state"], checks["API"]["state"]) == (0, "warn", "warn")
    assert checks["cursor"]["todo"] == "Set RUNWAYML_API_SECRET where the host starts."
    put(home, SERVER)
    _, checks = await examine(home, capsys, "--sandbox")
    assert checks["cursor"]["todo"] == "`runway-mcp install cursor` asks for one."


async def test_what_is_wrong_fails(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / ".codex").mkdir()
    (home / ".codex/config.toml").write_text("a =")
    (home / "state").mkdir()
    (home / "state/history.sqlite3").write_text("no database" * 100)
    (home / "state" / KEPT).write_text("{")
    put(home, [sys.executable, "-c", "import sys; sys.exit('no luck\\n')", "runway-mcp"])
    code, checks = await examine(home, capsys, f"--files-root={home / 'none'}")
    assert code == 1
    assert {name for name, check in checks.items() if check["state"] == "fail"} == {
        "folder",
        "history",
        "codex",
        "cursor",
    }
    assert checks["cursor"]["found"].endswith('does not start: "no luck"')
    assert "config.toml: Invalid value" in checks["codex"]["found"]
    assert checks["catalogue"]["state"] == "warn"
    assert checks["folder"]["found"].endswith("none: No such file or directory")


async def test_a_program_that_says_the_key_does_not_get_it_shown(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "import os, sys; sys.exit('no luck with ' + os.environ['RUNWAY_API_KEY'])"
    put(home, [sys.executable, "-c", code, "runway-mcp"], RUNWAY_API_KEY=KEY)
    _, checks = await examine(home, capsys, "--sandbox")
    assert checks["cursor"]["found"].endswith('does not start: "no luck with [hidden]"')


async def test_a_history_that_can_t_be_made_fails(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "state").write_text("no folder")
    code, checks = await examine(home, capsys)
    assert (code, checks["history"]["state"]) == (1, "fail")
    assert checks["history"]["found"].endswith(f"can't be made in {home / 'state'}")


async def test_a_broken_file_is_told_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / ".cursor").mkdir()
    (home / ".cursor/mcp.json").write_text("{")
    machine = Machine("linux", home, {"PATH": ""}, home)
    assert await run_doctor(["--sandbox"], machine, as_json=True) == 1
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert [check["name"] for check in checks][-2:] == ["cursor", "other hosts"]
    assert checks[-1]["found"] == "without this server: none"


async def test_a_setting_that_can_t_be_used_fails_alone(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, checks = await examine(home, capsys, "--read-onyl")
    assert (code, list(checks)) == (1, ["version", "settings", "other hosts"])
    assert "unknown option --read-onyl" in checks["settings"]["found"]


async def test_another_package_of_the_name_is_never_started(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(home, ["uvx", "runway-mcp"])
    put(home, ["node", "runway.js"], ".gemini/settings.json")
    code, checks = await examine(home, capsys, "--sandbox")
    assert (code, checks["cursor"]["state"]) == (0, "warn")
    assert "was not started" in checks["cursor"]["found"]
    assert "gemini-cli" not in checks


async def test_a_command_without_its_folder_is_pointed_out(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    put(home, [Path(sys.executable).name, *SERVER[1:], "--sandbox"])
    _, checks = await examine(home, capsys, "--sandbox")
    assert checks["cursor"]["state"] == "warn"
    assert "only where the host's PATH leads to it" in checks["cursor"]["found"]


async def test_a_server_that_is_turned_off_is_pointed_out(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*SERVER, "--sandbox"]
    (home / "opencode.json").write_text(json.dumps({"mcp": {"runway": {"command": words, "enabled": False}}}))
    _, checks = await examine(home, capsys, "--sandbox")
    assert checks["opencode"]["state"] == "warn"
    assert checks["opencode"]["found"].endswith("but is turned off there")


async def test_starts_of_unknown_outcome_are_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "state").mkdir()
    async with open_history(home / "state/history.sqlite3") as history:
        begun = await history.begin(StartRequest("a", "c", "print", "text_to_video", "token"), lambda _: None)
        await history.record_result(begun.number, task_id=None, cost=None)
    _, checks = await examine(home, capsys)
    assert checks["history"]["state"] == "warn"
    assert "starts of unknown outcome: 1;" in checks["history"]["found"]


async def test_a_server_that_says_nothing_did_not_start() -> None:
    with pytest.raises(NoStartError, match="Connection closed"):
        await count_tools([sys.executable, "-c", "pass"], {})
    with pytest.raises(NoStartError, match="TimeoutError"):
        await count_tools(SILENT, {}, seconds=0.3)

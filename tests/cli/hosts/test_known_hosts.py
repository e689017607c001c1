"""Where each host keeps its servers, by system, and what is read back of an entry."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from runway_mcp.cli.hosts.config_files import edit_text, parse_file
from runway_mcp.cli.hosts.host_files import host_file
from runway_mcp.cli.hosts.known_hosts import BY_NAME, HOSTS, Host, Machine
from runway_mcp.cli.hosts.server_entries import (
    Entry,
    ForeignServerError,
    Key,
    NoVariablesError,
    install_changes,
    read_entry,
    resolved_environment,
    uninstall_changes,
)

COMMAND = ["/opt/bin/runway-mcp"]

LINUX = {
    "claude-desktop": ".config/Claude/claude_desktop_config.json",
    "claude-code": ".claude.json",
    "cursor": ".cursor/mcp.json",
    "vscode": ".config/Code/User/mcp.json",
    "codex": ".codex/config.toml",
    "gemini-cli": ".gemini/settings.json",
    "opencode": ".config/opencode/opencode.json",
    "windsurf": ".codeium/windsurf/mcp_config.json",
    "zed": ".config/zed/settings.json",
    "goose": ".config/goose/config.yaml",
    "copilot-cli": ".copilot/mcp-config.json",
}
MACOS = LINUX | {
    "claude-desktop": "Library/Application Support/Claude/claude_desktop_config.json",
    "vscode": "Library/Application Support/Code/User/mcp.json",
}
WINDOWS = LINUX | {
    "claude-desktop": "AppData/Roaming/Claude/claude_desktop_config.json",
    "vscode": "AppData/Roaming/Code/User/mcp.json",
    "zed": "AppData/Roaming/Zed/settings.json",
    "goose": "AppData/Roaming/Block/goose/config/config.yaml",
}
PROJECT = {
    "claude-code": ".mcp.json",
    "cursor": ".cursor/mcp.json",
    "vscode": ".vscode/mcp.json",
    "codex": ".codex/config.toml",
    "gemini-cli": ".gemini/settings.json",
    "opencode": "opencode.jsonc",
    "zed": ".zed/settings.json",
    "copilot-cli": ".github/mcp.json",
}


def machine(folder: Path, system: str = "linux", **environment: str) -> Machine:
    return Machine(system, folder, environment, folder / "project")


@pytest.mark.parametrize(("system", "files"), [("linux", LINUX), ("darwin", MACOS), ("win32", WINDOWS)])
def test_each_host_has_its_file_on_each_system(system: str, files: Mapping[str, str], tmp_path: Path) -> None:
    found = {host.name: host_file(host, machine(tmp_path, system), "user") for host in HOSTS}
    assert found == {name: tmp_path / path for name, path in files.items()}


def test_the_project_s_files(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    found = {host.name: host_file(host, machine(tmp_path), "project") for host in HOSTS}
    assert {name: path for name, path in found.items() if path} == {
        name: tmp_path / "project" / path for name, path in PROJECT.items()
    }


@pytest.mark.parametrize(
    ("name", "system", "variable", "rest"),
    [
        ("claude-code", "linux", "CLAUDE_CONFIG_DIR", ".claude.json"),
        ("codex", "darwin", "CODEX_HOME", "config.toml"),
        ("copilot-cli", "win32", "COPILOT_HOME", "mcp-config.json"),
        ("opencode", "linux", "XDG_CONFIG_HOME", "opencode/opencode.json"),
        ("vscode", "win32", "APPDATA", "Code/User/mcp.json"),
    ],
)
def test_variables_move_the_files(name: str, system: str, variable: str, rest: str, tmp_path: Path) -> None:
    there = machine(tmp_path, system, **{variable: str(tmp_path / "there")})
    assert host_file(BY_NAME[name], there, "user") == tmp_path / "there" / rest


def test_the_store_s_claude_on_windows_has_a_folder_of_its_own(tmp_path: Path) -> None:
    there = machine(tmp_path, "win32", LOCALAPPDATA=str(tmp_path / "local"))
    store = tmp_path / "local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude"
    store.mkdir(parents=True)
    assert host_file(BY_NAME["claude-desktop"], there, "user") == store / "claude_desktop_config.json"


def test_of_two_files_the_one_with_the_server_counts(tmp_path: Path) -> None:
    folder = tmp_path / ".config" / "opencode"
    folder.mkdir(parents=True)
    assert host_file(BY_NAME["opencode"], machine(tmp_path), "user") == folder / "opencode.jsonc"
    (folder / "opencode.jsonc").write_text("{]")
    (folder / "opencode.json").write_text("{}")
    assert host_file(BY_NAME["opencode"], machine(tmp_path), "user") == folder / "opencode.jsonc"
    (folder / "opencode.json").write_text('{"mcp": {"runway": {"command": ["runway-mcp"]}}}')
    assert host_file(BY_NAME["opencode"], machine(tmp_path), "user") == folder / "opencode.json"


def test_a_host_is_found_by_its_program_or_its_folder(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_text("")
    program.chmod(0o755)
    (tmp_path / ".cursor").mkdir()
    (tmp_path / ".codeium/windsurf").mkdir(parents=True)
    there = machine(tmp_path, PATH=str(program.parent), PATHEXT="")
    assert [host.name for host in HOSTS if host.is_installed(there)] == ["claude-code", "cursor", "windsurf"]


def written(host: Host, key: Key, arguments: list[str] | None = None, before: str = "") -> str:
    file = Path(host.files[0])
    return edit_text(file, before, install_changes(host, parsed(host, before), COMMAND, arguments, key))


def parsed(host: Host, text: str) -> Mapping[str, Any]:
    return parse_file(Path(host.files[0]), text)


def entry(host: Host, text: str) -> Entry:
    found = read_entry(host, parsed(host, text))
    assert found
    return found


KEYS: list[Key] = [None, SecretStr("key_one"), "variable"]


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_what_is_written_is_read_back_and_stays_the_same(host: Host) -> None:
    for key in KEYS if host.variable or host.passes is not None else KEYS[:2]:
        text = written(host, key, ["--read-only"])
        found = entry(host, text)
        assert found.words == [*COMMAND, "--read-only"]
        assert found.arguments == ["--read-only"]
        assert "key_one" not in repr(found)
        given = resolved_environment(host, found, {"RUNWAYML_API_SECRET": "key_two"})
        expected = None if key is None and host.passes != "" else "key_one" if key == KEYS[1] else "key_two"
        assert given.get("RUNWAYML_API_SECRET") == expected
        assert written(host, key, None, text) == text
        assert written(host, None, None, text) == text
        after = edit_text(Path(host.files[0]), text, uninstall_changes(host, parsed(host, text)))
        assert not parsed(host, after).get(host.servers)


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_what_the_user_added_stays(host: Host) -> None:
    text = written(host, SecretStr("key_one"), ["--read-only"])
    place = (host.servers, "runway")
    added = [((*place, "note"), 1), ((*place, host.env, "RUNWAY_MCP_MAX_CREDITS_PER_DAY"), "9")]
    text = edit_text(Path(host.files[0]), text, [*added, ((*place, host.env, "RUNWAY_API_KEY"), "key_old")])
    after = written(host, SecretStr("key_two"), ["--sandbox"], text)
    assert parsed(host, after)[host.servers]["runway"]["note"] == 1
    assert entry(host, after).environment == {"RUNWAYML_API_SECRET": "key_two", "RUNWAY_MCP_MAX_CREDITS_PER_DAY": "9"}
    assert entry(host, after).arguments == ["--sandbox"]


def test_a_host_that_keeps_secrets_is_asked_to() -> None:
    host = BY_NAME["vscode"]
    before = '{"inputs": [{"id": "theirs"}], "servers": {}}'
    text = written(host, "input", [], before)
    assert [one["id"] for one in parsed(host, text)["inputs"]] == ["theirs", "runway-api-key"]
    assert entry(host, text).environment == {"RUNWAYML_API_SECRET": "${input:runway-api-key}"}
    assert resolved_environment(host, entry(host, text), {}) == {}
    assert written(host, "input", None, text) == text
    assert edit_text(Path("a.json"), text, uninstall_changes(host, parsed(host, text))) == before


def test_claude_desktop_passes_no_variables_on() -> None:
    with pytest.raises(NoVariablesError):
        written(BY_NAME["claude-desktop"], "variable")


def test_another_server_of_the_name_is_left_alone() -> None:
    for command in ('"node", "args": ["runway.js"]', "7"):
        text = '{"mcpServers": {"runway": {"command": ' + command + "}}}"
        with pytest.raises(ForeignServerError):
            written(BY_NAME["cursor"], None, [], text)
        with pytest.raises(ForeignServerError):
            uninstall_changes(BY_NAME["cursor"], parsed(BY_NAME["cursor"], text))
    assert uninstall_changes(BY_NAME["cursor"], {}) == []


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (["runway-mcp"], []),
        (["C:\\Users\\u\\Scripts\\runway-mcp.exe", "--sandbox"], ["--sandbox"]),
        (["/usr/bin/python3", "-m", "runway_mcp", "--sandbox"], ["--sandbox"]),
        (["uv", "run", "--directory", "/x", "runway-mcp", "--files-root", "/y"], ["--files-root", "/y"]),
        (["uvx", "--from", "/src/runway-mcp", "runway-mcp", "--sandbox"], ["--sandbox"]),
        (["node", "server.js"], None),
    ],
)
def test_every_way_to_start_this_server_is_known(words: list[str], arguments: list[str] | None) -> None:
    assert Entry(words, {}, []).arguments == arguments

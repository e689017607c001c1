"""The MCP hosts: where each keeps its servers, and in which form.

Checked with the hosts' own programs where they can be had, else with their documentation; docs/hosts.md says which.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Machine:
    """Where hosts are looked for: `sys.platform`, the home, the environment and the project's folder."""

    system: str
    home: Path
    environment: Mapping[str, str]
    project: Path

    def path(self, template: str) -> Path:
        """Return the path of a template, whose first part may be a known folder in braces."""
        roaming = self.environment.get("APPDATA") or self.home / "AppData/Roaming"
        config = self.environment.get("XDG_CONFIG_HOME") or self.home / ".config"
        application_data = {"win32": roaming, "darwin": self.home / "Library/Application Support"}
        folders = {
            "home": self.home,
            "project": self.project,
            "config": config,
            "data": application_data.get(self.system, config),
            "local": self.environment.get("LOCALAPPDATA") or self.home / "AppData/Local",
            "claude": self.environment.get("CLAUDE_CONFIG_DIR") or self.home,
            "codex": self.environment.get("CODEX_HOME") or self.home / ".codex",
            "copilot": self.environment.get("COPILOT_HOME") or self.home / ".copilot",
        }
        return Path(template.format_map(folders))

    def program(self, name: str) -> str | None:
        """Return the path of a program, or None."""
        return shutil.which(name, path=self.environment.get("PATH", ""))


Files = tuple[str, ...]
"""Templates of paths. The first that exists counts, else the first whose folder exists, else the last."""


@dataclass(frozen=True, slots=True)
class Host:
    """An MCP host, and how it writes a server down.

    Attributes:
        name: Its name on the command line.
        title: Its name in sentences.
        servers: The keys that lead to the servers in its file.
        files: Its file for the user.
        windows: The same on Windows, where that is another.
        project: Its file in a project; none where it has no such thing.
        program: Its command, by which it is found too.
        fixed: Fields that each of its servers has.
        command, args, env: How it names these fields; without `args`, `command` is the list of all words.
        variable: How it writes the value of a variable; without, it can't.
        passes: The field that lists variables to pass on, where it has one; "" where it passes on all.
        remembers: How it writes a secret that it asks the user for and keeps itself.
    """

    name: str
    title: str
    files: Files
    servers: str = "mcpServers"
    windows: Files = ()
    project: Files = ()
    program: str = ""
    fixed: Mapping[str, object] = field(default_factory=dict[str, object], hash=False)
    command: str = "command"
    args: str = "args"
    env: str = "env"
    variable: str = ""
    passes: str | None = None
    remembers: str = ""

    def paths(self, machine: Machine, scope: Literal["user", "project"]) -> list[Path]:
        """Return all paths that its file may have; none where it keeps no servers in this scope."""
        ours = self.windows if machine.system == "win32" and self.windows else self.files
        return [machine.path(template) for template in (ours if scope == "user" else self.project)]

    def is_installed(self, machine: Machine) -> bool:
        """Return whether its program or its folder is there."""
        paths = self.paths(machine, "user")
        folders = [path if path.parent == machine.home else path.parent for path in paths]
        return bool(self.program and machine.program(self.program)) or any(map(os.path.exists, folders))


_STORE = "{local}/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json"
_STDIO = {"type": "stdio"}

HOSTS = (
    Host(
        name="claude-desktop",
        title="Claude Desktop",
        files=("{data}/Claude/claude_desktop_config.json",),
        windows=(_STORE, "{data}/Claude/claude_desktop_config.json"),
    ),
    Host(
        name="claude-code",
        title="Claude Code",
        files=("{claude}/.claude.json",),
        project=("{project}/.mcp.json",),
        program="claude",
        fixed=_STDIO,
        variable="${{{}}}",
    ),
    Host(
        name="cursor",
        title="Cursor",
        files=("{home}/.cursor/mcp.json",),
        project=("{project}/.cursor/mcp.json",),
        program="cursor",
        variable="${{env:{}}}",
    ),
    Host(
        name="vscode",
        title="VS Code",
        files=("{data}/Code/User/mcp.json",),
        project=("{project}/.vscode/mcp.json",),
        program="code",
        servers="servers",
        fixed=_STDIO,
        variable="${{env:{}}}",
        remembers="${{input:{}}}",
    ),
    Host(
        name="codex",
        title="Codex",
        files=("{codex}/config.toml",),
        project=("{project}/.codex/config.toml",),
        program="codex",
        servers="mcp_servers",
        passes="env_vars",
    ),
    Host(
        name="gemini-cli",
        title="Gemini CLI",
        files=("{home}/.gemini/settings.json",),
        project=("{project}/.gemini/settings.json",),
        program="gemini",
        variable="${{{}}}",
    ),
    Host(
        name="opencode",
        title="OpenCode",
        files=("{config}/opencode/opencode.jsonc", "{config}/opencode/opencode.json"),
        project=("{project}/opencode.jsonc", "{project}/opencode.json"),
        program="opencode",
        servers="mcp",
        fixed={"type": "local", "enabled": True},
        args="",
        env="environment",
        variable="{{env:{}}}",
    ),
    Host(
        name="windsurf",
        title="Windsurf",
        files=("{home}/.codeium/windsurf/mcp_config.json",),
        program="windsurf",
        variable="${{env:{}}}",
    ),
    Host(
        name="zed",
        title="Zed",
        files=("{config}/zed/settings.json",),
        windows=("{data}/Zed/settings.json",),
        project=("{project}/.zed/settings.json",),
        program="zed",
        servers="context_servers",
        fixed={"source": "custom"},
        passes="",
    ),
    Host(
        name="goose",
        title="Goose",
        files=("{config}/goose/config.yaml",),
        windows=("{data}/Block/goose/config/config.yaml",),
        program="goose",
        servers="extensions",
        fixed={"enabled": True, "type": "stdio", "name": "runway", "timeout": 300},
        command="cmd",
        env="envs",
        passes="env_keys",
    ),
    Host(
        name="copilot-cli",
        title="Copilot CLI",
        files=("{copilot}/mcp-config.json",),
        project=("{project}/.github/mcp.json",),
        program="copilot",
        fixed={"type": "local", "tools": ["*"]},
        variable="${{{}}}",
    ),
)
BY_NAME = {host.name: host for host in HOSTS}

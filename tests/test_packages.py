"""What is published names one version, one server and what is there: registry, bundle, plugin, README's buttons."""

import base64
import json
import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from runway_mcp.config.settings import Settings, variables

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
KEY = "RUNWAYML_API_SECRET"
BUTTONS: dict[str, str] = dict(re.findall(r"\[!\[Add to ([^\]]+)\]\([^)]+\)\]\(([^)]+)\)", README))


def read(path: str) -> dict[str, Any]:
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


def test_all_published_files_have_the_version_of_the_package() -> None:
    paths = ("server.json", "bundle/manifest.json", ".claude-plugin/plugin.json")
    assert {path: read(path)["version"] for path in paths} == dict.fromkeys(paths, VERSION)


def test_the_readme_carries_the_name_in_the_registry() -> None:
    assert re.findall(r"mcp-name: (\S+)", README) == [read("server.json")["name"]]


@pytest.mark.parametrize(
    ("server", "folder"),
    [
        (read("bundle/manifest.json")["server"]["mcp_config"], "${__dirname}"),
        (read(".claude-plugin/plugin.json")["mcpServers"]["runway"], "${CLAUDE_PLUGIN_ROOT}"),
    ],
    ids=["bundle", "plugin"],
)
def test_what_hosts_install_runs_the_files_that_came_with_it(server: dict[str, Any], folder: str) -> None:
    """Never the public index: there the name belongs to another project."""
    assert server["command"] == "uv"
    assert server["args"] == ["run", "--directory", folder, "--frozen", "--no-default-groups", "runway-mcp"]
    assert server["env"].keys() <= {variable for name in Settings.model_fields for variable in variables(name)}


def test_the_bundle_asks_for_what_it_uses_and_hides_the_key() -> None:
    manifest = read("bundle/manifest.json")
    used = re.findall(r"\$\{user_config\.(\w+)\}", json.dumps(manifest["server"]))
    assert sorted(used) == sorted(manifest["user_config"])
    assert manifest["user_config"]["api_key"]["sensitive"]
    for name, asked in manifest["user_config"].items():
        assert asked.get("required") or "default" in asked, f"{name} would reach the server as a placeholder"


@pytest.mark.parametrize("host", ["Cursor", "VS Code", "LM Studio"])
def test_the_button_of_a_host_adds_the_installed_server(host: str) -> None:
    query = {name: values[0] for name, values in parse_qs(urlsplit(BUTTONS[host]).query, strict_parsing=True).items()}
    config = query["config"] if host == "VS Code" else base64.b64decode(query["config"], validate=True)
    server = json.loads(config)
    assert query["name"] == "runway"
    assert server["command"] == "runway-mcp"
    if host == "VS Code":
        (asked,) = json.loads(query["inputs"])
        assert asked["password"]
        assert server["env"] == {KEY: f"${{input:{asked['id']}}}"}
    else:
        assert server["env"] == {KEY: "key_..."}


@pytest.mark.parametrize(
    "path", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("skills/**/*.md")], ids=lambda path: path.stem
)
def test_no_page_installs_the_namesake(path: Path) -> None:
    """A command that would bring the unrelated project stands only where the reader is warned of it."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if re.search(
            r"(pip3? install|pipx (install|run)|uv (tool install|pip install|add)) (-\S+ )*runway-mcp\b", line
        ):
            assert "gets the other one" in line

"""The rooms of the house: who may import whom, and who may print or read the environment."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "runway_mcp"
MODULES = sorted(PACKAGE.rglob("*.py"))

MAY_IMPORT = {
    "api": {"api"},
    "sandbox": {"sandbox"},
    "files": {"files", "api"},
    "tasks": {"tasks", "files", "api"},
    "toolsets": {"toolsets", "tasks", "files", "api"},
    "web": {"web", "tasks", "api", "calls", "signals"},
    "calls": {"tasks"},
    "recording": {"calls", "tasks"},
    "request_log": {"calls"},
    "tracing": set[str](),
    "access": {"calls", "tasks", "toolsets"},
    "stdio": {"signals"},
    "resources": {"tasks", "api", "toolsets"},
    "prompts": {"tasks", "api", "toolsets"},
    "mcp_tasks": {"mcp_tasks", "tasks", "api", "toolsets"},
    "server": {"access", "api", "calls", "mcp_tasks", "prompts", "recording", "resources", "tasks", "toolsets"},
    "settings": set[str](),
    "environment": {"settings"},
    "signals": set[str](),
    "logs": set[str](),
    "demo": {"mcp_tasks", "sandbox", "tasks"},
    "options": {"environment", "settings"},
    "compose": {
        "access",
        "api",
        "calls",
        "compose",
        "files",
        "request_log",
        "sandbox",
        "server",
        "settings",
        "tasks",
        "toolsets",
        "tracing",
        "web",
    },
    "cli": {
        "calls",
        "compose",
        "demo",
        "logs",
        "options",
        "sandbox",
        "settings",
        "signals",
        "stdio",
        "tasks",
        "tracing",
        "web",
    },
    "__main__": {"cli"},
    "__init__": set[str](),
}
"""For each room the rooms it may import from; the package's version is for everyone."""

WITHOUT_MCP = {"api", "files", "sandbox", "tasks", "settings", "signals", "logs"}


def room(path: Path) -> str:
    """The room that a module stands in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The dotted names that a module imports, wherever in it the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def identifiers(path: Path) -> set[str]:
    """Every name and attribute that a module uses."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return {node.id for node in nodes if isinstance(node, ast.Name)} | {
        node.attr for node in nodes if isinstance(node, ast.Attribute)
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    """Imports run one way: from the edge to the core, never back and never across."""
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("runway_mcp.")} - {"__version__"}
    assert ours <= MAY_IMPORT[room(path)]
    if room(path) in WITHOUT_MCP:
        assert not {name.split(".")[0] for name in imports(path)} & {"mcp", "mcp_types"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_and_the_demo_print(path: Path) -> None:
    """Standard output belongs to the protocol."""
    assert "print" not in identifiers(path) or room(path) in {"cli", "demo"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_one_room_reads_the_environment(path: Path) -> None:
    """Everything else gets what it needs as an argument."""
    assert room(path) == "environment" or not identifiers(path) & {"environ", "getenv", "environb"}


def test_every_room_is_on_the_map() -> None:
    """CONTRIBUTING's map names each folder and module of the package."""
    contributing = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for path in PACKAGE.iterdir():
        if path.name != "__pycache__" and path.suffix in {"", ".py"}:
            assert f"  {path.name}" in contributing

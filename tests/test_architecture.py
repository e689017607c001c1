"""The rooms of the house: who may import whom, and who may print or read the environment."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "runway_mcp"
MODULES = sorted(PACKAGE.rglob("*.py"))

MAY_IMPORT = {
    "api": set[str](),
    "config": set[str](),
    "media_length": set[str](),
    "sandbox": {"media_length"},
    "signals": set[str](),
    "catalogue": {"api"},
    "files": {"media_length", "api"},
    "history": {"api"},
    "tasks": {"history", "files", "media_length", "api"},
    "spending": {"tasks", "history", "files", "catalogue", "media_length", "api"},
    "observability": {"tasks", "api"},
    "mcp_server": {"observability", "spending", "tasks", "history", "files", "catalogue", "api", "signals"},
    "web": {"mcp_server", "observability", "tasks", "api", "signals"},
    "demo": {"sandbox", "tasks"},
    "wiring": {"web", "mcp_server", "observability", "tasks", "history", "files", "catalogue", "api"}
    | {"config", "sandbox"},
    "cli": {"wiring", "demo", "web", "mcp_server", "observability", "tasks", "history", "catalogue", "api"}
    | {"config", "sandbox", "signals"},
    "__main__": {"cli"},
    "__init__": set[str](),
}
"""For each room the rooms that it may import beside itself, top floor last."""

WITHOUT_MCP = MAY_IMPORT.keys() - {"mcp_server", "observability", "web", "wiring", "cli", "demo", "__main__"}


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
    assert ours - {room(path)} <= MAY_IMPORT[room(path)]
    if room(path) in WITHOUT_MCP:
        assert not {name.split(".")[0] for name in imports(path)} & {"mcp", "mcp_types"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_and_the_demo_print(path: Path) -> None:
    """Standard output belongs to the protocol."""
    draws = {name for name in imports(path) if name.partition(".")[0] == "rich"}
    assert room(path) in {"cli", "demo"} or not ("print" in identifiers(path) or draws)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_one_room_reads_the_environment(path: Path) -> None:
    """Everything else gets what it needs as an argument."""
    assert path.name == "sources.py" or not identifiers(path) & {"environ", "getenv", "environb"}


def test_no_room_imports_one_above_it() -> None:
    """The rooms can be ordered so that every import runs downwards."""
    below: set[str] = set()
    left = dict(MAY_IMPORT)
    while floor := {name for name, allowed in left.items() if allowed <= below}:
        below |= floor
        left = {name: allowed for name, allowed in left.items() if name not in floor}
    assert not left


def test_no_file_imports_itself_through_others() -> None:
    """There is no circle between files, wherever in a file the import stands."""
    files = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in MODULES}
    imported = {
        name: {module for module in files for one in found if one == module or one.startswith(f"{module}.")}
        for name, found in ((name, imports(path)) for name, path in files.items())
    }
    while leaves := {name for name, others in imported.items() if not others & imported.keys()}:
        imported = {name: others for name, others in imported.items() if name not in leaves}
    assert not imported


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_holds_one_concept(path: Path) -> None:
    """None is longer than 300 lines, and no function than 60."""
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 300
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    long = {node.name for node in functions if (node.end_lineno or 0) - node.lineno + 1 > 60}
    assert not long


def test_a_name_leads_to_one_file() -> None:
    """A newcomer who searches for a module finds one."""
    names = [path.name for path in MODULES if path.name != "__init__.py"]
    assert sorted(names) == sorted({*names})


def test_every_room_is_on_the_map() -> None:
    """CONTRIBUTING's map names each folder and module of the package."""
    contributing = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for path in PACKAGE.iterdir():
        if not path.name.startswith("__") and path.suffix in {"", ".py"}:
            assert f"  {path.name}" in contributing

"""README and docs say what the code does: their tables, their examples, their messages."""

import json
import re
import runpy
import shlex
import tomllib
from pathlib import Path

import anyio
import pytest
from mcp import Client
from support.faulty import FaultyWire, faulty_client

from runway_mcp.cli.main import main
from runway_mcp.config.options import parse_settings
from runway_mcp.config.settings import Settings, flag, variables
from runway_mcp.mcp_server.server import build_server
from runway_mcp.sandbox import SAMPLES, Fault
from runway_mcp.tasks.callers import CallerRegistry

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
SOURCE = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "runway_mcp").rglob("*.py")))


def table(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    section = page.split(f"# {heading}\n")[1].split("\n## ", maxsplit=1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


def blocks(language: str) -> list[str]:
    """The code blocks of one language, in the README and the pages for one person."""
    pages = [README, *(text for name, text in DOCS.items() if name not in {"deploy", "compared"})]
    return re.findall(rf"```{language}\n(.*?)```", "\n".join(pages), re.DOTALL)


def test_the_settings_page_is_the_settings() -> None:
    """Flag, variables, default and meaning of every field, in order."""
    made = runpy.run_path(str(ROOT / "scripts" / "update_settings_doc.py"))
    assert DOCS["settings"] == made["page"]()


def test_the_settings_of_the_readme_exist() -> None:
    known = {flag(name) or variables(name)[0] for name in Settings.model_fields}
    assert {re.findall(r"`([^`]+)`", row[0])[0] for row in table(README, "Settings")} <= known


def test_every_link_between_the_pages_leads_somewhere() -> None:
    pages = {"README.md": README, **{f"docs/{name}.md": text for name, text in DOCS.items()}}
    pages["SECURITY.md"] = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    linked = {
        ((ROOT / name).parent / target).resolve()
        for name, text in pages.items()
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", text)
    }
    assert [path for path in linked if not path.is_file()] == []
    assert {ROOT / name for name in pages} <= linked


async def test_the_tools_table_is_the_tools() -> None:
    """Each tool in order, and whether it reads or changes."""
    with anyio.fail_after(10):
        async with Client(build_server(CallerRegistry(lambda _: faulty_client(FaultyWire())))) as client:
            tools = (await client.list_tools()).tools
    expected = [
        [f"`{tool.name}`", "reads" if tool.annotations and tool.annotations.read_only_hint else "changes"]
        for tool in tools
    ]
    assert [row[:2] for row in table(README, "Tools")] == expected


async def test_the_prompts_table_is_the_prompts() -> None:
    callers = CallerRegistry(lambda _: faulty_client(FaultyWire()))
    offered = dict[bool, list[str]]()
    with anyio.fail_after(10):
        for read_only in (False, True):
            async with Client(build_server(callers, read_only=read_only)) as client:
                offered[read_only] = [f"`{prompt.name}`" for prompt in (await client.list_prompts()).prompts]
    assert [row[0] for row in table(DOCS["hosts"], "Prompts")] == offered[False]
    assert offered[True] == offered[False][-1:]


def test_the_samples_table_is_the_samples() -> None:
    """Each sample task of the sandbox, by id and state."""
    assert table(DOCS["sandbox"], "The tasks it starts with") == [
        [f"`{sample.id}`", sample.what] for sample in SAMPLES.values()
    ]


@pytest.mark.parametrize(
    "message", re.findall(r"`([^`]+)`", " ".join(row[0] for row in table(DOCS["troubleshooting"], "Troubleshooting")))
)
def test_each_message_of_the_page_is_one_the_code_gives(message: str) -> None:
    """Who searches the page for what the host printed finds it."""
    assert message in SOURCE or message == "runway-mcp"


@pytest.mark.parametrize("block", [*blocks("json"), *blocks("toml")])
def test_each_host_configuration_starts_our_command(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be read, names the command, gives the key by its variable, and its arguments make whole settings."""
    config = json.loads(block) if block.startswith("{") else tomllib.loads(block)
    ((server,),) = [servers.values() for name, servers in config.items() if name != "inputs"]
    assert server["command"] == "runway-mcp"
    assert set(server["env"]) == {"RUNWAYML_API_SECRET"}
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    folder = tmp_path / "Videos" / "runway"
    folder.mkdir(parents=True)
    settings, _ = parse_settings(server.get("args", []), {})
    assert settings.files_root == ((folder,) if "args" in server else ())


def test_the_faults_in_the_readme_can_be_asked_for() -> None:
    faults = re.findall(r'--fault "([^"]+)"', DOCS["sandbox"])
    assert all(Fault.parse(fault) for fault in faults)
    assert len(faults) > 2


def test_the_flags_in_the_readme_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Every option given to runway-mcp in a shell block is one the command line knows."""
    shown = ""
    for arguments in (["--help"], ["sandbox", "--help"], ["token", "--help"]):
        with pytest.raises(SystemExit):
            main(arguments)
        shown += capsys.readouterr().out
    for block in blocks("sh"):
        for line in block.replace("\\\n", "").splitlines():
            words = shlex.split(line)
            if "runway-mcp" in words and "docker" not in words:
                options = words[words.index("runway-mcp") :]
                assert all(word in shown for word in options if word.startswith("--"))

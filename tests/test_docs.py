"""README, docs, `compose.yaml` and the image say what the code does: their tables, examples, messages and flags."""

import io
import json
import re
import runpy
import shlex
import tomllib
from contextlib import redirect_stdout
from pathlib import Path

import anyio
import pytest
from mcp import Client
from pydantic import SecretStr
from support.faulty import FaultyWire, faulty_client

from runway_mcp.cli.hosts.known_hosts import HOSTS
from runway_mcp.cli.main import TYPER_COMMANDS, main
from runway_mcp.config.options import parse_settings
from runway_mcp.config.settings import Settings, flag, variables
from runway_mcp.config.sources import load
from runway_mcp.mcp_server.server import build_server
from runway_mcp.sandbox import SAMPLES, Fault
from runway_mcp.tasks.callers import CallerRegistry
from runway_mcp.web.auth.runway_keys import RunwayKeys
from runway_mcp.web.auth.tenants import Tenants
from runway_mcp.web.auth.tokens import TokensFile

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
DOCS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
SOURCE = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "runway_mcp").rglob("*.py")))
FOR_ONE = [README, *(text for name, text in DOCS.items() if name not in {"deploy", "compared"})]
"""The pages for one person."""
KEYS = RunwayKeys(lambda _: SecretStr("key_of_a_test"))


def table(page: str, heading: str) -> list[list[str]]:
    section = page.split(f"# {heading}\n")[1].split("\n## ", maxsplit=1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


def blocks(language: str, *pages: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", "\n".join(pages), re.DOTALL)


@pytest.fixture(scope="module")
def known_flags() -> str:
    """What the command line's help says, of every command."""
    shown = io.StringIO()
    for arguments in (["--help"], ["sandbox", "--help"], ["token", "--help"], ["history", "settle", "--help"]):
        with pytest.raises(SystemExit), redirect_stdout(shown):
            main(arguments)
    for command in TYPER_COMMANDS:
        with redirect_stdout(shown):
            main([command, "--help"])
    return shown.getvalue()


def test_the_settings_page_is_the_settings() -> None:
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


def test_the_hosts_table_is_the_hosts() -> None:
    rows = table(DOCS["hosts"], "What each host can do")
    assert [row[:2] for row in rows] == [[host.title, f"`{host.name}`"] for host in HOSTS]
    assert all(f"`{host.name}`" in DOCS["cli"] for host in HOSTS)


def test_the_samples_table_is_the_samples() -> None:
    assert table(DOCS["sandbox"], "The tasks it starts with") == [
        [f"`{sample.id}`", sample.what] for sample in SAMPLES.values()
    ]


@pytest.mark.parametrize(
    "message", re.findall(r"`([^`]+)`", " ".join(row[0] for row in table(DOCS["troubleshooting"], "Troubleshooting")))
)
def test_each_message_of_the_page_is_one_the_code_gives(message: str) -> None:
    """Who searches the page for what the host printed finds it."""
    assert message in SOURCE or message == "runway-mcp"


@pytest.mark.parametrize("block", [*blocks("json", *FOR_ONE), *blocks("toml", *FOR_ONE)])
def test_each_host_configuration_starts_our_command(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_the_flags_in_the_readme_exist(known_flags: str) -> None:
    for block in blocks("sh", *FOR_ONE):
        for line in block.replace("\\\n", "").splitlines():
            words = shlex.split(line)
            if "runway-mcp" in words and "docker" not in words:
                options = words[words.index("runway-mcp") :]
                assert all(word in known_flags for word in options if word.startswith("--"))


def test_every_flag_of_the_deployment_exists(known_flags: str) -> None:
    """In prose, in commands and in `compose.yaml`; those of other programs aside."""
    others = re.sub(r"(?m)^(docker|claude|DOMAIN=\S+ UPSTREAMS=.* caddy) .*$", "", DOCS["deploy"] + COMPOSE)
    named = set(re.findall(r"--[a-z][a-z-]+", others))
    assert {name for name in named if not re.search(rf"{name}\b", known_flags)} == set()
    assert len(named) > 15


def settings(words: list[str], tmp_path: Path) -> Settings:
    fields = {flag(name): name for name in Settings.model_fields}
    given: dict[str, object] = {}
    for option, value in zip(words[::2], words[1::2], strict=True):
        name = fields[option]
        if name.endswith("_file"):
            (tmp_path / name).touch()
            given[name] = tmp_path / name
        elif Settings.model_fields[name].default == ():
            given[name] = [*map(str, given.get(name, [])), value]  # pyright: ignore[reportArgumentType] - a list, made here
        else:
            given[name] = value
    return load(given)


def test_every_file_and_metric_in_the_document_exists() -> None:
    for path in re.findall(r"\b(compose\.yaml|deploy/Caddyfile)\b", DOCS["deploy"]):
        assert (ROOT / path).is_file()
    for metric in re.findall(r"\brunway_mcp_\w+", DOCS["deploy"]):
        assert f'"{metric.removesuffix("_total")}"' in SOURCE


def test_the_example_files_are_usable(tmp_path: Path) -> None:
    tokens, tenants = blocks("toml", DOCS["deploy"])
    (tmp_path / "tokens").write_text(tokens, encoding="utf-8")
    (tmp_path / "tenants").write_text(tenants, encoding="utf-8")
    TokensFile(tmp_path / "tokens", KEYS)
    ((issuer, subject),) = re.findall(r'issuer = "(.+)"\nsubject = "(.+)"', tenants)
    assert Tenants(tmp_path / "tenants", KEYS).key_of(issuer, subject) == SecretStr("key_of_a_test")
    for block in blocks("json", DOCS["deploy"]):
        config = json.loads(block)
        (server,) = (config.get("mcpServers") or config["servers"]).values()
        assert server["url"].endswith("/mcp")


def test_the_commands_of_the_document_can_be_started(tmp_path: Path) -> None:
    commands = [command for block in blocks("sh", DOCS["deploy"]) for command in block.replace("\\\n", "").splitlines()]
    split = [shlex.split(command, comments=True) for command in commands]
    served = [words for words in split if {"runway-mcp", "--transport"} <= {*words}]
    for words in served:
        options = [word for word in words[words.index("runway-mcp") + 1 :] if word != "--allow-shared-key"]
        assert settings(options, tmp_path).auth != "none"
    assert len(served) == 2


def test_the_replicas_of_compose_can_be_started(tmp_path: Path) -> None:
    words = re.findall(r"^ +- (--[a-z-]+)=(.+)$", COMPOSE, re.MULTILINE)
    domain = re.compile(r"\$\{DOMAIN.*\}")
    made = settings([domain.sub("mcp.example.com", word) for pair in words for word in pair], tmp_path)
    assert (made.auth, made.host, made.allowed_host[0]) == ("token", "0.0.0.0", "mcp.example.com")
    assert f"ipv4_address: {made.trusted_proxy[0]}\n" in COMPOSE


def test_the_image_serves_nobody_without_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (command,) = re.findall(r"^CMD (\[.+\])$", dockerfile, re.MULTILINE)
    monkeypatch.setenv("RUNWAY_MCP_ALLOWED_HOST", "mcp.example.com")
    made = settings(json.loads(command), tmp_path)
    assert (made.auth, made.transport) == ("token", "streamable-http")

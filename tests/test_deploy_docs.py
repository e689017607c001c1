"""What `docs/deploy.md`, `compose.yaml` and the image say is what the code takes."""

import json
import re
import shlex
from pathlib import Path

import pytest
from pydantic import SecretStr

from runway_mcp.cli.main import main
from runway_mcp.config.settings import Settings, flag
from runway_mcp.config.sources import load
from runway_mcp.web.auth.runway_keys import RunwayKeys
from runway_mcp.web.auth.tenants import Tenants
from runway_mcp.web.auth.tokens import TokensFile

ROOT = Path(__file__).parents[1]
DEPLOY = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PACKAGE = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "runway_mcp").rglob("*.py")))
KEYS = RunwayKeys(lambda _: SecretStr("key_of_a_test"))


def blocks(language: str) -> list[str]:
    """The document's code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", DEPLOY, re.DOTALL)


def settings(words: list[str], tmp_path: Path) -> Settings:
    """The settings that a command line makes, with files of our own in place of those that it names."""
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


def test_every_flag_in_the_document_exists(capsys: pytest.CaptureFixture[str]) -> None:
    """In prose, in commands and in `compose.yaml`; those of other programs aside."""
    known = ""
    for arguments in (["--help"], ["token", "--help"]):
        with pytest.raises(SystemExit):
            main(arguments)
        known += capsys.readouterr().out
    others = re.sub(r"(?m)^(docker|claude|DOMAIN=\S+ UPSTREAMS=.* caddy) .*$", "", DEPLOY + COMPOSE)
    named = set(re.findall(r"--[a-z][a-z-]+", others))
    assert {name for name in named if not re.search(rf"{name}\b", known)} == set()
    assert len(named) > 15


def test_every_file_and_metric_in_the_document_exists() -> None:
    """A path of ours is there, and a metric bears the name that the code gives it."""
    for path in re.findall(r"\b(compose\.yaml|deploy/Caddyfile)\b", DEPLOY):
        assert (ROOT / path).is_file()
    for metric in re.findall(r"\brunway_mcp_\w+", DEPLOY):
        assert f'"{metric.removesuffix("_total")}"' in PACKAGE


def test_the_example_files_are_usable(tmp_path: Path) -> None:
    """The server itself reads the tokens file and the tenants file, and the hosts' configurations are JSON."""
    tokens, tenants = blocks("toml")
    (tmp_path / "tokens").write_text(tokens, encoding="utf-8")
    (tmp_path / "tenants").write_text(tenants, encoding="utf-8")
    TokensFile(tmp_path / "tokens", KEYS)
    ((issuer, subject),) = re.findall(r'issuer = "(.+)"\nsubject = "(.+)"', tenants)
    assert Tenants(tmp_path / "tenants", KEYS).key_of(issuer, subject) == SecretStr("key_of_a_test")
    for block in blocks("json"):
        config = json.loads(block)
        (server,) = (config.get("mcpServers") or config["servers"]).values()
        assert server["url"].endswith("/mcp")


def test_the_commands_of_the_document_can_be_started(tmp_path: Path) -> None:
    commands = [command for block in blocks("sh") for command in block.replace("\\\n", "").splitlines()]
    split = [shlex.split(command, comments=True) for command in commands]
    served = [words for words in split if {"runway-mcp", "--transport"} <= {*words}]
    for words in served:
        options = [word for word in words[words.index("runway-mcp") + 1 :] if word != "--allow-shared-key"]
        assert settings(options, tmp_path).auth != "none"
    assert len(served) == 2


def test_the_replicas_of_compose_can_be_started(tmp_path: Path) -> None:
    """Their flags make whole settings: behind tokens, for the domain, with the proxy of the same file."""
    words = re.findall(r"^ +- (--[a-z-]+)=(.+)$", COMPOSE, re.MULTILINE)
    domain = re.compile(r"\$\{DOMAIN.*\}")
    made = settings([domain.sub("mcp.example.com", word) for pair in words for word in pair], tmp_path)
    assert (made.auth, made.host, made.allowed_host[0]) == ("token", "0.0.0.0", "mcp.example.com")
    assert f"ipv4_address: {made.trusted_proxy[0]}\n" in COMPOSE


def test_the_image_serves_nobody_without_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it runs by itself wants a tokens file and the names of its hosts."""
    (command,) = re.findall(r"^CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    monkeypatch.setenv("RUNWAY_MCP_ALLOWED_HOST", "mcp.example.com")
    made = settings(json.loads(command), tmp_path)
    assert (made.auth, made.transport) == ("token", "streamable-http")

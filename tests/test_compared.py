"""What `docs/compared.md` says of our side: each of its calls is made."""

import json
import re
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from support.faulty import FaultyWire, faulty_client

from runway_mcp.cli.hosts.known_hosts import HOSTS
from runway_mcp.cli.main import COMMANDS
from runway_mcp.config.settings import Settings, flag
from runway_mcp.mcp_server.server import build_server
from runway_mcp.tasks.callers import CallerRegistry

PAGE = (Path(__file__).parents[1] / "docs/compared.md").read_text(encoding="utf-8")
THEIRS = [
    "runway_listModels",
    "runway_generateImage",
    "runway_generateVideo",
    "runway_upscaleVideo",
    "runway_editVideo",
    "runway_generateAudio",
    "runway_getTask",
    "runway_refreshTaskUrl",
    "runway_cancelTask",
    "runway_getOrg",
]
"""The tools of Runway's own server."""
ROWS = {
    theirs: [(name, json.loads(arguments)) for name, arguments in re.findall(r"`(runway_\w+) (\{.*?\})`", here)]
    for theirs, here in re.findall(r"^\| `(\w+)` \| (`.*?`) \| ", PAGE, re.MULTILINE)
}
"""For each tool of theirs the calls here: the tool's name and its arguments."""


class Sandbox(FaultyWire):
    """A sandbox in which each request takes a second, and half a minute while a call waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = False
        self.between = self._pass_time

    def _pass_time(self, _: int) -> None:
        self.now += 30 if self.waits else 1


async def test_every_call_of_the_page_does_what_its_row_says() -> None:
    assert list(ROWS) == THEIRS
    sandbox = Sandbox()
    server = build_server(CallerRegistry(lambda _: faulty_client(sandbox), poll_seconds=0.01))
    started: list[str] = []
    results: dict[str, list[dict[str, Any]]] = {}

    async def make(client: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        ids = {"<task id>": started[-1], "<finished task id>": started[0]} if started else {}
        sandbox.waits = arguments.get("wait", False)
        filled = {name: ids[value] if name == "taskId" else value for name, value in arguments.items()}
        result = await client.call_tool(tool, filled)
        assert not result.is_error, result.content
        found: dict[str, Any] = result.structured_content or {}
        if tool == "runway_startTask":
            started.append(found["id"])
        return found

    with anyio.fail_after(20):
        async with Client(server) as client:
            for theirs, calls in ROWS.items():
                results[theirs] = [await make(client, tool, arguments) for tool, arguments in calls]
    ((image,), (got,), (refreshed,)) = (results[name] for name in (THEIRS[1], THEIRS[6], THEIRS[7]))
    assert "text_to_image" in results["runway_listModels"][0]["types"]
    assert len(set(started)) == len(THEIRS[1:6])
    assert (image["status"], refreshed["status"], refreshed["id"]) == ("SUCCEEDED", "SUCCEEDED", image["id"])
    assert set(refreshed["output"]).isdisjoint(image["output"])
    assert got["id"] == started[-1]
    assert [change["done"] for change in results["runway_cancelTask"]] == ["cancelled", "deleted"]
    assert "creditBalance" in results["runway_getOrg"][0]


def test_the_configuration_of_the_page_starts_our_command() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert json.loads(block)["mcpServers"]["runway"] == {
        "command": "runway-mcp",
        "env": {"RUNWAYML_API_SECRET": "key_..."},
    }


def test_the_commands_and_flags_of_the_page_exist() -> None:
    assert {*re.findall(r"`runway-mcp (\w+)", PAGE), "wait", "save"} <= {*COMMANDS}
    assert {*re.findall(r"`(--[\w-]+)", PAGE)} <= {flag(name) for name in Settings.model_fields}
    assert f"`install` for {len(HOSTS)} hosts" in PAGE

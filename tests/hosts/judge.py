"""Judges what each host's SDK makes of our tools: nothing may be lost or changed. `scripts/hosts` runs it.

Usage: judge.py OUTPUT… -- COMMAND…: what the programs beside this one have printed, and the server's command.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from runway_mcp.sandbox import SAMPLES

Schema = Mapping[str, Any]
CALLS: list[tuple[str, dict[str, Any], str]] = [
    ("runway_getTask", {"taskId": SAMPLES["failed_moderation"].id}, "The task FAILED."),
    ("runway_deleteTask", {"taskId": SAMPLES["running_long"].id}, "Refused: the task is"),
    ("runway_startTask", {"type": "sound_effect", "input": {"promptText": "Waves"}, "wait": False}, "PENDING"),
    (
        "runway_startTask",
        {
            "type": "video_upscale",
            "input": {
                "model": "",
                "promptText": "",
                "promptImage": "",
                "ratio": "",
                "duration": 0,
                "json": '{"videoUri": "https://example.com/kite.mp4"}',
            },
            "wait": False,
            "allowUnknown": False,
            "clientToken": "",
        },
        "PENDING",
    ),
]
"""A call of each kind, and the words of ours that the SDK must pass on."""
KEPT = ("description", "enum", "minimum", "maximum", "maxLength")


async def listed(command: list[str]) -> dict[str, Schema]:
    """Return the tools as the server lists them."""
    server = StdioServerParameters(command=command[0], args=command[1:])
    async with Client(stdio_client(server)) as client:
        return {tool.name: tool.model_dump(by_alias=True, mode="json") for tool in (await client.list_tools()).tools}


def losses(given: Schema, made: Schema, place: str) -> Iterator[str]:
    """Yield what a schema has that the converted one lacks or says differently."""
    found = {name.lower().replace("_", ""): value for name, value in made.items()}
    if str(given.get("type")).lower() != str(found.get("type")).lower():
        yield f"{place}: type {given.get('type')} became {found.get('type')}"
    for keyword in KEPT:
        if keyword in given and given[keyword] != found.get(keyword.lower()):
            yield f"{place}: {keyword} {given[keyword]!r} became {found.get(keyword.lower())!r}"
    if missing := set(given.get("required", [])) - set(found.get("required", [])):
        yield f"{place}: no longer required: {missing}"
    fields: dict[str, Schema] = given.get("properties") or {}
    properties: dict[str, Schema] = found.get("properties") or {}
    for name, schema in fields.items():
        if name in properties:
            yield from losses(schema, properties[name], f"{place}.{name}")
        else:
            yield f"{place}: lost {name}"
    if "items" in given:
        yield from losses(given["items"], found.get("items") or {}, f"{place}[]")


def faults(output: Mapping[str, Any], tools: Mapping[str, Schema]) -> Iterator[str]:
    """Yield what one SDK has lost."""
    if output["tools"].keys() != tools.keys():
        yield f"the tools are {list(output['tools'])}"
        return
    for name, tool in tools.items():
        made = output["tools"][name]
        if made["description"] != tool["description"]:
            yield f"{name}: the description became {made['description']!r}"
        yield from losses(tool["inputSchema"], made["parameters"] or {}, name)
    for (name, _, words), answer in zip(CALLS, output["answers"], strict=True):
        if words not in answer:
            yield f"{name}: {words!r} is not in {answer!r}"


def main() -> None:
    if sys.argv[1:] == ["calls"]:
        print(json.dumps([call[:2] for call in CALLS]))
        return
    split = sys.argv.index("--")
    tools = anyio.run(listed, sys.argv[split + 1 :])
    found: list[str] = []
    for path in sys.argv[1:split]:
        output = json.loads(Path(path).read_text(encoding="utf-8").strip().splitlines()[-1])
        of_this = [f"{output['sdk']}: {fault}" for fault in faults(output, tools)]
        print(f"{output['sdk']}: {len(tools)} tools, {len(of_this)} faults")
        found += of_this
    sys.exit("\n".join(found) or None)


if __name__ == "__main__":
    main()

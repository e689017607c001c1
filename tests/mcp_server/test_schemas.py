"""The tools' schemas hold nothing that a host's SDK cannot convert; `scripts/hosts` tries the SDKs themselves."""

import json
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import Tool
from support.faulty import FaultyWire, faulty_client

from runway_mcp.mcp_server.server import build_server
from runway_mcp.mcp_server.tools.capability import CAPABILITY
from runway_mcp.tasks.callers import CallerRegistry

FORBIDDEN = {
    "anyOf": "Inspector and generated CLIs take one type",
    "oneOf": "OpenAI strict refuses it",
    "allOf": "Gemini drops it",
    "$ref": "google-genai does not resolve it everywhere",
    "default": "OpenAI strict refuses it",
    "minLength": "OpenAI strict refuses it",
    "maxLength": "OpenAI strict refuses it",
    "uniqueItems": "OpenAI strict refuses it",
    "pattern": "a host answers in our place",
    "additionalProperties": "google-genai crashes on a boolean",
}
"""Keywords that no argument has, each with its reason."""


async def listed(toolset: str) -> list[Tool]:
    options: dict[str, Any] = {"toolsets": [CAPABILITY]} if toolset == "capability" else {}
    with anyio.fail_after(20):
        async with Client(build_server(CallerRegistry(lambda _: faulty_client(FaultyWire())), **options)) as client:
            return (await client.list_tools()).tools


def nodes(schema: dict[str, Any], place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a schema and all within it, each with its place."""
    yield place, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{place}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{place}[]")


TOOLSETS = pytest.mark.parametrize("toolset", ["default", "capability"])


@TOOLSETS
async def test_arguments_have_no_keyword_that_a_host_refuses(toolset: str) -> None:
    found = [
        f"{place} has {keyword}: {reason}"
        for tool in await listed(toolset)
        for place, node in nodes(tool.input_schema, tool.name)
        for keyword, reason in FORBIDDEN.items()
        if keyword in node
    ]
    assert not found


@TOOLSETS
async def test_every_property_has_one_type_and_a_description(toolset: str) -> None:
    for tool in await listed(toolset):
        for schema in (tool.input_schema, tool.output_schema or {"type": "object"}):
            for place, node in nodes(schema, tool.name):
                is_nullable = schema is tool.output_schema and node.get("type") == ["number", "null"]
                assert isinstance(node.get("type"), str) or is_nullable, place
                assert node.get("format") in {None, "enum", "date-time"}, place
                assert node.get("additionalProperties") is not True, place
                assert node["type"] != "array" or "type" in node.get("items", {}), place
                is_named = "." in place and not place.endswith("[]")
                assert not is_named or node.get("description"), place


@TOOLSETS
async def test_every_object_names_a_field(toolset: str) -> None:
    """Gemini refuses an object without properties, and OpenAI strict closes it."""
    for tool in await listed(toolset):
        for place, node in nodes(tool.input_schema, tool.name):
            assert node["type"] != "object" or node.get("properties"), place


@TOOLSETS
async def test_names_fit_with_a_hosts_prefix(toolset: str) -> None:
    assert all(len(f"mcp__runway__{tool.name}") <= 60 for tool in await listed(toolset))


@TOOLSETS
async def test_the_list_of_tools_stays_small(toolset: str) -> None:
    """Under 5,000 tokens; 3.5 characters a token is less than English JSON has."""
    tools = [tool.model_dump(by_alias=True, exclude_none=True, mode="json") for tool in await listed(toolset)]
    assert len(json.dumps(tools, separators=(",", ":"))) / 3.5 < 5_000

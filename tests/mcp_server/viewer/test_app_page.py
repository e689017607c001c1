"""The viewer as hosts get it: listed, bound to its tools, and safe to show. `scripts/viewer` shows it in a browser."""

import re
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from mcp_types import TextResourceContents
from support.scripted import Script, scripted_client

from runway_mcp.config.settings import SANDBOX_URL, Settings
from runway_mcp.mcp_server.server import OURS, build_server
from runway_mcp.mcp_server.tools.capability import CAPABILITY
from runway_mcp.mcp_server.tools.tasks import TASKS
from runway_mcp.mcp_server.viewer.app_page import MEDIA_DOMAINS, URI
from runway_mcp.tasks.callers import CallerRegistry
from runway_mcp.wiring.core import build_core

MAX_PAGE = 120_000
"""Bytes of the page."""
VIEWED = {
    "runway_startTask",
    "runway_waitForTask",
    "runway_getTask",
    "runway_listTasks",
    "runway_downloadOutput",
}


def server(**options: Any) -> Any:
    return build_server(CallerRegistry(lambda _: scripted_client(Script(OSError()))), **options)


async def read(served: Any) -> TextResourceContents:
    with anyio.fail_after(20):
        async with Client(served) as client:
            (content,) = (await client.read_resource(URI)).contents
    assert isinstance(content, TextResourceContents)
    return content


async def offered_to_the_page(served: Any) -> set[str]:
    found = re.search(r'<body data-tools="([\w ]*)"', (await read(served)).text)
    assert found is not None
    return set(found[1].split())


async def test_the_page_is_offered_as_an_app() -> None:
    with anyio.fail_after(20):
        async with Client(server()) as client:
            capabilities = client.server_capabilities
            (listed,) = (await client.list_resources()).resources
    assert EXTENSION_ID in (capabilities.extensions or {})
    assert (listed.uri, listed.mime_type) == (URI, APP_MIME_TYPE)


async def test_the_page_may_load_media_from_runway_alone_and_copy_links() -> None:
    content = await read(server())
    assert content.mime_type == APP_MIME_TYPE
    assert content.meta == {
        "ui": {
            "csp": {"resourceDomains": list(MEDIA_DOMAINS)},
            "permissions": {"clipboardWrite": {}},
            "prefersBorder": True,
        }
    }


@pytest.mark.parametrize(
    ("settings", "domains"),
    [
        ({"sandbox": True}, [SANDBOX_URL]),
        ({"RUNWAYML_BASE_URL": "http://127.0.0.1:8090/api"}, ["http://127.0.0.1:8090"]),
        ({"api_version": "2024-11-06"}, [*MEDIA_DOMAINS]),
        (
            {"media_domain": "https://*.example.com, https://media.example.org:8443"},
            ["https://*.example.com", "https://media.example.org:8443"],
        ),
    ],
    ids=["sandbox", "sandbox on this machine", "Runway", "named"],
)
async def test_the_media_come_from_where_the_settings_say(settings: dict[str, Any], domains: Sequence[str]) -> None:
    core = build_core(Settings(**settings), hide=lambda _: None)
    meta = (await read(core.server)).meta
    assert meta is not None
    assert meta["ui"]["csp"] == {"resourceDomains": list(domains)}


async def test_the_page_is_small_whole_and_needs_no_network() -> None:
    html = (await read(server())).text
    assert len(html.encode()) < MAX_PAGE
    assert not re.search(r"\{\{[A-Z]+\}\}", html)
    assert set(re.findall(r"https?://[\w.-]+", html)) == {"http://www.w3.org"}  # SVG's namespace
    assert not re.search(r"<(script|link|img|iframe|form)\b[^>]*\b(src|href|action)=", html)
    assert not re.search(r"@import|url\(", html)


async def test_the_page_runs_no_text_as_markup_or_code_and_keeps_nothing() -> None:
    html = (await read(server())).text
    assert not re.search(r"<[a-z][^>]*\son\w+\s*=", html)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|javascript:|srcdoc", html
    )
    assert not re.search(r"localStorage|sessionStorage|indexedDB|document\.cookie|\bfetch\(|XMLHttpRequest", html)


async def test_the_tools_that_show_tasks_are_bound_to_the_page() -> None:
    with anyio.fail_after(20):
        async with Client(server(toolsets=[*OURS, CAPABILITY])) as client:
            tools = (await client.list_tools()).tools
    bound = {tool.name: tool.meta for tool in tools if tool.meta}
    assert bound == {name: {"ui": {"resourceUri": URI}, "ui/resourceUri": URI} for name in VIEWED}


async def test_the_page_knows_what_it_may_do() -> None:
    tools = await offered_to_the_page(server())
    assert tools > {*VIEWED, "runway_cancelTask"}
    read_only = await offered_to_the_page(server(read_only=True))
    assert read_only > {"runway_getTask", "runway_listTasks", "runway_waitForTask"}
    assert not read_only & {"runway_startTask", "runway_cancelTask", "runway_downloadOutput"}
    assert "runway_downloadOutput" not in await offered_to_the_page(server(toolsets=[TASKS]))

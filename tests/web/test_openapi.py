"""The OpenAPI document and its page, from a server process: what they promise is what is served."""

import re
from collections.abc import AsyncGenerator
from html.parser import HTMLParser
from typing import Any

import pytest
from support.described import assert_described
from support.served import Served, serving_http

from runway_mcp import __version__
from runway_mcp.mcp_server.tools.tasks import TaskOutput
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import READ, WRITE
from runway_mcp.web.docs import page
from runway_mcp.web.openapi import EXAMPLES, document

SCOPES = {"GET": READ, "DELETE": WRITE}


class Page(HTMLParser):
    """What a page of HTML holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element, and what it loads."""
        self.tags.append(tag)
        self.loaded += [name for name, _ in attrs if name in {"src", "srcset", "style", "onload", "onclick"}]

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.text += data


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Let one event loop serve the module."""
    return "asyncio"


@pytest.fixture(scope="module")
async def server() -> AsyncGenerator[Served]:
    """A process that offers the capability's tools in place of ours."""
    async with serving_http(None, "--toolsets", "capability") as one:
        yield one
        await one.server.stop("SIGTERM")
        await one.server.ends_quietly(timeout=10)


async def test_the_document_describes_what_is_served(server: Served) -> None:
    """Each operation of it, at its example; anybody may read it, and a web page may not."""
    answer = await server.ask("GET", "/openapi.json")
    described = answer.json()
    assert (described["openapi"], described["info"]["version"]) == ("3.1.0", __version__)
    assert described["info"]["description"].startswith("SANDBOX")
    for method, path, status in (
        ("GET", f"/v1/tasks/{EXAMPLES['GET']}", 200),
        ("DELETE", f"/v1/tasks/{EXAMPLES['DELETE']}", 204),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
    ):
        found = await server.ask(method, path)
        assert found.status_code == status
        assert_described(described, found)
    for path in ("/openapi.json", "/docs"):
        foreign = await server.ask("GET", path, ("Origin", "https://evil.example"))
        assert foreign.status_code == 403
        assert (await server.ask("HEAD", path)).status_code == 200
        assert (await server.ask("POST", path)).json() == {"error": "Method Not Allowed."}


async def test_the_page_shows_the_document_and_loads_nothing(server: Served) -> None:
    """No script, no style but its own, nothing from elsewhere; each operation with a command to try."""
    answer = await server.ask("GET", "/docs")
    shown = Page(answer.text)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not {"script", "link", "img", "iframe"} & set(shown.tags)
    assert shown.loaded == []
    url = f"http://127.0.0.1:{server.port}"
    assert f"curl '{url}/v1/tasks/{EXAMPLES['GET']}'" in shown.text
    assert f"curl -X DELETE '{url}/v1/tasks/{EXAMPLES['DELETE']}'" in shown.text
    assert f"curl '{url}/healthz'" in shown.text
    assert len(answer.content) < 50_000


def test_the_examples_are_tasks_of_the_sandbox() -> None:
    """So that they can be tried there; the one to be deleted is no other's example."""
    samples = {sample.id for sample in SAMPLES.values()}
    assert set(EXAMPLES.values()) <= samples
    assert len(set(EXAMPLES.values())) == 2


@pytest.mark.parametrize("authenticated", [True, False])
def test_tokens_and_scopes_are_described_where_they_are_asked_for(*, authenticated: bool) -> None:
    """A bearer token for a task, none for the probes; nothing of it where nobody has to show one."""
    described = document(TaskOutput, SCOPES, authenticated=authenticated)
    task = described["paths"]["/v1/tasks/{id}"]
    assert ("401" in task["get"]["responses"]) == authenticated
    assert (READ in task["get"]["description"]) == authenticated
    assert (WRITE in task["delete"]["description"]) == authenticated
    assert (described.get("security") == [{"accessToken": []}]) == authenticated
    assert described["paths"]["/healthz"]["get"]["security"] == []
    assert ("$ACCESS_TOKEN" in Page(page(described, "https://x.example")).text) == authenticated
    assert not described["info"]["description"].startswith("SANDBOX")


@pytest.mark.parametrize("scopes", [SCOPES, {"GET": READ}])
@pytest.mark.parametrize("authenticated", [True, False])
def test_every_reference_leads_somewhere_and_every_component_is_referred_to(
    scopes: dict[str, str], *, authenticated: bool
) -> None:
    """In each form of the document; what is not served is not described."""
    described = document(TaskOutput, scopes, authenticated=authenticated)
    assert ("delete" in described["paths"]["/v1/tasks/{id}"]) == ("DELETE" in scopes)
    assert ("Finished" in described["components"]["responses"]) == ("DELETE" in scopes)
    referred = set(re.findall(r"'#/components/(\w+/\w+)'", str(described)))
    kept = {
        f"{kind}/{name}"
        for kind, components in described["components"].items()
        if kind != "securitySchemes"
        for name in components
    }
    assert referred == kept


def test_what_the_document_holds_is_shown_as_text() -> None:
    """Nothing of it becomes an element of the page."""
    described: dict[str, Any] = document(TaskOutput, SCOPES)
    described["info"]["title"] = "<script>alert(1)</script>"
    described["paths"]["/healthz"]["get"] |= {"description": "`<img src=x onload=alert(1)>` & </style>"}
    shown = Page(page(described, "http://'\"><b>"))
    assert not {"script", "img", "b"} & set(shown.tags)
    assert "<script>alert(1)</script>" in shown.text
    assert "<img src=x onload=alert(1)>" in shown.text

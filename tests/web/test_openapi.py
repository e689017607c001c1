"""The OpenAPI document describes what a server process serves."""

import re
from collections.abc import AsyncGenerator

import pytest
from support.described import assert_described
from support.served import Served, serving_http

from runway_mcp import __version__
from runway_mcp.api.models import TASK_ID_PATTERN, InvalidTaskIdError, parse_task_id
from runway_mcp.mcp_server.tools.tasks import TaskOutput
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import READ, WRITE
from runway_mcp.web.openapi import document

WHOLE = document(["GET", "DELETE"], authenticated=True, sandbox=False)
TASK = WHOLE["paths"]["/v1/tasks/{id}"]
EXAMPLES = {method: TASK[method]["parameters"][0]["example"] for method in ("get", "delete")}


@pytest.fixture(scope="module")
async def server() -> AsyncGenerator[Served]:
    async with serving_http(None, "--toolsets", "capability") as one:
        yield one
        await one.server.stop("SIGTERM")
        await one.server.ends_quietly(timeout=20)


async def test_the_document_describes_what_is_served(server: Served) -> None:
    """Each operation at its example. Anybody may read the document, but not from a foreign web page."""
    described = (await server.ask("GET", "/openapi.json")).json()
    assert described["info"]["version"] == __version__
    assert described["info"]["description"].startswith("SANDBOX")
    for method, path, status in (
        ("GET", f"/v1/tasks/{EXAMPLES['get']}", 200),
        ("DELETE", f"/v1/tasks/{EXAMPLES['delete']}", 204),
        ("DELETE", f"/v1/tasks/{EXAMPLES['delete']}", 404),
        ("GET", "/v1/tasks/none", 400),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
    ):
        found = await server.ask(method, path)
        assert found.status_code == status
        assert_described(described, found)
    assert (await server.ask("GET", "/openapi.json", ("Origin", "https://evil.example"))).status_code == 403
    assert (await server.ask("HEAD", "/openapi.json")).status_code == 200
    assert (await server.ask("POST", "/openapi.json")).json() == {"error": "Method Not Allowed."}
    assert (await server.ask("GET", "/docs")).status_code == 404


def test_a_task_is_described_as_the_tools_describe_it() -> None:
    described, output = WHOLE["components"]["schemas"]["Task"], TaskOutput.model_json_schema()
    assert described["required"] == output["required"]
    assert {name: described["properties"][name] for name in output["required"]} == {
        name: output["properties"][name] for name in output["required"]
    }


def test_the_examples_are_tasks_of_the_sandbox() -> None:
    """So that they can be tried there."""
    assert set(EXAMPLES.values()) <= {sample.id for sample in SAMPLES.values()}
    assert EXAMPLES["get"] != EXAMPLES["delete"]


def test_the_document_allows_the_ids_that_the_server_takes() -> None:
    for method in ("get", "delete"):
        assert TASK[method]["parameters"][0]["schema"]["pattern"] == f"^{TASK_ID_PATTERN}$"
    with pytest.raises(InvalidTaskIdError):
        parse_task_id("e3e70682-c209-1cac-a29f-6fbed82c07cd")


@pytest.mark.parametrize("methods", [("GET", "DELETE"), ("GET",)])
@pytest.mark.parametrize(("authenticated", "sandbox"), [(True, False), (False, True)])
def test_only_what_is_served_is_described(methods: tuple[str, ...], *, authenticated: bool, sandbox: bool) -> None:
    described = document(methods, authenticated=authenticated, sandbox=sandbox)
    assert described["info"]["title"].endswith("(sandbox)") == sandbox
    task = described["paths"]["/v1/tasks/{id}"]
    assert ("delete" in task) == ("DELETE" in methods)
    assert ("401" in task["get"]["responses"]) == authenticated
    assert (described.get("security") == [{"accessToken": []}]) == authenticated
    assert described["paths"]["/healthz"]["get"]["security"] == []
    for method, scope in (("get", READ), ("delete", WRITE)):
        assert method not in task or scope in task[method]["description"]
    referred = set(re.findall(r"'#/components/(\w+/\w+)'", str(described)))
    components = described["components"].items()
    assert referred == {f"{kind}/{name}" for kind, named in components if kind != "securitySchemes" for name in named}

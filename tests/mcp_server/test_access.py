"""Who may do what over HTTP: scopes from the tools' annotations, and to each caller what is theirs."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.extension import advertise
from mcp_types import Request, ResourceTemplateReference, Result
from pydantic import ConfigDict, SecretStr
from support.faulty import FaultyWire, faulty_client
from support.serving import authorized, served

from runway_mcp.api.client import RunwayClient
from runway_mcp.mcp_server.access import scope_of
from runway_mcp.mcp_server.server import build_server
from runway_mcp.mcp_server.tasks_extension.wire import EXTENSION_ID
from runway_mcp.mcp_server.tools.tasks import TASKS
from runway_mcp.mcp_server.tools.wait import WAITING
from runway_mcp.mcp_server.viewer.app_page import URI as VIEWER
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import ANONYMOUS, READ, WRITE, Caller, CallerRegistry
from runway_mcp.web.app import build_app
from runway_mcp.web.auth import Authentication, CallerToken
from runway_mcp.web.origin_policy import OriginPolicy

RUNNING = SAMPLES["running_long"].id
PENDING = SAMPLES["pending"].id
URI = f"runway://tasks/{RUNNING}"
ERAS = ("auto", "legacy")

Use = Callable[[Client], Awaitable[object]]


class Names:
    """A verifier for whom a token is its caller's name: `reader` may read, `nothing` nothing, others all."""

    async def verify_token(self, token: str) -> CallerToken | None:
        scopes = {"reader": {READ}, "writer": {WRITE}, "nothing": set[str]()}.get(token, {READ, WRITE})
        return CallerToken.of(Caller(token, scopes=frozenset(scopes), key=SecretStr(f"key_of_{token}")))


class RawRequest(Request[dict[str, str], str]):
    name_param = "taskId"
    method: str
    params: dict[str, str]


class Raw(Result):
    model_config = ConfigDict(extra="allow")


class Team:
    """A server for several callers, each with a Runway account of their own.

    Attributes:
        url: Its endpoint.
        wires: What carries each caller's requests, by key.
    """

    def __init__(self) -> None:
        self.url = ""
        self.wires: dict[str, FaultyWire] = {}

    def connect(self, caller: Caller) -> AbstractAsyncContextManager[RunwayClient]:
        key = caller.key.get_secret_value() if caller.key else "none"
        self.wires[key] = FaultyWire()
        return faulty_client(self.wires[key])

    def sent(self, name: str) -> list[str]:
        wire = self.wires.get(f"key_of_{name}")
        return wire.methods if wire else []


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def team() -> AsyncGenerator[Team]:
    team = Team()
    callers = CallerRegistry(team.connect, poll_seconds=0.05)
    server = build_server(callers, local=ANONYMOUS)
    app = build_app(
        server, origin_policy=OriginPolicy(), path="/mcp", caller=ANONYMOUS, authentication=Authentication(Names())
    )
    async with served(app) as url:
        team.url = f"{url}/mcp"
        yield team


@asynccontextmanager
async def calling(
    team: Team, name: str, mode: str = "auto", answers: list[httpx2.Response] | None = None
) -> AsyncGenerator[Client]:
    known = [advertise(EXTENSION_ID)]
    with anyio.fail_after(20):
        async with authorized(team.url, name, answers=answers, mode=mode, extensions=known) as client:
            yield client


def tool(name: str) -> Use:
    return lambda client: client.call_tool(name, {"taskId": RUNNING})


def mcp_task(method: str) -> Use:
    return lambda client: client.session.send_request(
        RawRequest(method=method, params={"taskId": f"start-{RUNNING}"}), Raw
    )


async def listen(client: Client) -> None:
    async with client.listen(resource_subscriptions=[URI]):
        pass


def read(client: Client) -> Awaitable[object]:
    return client.read_resource(URI)


def list_resources(client: Client) -> Awaitable[object]:
    return client.list_resources()


def complete(client: Client) -> Awaitable[object]:
    reference = ResourceTemplateReference(uri="runway://tasks/{taskId}")
    return client.complete(reference, {"name": "taskId", "value": ""})


CASES: list[tuple[str, Use, str, str]] = [
    *(("reader", tool(name), WRITE, mode) for name in ("runway_cancelTask", "runway_deleteTask") for mode in ERAS),
    *(("writer", tool(name), READ, mode) for name in ("runway_getTask", "runway_waitForTask") for mode in ERAS),
    *(("nothing", tool(name), READ, mode) for name in ("runway_getTask", "none_such") for mode in ERAS),
    ("reader", mcp_task("tasks/cancel"), WRITE, "auto"),
    ("writer", mcp_task("tasks/get"), READ, "auto"),
    ("writer", mcp_task("tasks/unheard/of"), READ, "auto"),
    *(("writer", read, READ, mode) for mode in ERAS),
    *(("writer", list_resources, READ, mode) for mode in ERAS),
    *(("writer", complete, READ, mode) for mode in ERAS),
    ("writer", listen, READ, "auto"),
]


def test_a_tools_scope_is_in_its_annotations() -> None:
    scopes = {tool.name: scope_of(tool) for tool in (*TASKS.tools, *WAITING.tools)}
    assert {name for name, scope in scopes.items() if scope == READ} == {
        "runway_getTask",
        "runway_listTasks",
        "runway_waitForTask",
    }
    assert set(scopes.values()) == {READ, WRITE}


@pytest.mark.parametrize(("name", "use", "needed", "mode"), CASES)
async def test_what_a_scope_is_missing_for_is_refused(name: str, use: Use, needed: str, mode: str, team: Team) -> None:
    answers: list[httpx2.Response] = []
    async with calling(team, name, mode, answers) as client:
        with pytest.raises(MCPError, match=f"needs the scope {needed}"):
            await use(client)
        refused = [answer for answer in answers if answer.status_code == 403]
    assert f'error="insufficient_scope", scope="{needed}"' in refused[0].headers["WWW-Authenticate"]
    assert team.sent(name) == []


@pytest.mark.parametrize("mode", ERAS)
async def test_what_tells_of_no_task_needs_no_scope(mode: str, team: Team) -> None:
    async with calling(team, "nothing", mode) as client:
        assert len((await client.list_tools()).tools) == 11
        assert len((await client.list_resource_templates()).resource_templates) == 1
    assert team.sent("nothing") == []


async def test_each_caller_has_an_account_and_a_state_of_their_own(team: Team) -> None:
    async with calling(team, "ann") as ann, calling(team, "bob") as bob:
        for client in (ann, bob):
            await client.call_tool("runway_getTask", {"taskId": RUNNING})
        await bob.call_tool("runway_getTask", {"taskId": PENDING})
        await ann.call_tool("runway_cancelTask", {"taskId": RUNNING})
        states = [await client.call_tool("runway_getTask", {"taskId": RUNNING}) for client in (ann, bob)]
        assert [(state.structured_content or {})["status"] for state in states] == ["CANCELLED", "RUNNING"]
        found = [
            (
                await client.session.send_request(
                    RawRequest(method="tasks/get", params={"taskId": f"start-{RUNNING}"}), Raw
                )
            )
            for client in (ann, bob)
        ]
        assert [state.model_dump()["status"] for state in found] == ["cancelled", "working"]
        reference = ResourceTemplateReference(uri="runway://tasks/{taskId}")
        known = [
            (await client.complete(reference, {"name": "taskId", "value": ""})).completion.values
            for client in (ann, bob)
        ]
        assert list(map(sorted, known)) == [[RUNNING], [PENDING, RUNNING]]


async def call_list(client: Client) -> dict[str, Any]:
    return (await client.call_tool("runway_listTasks", {})).structured_content or {}


async def test_each_caller_lists_the_tasks_that_they_started(team: Team) -> None:
    async with calling(team, "gil") as gil, calling(team, "hal") as hal:
        wish = {"type": "sound_effect", "input": {"promptText": "Waves"}, "wait": False}
        started: dict[str, Any] = (await gil.call_tool("runway_startTask", wish)).structured_content or {}
        found = [await call_list(client) for client in (gil, hal)]
        offered = [[found.uri for found in (await client.list_resources()).resources] for client in (gil, hal)]
    assert [[row[0] for row in data["tasks"]] for data in found] == [[started["id"]], []]
    assert [(data["matched"], data["credits"] > 0) for data in found] == [(1, True), (0, False)]
    assert offered == [[f"runway://tasks/{started['id']}", VIEWER], [VIEWER]]


async def test_a_stream_hears_of_its_own_callers_task_only(team: Team) -> None:
    """Two follow a task of the same id, each in their own account; the one's end is no news for the other."""
    async with (
        calling(team, "eve") as eve,
        calling(team, "fay") as fay,
        eve.listen(resource_subscriptions=[URI]) as eves,
        fay.listen(resource_subscriptions=[URI]) as fays,
    ):
        await fay.call_tool("runway_cancelTask", {"taskId": RUNNING})
        heard = await anext(aiter(fays))
        assert getattr(heard, "uri", None) == URI
        with anyio.move_on_after(0.3) as silence:
            await anext(aiter(eves))
        assert silence.cancelled_caught

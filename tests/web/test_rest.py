"""A task over REST, as Runway's own API has it: with Runway's SDKs, and in everything that can go wrong."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import quote

import anyio
import httpx
import httpx2
import pytest
import runwayml
from mcp import MCPError
from pydantic import SecretStr
from runwayml import AsyncRunwayML, RunwayML
from runwayml.lib import polling
from support.described import assert_described
from support.faulty import FaultyWire, faulty_client
from support.scripted import ID, Script, Step, reply, scripted_client, task
from support.serving import Names, authorized, served
from support.waiting import until

from runway_mcp.api.client import RunwayClient, open_client
from runway_mcp.api.errors import NetworkSettingsError
from runway_mcp.mcp_server.server import build_server
from runway_mcp.mcp_server.tools.capability import CANCEL_DELETE, CAPABILITY, RETRIEVE
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import ANONYMOUS, READ, WRITE, Caller, CallerRegistry
from runway_mcp.web.app import build_app
from runway_mcp.web.auth import Authentication
from runway_mcp.web.openapi import document
from runway_mcp.web.origin_policy import OriginPolicy
from runway_mcp.web.rest import task_route
from runway_mcp.web.shutdown import GracefulShutdown

RUNNING = SAMPLES["running"].id
SCOPES = {"GET": READ, "DELETE": WRITE}
DOCUMENT = document(SCOPES, authenticated=True, sandbox=False)
TASK_RUNS = reply(200, task("RUNNING"))


def _key(name: str) -> SecretStr | None:
    return None if name == "keyless" else SecretStr(f"key_of_{name}")


class Desk:
    """A server for callers who each have a Runway API of their own, by name: a sandbox where none is set."""

    def __init__(self) -> None:
        self.url = ""
        self.http = httpx2.AsyncClient(trust_env=False, timeout=10)
        self.apis: dict[str, Script | FaultyWire] = {}

    def connect(self, caller: Caller) -> AbstractAsyncContextManager[RunwayClient]:
        if caller.key is None:
            return open_client(api_key=None, base_url="https://api.example", api_version="2024-11-06")
        api = self.apis.setdefault(caller.subject, FaultyWire())
        return faulty_client(api) if isinstance(api, FaultyWire) else scripted_client(api)

    async def ask(self, method: str, task_id: str = ID, *, name: str | None = None, **headers: str) -> httpx2.Response:
        """Make a request as the named caller, or with no token; the answer must be one that the document describes."""
        shown = {"Authorization": f"Bearer {name}"} if name else {}
        url = f"{self.url}/v1/tasks/{quote(task_id, safe='')}"
        answer = await self.http.request(method, url, headers=shown | headers)
        if method in {"GET", "DELETE", "HEAD"}:
            assert_described(DOCUMENT, answer)
        return answer


@asynccontextmanager
async def serving(
    scopes: dict[str, str], heard: list[str], stop: GracefulShutdown | None = None
) -> AsyncGenerator[Desk]:
    desk = Desk()
    callers = CallerRegistry(desk.connect, poll_seconds=0.05)
    authentication = Authentication(Names(key_of=_key))
    app = build_app(
        build_server(callers, toolsets=[CAPABILITY], local=ANONYMOUS),
        origin_policy=OriginPolicy(),
        path="/mcp",
        caller=ANONYMOUS,
        authentication=authentication,
        routes=[task_route(callers, scopes, authentication)],
        stop=stop,
        on_request_end=[lambda call: heard.append(call.method)],
    )
    async with desk.http, served(app) as desk.url:
        yield desk


HEARD: list[str] = []


@pytest.fixture(scope="module")
async def desk() -> AsyncGenerator[Desk]:
    async with serving(SCOPES, HEARD) as one:
        yield one


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Runway's SDK, which has no setting for it, ask again after 20 ms instead of 6 s."""
    monkeypatch.setattr(polling, "POLL_TIME", 0.02)
    monkeypatch.setattr(polling, "POLL_JITTER", 0)


@pytest.mark.usefixtures("_impatient")
async def test_runways_sdk_retrieves_waits_for_and_deletes_tasks(desk: Desk) -> None:
    wire = desk.apis["sdk"] = FaultyWire()

    said: list[str] = []

    def use() -> None:
        with RunwayML(base_url=desk.url, api_key="sdk", _strict_response_validation=True) as sdk:
            found = sdk.tasks.retrieve(RUNNING)
            said.append(found.status)
            awaited = found.wait_for_task_output(timeout=10)
            said.append(awaited.status)
            sdk.tasks.delete(RUNNING)
            for do in (sdk.tasks.delete, sdk.tasks.retrieve):
                with pytest.raises(runwayml.NotFoundError, match="no such task"):
                    do(RUNNING)
            with pytest.raises(runwayml.BadRequestError, match="not valid"):
                sdk.tasks.retrieve("nonsense")
            with pytest.raises(runwayml.AuthenticationError):
                sdk.with_options(api_key="stranger").tasks.retrieve(RUNNING)
            with pytest.raises(runwayml.PermissionDeniedError, match=WRITE):
                sdk.with_options(api_key="reader").tasks.delete(RUNNING)

    async def hurry() -> None:
        await until(lambda: len(wire.methods) >= 3, "the SDK to wait")
        wire.now += 60

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hurry)
        await anyio.to_thread.run_sync(use)
    assert said == ["RUNNING", "SUCCEEDED"]
    assert wire.methods.count("DELETE") == 1


@pytest.mark.usefixtures("_impatient")
async def test_runways_asynchronous_sdk_does_too(desk: Desk) -> None:
    async with AsyncRunwayML(base_url=desk.url, api_key="async", _strict_response_validation=True) as sdk:
        failed = await sdk.tasks.retrieve(SAMPLES["failed_moderation"].id)
        with pytest.raises(polling.TaskFailedError) as failure:
            await failed.wait_for_task_output()
        succeeded = await sdk.tasks.retrieve(SAMPLES["succeeded_images"].id)
        assert (await succeeded.wait_for_task_output()).status == "SUCCEEDED"
        await sdk.tasks.delete(RUNNING)
        stands = await desk.ask("GET", RUNNING, name="async")
    assert failure.value.task_details.status == "FAILED"
    assert stands.status_code == 404 or stands.json()["status"] == "CANCELLED"


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_runways_sdk_never_repeats_a_delete_by_itself(status: int, desk: Desk) -> None:
    """It repeats whatever failed so, twice by default, but for what our answer says."""
    name = f"repeating {status}".replace(" ", "-")
    desk.apis[name] = Script(TASK_RUNS, reply(status, {"error": "busy"}, Retry_After="0"))
    sent: list[str] = []

    async def note(request: httpx.Request) -> None:
        sent.append(request.method)

    http = httpx.AsyncClient(event_hooks={"request": [note]}, trust_env=False)
    async with AsyncRunwayML(base_url=desk.url, api_key=name, http_client=http) as sdk:
        with pytest.raises(runwayml.APIStatusError):
            await sdk.tasks.delete(ID)
    assert sent == ["DELETE"]


async def test_a_task_is_passed_on_as_it_is(desk: Desk) -> None:
    body = task("DREAMING", progress="45 %", new=[1, {"a": None}])
    desk.apis["whole"] = Script(reply(200, body))
    answer = await desk.ask("GET", name="whole", X_Runway_Version="1999-01-01")
    assert answer.json() == body
    assert answer.headers["Cache-Control"] == "no-store"
    head = await desk.ask("HEAD", name="whole")
    assert (head.status_code, head.content) == (200, b"")


Case = tuple[Step, int, str, bool]

READS: dict[str, Case] = {
    "gone": (reply(404, {"error": "x"}), 404, "no such task", False),
    "refused": (
        reply(400, {"error": "bad", "issues": [{"path": ["id"], "message": "no"}]}),
        400,
        "refuses the request",
        False,
    ),
    "refused otherwise": (reply(405, {"error": "bad"}), 502, "refuses the request", False),
    "our account": (reply(402, {"error": "bad"}), 502, "does not serve its account", False),
    "our key": (reply(401, {"error": "bad"}), 502, "does not accept the API key", False),
    "limited": (reply(429, Retry_After="7"), 429, "wait 7 s", True),
    "limited for the day": (reply(429, Retry_After="3600"), 429, "wait 3600 s", False),
    "unavailable": (reply(500), 502, "unavailable", True),
    "unavailable for an hour": (reply(503, Retry_After="3600"), 502, "unavailable", False),
    "unreachable": (OSError("broken"), 504, "connection broke", True),
    "a page": (reply(200, b"<html>"), 502, "it is not JSON", False),
    "our network": (NetworkSettingsError(), 500, "can't be used", False),
    "a redirect": (reply(302, Location="/x"), 502, "redirects are not followed", False),
}

RETRY_AFTER = {"limited": "7", "limited for the day": "3600", "unavailable for an hour": "3600"}


@pytest.mark.parametrize("what", READS)
async def test_a_read_that_fails_says_why(what: str, desk: Desk) -> None:
    """The API's status where it is the caller's affair, a gateway's where it is ours; and whether repeating helps."""
    step, status, words, may_repeat = READS[what]
    name = f"read-{what.replace(' ', '-')}"
    desk.apis[name] = Script(step)
    answer = await desk.ask("GET", name=name)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert "Nothing was changed." in answer.json()["error"]
    assert answer.headers.get("X-Should-Retry") == (None if may_repeat else "false")
    assert answer.headers.get("Retry-After") == RETRY_AFTER.get(what)
    assert answer.headers["Cache-Control"] == "no-store"
    if what == "refused":
        assert answer.json()["issues"] == [{"path": ["id"], "message": "no"}]


CHANGES: dict[str, tuple[tuple[Step, ...], int, str]] = {
    "gone before": ((reply(404),), 404, "no such task"),
    "gone meanwhile": ((TASK_RUNS, reply(404)), 404, "no such task"),
    "finished meanwhile": ((TASK_RUNS, reply(503), reply(200, task("SUCCEEDED"))), 409, "Left alone"),
    "unclear": ((TASK_RUNS, OSError("broken")), 504, "its outcome is unknown"),
    "not looked at": ((reply(503, Retry_After="3600"),), 502, "The task was not changed"),
    "our key": ((TASK_RUNS, reply(401, {"error": "bad"})), 502, "The task was not changed"),
    "a bug": ((LookupError("x"),), 500, "a fault of this server"),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_a_delete_that_brings_nothing_says_what_is_known(what: str, desk: Desk) -> None:
    steps, status, words = CHANGES[what]
    name = f"change-{what.replace(' ', '-')}"
    desk.apis[name] = Script(*steps)
    answer = await desk.ask("DELETE", name=name)
    assert (answer.status_code, words in answer.json()["error"]) == (status, True)
    assert answer.headers["X-Should-Retry"] == "false"
    assert answer.headers.get("Retry-After") == ("3600" if what == "not looked at" else None)
    if status == 504:
        assert "GET of the task" in answer.json()["error"]


async def test_delete_cancels_what_runs_and_deletes_what_has_finished(desk: Desk) -> None:
    for sample in ("running_long", "succeeded_audio"):
        answer = await desk.ask("DELETE", SAMPLES[sample].id, name="remover")
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "task_id",
    ["x", "%2e%2e/organization", f"{ID}?a=b", f"{ID}#", f"{ID}\x00", f"{ID}/more", "\u0661" * 36, "x" * 9_000],
)
async def test_what_is_no_id_is_400_and_nothing_is_sent(method: str, task_id: str, desk: Desk) -> None:
    desk.apis["hostile"] = Script(AssertionError("sent"))
    answer = await desk.ask(method, task_id, name="hostile")
    assert answer.status_code == 400
    assert answer.json()["issues"][0]["path"] == ["id"]
    assert len(answer.content) < 300


async def test_a_path_that_leads_nowhere_is_404(desk: Desk) -> None:
    for path in ("/v1/organization", "/v1/tasks", "/v1/tasks/../organization"):
        answer = await desk.http.get(desk.url + path, headers={"Authorization": "Bearer lost"})
        assert (answer.status_code, answer.json()) == (404, {"error": "Not Found."})
    for broken in (f"/v1/tasks/{ID}%0a", f"/v1/tasks/{ID}%0d%0aX", "/openapi.json%0a"):
        for method in ("GET", "DELETE"):
            answer = await desk.http.request(method, desk.url + broken, headers={"Authorization": "Bearer lost"})
            assert (answer.status_code, "line break" in answer.text) == (400, True)
    assert "lost" not in desk.apis


async def test_who_asks_must_show_a_token_with_the_scope(desk: Desk) -> None:
    for name in (None, "stranger"):
        answer = await desk.ask("GET", name=name)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
    for name, method, scope in (("reader", "DELETE", WRITE), ("writer", "GET", READ), ("writer", "HEAD", READ)):
        answer = await desk.ask(method, name=name)
        assert answer.status_code == 403
        assert f'scope="{scope}"' in answer.headers["WWW-Authenticate"]
    assert {"reader", "writer", "stranger"}.isdisjoint(desk.apis)


async def test_the_tools_that_do_the_same_ask_for_the_same_scopes(desk: Desk) -> None:
    for name, tool, scope in (("reader", CANCEL_DELETE, WRITE), ("writer", RETRIEVE, READ)):
        answers: list[httpx2.Response] = []
        async with authorized(f"{desk.url}/mcp", name, answers=answers) as client:
            with pytest.raises(MCPError):
                await client.call_tool(tool.name, {"id": RUNNING})
        (refused,) = (answer for answer in answers if answer.status_code == 403)
        assert f'error="insufficient_scope", scope="{scope}"' in refused.headers["WWW-Authenticate"]


async def test_a_caller_without_a_runway_key_is_403(desk: Desk) -> None:
    for method in ("GET", "DELETE"):
        answer = await desk.ask(method, name="keyless")
        assert answer.status_code == 403
        assert "so nothing was sent" in answer.json()["error"]


async def test_other_methods_are_named_what_is_served(desk: Desk) -> None:
    for method, status in (("PATCH", 405), ("TRACE", 405), ("OPTIONS", 204)):
        answer = await desk.ask(method, name="options")
        assert (answer.status_code, answer.headers["Allow"]) == (status, "GET, DELETE, HEAD, OPTIONS")


async def test_where_nothing_may_be_changed_there_is_no_delete() -> None:
    async with serving({"GET": READ}, []) as desk:
        answer = await desk.http.delete(f"{desk.url}/v1/tasks/{RUNNING}", headers={"Authorization": "Bearer any"})
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
        assert (await desk.ask("GET", RUNNING, name="any")).status_code == 200


async def test_each_request_is_recorded_by_its_route(desk: Desk) -> None:
    """Never by the id, and also where it was refused."""
    for method, name in (("GET", "recorded"), ("HEAD", "recorded"), ("DELETE", None)):
        HEARD.clear()
        await desk.ask(method, RUNNING, name=name)
        await until(lambda: HEARD, "the record")
        assert [one.removeprefix(method.replace("HEAD", "GET")) for one in HEARD] == [" /v1/tasks/{id}"]


@pytest.mark.parametrize(("method", "retry"), [("GET", None), ("DELETE", "false")])
async def test_a_request_that_the_servers_end_cuts_off_is_answered(method: str, retry: str | None) -> None:
    """A DELETE that was sent goes on, so the answer says what settles it and forbids to repeat it."""
    has_begun, gate = anyio.Event(), anyio.Event()

    class Slow(FaultyWire):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.method == method:
                has_begun.set()
                await gate.wait()
            return await super().handle_async_request(request)

    wire, stop = Slow(), GracefulShutdown(grace_seconds=0.05)
    answers: list[httpx2.Response] = []
    async with serving(SCOPES, [], stop) as desk:
        desk.apis["slow"] = wire

        async def ask() -> None:
            answers.append(await desk.ask(method, RUNNING, name="slow"))

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                await has_begun.wait()
                await stop.finish()
        gate.set()
    (answer,) = answers
    assert (answer.status_code, answer.headers.get("X-Should-Retry")) == (503, retry)
    assert ("GET of the task" in answer.json()["error"]) == (method == "DELETE")
    assert wire.methods == {"GET": [], "DELETE": ["GET", "DELETE"]}[method]

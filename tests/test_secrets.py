"""A marked key and a marked output token, driven through every failure, come out nowhere."""

import gzip
import json
import os
import traceback
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from itertools import product
from pathlib import Path

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from pydantic import JsonValue, SecretStr
from support.process import KEY, Message, Server, call, request, running, serving
from support.spans import traced
from support.upstream import HANG, RESET, Reply, Request, Upstream, reply, task, upstream
from support.waiting import together

from runway_mcp.api.client import RunwayClient, open_client
from runway_mcp.api.connection import RunwayAuth
from runway_mcp.api.errors import RunwayError
from runway_mcp.api.models import parse_task_id
from runway_mcp.config.settings import SettingsError
from runway_mcp.config.sources import load
from runway_mcp.mcp_server.server import build_server
from runway_mcp.tasks.callers import CallerRegistry

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJtYXJrZWQiOiI5ZmUxMjM0NTY3ODkwIn0.5igna7ure"
LINK = f"https://cdn.example/0.mp4?_jwt={JWT}"
PROXY_PASSWORD = "pr0xy-pa55w0rd-9876543210"
MARKS = (KEY, KEY[8:24], JWT, JWT[21:40], PROXY_PASSWORD)
"""What must not be seen, and a part of each, should only the rest of it have been hidden."""

_ECHO = f"Bearer {KEY} is not valid for {LINK}"
_HTML = f"<html><title>{_ECHO}</title><pre>Traceback: {_ECHO}</pre></html>".encode()
_ESCAPED = "".join(f"\\u{ord(char):04x}" for char in KEY).encode()
_AN_HOUR = "3600"

FAILURES: dict[str, Reply] = {
    "401 with the key": reply(401, {"error": _ECHO}),
    "401 with the key in JSON escapes": reply(401, b'{"error":"' + _ESCAPED + b'"}'),
    "401 compressed": reply(401, gzip.compress(json.dumps({"error": _ECHO}).encode()), Content_Encoding="gzip"),
    "400 with the key": reply(400, {"error": _ECHO, "issues": [{"path": [_ECHO], "message": _ECHO}]}),
    "404 of a proxy": reply(404, _HTML, Content_Type="text/html"),
    "429 for an hour": reply(429, {"error": _ECHO}, Retry_After=_AN_HOUR),
    "500 with HTML": reply(500, _HTML, Content_Type="text/html", Retry_After=_AN_HOUR),
    "503 with JSON": reply(503, {"error": _ECHO}, Retry_After=_AN_HOUR),
    "a redirect": reply(302, _HTML, Location=f"https://other.example/?key={KEY}&_jwt={JWT}"),
    "a redirect nowhere": reply(307, b"", Location=f"{KEY}://[{JWT}"),
    "200 with HTML": reply(200, _HTML, Content_Type="text/html"),
    "a content type with the key": reply(200, _HTML, Content_Type=f"text/html; k={KEY}"),
    "a header of the key": Reply(f"HTTP/1.1 200 {KEY}\r\n{KEY} {JWT}\r\n\r\n".encode(), then="close"),
    "a status line of the key": Reply(f"{KEY} {JWT}\r\n\r\n".encode(), then="close"),
    "a wait with the key": reply(429, {"error": "Slow down."}, Retry_After=f"{KEY} {JWT}"),
    "malformed JSON": reply(200, f'{{"id": "{_ECHO}"'.encode()),
    "JSON of another shape": reply(200, [_ECHO]),
    "another task": reply(200, {"id": _ECHO, "status": _ECHO}),
    "a cut body": Reply(reply(200, {"output": [LINK]}).data[:-20], then="close"),
    "a reset": RESET,
    "a reset half-way": Reply(reply(200, {"output": [LINK]}).data[:-20], then="reset"),
    "a huge body": reply(200, b'{"note":"' + _ECHO.encode() * 50_000 + b'"}'),
    "broken compression": reply(200, KEY.encode(), Content_Encoding="gzip"),
    "a cookie": reply(401, {"error": "No."}, Set_Cookie=f"k={KEY}; Domain={JWT}"),
}

IDS = {what: f"00000000-0000-4000-8000-{number:012}" for number, what in enumerate(FAILURES)}
_BY_PATH = {f"/v1/tasks/{IDS[what]}": failure for what, failure in FAILURES.items()}
SUCCEEDED = "11111111-0000-4000-8000-000000000000"
REMOVED_SLOWLY = "11111111-0000-4000-8000-000000000001"
TOO_LONG = "11111111-0000-4000-8000-000000000002"
TOOLS = ("runway_getTask", "runway_cancelTask", "runway_deleteTask")


def script(asked: Request) -> Reply:
    task_id = asked.path.rpartition("/")[2]
    if asked.path in _BY_PATH:
        return _BY_PATH[asked.path]
    if asked.method == "GET":
        links: list[JsonValue] = [LINK] * (6_000 if task_id == TOO_LONG else 1)
        return reply(200, task("SUCCEEDED", task_id, output=links, cost={"credits": 5}))
    return reply(204, after=0.3) if task_id == REMOVED_SLOWLY else reply(500, _HTML, Retry_After=_AN_HOUR)


def marks_in(*texts: str) -> list[str]:
    """The marks that any of the texts shows, also where it shows them as JSON or as a repr."""
    return [mark for mark in MARKS if any(mark in text for text in texts)]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Let one event loop serve the module."""
    return "asyncio"


@pytest.fixture(scope="module")
async def api() -> AsyncGenerator[Upstream]:
    async with upstream(script) as one:
        yield one


@pytest.fixture(scope="module")
async def server(api: Upstream) -> AsyncGenerator[Server]:
    async with serving(api, "--log-level", "debug") as one:
        yield one


LINKED = ("401 with the key", "a redirect", "a redirect nowhere", "404 of a proxy", "200 with HTML", "a cookie")
"""What the hosts of files answer, that is not tried again."""


async def test_no_failure_of_a_file_shows_a_secret(tmp_path: Path) -> None:
    def answer(asked: Request) -> Reply:
        where = asked.headers["host"]
        match asked.path.partition("?")[0].split("/"):
            case ["", "outputs", number]:
                return FAILURES[LINKED[int(number)]]
            case ["", "storage"]:
                return reply(403, f"<Error><Code>AccessDenied</Code>{_ECHO}</Error>".encode())
            case ["", "v1", "uploads"]:
                url, fields = f"http://{where}/storage?_jwt={JWT}", {"policy": JWT}
                return reply(200, {"uploadUrl": url, "fields": dict[str, JsonValue](fields), "runwayUri": "runway://1"})
            case _:
                links: list[JsonValue] = [f"http://{where}/outputs/{n}?_jwt={JWT}" for n in range(len(LINKED))]
                return reply(200, task("SUCCEEDED", SUCCEEDED, output=links))

    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(1000))
    async with upstream(answer) as api, serving(api, "--log-level", "debug", f"--files-root={tmp_path}") as server:
        for tool, arguments in (
            ("runway_downloadOutput", {"taskId": SUCCEEDED}),
            ("runway_uploadFile", {"path": "a.png"}),
        ):
            await server.send(request(tool, "tools/call", name=tool, arguments=arguments))
            told = await server.answer(tool)
            assert told["result"]["isError"]
            assert marks_in(json.dumps(told)) == []
        assert marks_in(server.stderr) == []
    to_hosts = [asked for asked in api.requests if not asked.path.startswith("/v1/")]
    assert len(to_hosts) == len(LINKED) + 3
    assert not any(KEY in str(asked.headers) or KEY.encode() in asked.body for asked in to_hosts)
    assert os.listdir(tmp_path) == ["a.png"]  # noqa: PTH208 - names are what is asked for


async def test_no_failure_shows_a_secret(server: Server) -> None:
    calls = {f"{tool}: {what}": call(f"{tool}: {what}", tool, IDS[what]) for tool in TOOLS for what in FAILURES}
    await server.send(*calls.values())
    answers = {name: await server.answer(name) for name in calls}
    assert [name for name, answer in answers.items() if not answer["result"]["isError"]] == []
    assert {name: marks for name, answer in answers.items() if (marks := marks_in(json.dumps(answer)))} == {}
    assert marks_in(server.stderr) == []


async def test_an_output_token_is_in_the_task_and_nowhere_else(server: Server) -> None:
    read = await server.ask(call("read", "runway_getTask", SUCCEEDED))
    assert json.loads(read["content"][0]["text"])["output"] == [LINK]
    for tool, task_id in ((TOOLS[0], TOO_LONG), (TOOLS[1], SUCCEEDED), (TOOLS[2], SUCCEEDED)):
        other = await server.ask(call(tool, tool, task_id))
        assert marks_in(json.dumps(other)) == []
    assert marks_in(server.stderr) == []


async def test_what_became_of_a_delete_without_a_caller_is_logged_without_secrets(
    api: Upstream, server: Server
) -> None:
    before = api.count("DELETE")
    await server.send(call("left", "runway_deleteTask", REMOVED_SLOWLY))
    await api.asked("DELETE", times=before + 1)
    await server.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "left"}})
    await server.logged(f"delete of {REMOVED_SLOWLY}")
    assert "deleted" in server.stderr
    assert marks_in(server.stderr) == []


async def test_hostile_messages_that_hold_a_secret_do_not_bring_it_into_the_log(server: Server) -> None:
    for number, message in enumerate(_messages_with_secrets()):
        await server.send(message)
        if message.get("id"):
            await server.answer(message["id"])
        await server.ask(request(f"after {number}", "tools/list"))
    assert marks_in(server.stderr) == []


def _messages_with_secrets() -> list[Message]:
    return [
        call("value", "runway_getTask", f"{KEY} {LINK}"),
        request("name", "tools/call", name=KEY, arguments={}),
        request("argument", "tools/call", name=TOOLS[0], arguments={KEY: LINK, "taskId": {KEY: LINK}}),
        request("method", f"tools/{KEY}"),
        {"jsonrpc": "1.0", "method": KEY, "params": [f"Bearer {KEY}", LINK]},
    ]


WRONG_NETWORKS = {
    "a proxy of no known kind": {"HTTPS_PROXY": f"socks9://{PROXY_PASSWORD}:{PROXY_PASSWORD}@proxy.example:1"},
    "a proxy that is no URL": {"HTTPS_PROXY": f"http://user:{PROXY_PASSWORD}@[proxy"},
    "a proxy that refuses": {"ALL_PROXY": f"http://user:{PROXY_PASSWORD}@127.0.0.1:1/{KEY}"},
    "a proxy's port": {"HTTPS_PROXY": f"http://user:{PROXY_PASSWORD}@proxy.example:99999999"},
    "certificates": {"SSL_CERT_FILE": f"/nowhere/{KEY}"},
    "an unresolvable host": {"RUNWAYML_BASE_URL": "https://runway.invalid"},
    "a refused connection": {"RUNWAYML_BASE_URL": "https://127.0.0.1:1"},
}


async def test_a_network_that_is_set_up_wrongly_shows_no_secret() -> None:
    async def check(what: str) -> None:
        async with running("--log-level", "debug", env={"RUNWAYML_API_SECRET": KEY, **WRONG_NETWORKS[what]}) as server:
            result = await server.ask(call(1, "runway_getTask", SUCCEEDED))
            assert result["isError"]
            await server.stop("eof")
            await server.ends_quietly(timeout=2)
            assert marks_in(server.stdout.decode(), server.stderr) == []

    await together(check, WRONG_NETWORKS)


def client_of(url: str) -> AbstractAsyncContextManager[RunwayClient]:
    return open_client(api_key=SecretStr(KEY), base_url=url, api_version="2024-11-06")


async def test_no_error_shows_a_secret_in_its_repr_or_traceback(api: Upstream) -> None:
    leaks: dict[tuple[str, str], list[str]] = {}

    async def fail(case: tuple[str, str]) -> None:
        method, what = case
        with pytest.raises(RunwayError) as caught:
            await (client.get_task if method == "GET" else client.delete_task)(parse_task_id(IDS[what]))
        error = caught.value  # some hold the reply's very bytes
        if marks := marks_in(repr(error), str(error), repr(error.__dict__), *traceback.format_exception(error)):
            leaks[case] = marks

    async with client_of(api.url) as client:
        # A DELETE does not look at the body of a success.
        refused = [what for what in FAILURES if not FAILURES[what].data.startswith(b"HTTP/1.1 200")]
        await together(fail, [*(("GET", what) for what in FAILURES), *(("DELETE", what) for what in refused)])
    assert leaks == {}


async def test_no_repr_of_what_holds_the_key_shows_it() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNWAYML_API_SECRET", KEY)
        settings = load({})
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == KEY
    auth = RunwayAuth(settings.api_key, "2024-11-06")
    async with client_of("https://api.example") as client:
        shown = [f"{one!r} {one!s}" for one in (settings, auth, client, vars(auth), vars(client))]
    assert marks_in(*shown, settings.model_dump_json(), repr(settings.model_dump())) == []


def test_no_error_about_a_setting_shows_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def check(file: Path | None = None) -> None:
        with pytest.raises(SettingsError) as caught:
            load({}, file)
        assert marks_in(repr(caught.value), *traceback.format_exception(caught.value)) == []

    for key in (f"{KEY}\nX: y", f"{KEY} {KEY}", f"{KEY}\u00e9", f'"{KEY}"', f"Bearer {KEY}", f"<{KEY}>"):
        monkeypatch.setenv("RUNWAYML_API_SECRET", key)
        check()
    monkeypatch.delenv("RUNWAYML_API_SECRET")
    file = tmp_path / "env"
    file.write_bytes(f"RUNWAYML_API_SECRET={KEY}\xff".encode("latin-1"))
    check(file)


async def test_no_span_shows_a_secret(api: Upstream) -> None:
    async def fail(mode: str) -> None:
        async def use(case: tuple[str, str]) -> None:
            tool, task_id = case
            await client.call_tool(tool, {"taskId": task_id})

        async with Client(build_server(CallerRegistry(lambda _: client_of(api.url))), mode=mode) as client:
            await together(use, product(TOOLS, (*IDS.values(), SUCCEEDED, KEY)))
            with pytest.raises(MCPError):
                await client.get_prompt("none", {KEY: LINK})

    with traced() as spans:
        await together(fail, ("auto", "legacy"))
        for finished in (spans.of_the_server, spans.of_our_client):
            assert len(finished) > 2 * len(TOOLS) * len(IDS)
            assert marks_in(*(span.to_json() for span in finished)) == []


async def test_a_stop_in_the_middle_of_failures_shows_no_secret() -> None:
    async with upstream([reply(500, _HTML), HANG]) as api, serving(api, "--log-level", "debug") as server:
        ids = (f"00000000-0000-4000-8000-{number:012}" for number in range(30))
        await server.send(*(call(task_id, TOOLS[number % 3], task_id) for number, task_id in enumerate(ids)))
        await api.asked("GET", times=20)
        await server.stop("SIGTERM")
        await server.ends_quietly(timeout=2)
        assert marks_in(server.stdout.decode(), server.stderr) == []

"""A fault as a line of text, and what it does to a client in this process as over a socket."""

import json
from contextlib import suppress

import anyio
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sandbox_client import Client
from sandbox_wires import Wire, client_of, in_process, over_a_socket, serving, wires
from support.process import running
from support.served import connection, free_port
from support.waiting import until

from runway_mcp.cli.main import main
from runway_mcp.sandbox import SAMPLES, Fault, create_app

RUNNING = SAMPLES["running"].id
TASK = f"/v1/tasks/{RUNNING}"


async def statuses(client: Client, *methods: str) -> list[int]:
    return [(await client.http.request(method, TASK)).status_code for method in methods]


@wires
@pytest.mark.parametrize(
    ("status", "wait"), [(400, None), (418, None), (429, "1"), (500, None), (503, "1"), (599, None)]
)
async def test_a_status_is_answered_in_the_apis_place(wire: Wire, status: int, wait: str | None) -> None:
    async with wire(f"DELETE {status}") as client:
        answer = await client.http.delete(TASK)
        assert (answer.status_code, answer.headers.get("Retry-After")) == (status, wait)
        assert set(answer.json()) == {"error"}
        assert await client.status(RUNNING) == "RUNNING"


@wires
@pytest.mark.parametrize(("what", "after"), [("drop", "RUNNING"), ("lost", "CANCELLED")])
async def test_a_connection_breaks_before_or_after_the_api_has_acted(wire: Wire, what: str, after: str) -> None:
    async with wire(f"DELETE {what}") as client:
        with pytest.raises((httpx2.TransportError, ConnectionError)):
            await client.http.delete(TASK)
        assert await client.status(RUNNING) == after


@wires
@pytest.mark.parametrize(("what", "bought"), [("drop", 0), ("lost", 1)])
async def test_a_create_is_lost_before_or_after_it_was_bought(wire: Wire, what: str, bought: int) -> None:
    async with wire(f"POST {what} @1") as client:
        with pytest.raises((httpx2.TransportError, ConnectionError)):
            await client.start()
        usage = (await client.organization())["usage"]["models"]["gen4.5"]
        with_samples = sum(sample.script.model == "gen4.5" for sample in SAMPLES.values())
        assert usage["dailyGenerations"] == with_samples + bought
        await client.create()


async def test_a_dropped_connection_is_closed_and_logged_by_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with anyio.fail_after(10):
        async with (
            serving(create_app(faults=[Fault("GET", "drop")])) as (url, _),
            connection(int(url.rpartition(":")[2])) as (reader, writer),
        ):
            writer.write(f"GET {TASK} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            said = await reader.read()
    assert said.endswith(b"\r\n\r\n")
    assert b"content-length: 1\r\n" in said
    assert [record for record in caplog.records if record.levelname in {"WARNING", "ERROR", "CRITICAL"}] == []


async def test_what_an_app_raises_by_mistake_is_still_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken_clock() -> float:
        raise ZeroDivisionError

    faults = [Fault("GET", "drop", mode="only")]
    async with serving(create_app(clock=broken_clock, faults=faults)) as (url, _), client_of(url) as client:
        with pytest.raises(httpx2.TransportError):
            await client.http.get(TASK)
        assert await statuses(client, "GET") == [500]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


@wires
@pytest.mark.parametrize("what", ["html", "truncated", "empty"])
async def test_a_reply_that_can_not_be_read_comes_after_the_act(wire: Wire, what: str) -> None:
    async with wire(f"DELETE {what}") as client:
        answer = await client.http.delete(TASK)
        kind = "text/html; charset=utf-8" if what == "html" else "application/json"
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
        assert (answer.content == b"") == (what == "empty")
        with pytest.raises(json.JSONDecodeError):
            answer.json()
        assert await client.status(RUNNING) == "CANCELLED"


@wires
async def test_a_late_answer_is_the_apis_own(wire: Wire) -> None:
    async with wire("DELETE 0.05s") as client:
        started = anyio.current_time()
        assert await client.delete(RUNNING) == 204
        assert anyio.current_time() - started >= 0.05


@wires
async def test_a_delay_holds_nobody_else_up(wire: Wire) -> None:
    async with wire("DELETE 3600s") as client:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.delete, RUNNING)
                await cancelled(client)
                assert await client.status(RUNNING) == "CANCELLED"
                tasks.cancel_scope.cancel()


async def test_a_delay_ends_when_the_client_leaves() -> None:
    async with serving(create_app(faults=[Fault("DELETE", "delay", 3600)])) as (url, server):
        async with client_of(url) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.delete, RUNNING)
            await cancelled(client)
            assert len(server.server_state.tasks) == 1
            tasks.cancel_scope.cancel()
        await until(lambda: not server.server_state.tasks, "the delayed request to end", timeout=5)


async def cancelled(client: Client) -> None:
    with anyio.fail_after(10):
        while await client.status(RUNNING) != "CANCELLED":
            await anyio.lowlevel.checkpoint()


_ALL_METHODS = ("GET", "DELETE", "HEAD", "POST", "PUT", "ANY", "GET", "GET", "GET", "POST", "HEAD")


@pytest.mark.parametrize(
    ("faults", "methods", "expected"),
    [
        (["GET 500"], ["GET"] * 3, [500, 500, 500]),
        (["GET 500 @1"], ["GET"] * 3, [500, 200, 200]),
        (["GET 500 @2"], ["GET"] * 4, [200, 500, 200, 200]),
        (["GET 500 @3+"], ["GET"] * 5, [200, 200, 500, 500, 500]),
        (["GET 500 @2n"], ["GET"] * 6, [200, 500, 200, 500, 200, 500]),
        (["GET 500 @1n"], ["GET"] * 3, [500, 500, 500]),
        (["GET 500 @2n", "ANY 501 @3n", "GET 502 @4+"], ["GET"] * 7, [200, 500, 501, 500, 502, 500, 502]),
        (
            ["GET 501 @2", "DELETE 502 @1", "ANY 503 @6"],
            _ALL_METHODS,
            [200, 502, 200, 405, 405, 405, 501, 200, 503, 405, 200],
        ),
    ],
)
async def test_a_request_meets_the_first_fault_that_is_for_it(
    faults: list[str], methods: list[str], expected: list[int]
) -> None:
    """Each method is counted by itself; HEAD and the like are neither counted nor met."""
    async with in_process(*faults) as client:
        assert await statuses(client, *methods) == expected


async def test_the_command_line_takes_faults_and_a_delay_ends_when_the_server_stops() -> None:
    port = free_port()
    faults = ("GET 503 @2", "POST drop @1", "POST lost @2", "DELETE 3600s")
    options = [word for fault in faults for word in ("--fault", fault)]
    answers: list[int] = []
    async with running("sandbox", "--port", str(port), *options, measured=True) as server:
        await server.logged("\n")
        async with client_of(f"http://127.0.0.1:{port}") as client:

            async def delete() -> None:
                answers.append(await client.delete(RUNNING))

            assert await statuses(client, "GET", "GET") == [200, 503]
            for _ in range(2):
                with pytest.raises(httpx2.TransportError):
                    await client.http.post("/v1/text_to_video", json={})
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(delete)
                await cancelled(client)
                await server.stop("SIGTERM")
        await server.ends_quietly(10)
        assert answers == [503]
        assert server.stderr.count("\n") == 1, server.stderr


def test_a_bad_fault_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", "--fault", "GET 503", "--fault", "key_secret"]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert captured.err.startswith("runway-mcp: argument --fault: reads METHOD [/PATH] WHAT [@N]")
    assert "key_secret" not in captured.err


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("GET 503 @2", Fault("GET", "status", 503, "only", 2)),
        ("DELETE lost", Fault("DELETE", "lost")),
        ("POST truncated @3+", Fault("POST", "truncated", nth=3)),
        ("ANY 2.5s @10n", Fault("ANY", "delay", 2.5, "every", 10)),
        ("  GET\t0.000001s\n", Fault("GET", "delay", 0.000001)),
        ("POST /storage 503 @1", Fault("POST", "status", 503, "only", 1, "/storage")),
        ("GET /outputs 0B", Fault("GET", "cut", 0, path="/outputs")),
        ("ANY /v1/tasks 64B/s", Fault("ANY", "slow", 64, path="/v1/tasks")),
    ],
)
def test_the_text_form_says_what_the_fault_is(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault


_REFUSED = [
    *("", "GET", "503", "get 503", "HEAD 503", "GET 399", "GET 600", "GET 5030", "GET 503 2", "GET 503@2"),
    *("GET 503 @0", "GET 503 @", "GET 503 @2x", "GET 503 @1000000", "GET 503 @2 drop", "GET ٤٠٤", "GET 503 @٢"),
    *("GET 2", "GET -2s", "GET .5s", "GET 10000s", "GET nans", "GET 1e3s", "GET dropped", "GET /outputs"),
    *("GET / 503", "GET /outputs/ 503", "GET outputs 503", "GET //x 503", "GET /a?b 503", "GET 503 /outputs"),
    *("GET 0B/s", "GET -1B", "GET 1000000000B", "GET 1kB", "GET 1.5B/s"),
]
_PIECES = [
    *("GET", "ANY", "/outputs", "/", "503", "2s", "5B", "/s", "drop", "@", "2", "n", "+", "-1", " ", "\n", "9" * 5000)
]


@pytest.mark.parametrize("text", _REFUSED)
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as"):
        Fault.parse(text)


@given(st.text() | st.lists(st.sampled_from(_PIECES)).map("".join))
def test_any_text_is_a_fault_or_refused(text: str) -> None:
    try:
        Fault.parse(text)
    except ValueError as error:
        assert str(error).startswith("a fault reads METHOD [/PATH] WHAT [@N]")  # noqa: PT017 - most texts are refused, not all


async def _link(client: Client) -> str:
    return str((await client.task(SAMPLES["succeeded_video"].id))["output"][0])


@wires
async def test_the_storage_fails_once(wire: Wire) -> None:
    async with wire("POST /storage 503 @1") as client:
        await client.create()
        slot = await client.slot()
        assert (await client.store(slot)).status_code == 503
        refused = await client.start("/v1/image_upscale", imageUri=slot["runwayUri"])
        assert refused.status_code == 400
        await client.create("/v1/image_upscale", imageUri=await client.upload())


async def test_a_path_stands_for_what_lies_below_it() -> None:
    async with in_process("GET /v1/tasks 503 @2", "GET /v1/task 500", "ANY /v1 502 @4") as client:
        answers = [(await client.http.get("/v1/organization")).status_code]
        answers += [(await client.http.get(f"/v1/tasks/{SAMPLES['running'].id}")).status_code for _ in range(4)]
        assert answers == [200, 200, 503, 502, 200]


async def test_a_download_breaks_after_so_many_bytes() -> None:
    async with over_a_socket("GET /outputs 1000B") as client:
        link = await _link(client)
        got = bytearray()
        async with client.http.stream("GET", link) as answer:
            assert answer.status_code == 200
            with suppress(httpx2.RemoteProtocolError):
                async for chunk in answer.aiter_raw():
                    got += chunk
        assert len(got) == 1000
        size = int(answer.headers["Content-Length"])
        rest = {"Range": f"bytes={size - 1000}-", "If-Range": answer.headers["ETag"]}
        assert len((await client.http.get(link, headers=rest)).content) == 1000


@wires
async def test_a_slow_download_is_whole(wire: Wire) -> None:
    async with wire("GET /outputs 1000000B/s @1") as client:
        link = await _link(client)
        started = anyio.current_time()
        slow = await client.http.get(link)
        assert anyio.current_time() - started >= len(slow.content) / 1_000_000
        assert slow.content == (await client.http.get(link)).content


async def test_a_slow_download_ends_when_the_client_leaves() -> None:
    app = create_app(faults=[Fault("GET", "slow", 1, path="/outputs")])
    async with serving(app) as (url, server):
        async with client_of(url) as client, client.http.stream("GET", await _link(client)) as answer:
            assert answer.status_code == 200
            assert server.server_state.tasks
        await until(lambda: not server.server_state.tasks, "the slow answer to end", timeout=5)

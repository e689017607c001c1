"""The client: what it sends, what it makes of each reply, and when it sends again."""

import gzip
import inspect
import json
import ssl
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import anyio
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from support.scripted import ID, KEY, Script, Sleeper, Step, reply, scripted_client, task

from runway_mcp.api.client import open_client
from runway_mcp.api.connection import Timeouts
from runway_mcp.api.errors import (
    AccountError,
    AuthenticationError,
    BadRequestError,
    MissingKeyError,
    NetworkSettingsError,
    NotFoundError,
    RateLimitedError,
    RunwayError,
    TransientError,
    UnavailableError,
    UnexpectedReplyError,
    UnreachableError,
)
from runway_mcp.api.reply import MAX_BODY
from runway_mcp.mcp_server.messages import explain

RUNNING = reply(200, task("RUNNING", progress=0.5))


async def get(*steps: Step) -> tuple[Script, Sleeper, RunwayError | None]:
    script, sleeper = Script(*steps), Sleeper()
    async with scripted_client(script, sleep=sleeper) as client:
        try:
            await client.get_task(ID)
        except RunwayError as error:
            return script, sleeper, error
    return script, sleeper, None


async def delete(*steps: Step) -> tuple[Script, RunwayError | None]:
    script = Script(*steps)
    async with scripted_client(script) as client:
        try:
            await client.delete_task(ID)
        except RunwayError as error:
            return script, error
    return script, None


async def test_each_request_carries_the_key_the_version_and_our_name_and_no_cookie() -> None:
    script = Script(reply(200, task("RUNNING"), Set_Cookie="session=1; Path=/"))
    async with open_client(
        api_key=SecretStr(KEY), base_url="https://gateway.example/runway", api_version="2024-11-06", transport=script
    ) as client:
        await client.get_task(ID)
        await client.get_task(ID)
    assert len(script.requests) == 2
    for request in script.requests:
        assert str(request.url) == f"https://gateway.example/runway/v1/tasks/{ID}"
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        assert request.headers["X-Runway-Version"] == "2024-11-06"
        assert request.headers["User-Agent"].startswith("runway-mcp/")
        assert "Cookie" not in request.headers


async def test_without_a_key_nothing_is_sent() -> None:
    async with open_client(api_key=None, base_url="https://api.example", api_version="2024-11-06") as client:
        for call in (client.get_task, client.delete_task, client.get_task):
            with pytest.raises(MissingKeyError) as caught:
                await call(ID)
            assert not caught.value.of_caller
            assert not caught.value.may_have_taken_effect
            assert len(inspect.getinnerframes(caught.tb)) < 8


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (402, "Payment required"),
        (402, ""),
        (401, "This organization has been suspended."),
        (403, "Your account is disabled. Contact support."),
        (403, "Billing: your last invoice is overdue"),
        (400, "You do not have enough credits to run this task."),
        (400, "Insufficient credits"),
    ],
)
async def test_an_account_that_is_not_served_is_no_fault_of_the_key(status: int, said: str) -> None:
    _, _, error = await get(reply(status, {"error": said} if said else None))
    assert type(error) is AccountError
    assert f"does not serve its account ({status}" in explain(error)
    assert said in explain(error)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(401, {"error": "The API key is disabled or was revoked."}), AuthenticationError),
        (reply(403, {"error": "No access to this model"}), AuthenticationError),
        (
            reply(
                400, {"error": "Validation of body failed", "issues": [{"path": ["credits"], "message": "no credits"}]}
            ),
            BadRequestError,
        ),
        (reply(402, b"<html>Pay for this network</html>", **{"Content-Type": "text/html"}), UnexpectedReplyError),
    ],
)
async def test_another_refusal_is_not_taken_for_the_accounts(answer: Step, kind: type[RunwayError]) -> None:
    _, _, error = await get(answer)
    assert type(error) is kind


async def test_an_unusable_proxy_setting_is_told_on_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that can't be used doesn't keep the server from starting."""
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://proxy.example")
    async with open_client(api_key=SecretStr(KEY), base_url="https://api.example", api_version="2024-11-06") as client:
        with pytest.raises(NetworkSettingsError):
            await client.get_task(ID)


async def test_an_extra_ca_file_is_trusted_beside_the_systems(tmp_path: Path) -> None:
    system = Path(ssl.get_default_verify_paths().openssl_cafile)
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    for file, kind in ((system, UnreachableError), (broken, NetworkSettingsError)):
        async with open_client(
            api_key=SecretStr(KEY),
            base_url="https://127.0.0.1:9",
            api_version="2024-11-06",
            ca_file=file,
            timeouts=Timeouts(total=0.2),
        ) as client:
            with pytest.raises(kind):
                await client.get_task(ID)


@pytest.mark.parametrize(
    ("step", "kind", "attempts"),
    [
        (reply(400, {"error": "bad"}), BadRequestError, 1),
        (reply(405, {"error": "bad"}), BadRequestError, 1),
        (reply(401, {"error": "bad key"}), AuthenticationError, 1),
        (reply(403, {"error": "not yours"}), AuthenticationError, 1),
        (reply(403, b"<html>Denied by a firewall</html>"), UnexpectedReplyError, 1),
        (reply(404, {"error": "gone"}), NotFoundError, 1),
        (reply(404), NotFoundError, 1),
        (reply(404, b"<html>not here</html>", Content_Type="text/html"), UnexpectedReplyError, 1),
        (reply(301, Location="https://elsewhere.example/"), UnexpectedReplyError, 1),
        (reply(307, {"error": "moved"}, Location="/v2"), UnexpectedReplyError, 1),
        (reply(408), UnavailableError, 3),
        (reply(429, {"error": "slow down"}), RateLimitedError, 3),
        (reply(500, b"<html>oops</html>", Content_Type="text/html"), UnavailableError, 3),
        (reply(503, {"error": "busy"}), UnavailableError, 3),
        (reply(200), UnexpectedReplyError, 1),
        (reply(200, b"<html>hello</html>", Content_Type="text/html"), UnexpectedReplyError, 1),
        (reply(200, b'{"id": "1'), UnexpectedReplyError, 1),
        (reply(200, [1, 2]), UnexpectedReplyError, 1),
        (reply(200, b"\xff\xfe\x00"), UnexpectedReplyError, 1),
        (reply(200, b"x" * 100, Content_Encoding="gzip"), UnexpectedReplyError, 1),
        (reply(200, b" " * (MAX_BODY + 1)), UnexpectedReplyError, 1),
        (reply(200, gzip.compress(b" " * (MAX_BODY * 4)), Content_Encoding="gzip"), UnexpectedReplyError, 1),
        (reply(200, gzip.compress(gzip.compress(b"{}")), Content_Encoding="gzip"), UnexpectedReplyError, 1),
    ],
)
async def test_each_reply_is_one_typed_error(step: Step, kind: type[RunwayError], attempts: int) -> None:
    script, _, error = await get(step)
    assert error is not None
    assert type(error) is kind
    assert len(script.requests) == error.attempts == attempts
    assert len(str(error)) < 1000


def lower_errors() -> list[Exception]:
    instances: list[Exception] = []
    for cls in vars(httpx2).values():
        if not (inspect.isclass(cls) and issubclass(cls, Exception)) or issubclass(cls, Warning):
            continue
        if issubclass(cls, httpx2.HTTPStatusError):
            request = httpx2.Request("GET", "/")
            instances.append(cls("text", request=request, response=httpx2.Response(500, request=request)))
        else:
            instances.append(cls(*["the HTTP library's text"] * (len(inspect.signature(cls).parameters) > 0)))
    return instances


@pytest.mark.parametrize("lower", [*lower_errors(), OSError("broken"), ssl.SSLError("tls"), TimeoutError()], ids=repr)
async def test_every_lower_error_is_mapped(lower: Exception) -> None:
    _, _, error = await get(lower)
    assert isinstance(error, UnreachableError | UnexpectedReplyError)
    quotes = isinstance(error, UnreachableError) and error.failure == "not_connected"
    assert ("the HTTP library's text" in "".join(traceback.format_exception(error))) is quotes


@pytest.mark.parametrize(
    ("lower", "may_have_taken_effect"),
    [
        (httpx2.ConnectError("refused"), False),
        (httpx2.ConnectTimeout("slow"), False),
        (httpx2.PoolTimeout("full"), False),
        (httpx2.ProxyError("407"), False),
        (httpx2.UnsupportedProtocol("ftp"), False),
        (httpx2.ReadTimeout("slow"), True),
        (httpx2.WriteError("broken"), True),
        (httpx2.ReadError("reset"), True),
        (httpx2.RemoteProtocolError("closed"), True),
    ],
    ids=repr,
)
async def test_an_error_says_whether_the_request_may_have_taken_effect(
    lower: Exception, *, may_have_taken_effect: bool
) -> None:
    script, error = await delete(lower)
    assert isinstance(error, UnreachableError)
    assert error.may_have_taken_effect is may_have_taken_effect
    assert script.methods == ["DELETE"]


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_a_delete_succeeds_with_any_2xx(status: int) -> None:
    script, error = await delete(reply(status, {} if status == 200 else None))
    assert error is None
    _, error = await delete(reply(status, b"<html>Log in to this network</html>"))
    assert isinstance(error, UnexpectedReplyError)
    assert error.may_have_taken_effect
    assert script.calls == [f"DELETE /v1/tasks/{ID}"]


@pytest.mark.parametrize("status", [408, 429, 503])
async def test_a_delete_is_never_repeated_by_the_client(status: int) -> None:
    script, error = await delete(reply(status))
    assert isinstance(error, TransientError)
    assert error.may_have_taken_effect is (status != 429)
    assert script.methods == ["DELETE"]


@pytest.mark.parametrize(
    ("header", "slept"),
    [("7", [7.0, 7.0]), ("nonsense", [0.5, 1.0]), ("0", [0.0, 0.0]), ("44", [44.0, 44.0])],
)
async def test_retry_after_in_seconds_is_honoured(header: str, slept: list[float]) -> None:
    _, sleeper, error = await get(reply(429, Retry_After=header))
    assert isinstance(error, RateLimitedError)
    assert sleeper.slept == slept


async def test_retry_after_as_a_date_is_honoured() -> None:
    moment = datetime.now(UTC) + timedelta(seconds=20)
    _, sleeper, _ = await get(reply(503, Retry_After=format_datetime(moment, usegmt=True)), RUNNING)
    assert len(sleeper.slept) == 1
    assert 15 < sleeper.slept[0] <= 20


@pytest.mark.parametrize("seconds", [50, 61])
async def test_a_wait_that_does_not_fit_becomes_part_of_the_error(seconds: int) -> None:
    script, sleeper, error = await get(reply(429, {"error": "quota"}, Retry_After=str(seconds)))
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == seconds
    assert len(script.requests) == 1
    assert sleeper.slept == []


async def test_a_bad_request_carries_its_issues() -> None:
    issues = [
        {"code": "invalid", "path": ["body", 0, "ratio"], "message": f"Bad \u202eratio\n of {KEY}"},
        {"path": "no list", "message": "x"},
        "nonsense",
        {"code": "long", "path": ["x" * 500], "message": "y" * 5000},
    ]
    _, _, error = await get(reply(400, {"error": "Validation failed", "issues": issues}))
    assert isinstance(error, BadRequestError)
    assert str(error.issues[0]) == '"body.0.ratio": "Bad ratio of [API key]"'
    assert len(error.issues) == 2
    assert "Validation failed" in str(error)
    assert len(str(error)) < 1000


@given(
    st.binary(max_size=300)
    | st.text().map(str.encode)
    | st.text(st.characters(), max_size=3000).map(lambda text: json.dumps({"error": text}).encode()),
    st.sampled_from([400, 401, 429, 500]) | st.integers(200, 599),
)
def test_any_body_under_any_status_is_a_typed_error_on_one_short_line(body: bytes, status: int) -> None:
    async def read() -> tuple[Script, RunwayError | None]:
        script, _, error = await get(reply(status, body))
        return script, error

    script, error = anyio.run(read)
    assert error is not None
    assert len(script.requests) == (3 if isinstance(error, TransientError) else 1)
    assert len(str(error)) < 400
    assert str(error).isprintable()


async def test_a_key_that_upstream_echoes_is_taken_out() -> None:
    _, _, error = await get(reply(401, {"error": f"no such key {KEY}"}))
    assert "[API key]" in str(error)
    assert KEY not in str(error)
    async with scripted_client(Script(reply(200, task("FAILED", failure=f"bad {KEY}")))) as client:
        assert KEY not in str((await client.get_task(ID)).data)


async def test_a_short_placeholder_key_garbles_no_reply() -> None:
    async with scripted_client(Script(RUNNING), key="progress") as client:
        assert (await client.get_task(ID)).data["progress"] == 0.5


async def test_a_reply_that_drips_is_cut_off_at_the_total_deadline() -> None:
    """Each byte resets a read time-out; the deadline of the whole call still ends it."""

    class Drip(httpx2.AsyncByteStream):
        async def __aiter__(self):  # noqa: ANN204 - an async generator
            while True:
                await anyio.sleep(0.01)
                yield b" "

    script = Script(lambda _: httpx2.Response(200, stream=Drip()))
    async with scripted_client(script, timeouts=Timeouts(attempt=0.05, total=0.12, delete=0.05)) as client:
        with anyio.fail_after(5):
            for call, changes in ((client.get_task, False), (client.delete_task, True)):
                with pytest.raises(UnreachableError) as caught:
                    await call(ID)
                assert caught.value.failure == "no_reply"
                assert caught.value.may_have_taken_effect is changes


async def test_a_caller_may_bound_a_read_more_tightly() -> None:
    script, sleeper = Script(reply(503, Retry_After="1"), RUNNING), Sleeper()
    async with scripted_client(script, sleep=sleeper) as client:
        with pytest.raises(UnavailableError):
            await client.get_task(ID, timeout=0.2)
    assert sleeper.slept == []


async def test_the_account_is_the_apis_own_object() -> None:
    account = {"creditBalance": 1000, "tier": {"models": {"veo3": 1}}, "new": [1.5, None]}
    script, sleeper = Script(reply(503), reply(429, Retry_After="3"), reply(200, account)), Sleeper()
    async with scripted_client(script, sleep=sleeper) as client:
        assert await client.get_organization() == account
    assert script.calls == ["GET /v1/organization"] * 3
    assert all(not request.content for request in script.requests)
    assert sleeper.slept == [0.5, 3.0]


@pytest.mark.parametrize(
    ("step", "kind", "requests"),
    [
        (reply(200), UnexpectedReplyError, 1),
        (reply(200, [1]), UnexpectedReplyError, 1),
        (reply(401, {"error": "bad key"}), AuthenticationError, 1),
        (reply(404, {"error": "not here"}), UnexpectedReplyError, 1),
        (reply(502), UnavailableError, 3),
    ],
)
async def test_an_account_that_can_not_be_read_is_a_typed_error(
    step: Step, kind: type[RunwayError], requests: int
) -> None:
    script = Script(step)
    async with scripted_client(script) as client:
        with pytest.raises(kind) as caught:
            await client.get_organization()
    assert type(caught.value) is kind
    assert len(script.requests) == requests

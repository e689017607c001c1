"""The client on real sockets: pools, proxies, certificates, and connections that break."""

import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
import trustme
import uvicorn
from pydantic import JsonValue, SecretStr
from support.scripted import ID, KEY
from support.upstream import HANG, RESET, Reply, reply, task, upstream
from support.waiting import together

from runway_mcp.api.client import RunwayClient, open_client
from runway_mcp.api.connection import Timeouts
from runway_mcp.api.errors import NotFoundError, UnexpectedReplyError, UnreachableError
from runway_mcp.api.models import Created
from runway_mcp.sandbox import create_app
from runway_mcp.web.serving import listen

ENDPOINT = "/v1/text_to_video"
BODY: dict[str, JsonValue] = {"model": "gen4.5", "promptText": "A kite", "ratio": "1280:720", "duration": 5}
RUNNING = reply(200, task("RUNNING", ID))
STARTED = reply(200, {"id": ID, "estimatedCost": {"credits": 25}})
QUICK = Timeouts(attempt=0.6, delete=0.6, create=0.6, total=20)


@asynccontextmanager
async def client_of(
    url: str, *, ca_file: Path | None = None, timeouts: Timeouts = QUICK
) -> AsyncGenerator[RunwayClient]:
    with anyio.fail_after(20):
        async with open_client(
            api_key=SecretStr(KEY), base_url=url, api_version="2024-11-06", ca_file=ca_file, timeouts=timeouts
        ) as client:
            yield client


async def test_calls_share_one_kept_connection() -> None:
    async with upstream([RUNNING]) as api, client_of(api.url) as client:
        for _ in range(3):
            await client.get_task(ID)
        assert api.connections == 1


async def test_a_read_survives_resets_before_and_within_the_reply() -> None:
    half = Reply(RUNNING.data[:-10], then="close")
    async with upstream([RESET, half, RUNNING]) as api, client_of(api.url) as client:
        assert (await client.get_task(ID)).status == "RUNNING"
        assert api.count("GET") == 3


BROKEN = {
    "reset": RESET,
    "silence": HANG,
    "cut in the head": Reply(RUNNING.data[:30], then="close"),
    "cut in the body": Reply(RUNNING.data[:-10], then="reset"),
    "not HTTP": Reply(b"\x00\x01nonsense\r\n\r\n", then="close"),
}


async def test_a_reply_that_never_comes_whole_is_unreachable() -> None:
    async def check(what: str) -> None:
        async with upstream([BROKEN[what]]) as api, client_of(api.url) as client:
            with pytest.raises(UnreachableError, match="3 attempts"):
                await client.get_task(ID)
            with pytest.raises(UnreachableError) as caught:
                await client.delete_task(ID)
            assert caught.value.may_have_taken_effect
            assert (api.count("GET"), api.count("DELETE")) == (3, 1)

    await together(check, BROKEN)


async def test_a_connection_that_breaks_after_the_create_brings_no_second_one() -> None:
    async def check(how: str) -> None:
        async with upstream([STARTED, BROKEN[how], STARTED]) as api, client_of(api.url) as client:
            await client.create_task(ENDPOINT, BODY)
            with pytest.raises(UnreachableError) as caught:
                await client.create_task(ENDPOINT, BODY)
            assert caught.value.may_have_taken_effect
            assert api.count("POST") == 2
            assert [json.loads(request.body) for request in api.requests] == [BODY, BODY]

    await together(check, BROKEN)


async def test_a_slow_reply_to_a_create_is_waited_for() -> None:
    """For as long as a create may take, which is more than a read has: it can't be sent again."""
    timeouts = Timeouts(attempt=0.05, create=20)
    slow = replace(STARTED, after=0.3)
    async with upstream([slow]) as api, client_of(api.url, timeouts=timeouts) as client:
        assert await client.create_task(ENDPOINT, BODY) == Created(ID, 25.0)


async def test_a_connection_that_is_not_made_changed_nothing() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "https://runway.invalid"):
        async with client_of(url) as client:
            with pytest.raises(UnreachableError) as caught:
                await client.delete_task(ID)
        assert caught.value.failure == "not_connected"
        assert not caught.value.may_have_taken_effect


async def test_a_redirect_is_not_followed() -> None:
    """The key goes to no other address, and a DELETE never becomes a GET."""
    async with upstream([RUNNING]) as elsewhere:
        moved = reply(307, Location=f"{elsewhere.url}/v1/tasks/{ID}")
        async with upstream([moved]) as api, client_of(api.url) as client:
            for call in (client.get_task, client.delete_task):
                with pytest.raises(UnexpectedReplyError) as caught:
                    await call(ID)
                assert caught.value.problem == "redirect"
        assert elsewhere.requests == []


async def test_the_systems_proxy_is_asked_for_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ALL_PROXY says, which desktops set to a kind that is not supported."""
    async with upstream([reply(403)]) as proxy:
        monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:7891/")
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with client_of("https://runway.invalid") as client:
            with pytest.raises(UnreachableError, match="403"):
                await client.delete_task(ID)
        (request,) = proxy.requests
        assert (request.method, request.path) == ("CONNECT", "runway.invalid:443")
        assert KEY not in str(request)


async def test_what_goes_to_this_machine_goes_through_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would see the key, for there is no encryption on the way."""
    async with upstream([RUNNING]) as proxy, upstream([RUNNING]) as api:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        async with client_of(api.url) as client:
            await client.get_task(ID)
        assert (api.count("GET"), proxy.requests) == (1, [])


async def test_a_certificate_is_trusted_only_with_its_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_PROXY decides, so it is no matter that the proxy could not be used."""
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:7891/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
    authority = trustme.CA()
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = authority.issue_cert("127.0.0.1")
    certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - trustme leaves another type open
    config = uvicorn.Config(create_app(), log_config=None, ws="none", lifespan="off")
    config.load()
    config.ssl = context
    server = uvicorn.Server(config)
    listener = listen("127.0.0.1", 0)
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    async with anyio.create_task_group() as serving:
        serving.start_soon(server.serve, [listener])
        async with client_of(url) as stranger:
            with pytest.raises(UnreachableError, match="certificate verify failed"):
                await stranger.get_task(ID)
        async with client_of(url, ca_file=file) as client:
            with pytest.raises(NotFoundError):
                await client.get_task(ID)
        server.should_exit = True


async def test_a_cancelled_read_ends_at_once_and_closes_its_connection() -> None:
    async with upstream([HANG]) as api, client_of(api.url) as client:
        async with anyio.create_task_group() as calls:
            calls.start_soon(client.get_task, ID)
            await api.asked("GET")
            calls.cancel_scope.cancel()
        await api.left(1)
        assert api.count("GET") == 1


async def test_a_compression_bomb_is_not_unpacked() -> None:
    import gzip  # noqa: PLC0415 - only this test packs

    bomb = gzip.compress(b"[" + b"0," * 20_000_000 + b"0]")
    async with upstream([reply(200, bomb, Content_Encoding="gzip")]) as api, client_of(api.url) as client:
        with pytest.raises(UnexpectedReplyError) as caught:
            await client.get_task(ID)
        assert caught.value.problem == "too_large"
        assert api.count("GET") == 1

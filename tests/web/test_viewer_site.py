"""The viewer's site: one link for one browser, and calls of its own page alone."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx2
import pytest

from runway_mcp.config.settings import SANDBOX_URL, Settings
from runway_mcp.sandbox import SAMPLES
from runway_mcp.web.viewer_site import SimulatedApi, ViewerSite
from runway_mcp.wiring.core import build_core

PORT = 4711
ORIGIN = f"http://127.0.0.1:{PORT}"
VIDEO = {"name": "runway_getTask", "arguments": {"taskId": SAMPLES["succeeded_video"].id}}


@asynccontextmanager
async def browsing(
    *, simulated: bool = True, port: int = PORT
) -> AsyncGenerator[tuple[httpx2.AsyncClient, ViewerSite]]:
    """A browser without a session, and the site."""
    core = build_core(Settings.model_validate({"sandbox": True}), lambda _: None)
    assert core.sandbox
    sandbox = SimulatedApi(core.sandbox, SANDBOX_URL, {SAMPLES["failed_internal"].id: "FAILED"})
    site = ViewerSite(core.server, port, sandbox if simulated else None)
    transport = httpx2.ASGITransport(app=site.app)
    async with (
        site.app.router.lifespan_context(site.app),
        httpx2.AsyncClient(transport=transport, base_url=ORIGIN, headers={"Origin": ORIGIN}) as browser,
    ):
        yield browser, site


async def test_the_link_gives_a_session_to_the_first_who_opens_it_alone() -> None:
    async with browsing() as (browser, site):
        opened = await browser.get(site.link)
        cookie = opened.headers["set-cookie"].lower()
        assert (opened.status_code, await status(browser, "/"), await status(browser, "/page")) == (200, 200, 200)
        browser.cookies.clear()
        again = await browser.get(site.link)
        assert (again.status_code, "set-cookie" in again.headers) == (403, False)
    assert f'{{"{SAMPLES["failed_internal"].id}": "FAILED"}}' in opened.text
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert site.link.partition("token=")[2] not in opened.text + cookie


async def test_two_viewers_in_one_browser_do_not_end_each_others_session() -> None:
    async with browsing() as (browser, first), browsing(port=PORT + 1) as (another, second):
        opened = [await browser.get(first.link), await another.get(second.link)]
        # a browser keeps one cookie of each name for an address, and sends it to each of its ports
        kept = dict(reply.headers["set-cookie"].partition(";")[0].split("=", 1) for reply in opened)
        browser.cookies.clear()
        cookies = "; ".join(f"{name}={value}" for name, value in kept.items())
        assert (await browser.get("/page", headers={"Cookie": cookies})).status_code == 200


@pytest.mark.parametrize("path", ["/", "/?token=", "/?token=wrong", "/?token=ä", "/page"])
async def test_nobody_else_sees_anything(path: str) -> None:
    async with browsing() as (browser, site):
        assert await status(browser, path) == 403
        assert (await browser.post("/call", json=VIDEO)).status_code == 403
        assert await status(browser, site.link) == 200, "the link was spent on a stranger"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", f"localhost:{PORT}", f"evil.example:{PORT}"])
async def test_another_host_is_refused(host: str) -> None:
    """A page whose name was turned to this machine is of another host."""
    async with browsing() as (browser, site):
        for path in (site.link, "/page"):
            assert (await browser.get(path, headers={"Host": host})).status_code == 421
        await browser.get(site.link)
        assert (await browser.post("/call", json=VIDEO, headers={"Host": host})).status_code == 421


@pytest.mark.parametrize(
    "origin", ["null", "http://evil.example", "http://127.0.0.1:1", f"http://localhost:{PORT}", None]
)
async def test_only_the_page_itself_may_call(origin: str | None) -> None:
    async with browsing() as (browser, site):
        await browser.get(site.link)
        del browser.headers["Origin"]
        reply = await browser.post("/call", json=VIDEO, headers={"Origin": origin} if origin else {})
    assert reply.status_code == 403


@pytest.mark.parametrize("tool", ["runway_startTask", "runway_deleteTask", "runway_uploadFile", "nonsense"])
async def test_no_tool_but_the_pages_is_called(tool: str) -> None:
    async with browsing() as (browser, site):
        await browser.get(site.link)
        reply = await browser.post("/call", json={"name": tool, "arguments": {}})
    assert (reply.status_code, reply.text) == (403, "The page does not call this tool. Nothing was done.")


@pytest.mark.parametrize(("body", "expected"), [("{", 400), ("[]", 400), ('{"name": 1}', 400), ("x" * 100_001, 413)])
async def test_what_is_no_call_is_refused(body: str, expected: int) -> None:
    async with browsing() as (browser, site):
        await browser.get(site.link)
        assert (await browser.post("/call", content=body)).status_code == expected


async def test_the_sandboxs_outputs_are_served_where_the_page_may_load_them() -> None:
    async with browsing() as (browser, site):
        await browser.get(site.link)
        task = (await browser.post("/call", json=VIDEO)).json()["structuredContent"]
        policy = (await browser.get("/page")).headers["content-security-policy"]
        (url,) = task["output"]
        video = await browser.get(url)
    assert url.startswith(f"{ORIGIN}/outputs/")
    assert video.headers["content-type"] == "video/mp4"
    assert f"media-src {SANDBOX_URL} {ORIGIN};" in policy
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy
    assert "sandbox allow-scripts allow-popups" in policy


async def test_links_of_runway_stay_as_they_are() -> None:
    async with browsing(simulated=False) as (browser, site):
        await browser.get(site.link)
        task = (await browser.post("/call", json=VIDEO)).json()["structuredContent"]
        policy = (await browser.get("/page")).headers["content-security-policy"]
    assert task["output"][0].startswith(f"{SANDBOX_URL}/outputs/")
    assert f"media-src {SANDBOX_URL};" in policy


async def status(browser: httpx2.AsyncClient, path: str) -> int:
    return (await browser.get(path)).status_code

"""A browser, a host page of the official app-bridge in it, and real servers over the sandbox behind it.

`scripts/viewer` makes the page and names its folder in VIEWER_HOST.
"""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, FrameLocator, Locator, Page, Request, expect, sync_playwright
from support.process import ENVIRONMENT
from support.served import free_port

HERE = Path(__file__).parent
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SECONDS = 20
"""How long something may take to be seen, also on a busy machine."""

Args = dict[str, Any]


class Pages(SimpleHTTPRequestHandler):
    """Serves the host's pages; the sandbox proxy with the policy that its address names."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass

    def end_headers(self) -> None:
        address = urlsplit(self.path)
        for policy in parse_qs(address.query).get("csp", []):
            self.send_header("Content-Security-Policy", policy)
        super().end_headers()


@dataclass(slots=True)
class Server:
    """A server over streamable HTTP, before a simulated API in a process of its own, so that a browser gets its files.

    Attributes:
        files: The folder that it may save to.
    """

    url: str
    api: str
    files: Path


@contextmanager
def process(*arguments: str, **environment: str) -> Generator[str]:
    """Run `runway-mcp` until the end of the block; yield the line that says where it listens."""
    started = subprocess.Popen(
        [sys.executable, "-m", "runway_mcp", *arguments],
        env=ENVIRONMENT | environment,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    assert started.stderr
    reader = threading.Thread(target=started.stderr.read)  # so that it never waits for us
    try:
        for line in started.stderr:
            if "http://" in line:
                break
        else:
            pytest.fail(f"runway-mcp {' '.join(arguments)} ended with {started.wait()}")
        reader.start()
        yield line
    finally:
        started.terminate()
        started.wait()
        if reader.ident is not None:
            reader.join()
        started.stderr.close()


@contextmanager
def sandbox(speed: float) -> Generator[str]:
    port = free_port()
    with process("sandbox", "--port", str(port), "--speed", str(speed)):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def server(api: str, origin: str, *options: str) -> Generator[Server]:
    port = free_port()
    with TemporaryDirectory() as folder:
        (files := Path(folder, "files")).mkdir()
        where = ("--base-url", api, "--state-dir", folder, "--files-root", str(files))
        http = ("--transport", "streamable-http", "--port", str(port), "--allowed-origin", origin)
        with process(*where, *http, *options, RUNWAYML_API_SECRET="key_of_the_sandbox"):
            yield Server(f"http://127.0.0.1:{port}/mcp", api, files)


@dataclass(slots=True)
class Host:
    """The host page in a tab.

    Attributes:
        requested: Addresses that the app asked for.
        errors: What went wrong in any frame's scripts.
    """

    page: Page
    requested: list[str] = field(default_factory=list[str])
    errors: list[str] = field(default_factory=list[str])

    @property
    def app(self) -> FrameLocator:
        """What is in the innermost frame."""
        return self.page.frame_locator("iframe").frame_locator("iframe")

    def call(self, tool: str, **arguments: object) -> Any:
        return self.page.evaluate("([name, args]) => host.call(name, args)", [tool, arguments])

    def start(self, kind: str, **fields: object) -> str:
        result = self.call("runway_startTask", type=kind, input=fields)
        return result["structuredContent"]["id"]

    def open(self, tool: str, args: Args | None, *, capabilities: Args | None = None, **context: Any) -> None:
        shown = {"theme": "light", "displayMode": "inline", "locale": "en-GB"} | context
        shown.setdefault("availableDisplayModes", ["inline", "fullscreen"])
        shown.setdefault("styles", {"variables": {"--font-sans": "Inter, system-ui, sans-serif"}})
        proxy = self.page.url.replace("127.0.0.1", "localhost").replace("host.html", "proxy.html")
        given = {"tool": tool, "args": args, "context": shown, "capabilities": capabilities or {}, "proxy": proxy}
        self.page.evaluate("given => host.open(given)", given)

    def deliver(self, result: Args | None = None) -> None:
        self.page.evaluate("result => host.deliver(result)", result)

    def show(self, tool: str, args: Args | None, result: Args | None = None, **context: Any) -> None:
        self.open(tool, args, **context)
        self.deliver(result)

    def show_task(self, task_id: str, **context: Any) -> None:
        self.show("runway_getTask", {"taskId": task_id}, **context)

    def seen(self, name: str) -> Any:
        """Return what the host saw of `name`: calls, messages, links, modes."""
        return self.page.evaluate("name => host[name]", name)

    def calls(self, tool: str) -> list[Args]:
        return [call for call in self.seen("calls") if call["name"] == tool]

    def answer(self, tool: str, *results: Args) -> None:
        """Answer the app's calls of a tool with these results, the last of them from then on."""
        self.page.evaluate("([tool, results]) => { host.answers[tool] = results; }", [tool, list(results)])

    def hold(self, tool: str, result: Args) -> None:
        """Answer the app's calls of a tool with this result, but not before `release`."""
        script = "([tool, result]) => { host.answers[tool] = new Promise((go) => { host.go = () => go(result); }); }"
        self.page.evaluate(script, [tool, result])

    def release(self) -> None:
        self.page.evaluate("() => host.go()")

    def in_app(self, script: str) -> Any:
        return self.app.locator("html").evaluate(script)

    def button(self, name: str) -> Locator:
        return self.app.get_by_role("button", name=name, exact=True)

    def until_called(self, tool: str, times: int = 1) -> None:
        self.page.wait_for_function(
            "([tool, times]) => host.calls.filter(({ name }) => name === tool).length >= times", arg=[tool, times]
        )


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.fail("These tests need Chromium: install Debian's package chromium, or run scripts/viewer, which does.")
    expect.set_options(timeout=SECONDS * 1000)
    with sync_playwright() as playwright:
        flags = [*FLAGS, "--no-sandbox"] if hasattr(os, "getuid") and os.getuid() == 0 else FLAGS
        chromium = playwright.chromium.launch(executable_path=found, args=list(flags))
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def origin() -> Iterator[str]:
    """Where the host page is served."""
    folder = os.environ.get("VIEWER_HOST", "")
    if not Path(folder, "host.js").is_file():
        pytest.fail("The host page is not made: run scripts/viewer, which makes it and runs these tests.")
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Pages, directory=folder))
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture(scope="session")
def quick(origin: str) -> Iterator[Server]:
    """A server whose tasks end within a second."""
    with sandbox(30) as api, server(api, origin, "--poll-seconds", "0.2") as served:
        yield served


@pytest.fixture(scope="session")
def slow(origin: str) -> Iterator[Server]:
    """A server whose tasks run for minutes."""
    with sandbox(0.08) as api, server(api, origin) as served:
        yield served


@contextmanager
def host_page(browser: Browser, origin: str, served: Server, **options: Any) -> Generator[Host]:
    """Open the host page, connected to a server; what the app asks of the network is noted."""
    settings: dict[str, Any] = {"viewport": {"width": 900, "height": 700}, "locale": "en-GB", "timezone_id": "UTC"}
    context = browser.new_context(**settings | options)
    context.set_default_timeout(SECONDS * 1000)
    page = context.new_page()
    host = Host(page)

    def note(request: Request) -> None:
        if request.frame.parent_frame is not None and "/proxy.html" not in request.url:
            host.requested.append(request.url)

    page.on("request", note)
    page.on("pageerror", lambda error: host.errors.append(str(error)))
    page.goto(f"{origin}/host.html")
    page.wait_for_function("() => globalThis.host")
    page.evaluate("url => host.connect(url)", served.url)
    yield host
    context.close()
    assert not host.errors, host.errors

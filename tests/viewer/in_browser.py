"""The viewer in a real browser. `scripts/viewer` runs it: what it needs is not there in every run of the tests."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Browser, Route, expect
from viewer.browser import Host, Server, host_page, server

from runway_mcp.sandbox import SAMPLES

VIDEO = "text_to_video", {
    "model": "gen4.5",
    "promptText": "A paper boat drifts down a rain-soaked street at night, neon signs mirrored in the water",
    "ratio": "1280:720",
    "duration": 5,
}
IMAGES = "text_to_image", {
    "model": "gen4_image",
    "promptText": "Studio portrait of a red fox in a knitted green scarf, soft window light",
    "ratio": "1920:1080",
}
SOUND = "sound_effect", {"model": "eleven_text_to_sound_v2", "promptText": "Rain on a tin roof, distant thunder"}
FAILED = "text_to_video", VIDEO[1] | {"promptText": "sandbox:fail A crowd scene in the style of a famous film"}
GET, LIST, CANCEL = "runway_getTask", "runway_listTasks", "runway_cancelTask"
START, SAVE, DELETE = "runway_startTask", "runway_downloadOutput", "runway_deleteTask"
CHANGES = {START, CANCEL, SAVE, DELETE}
AXE = Path(os.environ.get("VIEWER_HOST", ""), "node_modules", "axe-core", "axe.min.js")
IMAGES_FOLDER = os.environ.get("VIEWER_IMAGES")
"""Where the screenshots are kept, if at all."""

Open = Callable[..., Host]


@pytest.fixture
def opened(browser: Browser, origin: str) -> Iterator[Open]:
    """Open host pages that close at the end of the test."""
    with ExitStack() as ending:
        yield lambda served, **options: ending.enter_context(host_page(browser, origin, served, **options))


@pytest.fixture
def host(opened: Open, quick: Server) -> Host:
    return opened(quick)


def finished(host: Host, started: tuple[str, dict[str, Any]]) -> str:
    """Start a task and wait for its end."""
    task_id = host.start(started[0], **started[1])
    host.call("runway_waitForTask", taskId=task_id)
    return task_id


@pytest.fixture(scope="session")
def made(browser: Browser, origin: str, quick: Server, slow: Server) -> dict[str, tuple[Server, str]]:
    """A task in each state, and the server that has it."""
    tasks: dict[str, tuple[Server, str]] = {}
    with host_page(browser, origin, slow) as host:
        for name in ("running", "second", "throttled"):
            tasks[name] = slow, host.start(VIDEO[0], **VIDEO[1])
    with host_page(browser, origin, quick) as host:
        for name, started in {"failed": FAILED, "sound": SOUND, "video": VIDEO, "images": IMAGES}.items():
            tasks[name] = quick, finished(host, started)
    return tasks


def until_running(host: Host, task_id: str) -> None:
    """Wait until a task has got somewhere."""
    while host.call(GET, taskId=task_id)["structuredContent"].get("progress", 0) < 0.02:
        host.page.wait_for_timeout(1000)


def settled(host: Host) -> None:
    """Wait until pictures and films are there."""
    host.in_app(
        """() => Promise.all([...document.querySelectorAll("img, video, audio")].map((media) =>
            media.error || media.complete || media.readyState >= 2 || new Promise((resolve) => {
                for (const event of ["load", "loadeddata", "error"]) media.addEventListener(event, resolve);
                media.preload = "auto";
            })))"""
    )


PROBLEMS = """() => {
    const found = [];
    for (const element of document.querySelectorAll("body *")) {
        const says = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        const { fontSize, visibility } = getComputedStyle(element);
        if (says && visibility !== "hidden" && parseFloat(fontSize) < 12) found.push(`${fontSize}: ${element.textContent}`);
    }
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) found.push(`${scrollWidth} px wide in ${clientWidth}`);
    return found;
}"""


def judge(host: Host) -> None:
    """Nothing that is seen is too small, too wide, or hard to use for anybody."""
    assert host.in_app(PROBLEMS) == []
    host.in_app(f"() => {{ {AXE.read_text('utf-8')} }}")
    result = host.in_app("() => axe.run()")
    serious = [
        (rule["id"], [node["html"] for node in rule["nodes"]])
        for rule in result["violations"]
        if rule["impact"] in {"serious", "critical"}
    ]
    assert serious == []


def picture(host: Host, name: str) -> None:
    """Take a screenshot, and keep it where that is asked for."""
    content = host.page.locator("iframe").screenshot(animations="disabled")
    assert len(content) > 1000
    if IMAGES_FOLDER:
        reduced = Image.open(BytesIO(content)).convert("RGB").quantize(192, dither=Image.Dither.NONE)
        reduced.save(Path(IMAGES_FOLDER, f"viewer-{name}.png"), optimize=True)


STATES = {
    "video": "Finished",
    "images": "Finished",
    "sound": "Finished",
    "failed": "Failed",
    "running": "Running",
    "throttled": "Waiting for a slot",
}


@pytest.mark.parametrize("width", [320, 900])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("state", [*STATES, "pending", "list"])
def test_each_state_is_shown_in_each_theme_and_width(
    opened: Open, made: dict[str, tuple[Server, str]], slow: Server, quick: Server, state: str, theme: str, width: int
) -> None:
    served, task_id = made.get(state, (quick if state == "list" else slow, SAMPLES["pending"].id))
    host = opened(served, viewport={"width": width, "height": 700})
    if state == "list":
        host.show(LIST, {}, theme=theme)
        expect(host.app.get_by_role("button").filter(has_text="fox")).to_be_visible()
        expect(host.app.locator(".thumbnail img").first).to_be_visible()
    else:
        if state == "running":
            until_running(host, task_id)
        host.show_task(task_id, theme=theme)
        expect(host.app.locator(".chip")).to_have_text(STATES.get(state, "Pending"))
    settled(host)
    judge(host)
    picture(host, f"{state}-{theme}-{width}")


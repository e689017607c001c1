"""Files by way of a real process and a real client: from the disk to Runway and back, opened by FFmpeg's libraries."""

import sys
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import av
import pytest
from mcp import Client, StdioServerParameters
from support.process import ENVIRONMENT

from runway_mcp.sandbox.output_files import OUTPUTS


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Let one event loop serve the module, so that its tests can share a process."""
    return "asyncio"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The allowed folder, with a picture in it."""
    folder = tmp_path_factory.mktemp("allowed")
    (folder / "kite.png").write_bytes(OUTPUTS["image"].path.read_bytes())
    return folder


@pytest.fixture(scope="module")
async def client(folder: Path) -> AsyncGenerator[Client]:
    """A client of a process that a host would start."""
    flags = ["--sandbox", "--sandbox-speed=60", "--poll-seconds=0.1", f"--files-root={folder}"]
    server = StdioServerParameters(command=sys.executable, args=["-m", "runway_mcp", *flags], env=ENVIRONMENT)
    with anyio.fail_after(60):
        async with Client(server) as connected:
            yield connected


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Make a call that succeeds."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


def streams(path: str) -> list[str]:
    """Decode all of a file; return the kinds of its streams."""
    with av.open(path, "r", options={"err_detect": "explode"}) as opened:
        assert list(opened.decode())
        return [stream.type for stream in opened.streams]


WANTED: dict[str, dict[str, Any]] = {
    "image_to_video": {"promptText": "it rises", "ratio": "1280:720", "duration": 5},
    "text_to_image": {"promptText": "a kite", "ratio": "1360:768"},
    "sound_effect": {"promptText": "wind"},
}


@pytest.mark.parametrize(
    ("kind", "ending", "found"),
    [("image_to_video", "mp4", "video"), ("text_to_image", "png", "video"), ("sound_effect", "wav", "audio")],
)
async def test_what_is_made_is_saved_and_opens_elsewhere(
    kind: str, ending: str, found: str, client: Client, folder: Path
) -> None:
    """A video from a picture on the disk, an image and a sound: started, waited for and saved."""
    wanted = WANTED[kind]
    if kind == "image_to_video":
        wanted = wanted | {"promptImage": (await call(client, "runway_uploadFile", path="kite.png"))["uri"]}
    started = await call(client, "runway_startTask", type=kind, input=wanted)
    await call(client, "runway_waitForTask", taskId=started["id"])
    (saved,) = (await call(client, "runway_downloadOutput", taskId=started["id"]))["files"]
    name = f"{datetime.now(UTC).astimezone().date()} {wanted['promptText']}.{ending}"
    assert saved["path"] == str(folder / name)
    assert streams(saved["path"]) == [found]


async def test_nothing_outside_is_read_or_written(client: Client, folder: Path) -> None:
    before = sorted(folder.parent.rglob("*"))
    for tool, arguments in (
        ("runway_uploadFile", {"path": "../../../etc/passwd"}),
        ("runway_uploadFile", {"path": "/etc/passwd"}),
        ("runway_downloadOutput", {"taskId": "08388106-1b46-4f5c-bd46-1c1d7ee86892", "directory": str(folder.parent)}),
    ):
        assert (await client.call_tool(tool, arguments)).is_error
    assert sorted(folder.parent.rglob("*")) == before

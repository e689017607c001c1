"""A start or a wait with `save` also saves what succeeded, and never fails for it."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_types import CallToolResult, ListRootsResult, Root
from pydantic import FileUrl
from support.faulty import FaultyWire, faulty_client
from support.saver import IMAGES, KITE, Saver, Storage, names, said, saver, today
from support.serving import Names, authorized, served

from runway_mcp.config.sources import load
from runway_mcp.mcp_server.server import OURS, build_server
from runway_mcp.mcp_server.tools.files import FILES
from runway_mcp.mcp_server.tools.wait import WAITING
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import ANONYMOUS, CallerRegistry
from runway_mcp.web.app import build_app
from runway_mcp.web.auth import Authentication
from runway_mcp.web.origin_policy import OriginPolicy
from runway_mcp.wiring.file_access import open_files

VIDEO = f"{today()} A red kite.mp4"


def files_of(result: CallToolResult) -> list[dict[str, Any]]:
    assert result.structured_content is not None, said(result)
    return result.structured_content.get("files", [])


async def wait(one: Saver, *task_ids: str, **more: Any) -> CallToolResult:
    which = {"taskId": task_ids[0]} if len(task_ids) == 1 else {"taskIds": list(task_ids)}
    return await one.client.call_tool("runway_waitForTask", which | {"save": True, "timeoutSeconds": 5} | more)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_start_with_save_waits_and_saves(tmp_path: Path, mode: str) -> None:
    """The result is the task, as ever; the paths are in the note and in `files`."""
    wire = FaultyWire()

    def pass_time(_: int) -> None:
        wire.now += 60

    wire.between = pass_time
    async with saver(tmp_path, wire, mode=mode) as one:
        result = await one.client.call_tool("runway_startTask", KITE | {"save": True})
        assert not result.is_error, said(result)
        assert result.structured_content is not None
        assert result.structured_content["status"] == "SUCCEEDED"
        (file,) = files_of(result)
        assert file["id"] == result.structured_content["id"]
        assert f"Saved: {one.folder / VIDEO}." in said(result)
        assert f"Saved: {one.folder / VIDEO}." in result.structured_content["note"]
        assert file["path"] == str(one.folder / VIDEO)
        assert one.saved == names(one.folder) == [VIDEO]
        assert '"files"' not in said(result).splitlines()[0]
        again = await wait(one, file["id"])
        assert files_of(again)[0]["wasThere"] is True


async def test_a_wait_for_several_saves_those_that_succeeded(tmp_path: Path) -> None:
    """What has failed or goes on is told as ever; which call saves the rest is said."""
    async with saver(tmp_path) as one:
        tasks = [await one.make(), await one.make(IMAGES)]
        failed, running = SAMPLES["failed_moderation"].id, SAMPLES["running_long"].id
        result = await wait(one, *tasks, failed)
        assert not result.is_error
        assert [file["id"] for file in files_of(result)] == [tasks[0], *[tasks[1]] * 3]
        assert {Path(file["path"]).name for file in files_of(result)} == set(names(one.folder))
        assert f"{tasks[0]}: Saved: {one.folder / VIDEO}." in said(result)
        assert "not saved yet" not in said(result)
        result = await wait(one, tasks[0], running, until="any")
        assert files_of(result)[0]["wasThere"] is True
        assert "What has not finished is not saved yet: runway_waitForTask with save does so." in said(result)
        failure = await wait(one, failed)
        assert files_of(failure) == []
        assert "aved" not in said(failure).splitlines()[-1].replace("has been saved", "")


async def test_a_failure_to_save_is_a_note_and_no_error(tmp_path: Path) -> None:
    """And never asks to repeat the call that bought the task."""
    storage = Storage(wire := FaultyWire())
    async with saver(tmp_path, wire, files=storage) as one:
        task_id = await one.make()
        one.folder.rmdir()
        result = await wait(one, task_id)
        assert not result.is_error
        assert "does not exist" in said(result)
        one.folder.mkdir()
        storage.status = 403
        result = await wait(one, task_id)
        assert not result.is_error
        assert "Not saved: output 1." in said(result)
        assert "Call runway_downloadOutput: it reads the task again" in said(result)
        assert "Repeat the call" not in said(result)
        assert "error" in files_of(result)[0]
        storage.status = 0
        result = await wait(one, task_id)
        assert not result.is_error
        assert "through a fault of this server" in said(result)


async def test_a_task_that_vanished_before_it_was_saved_is_told(tmp_path: Path) -> None:
    async with saver(tmp_path, poll_seconds=0) as one:
        task_id = await one.make()
        one.wire.faults["GET"].extend([None, 404])
        result = await wait(one, task_id)
    assert not result.is_error
    assert "Nothing was saved: " in said(result)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_hosts_own_folder_is_asked_for_only_to_save(tmp_path: Path, mode: str) -> None:
    asked: list[int] = []

    async def roots(_: object) -> ListRootsResult:
        asked.append(1)
        return ListRootsResult(roots=[Root(uri=FileUrl((tmp_path / "films").as_uri()))])

    async with saver(tmp_path, flags={}, mode=mode, list_roots_callback=roots) as one:
        task_id = await one.make()
        await wait(one, task_id, save=False)
        assert not asked
        assert files_of(await wait(one, task_id))[0]["path"] == str(one.folder / VIDEO)
        assert asked == [1]


@pytest.mark.parametrize(("read_only", "toolsets"), [(True, OURS), (False, [WAITING])])
async def test_where_no_files_are_offered_a_wait_only_reads(read_only: bool, toolsets: Any) -> None:
    callers = CallerRegistry(lambda _: faulty_client(FaultyWire()))
    async with Client(build_server(callers, read_only=read_only, toolsets=toolsets)) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    tool = tools["runway_waitForTask"]
    assert tool.annotations is not None
    assert tool.annotations.read_only_hint
    assert "save" not in tool.input_schema["properties"]
    assert FILES.tools[0].name not in tools


@pytest.mark.parametrize("save", [True, "yes", 1])
async def test_to_save_needs_the_scope_to_write(tmp_path: Path, save: object) -> None:
    """To wait only, the one to read is enough."""
    wire, task_id = FaultyWire(), SAMPLES["succeeded_video"].id
    settings = load({"files_root": [tmp_path], "transport": "streamable-http"})
    app = build_app(
        build_server(
            CallerRegistry(lambda _: faulty_client(wire), files=partial(open_files, settings, wire)), local=ANONYMOUS
        ),
        origin_policy=OriginPolicy(),
        path="/mcp",
        caller=ANONYMOUS,
        authentication=Authentication(Names()),
    )
    async with served(app) as url, authorized(f"{url}/mcp", "reader") as ann:
        for harmless in ({}, {"save": False}, {"save": "false"}, {"save": None}):
            assert not (await ann.call_tool("runway_waitForTask", {"taskId": task_id} | harmless)).is_error
        with pytest.raises(MCPError, match="runway:write"):
            await ann.call_tool("runway_waitForTask", {"taskId": task_id, "save": save})
    assert names(tmp_path) == []

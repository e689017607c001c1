"""The list of tasks: rows, sums, filters and pages, fresh where tasks have not finished."""

import json
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import httpx2
import pytest
from mcp import Client
from mcp_types import CallToolResult
from support.scripted import Script, Step, reply, scripted_client, texts

from runway_mcp.history.task_records import SavedOutput
from runway_mcp.mcp_server.server import LOCAL, build_server
from runway_mcp.mcp_server.tools.task_list import ListArgumentError, since_moment
from runway_mcp.tasks.callers import CallerContext, CallerRegistry
from runway_mcp.tasks.listing import MAX_LOOKS

KITE: dict[str, Any] = {
    "type": "text_to_video",
    "input": {"promptText": "A red kite", "ratio": "1280:720", "duration": 5},
    "wait": False,
}
UNPRICED: dict[str, Any] = {
    "type": "frame_interpolation",
    "input": {"videoUri": "https://example.com/a.mp4"},
    "wait": False,
}
SAVED = SavedOutput(1, "/films/2026-11-25 a red kite.mp4", 1000, "video/mp4", "ab" * 32)


class Runway:
    """Runway with tasks 1, 2, 3 …, which have the status that is set for all but those that were cancelled."""

    def __init__(self) -> None:
        self.status = "RUNNING"
        self.started: list[str] = []
        self.read: list[str] = []
        self.cancelled: set[str] = set()
        self.fails: Step | None = None
        self.outputs: list[str] | None = None

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            self.started.append(str(UUID(int=len(self.started) + 1, version=4)))
            return httpx2.Response(200, json={"id": self.started[-1], "estimatedCost": {"credits": 60}})
        task_id = request.url.path.rpartition("/")[2]
        if request.method == "DELETE":
            self.cancelled.add(task_id)
            return httpx2.Response(204)
        self.read.append(task_id)
        if callable(self.fails):
            return self.fails(request)
        status = "CANCELLED" if task_id in self.cancelled else self.status
        data: dict[str, Any] = {"id": task_id, "status": status}
        data |= {"output": self.outputs} if self.outputs and status == "SUCCEEDED" else {}
        data |= {"progress": 0.45} if status == "RUNNING" else {"cost": {"credits": 55}}
        return httpx2.Response(200, json=data)


@asynccontextmanager
async def connected(runway: Step, history: Path | None = None) -> AsyncGenerator[tuple[Client, CallerContext]]:
    callers = CallerRegistry(lambda _: scripted_client(Script(runway)), poll_seconds=0.0, history=history)
    with anyio.fail_after(30):
        async with Client(build_server(callers)) as client:
            yield client, await callers.of(LOCAL)


async def start(client: Client, prompt: str = "A red kite", count: int = 1) -> None:
    for _ in range(count):
        await client.call_tool("runway_startTask", KITE | {"input": KITE["input"] | {"promptText": prompt}})


async def listed(client: Client, **arguments: Any) -> CallToolResult:
    result = await client.call_tool("runway_listTasks", arguments)
    assert not result.is_error, texts(result)
    return result


async def refused(client: Client, **arguments: Any) -> str:
    result = await client.call_tool("runway_listTasks", arguments)
    assert result.is_error
    return texts(result)[0]


def data_of(result: CallToolResult) -> dict[str, Any]:
    """The figures of a listing: how many, their sum, how many of unknown cost."""
    return {name: value for name, value in json.loads(texts(result)[0]).items() if name not in {"columns", "tasks"}}


def rows(result: CallToolResult) -> list[dict[str, Any]]:
    """Each row by the names of its columns; `files` is a list."""
    data = json.loads(texts(result)[0])
    return [
        dict(zip(data["columns"][:-1], row, strict=False)) | {"files": row[len(data["columns"]) - 1 :]}
        for row in data["tasks"]
    ]


def note(result: CallToolResult) -> str:
    data: dict[str, Any] = result.structured_content or {}
    return data.get("note", "")


async def test_nothing_was_started_yet(tmp_path: Path) -> None:
    """No history is begun for it."""
    async with connected(Runway(), tmp_path / "history") as (client, _):
        assert json.loads(texts(await listed(client))[0]) == {"tasks": [], "matched": 0, "credits": 0}
    assert not (tmp_path / "history").exists()


async def test_after_a_restart_a_task_is_listed_with_its_prompt_cost_and_file(tmp_path: Path) -> None:
    runway = Runway()
    async with connected(runway, tmp_path / "history") as (client, context):
        await start(client)
        runway.status = "SUCCEEDED"
        await client.call_tool("runway_waitForTask", {"taskId": runway.started[0]})
        await (await context.ledger.history()).tasks.record_saved(1, [SAVED])
    async with connected(runway, tmp_path / "history") as (client, _):
        runway.read.clear()
        (row,) = rows(result := await listed(client))
        assert row.pop("created").startswith("20")
        assert row == {
            "id": runway.started[0],
            "type": "text_to_video",
            "model": "gen4.5",
            "prompt": "A red kite",
            "status": "SUCCEEDED",
            "credits": "55",
            "until": "",
            "files": [SAVED.path],
        }
        assert data_of(result) == {"matched": 1, "credits": 55}
        assert runway.read == []
        assert note(result) == ""


async def test_active_tasks_are_looked_at_and_the_sums_are_those_of_now() -> None:
    runway = Runway()
    async with connected(runway) as (client, _):
        await start(client)
        result = await listed(client, status="active")
        (row,) = rows(result)
        assert (row["status"], row["credits"]) == ("RUNNING, 45 %", "~60")
        assert "until" not in row
        assert data_of(result) == {"matched": 1, "credits": 60}
        assert note(result) == "~: expected credits, not charged yet."
        runway.status = "SUCCEEDED"
        result = await listed(client, status="SUCCEEDED")
        (row,) = rows(result)
        assert (row["status"], row["credits"]) == ("SUCCEEDED", "55")
        assert datetime.fromisoformat(row["until"]) - datetime.fromisoformat(row["created"]) == timedelta(days=1)
        assert data_of(result) == {"matched": 1, "credits": 55}
        assert "runway_downloadOutput saves them" in note(result)
        assert data_of(await listed(client, status="active")) == {"matched": 0, "credits": 0}


async def test_a_task_that_runway_no_longer_has_is_listed_as_deleted() -> None:
    runway = Runway()
    async with connected(runway) as (client, _):
        await start(client)
        runway.fails = reply(404, {"error": "gone"})
        assert [row["status"] for row in rows(await listed(client))] == ["DELETED"]
        assert data_of(await listed(client, status="active"))["matched"] == 0


async def test_at_most_twenty_are_looked_at_each_once() -> None:
    runway = Runway()
    async with connected(runway) as (client, _):
        await start(client, count=MAX_LOOKS + 2)
        runway.read.clear()
        result = await listed(client, status="active", limit=100)
        assert len(rows(result)) == MAX_LOOKS + 2
        assert "Only the latest 20 active ones were read afresh." in note(result)
    assert sorted(runway.read) == sorted(runway.started[2:])


async def test_a_task_that_cannot_be_looked_at_keeps_its_last_known_status() -> None:
    runway = Runway()
    async with connected(runway) as (client, _):
        await start(client, count=2)
        await listed(client)
        runway.fails = reply(503)
        result = await listed(client)
        assert {row["status"] for row in rows(result)} == {"RUNNING"}
        assert data_of(result) == {"matched": 2, "credits": 120}
        assert "2 tasks could not be looked at and show their last known status: Runway is unavailable" in note(result)


async def test_a_task_takes_few_characters() -> None:
    """Under 150 with a usual prompt; a long one is cut."""
    runway = Runway()
    async with connected(runway) as (client, _):
        await start(client, "A red kite over the sea", 10)
        runway.status = "SUCCEEDED"
        (text, *_) = texts(await listed(client))
        assert len(json.dumps(json.loads(text)["tasks"], separators=(",", ":"))) / 10 < 150
        await start(client, "A red kite " * 20)
        assert rows(await listed(client, limit=1))[0]["prompt"] == "A red kite A red kite A red kit…"


async def test_everything_that_runs_is_stopped_in_two_calls() -> None:
    runway = Runway()
    async with connected(runway) as (client, _):
        await start(client, count=3)
        running = [row["id"] for row in rows(await listed(client, status="active"))]
        assert not (await client.call_tool("runway_cancelTask", {"taskIds": running})).is_error
        assert runway.cancelled == set(runway.started)
        result = await listed(client)
        assert {(row["status"], row["credits"]) for row in rows(result)} == {("CANCELLED", "55")}


async def test_pages_follow_by_cursor_and_each_tells_the_whole_sum() -> None:
    runway = Runway()
    async with connected(runway) as (client, _):
        await start(client, count=5)
        found: list[str] = []
        cursor = ""
        for size in (2, 2, 1):
            result = await listed(client, limit=2, cursor=cursor, text="KITE")
            assert len(rows(result)) == size
            found += [row["id"] for row in rows(result)]
            figures = data_of(result)
            cursor = figures.pop("nextCursor", "")
            assert figures == {"matched": 5, "credits": 300}
        assert (found, cursor) == (runway.started[::-1], "")
        cursor = data_of(await listed(client, limit=2, text="kite"))["nextCursor"]
        for other in (f"{cursor}0", "2", "zz.00000000", "f" * 15 + ".00000000"):
            assert "Leave it out to begin with the newest task" in await refused(client, cursor=other, text="kite")
        assert "nextCursor of a call with the same" in await refused(client, cursor=cursor, text="other")


@pytest.mark.parametrize(
    ("arguments", "matched", "said"),
    [
        ({"status": "running"}, 1, ""),
        ({"status": " 'Active' "}, 1, ""),
        ({"status": "in_progress"}, 1, "Took status RUNNING from"),
        ({"status": "all"}, 1, "Took status any from"),
        ({"status": "canceled"}, 0, "Took status CANCELLED from"),
        ({"status": None, "since": "", "type": None, "text": "", "limit": 0, "cursor": "null"}, 1, ""),
        ({"type": "Text to Video", "limit": "5"}, 1, ""),
        ({"type": "sound_effect"}, 0, ""),
        ({"text": " RED "}, 1, ""),
        ({"text": "GEN4"}, 1, ""),
        ({"text": "blue"}, 0, ""),
        ({"since": "Today"}, 1, "Since 20"),
        ({"since": "yesterday"}, 1, "Since 20"),
        ({"since": "2020-01-01T00:00Z"}, 1, "Since 20"),
        ({"since": "2999-01-01"}, 0, "Since 2999-01-01 00:00 (UTC"),
    ],
)
async def test_arguments_are_taken_as_they_were_meant(arguments: dict[str, Any], matched: int, said: str) -> None:
    async with connected(Runway()) as (client, _):
        await start(client)
        result = await listed(client, **arguments)
    assert (len(rows(result)) if matched else 0, data_of(result)["matched"]) == (matched, matched)
    assert said in note(result)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"status": "finished"}, "status must be one of active, PENDING"),
        ({"type": "text_to_vidoe"}, "Did you mean text_to_video? runway_listTaskTypes shows them all."),
        ({"type": "12"}, "There is no such task type. runway_listTaskTypes"),
        ({"since": "last week"}, 'since must be "today", "yesterday", a date such as'),
        ({"limit": 101}, "limit"),
        ({"state": "active"}, "status"),
    ],
)
async def test_an_argument_that_is_not_understood_is_told_with_its_forms(arguments: dict[str, Any], words: str) -> None:
    async with connected(Runway()) as (client, _):
        said = await refused(client, **arguments)
    assert words in said
    assert "Nothing was sent to Runway." in said


NOW = datetime(2026, 11, 25, 15, 30)  # noqa: DTZ001 - this machine's time


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("today", "2026-11-25T00:00"),
        (' "YESTERDAY" ', "2026-11-24T00:00"),
        ("2026-11-20", "2026-11-20T00:00"),
        ("\uff12026-11-20", "2026-11-20T00:00"),
        ("2026-11-20 14:05", "2026-11-20T14:05"),
        ("2026-11-20t14:05z", "2026-11-20T14:05+00:00"),
        ("2026-11-20T14:05:06.5+05:30", "2026-11-20T14:05:06.5+05:30"),
    ],
)
def test_since_is_a_day_of_this_machine_or_a_moment(text: str, moment: str) -> None:
    assert since_moment(text, NOW) == datetime.fromisoformat(moment).astimezone()


@pytest.mark.parametrize("text", ["tomorrow", "25.11.2026", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00", "7"])
def test_what_names_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ListArgumentError, match="since must be"):
        since_moment(text, NOW)


async def test_a_start_of_unknown_outcome_has_no_id_and_can_be_settled() -> None:
    async with connected(httpx2.ReadError("lost")) as (client, _):
        await start(client)
        await client.call_tool("runway_startTask", UNPRICED)
        result = await listed(client)
    assert [(row["id"], row["status"], row["credits"]) for row in rows(result)] == [
        ("", "UNKNOWN", "?"),
        ("", "UNKNOWN", "~60"),
    ]
    assert data_of(result) == {"matched": 2, "credits": 60, "unknown": 1}
    assert "The sum lacks 1 whose cost is unknown." in note(result)
    assert "starts 2, 1 is unknown" in note(result)
    assert "runway-mcp history settle 2" in note(result)


async def test_outputs_that_are_lost_are_told_once() -> None:
    runway = Runway()
    async with connected(runway) as (client, context):
        await start(client)
        await (await context.ledger.history()).tasks.mark_saving(1, "lost", before="")
        assert f"The outputs of {runway.started[0]} were to be saved, and can't" in note(await listed(client))
        assert "were to be saved" not in note(await listed(client))


@pytest.mark.parametrize(
    ("change", "is_told"),
    [
        ("INSERT INTO outputs VALUES (1, 1, '/films/a.mp4', 9, 'video/mp4', 'ab')", True),
        ("INSERT INTO outputs VALUES (1, 1, '/a', 9, '', ''), (1, 1, '/b', 9, '', '')", True),
        ("INSERT INTO outputs VALUES (1, 1, '/a', 9, '', ''), (1, 2, '/b', 9, '', '')", False),
        ("UPDATE starts SET saving = 'lost'", False),
        ("UPDATE starts SET saving = 'told'", False),
    ],
)
async def test_until_is_told_where_an_output_is_not_saved_that_can_be(
    tmp_path: Path, change: str, is_told: bool
) -> None:
    runway = Runway()
    runway.outputs = ["https://example.com/1.mp4", "https://example.com/2.mp4"]
    async with connected(runway, tmp_path / "history") as (client, _):
        await start(client)
        runway.status = "SUCCEEDED"
        assert rows(await listed(client))[0]["until"]
        with closing(sqlite3.connect(tmp_path / "history")) as database, database:
            database.execute(change)
        assert ("until" in rows(await listed(client))[0] and rows(await listed(client))[0]["until"] != "") is is_told


async def test_how_an_old_task_ended_may_not_be_known(tmp_path: Path) -> None:
    """It is not active, so that what runs is on the first page."""
    async with connected(Runway(), tmp_path / "history") as (client, _):
        await start(client)
        with closing(sqlite3.connect(tmp_path / "history")) as database, database:
            database.execute("UPDATE starts SET begun = begun - 3 * 86400, status = NULL")
        result = await listed(client)
        assert rows(result)[0]["status"] == "UNKNOWN"
        assert note(result).endswith("UNKNOWN with an id: nobody saw how it ended; runway_getTask may still tell.")
        assert data_of(await listed(client, status="active"))["matched"] == 0


async def test_until_is_told_as_long_as_outputs_can_be_fetched(tmp_path: Path) -> None:
    runway = Runway()
    async with connected(runway, tmp_path / "history") as (client, _):
        await start(client)
        runway.status = "SUCCEEDED"
        assert rows(await listed(client))[0]["until"]
        with closing(sqlite3.connect(tmp_path / "history")) as database, database:
            database.execute("UPDATE starts SET begun = begun - 86400")
        result = await listed(client)
    assert "until" not in rows(result)[0]
    assert note(result) == ""


async def test_without_a_usable_history_nothing_is_listed_and_nothing_has_changed(tmp_path: Path) -> None:
    (tmp_path / "history").write_bytes(b"no database" * 1000)
    async with connected(Runway(), tmp_path / "history") as (client, _):
        said = await refused(client)
    assert "history of started tasks is damaged" in said
    assert "Restore a backup" in said
    assert "Nothing was changed" in said

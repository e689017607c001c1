"""`runway-mcp history`: starts of unknown outcome are listed and settled by hand."""

import sys
from pathlib import Path

import anyio
import pytest
from support.served import free_port

from runway_mcp.cli.main import main
from runway_mcp.history.records import StartRequest
from runway_mcp.history.sqlite import open_history

TASK = "08388106-1b46-4f5c-bd46-1c1d7ee86892"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two starts of unknown outcome."""
    monkeypatch.setenv("RUNWAY_MCP_STATE_DIR", str(tmp_path))

    async def lose() -> None:
        async with open_history(tmp_path / "history.sqlite3", clock=lambda: 1_000_000_000.0) as history:
            for token, price in (("secret-1", 85.0), ("secret-2", None)):
                start = StartRequest("account", "caller", "print", "text_to_video", token, list_price=price)
                begun = await history.begin(start, lambda _: None)
                await history.record_result(begun.number, task_id=None, cost=None)

    anyio.run(lose)
    return tmp_path


def test_open_starts_are_listed_until_they_are_settled(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "2  2001-09-09 01:46:40Z  text_to_video  price unknown",
        "1  2001-09-09 01:46:40Z  text_to_video  counts for 85 credits",
    ]
    assert main(["history", "settle", "1", "--nothing"]) == 0
    assert main(["history", "settle", "2", "--task", TASK.upper()]) == 0
    assert capsys.readouterr().out == "Start 1 is settled.\nStart 2 is settled.\n"
    assert main(["history", "list", "--state-dir", str(folder)]) == 0
    assert capsys.readouterr().out == "No start has an unknown outcome.\n"

    async def found() -> str | None:
        async with open_history(folder / "history.sqlite3") as history:
            assert await history.find(1) is None
            record = await history.find(2)
            return record and record.task_id

    assert anyio.run(found) == TASK


@pytest.mark.usefixtures("folder")
def test_what_is_not_open_is_not_settled(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "settle", "3", "--nothing"]) == 1
    said = capsys.readouterr().err
    assert "Start 3 is not open: there is none of this number" in said
    assert said.endswith("Nothing was changed.\n")


def test_a_history_that_can_not_be_read_is_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "history.sqlite3").write_bytes(b"no database" * 1_000)
    assert main(["history", "list"]) == 1
    assert "is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required"),
        (["settle", "1"], "--nothing --task is required"),
        (["settle", "1", "--nothing", "--task", TASK], "not allowed with argument"),
        (["settle", "one", "--nothing"], "must be a start's number"),
        (["settle", "1", "--task", "../x"], "must be a task's id"),
        (["copy", "here", "postgresql://me:se/cret@db/films"], "its parts can't be told apart"),
        (["copy", "postgresql://me:se#cret@db/films", "there"], "its parts can't be told apart"),
        (["list", "--history", "postgresql://me:se?cret@db/films"], "its parts can't be told apart"),
        (["copy", "mysql://db", "there"], "must be a URL such as postgresql://"),
        (["list", "--spot"], "unknown option --spot"),
        (["list", "--sandbox"], "no history is kept there"),
        (["list", "--state-dir", "nowhere"], "no history is kept there"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_wrong_command_is_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No file is made where there is none."""
    assert main(["history", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "cret" not in said
    assert not Path("nowhere").exists()


def test_a_history_is_copied_and_a_second_time_nothing_is_left(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = str(folder / "history.sqlite3"), str(tmp_path / "copy.sqlite3")
    for copied in (2, 0):
        assert main(["history", "copy", source, target]) == 0
        assert capsys.readouterr().out == f"Copied {copied} starts.\n"
    away = f"postgresql://me:secret-word@127.0.0.1:{free_port()}/films"
    assert main(["history", "copy", source, away]) == 1
    said = capsys.readouterr().err
    assert "What was copied so far stays; repeat the command to go on." in said
    assert "secret-word" not in said
    assert main(["history", "copy", str(tmp_path / "none"), target]) == 2


@pytest.mark.parametrize("action", ["copy", "list"])
def test_a_command_forgets_nothing_that_the_server_keeps(action: str, tmp_path: Path) -> None:
    """Whatever --history-days and --history-prompts are there."""
    file, copied = tmp_path / "history.sqlite3", tmp_path / "copied.sqlite3"
    days = (1, 1000, 1000, 1000)
    start = StartRequest("account", "caller", "print", "text_to_video", prompt="A kite")

    async def fill() -> None:
        for day in days:
            async with open_history(file, clock=lambda day=day: day * 86400.0, keep_days=10_000) as history:
                await history.record_result(
                    (await history.begin(start, lambda _: None)).number, task_id=f"task {day}", cost=1
                )

    async def prompt(of: Path) -> str:
        async with open_history(of, clock=lambda: 1001 * 86400.0, keep_days=10_000) as history:
            found = await history.tasks.find("account", "caller", "task 1")
            assert found is not None
            return found.prompt

    anyio.run(fill)
    told = [str(file), str(copied)] if action == "copy" else ["--state-dir", str(tmp_path)]
    assert main(["history", action, *told]) == 0
    for of in (file, copied) if action == "copy" else (file,):
        assert anyio.run(prompt, of) == "A kite"


URL = "postgresql://db.example.com/films"


@pytest.mark.parametrize("arguments", [["list", "--history", URL], ["copy", URL, "here"], ["copy", "here", URL]])
def test_without_what_opens_a_database_a_command_says_what_to_install(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "runway_mcp.history.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    assert main(["history", *arguments]) == 2
    assert "--history needs the package asyncpg, which is not installed" in capsys.readouterr().err

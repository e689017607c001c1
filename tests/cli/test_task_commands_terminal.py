"""On a terminal the task commands show tables, progress bars and questions; what Runway says can't disturb it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from shell import VIDEO, Shell, Terminal, interrupt, video
from support.process import MEASURING
from support.upstream import TASK_ID, Reply, Request, reply, task

from runway_mcp.cli.screen import Screen
from runway_mcp.sandbox import SAMPLES

SUCCEEDED, FAILED = SAMPLES["succeeded_video"].id, SAMPLES["failed_internal"].id


def test_a_task_is_a_table_with_the_notes_below(shell: Shell) -> None:
    shown = shell.show("get", SUCCEEDED, FAILED)
    assert shown.code == 0
    assert "{" not in shown.out
    assert f"id           {SUCCEEDED}\nstatus       SUCCEEDED\n" in "\n".join(map(str.rstrip, shown.out.splitlines()))
    assert "credits  60" in shown.out
    assert f"{FAILED}: The task FAILED." in shown.err


def test_json_is_shown_on_a_terminal_where_asked_for(shell: Shell) -> None:
    assert shell.show("get", SUCCEEDED, "--json").lines[0]["id"] == SUCCEEDED


def test_a_wait_shows_a_bar_for_each_task(shell: Shell) -> None:
    other = TASK_ID.replace("0", "1")
    seen: list[str] = []

    def answer(request: Request) -> Reply:
        task_id = request.path.rpartition("/")[2]
        seen.append(task_id)
        status = "RUNNING" if seen.count(task_id) == 1 else "SUCCEEDED"
        return reply(200, task(status, task_id, progress=0.5))

    with shell.runway(answer):
        shown = shell.show("wait", TASK_ID, other)
    assert shown.code == 0
    assert re.search(rf"{TASK_ID[:8]} .* RUNNING, 50 %", shown.err)
    assert re.search(rf"{other[:8]} .* RUNNING, 50 %", shown.err)
    assert shown.out.count("SUCCEEDED") == 2


def test_a_listing_is_a_table_as_wide_as_the_terminal(shell: Shell) -> None:
    assert shell.show("list").out == ""
    started = shell.run("start", *VIDEO, "--wait")
    narrow, wide = shell.show("list", width=80), shell.show("list", width=160)
    for shown, columns in ((narrow, 4), (wide, 7)):
        head, row = shown.out.splitlines()
        assert len(head.split()) == columns
        assert row.startswith(f"{started.id}  SUCCEEDED")
        assert "A red kite" in row
    assert "1 matched, 60 credits." in narrow.err


@pytest.mark.parametrize("width", [80, 70])
def test_a_long_prompt_leaves_the_ids_whole(shell: Shell, width: int) -> None:
    started = shell.run("start", *video("A red kite \x1b[31m over the sea, 漢字漢字漢字漢字漢字漢字漢字漢字"))
    head, row, *rest = shell.show("list", width=width).out.splitlines()
    assert not rest
    assert head.split()[:3] == ["id", "status", "credits"]
    assert re.match(rf"{started.id}  (PENDING|RUNNING, \d+ %|SUCCEEDED) +~?60 ", row)


def test_types_are_a_table_and_a_schema_is_json(shell: Shell) -> None:
    assert "text_to_video" in shell.show("types").out
    assert '"type": "object"' in shell.show("types", "text_to_video", "gen4.5").out
    assert "credits  60" in shell.show("estimate", *VIDEO).out
    assert "veo3" in shell.show("account", "--detail").out


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 4), ("", 4)])
def test_a_person_is_asked_over_the_limit(shell: Shell, typed: str, code: int) -> None:
    asked = shell.show("start", *VIDEO, "--confirm-over", "59", typed=typed)
    assert asked.code == code
    assert "Start text_to_video with gen4.5 at Runway?" in asked.err
    assert ("you did not agree" in asked.err) == (code == 4)
    assert len(shell.run("list").lines) == (code == 0)


def test_ctrl_c_at_the_question_is_a_no(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(Terminal):
        def readline(self, size: int | None = -1, /) -> str:
            interrupt()
            return "y\n"[:size]

    monkeypatch.setattr("shell.Terminal", Interrupted)
    before = signal.getsignal(signal.SIGINT)
    asked = shell.show("start", *VIDEO, "--confirm-over", "59")
    assert asked.code == 4
    assert signal.getsignal(signal.SIGINT) == before


def test_a_text_of_runway_can_t_command_the_terminal(shell: Shell) -> None:
    evil = "\x1b]0;mine\x07\x1b[31m[bold]red[/bold]\u202e"
    with shell.runway([reply(200, task("FAILED", failure=evil))]):
        shown = shell.show("get", TASK_ID, raw=True)
    assert "\ufffd]0;mine\ufffd\ufffd[31m[bold]red[/bold]\ufffd" in shown.out


def test_a_file_s_name_can_t_command_the_progress_bar(shell: Shell) -> None:
    name = "[bold][/]\x1b[31m.png"
    shell.run("save", SAMPLES["succeeded_images"].id, "--output", "1", "--name", "picture")
    (picture,) = shell.folder.glob("picture*")
    try:
        picture.rename(shell.folder / name)
    except OSError:  # of a system whose names can't hold it
        name = picture.name
    shown = shell.show("upload", name, raw=True)
    assert shown.code == 0
    assert "\x1b[31m." not in shown.err


def test_a_link_can_be_clicked_though_it_is_folded(shell: Shell) -> None:
    link = f"https://example.com/{'a' * 200}"
    with shell.runway([reply(200, task("SUCCEEDED", output=[link]))]):
        shown = shell.show("get", TASK_ID, raw=True)
    assert f";{link}\x1b\\" in shown.out


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_reader_that_has_enough_ends_no_command(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "w", encoding="utf-8") as pipe:  # noqa: PTH123 - of a descriptor
        monkeypatch.setattr(sys, name, pipe)
        screen = Screen()
        for _ in range(2):
            screen.show({"id": "1"})
            screen.note("2")
    assert not screen.has_lost


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_result_that_can_t_be_written_is_told(shell: Shell) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "runway_mcp", "start", *VIDEO],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, **MEASURING},
            text=True,
            timeout=20,
            check=False,
        )
    assert ran.returncode == 1
    assert "stdout can't be written: No space left on device" in ran.stderr
    assert shell.run("list").id in ran.stderr

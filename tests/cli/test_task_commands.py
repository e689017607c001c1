"""The task commands do for people and scripts what the tools do for models."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue
from shell import VIDEO, Shell, interrupt, video
from support.faulty import FaultyWire, faulty_client
from support.upstream import TASK_ID, Reply, Request, reply, task

from runway_mcp.cli.screen import Report, Screen
from runway_mcp.cli.several_tasks import list_rows, save_outputs, typed_row
from runway_mcp.cli.start_fields import read_fields
from runway_mcp.cli.task_session import Answer, TaskSession
from runway_mcp.mcp_server.server import build_server
from runway_mcp.sandbox import SAMPLES
from runway_mcp.tasks.callers import CallerRegistry

SUCCEEDED = SAMPLES["succeeded_video"].id
FOREVER = SAMPLES["running_long"].id


def test_a_video_is_made_and_saved_by_one_command(shell: Shell) -> None:
    made = shell.run("start", *VIDEO, "--save", "videos")
    assert made.code == 0, made.err
    finished, saved = made.lines
    assert finished["status"] == "SUCCEEDED"
    assert finished["cost"] == {"credits": 60}
    assert saved["id"] == finished["id"]
    (path,) = (shell.folder / "videos").glob("* A red kite.mp4")
    assert [file["path"] for file in saved["files"]] == [str(path)]
    assert f"Started {made.id}" in made.err


def test_or_by_several_that_share_the_sandbox(shell: Shell) -> None:
    started = shell.run("start", *VIDEO)
    assert started.code == 0
    assert shell.run("wait", started.id).lines[0]["status"] == "SUCCEEDED"
    saved = shell.run("save", started.id, "--name", "kite", "--output", "1")
    assert [Path(file["path"]).name for file in saved.lines[0]["files"]] == ["kite.mp4"]
    assert (shell.folder / "kite.mp4").is_file()
    (row,) = shell.run("list").lines
    assert (row["id"], row["status"], row["credits"], row["charged"]) == (started.id, "SUCCEEDED", 60, True)
    assert row["files"] == [str(shell.folder / "kite.mp4")]
    assert shell.run("delete", started.id).lines[0]["done"] == "deleted"
    gone = shell.run("get", started.id)
    assert gone.code == 1
    assert gone.out == ""
    assert "Runway has no such task" in gone.err


def test_several_tasks_are_read_at_once_and_an_error_of_one_shows_in_the_exit_code(shell: Shell) -> None:
    both = shell.run("get", SUCCEEDED, "nonsense", SUCCEEDED)
    assert both.code == 1
    assert [line["id"] for line in both.lines] == [SUCCEEDED]
    assert "runway-mcp: nonsense: ID must be a Runway task's id" in both.err


def test_a_failed_task_is_exit_code_1_of_a_wait_and_not_of_a_read(shell: Shell) -> None:
    ended = shell.run("start", *video("sandbox:fail"), "--save", ".")
    assert ended.code == 1
    assert [line["status"] for line in ended.lines] == ["FAILED"]
    assert "The task FAILED" in ended.err
    assert shell.run("get", ended.id).code == 0


def test_a_wait_ends_with_the_time_and_says_how_to_go_on(shell: Shell) -> None:
    waited = shell.run("wait", FOREVER, FOREVER, "--timeout", "0.1")
    assert waited.code == 3
    assert [line["status"] for line in waited.lines] == ["RUNNING"]
    assert waited.err.endswith(f"goes on. To wait again:\n  runway-mcp wait {FOREVER} --sandbox\n")


def test_a_wait_for_any_ends_with_the_first(shell: Shell) -> None:
    waited = shell.run("wait", "--any", FOREVER, SUCCEEDED)
    assert waited.code == 0
    assert [line["id"] for line in waited.lines] == [SUCCEEDED]


def test_a_wait_goes_on_where_one_call_of_the_tool_ends(shell: Shell) -> None:
    with shell.runway([reply(200, task("RUNNING")), reply(429, Retry_After="7200")]) as api:
        waited = shell.run("wait", TASK_ID)
        assert waited.code == 1
        assert "It asks to wait 7200 s" in waited.err
        assert api.count("GET") == 2


@pytest.mark.parametrize(
    ("limit", "arguments", "words"),
    [
        ({}, ["--max-credits", "59"], "--max-credits allows 59"),
        ({"RUNWAY_MCP_MAX_CREDITS_PER_TASK": "59"}, [], "--max-credits-per-task"),
        ({"RUNWAY_MCP_MAX_CREDITS_PER_DAY": "59"}, [], "--max-credits-per-day"),
        ({"RUNWAY_MCP_CONFIRM_OVER": "59"}, [], "allow its price with --confirm-over CREDITS"),
        ({}, ["--confirm-over", "59"], "Nobody can answer here"),
    ],
)
def test_a_limit_is_exit_code_4_and_nothing_is_sent(
    shell: Shell, limit: dict[str, str], arguments: list[str], words: str
) -> None:
    shell.set(**limit)
    refused = shell.run("start", *VIDEO, *arguments)
    assert refused.code == 4
    assert refused.out == ""
    assert "Nothing was sent" in refused.err
    assert words in refused.err
    assert shell.run("list").out == ""


def test_a_limit_over_the_price_lets_the_start_pass(shell: Shell) -> None:
    shell.set(RUNWAY_MCP_CONFIRM_OVER="59")
    assert shell.run("start", *VIDEO, "--confirm-over", "60", "--max-credits", "60").code == 0


def test_a_client_token_buys_once(shell: Shell) -> None:
    first, second = (shell.run("start", *VIDEO, "--client-token", "mine") for _ in range(2))
    assert first.id == second.id
    assert "An earlier call with this --client-token started it: nothing new was bought." in second.err


def test_several_are_cancelled_and_a_finished_one_is_left_alone(shell: Shell) -> None:
    done = shell.run("cancel", FOREVER, SUCCEEDED)
    assert done.code == 0
    assert {line["id"]: line["done"] for line in done.lines} == {FOREVER: "cancelled", SUCCEEDED: "nothing"}
    assert f"{SUCCEEDED}: Left alone" in done.err
    assert "call `runway-mcp delete`" in done.err


def test_a_listing_shows_what_matches(shell: Shell) -> None:
    assert shell.run("list").code == 0
    for number in range(3):
        shell.run("start", *video(f"kite {number}"))
    assert [row["prompt"] for row in shell.run("list").lines] == ["kite 2", "kite 1", "kite 0"]
    assert len(shell.run("list", "--limit", "1").lines) == 1
    few = shell.run("list", "--text", "KITE 1", "--since", "today", "--type", "text_to_video")
    assert [row["prompt"] for row in few.lines] == ["kite 1"]
    assert "1 matched, 60 credits." in few.err
    wrong = shell.run("list", "--status", "sleeping")
    assert wrong.code == 1
    assert "status must be one of active, PENDING" in wrong.err


def test_an_estimate_sends_nothing_and_needs_no_key(shell: Shell) -> None:
    shell.set(RUNWAY_MCP_SANDBOX="")
    told = shell.run("estimate", *VIDEO)
    assert told.code == 0
    assert told.lines[0]["credits"] == 60


def test_without_a_key_the_error_says_what_to_set(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.set(RUNWAY_MCP_SANDBOX="")
    for name in ("RUNWAYML_API_SECRET", "RUNWAY_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    refused = shell.run("account")
    assert refused.code == 1
    assert "Set the environment variable RUNWAYML_API_SECRET (or RUNWAY_API_KEY); keys are made at" in refused.err


def test_types_models_and_the_account_are_shown(shell: Shell) -> None:
    assert "text_to_video" in shell.run("types").lines[0]["types"]
    assert "gen4.5" in shell.run("types", "text_to_video").lines[0]["models"]
    assert shell.run("types", "text_to_video", "gen4.5").lines[0]["schema"]["type"] == "object"
    assert shell.run("types", "nonsense").code == 1
    assert shell.run("account", "--sandbox").lines[0]["creditBalance"] > 0
    assert "tier" in shell.run("account", "--detail").lines[0]


def test_a_file_is_uploaded_by_its_path_and_named_by_an_input(shell: Shell) -> None:
    (picture,) = shell.run("save", SAMPLES["succeeded_images"].id, "--output", "1", "--dir", "in").lines[0]["files"]
    uploaded = shell.run("upload", picture["path"])
    assert uploaded.code == 0
    assert uploaded.lines[0]["uri"].startswith("runway://")
    (shell.folder / "elsewhere").mkdir()
    shell.set(RUNWAY_MCP_FILES_ROOT=str(shell.folder / "elsewhere"))
    relative = f"in/../in/{Path(picture['path']).name}"
    for image in (relative, picture["path"], uploaded.lines[0]["uri"], f"task:{SAMPLES['succeeded_images'].id}#2"):
        moved = shell.run("start", "image_to_video", *VIDEO[1:], f"promptImage={image}")
        assert moved.code == 0, moved.err
    assert "missing.png" in shell.run("upload", "missing.png").err


def test_a_prompt_and_the_input_come_from_stdin_or_a_file(shell: Shell) -> None:
    assert shell.run("start", *VIDEO[:1], "promptText=-", *VIDEO[2:], stdin="A blue kite\n").code == 0
    fields = {"promptText": "A green kite", "ratio": "1280:720", "duration": 8}
    (shell.folder / "input.json").write_text(json.dumps(fields))
    assert shell.run("start", VIDEO[0], "--input", "input.json").code == 0
    assert shell.run("start", VIDEO[0], "duration=5", "--input", "-", stdin=json.dumps(fields)).code == 0
    rows = shell.run("list").lines
    assert [(row["prompt"], row["credits"]) for row in rows] == [
        *(("A green kite", 60), ("A green kite", 96), ("A blue kite", 60))
    ]


def test_what_changes_anything_is_refused_where_the_server_is_read_only(shell: Shell) -> None:
    shell.set(RUNWAY_MCP_READ_ONLY="1")
    for arguments in (["start", *VIDEO], ["cancel", FOREVER], ["save", SUCCEEDED]):
        refused = shell.run(*arguments)
        assert refused.code == 1
        assert "--read-only" in refused.err
    assert shell.run("get", FOREVER).lines[0]["status"] == "RUNNING"


def test_settings_of_a_server_over_http_do_not_disturb(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "tokens.toml").write_text("")
    shell.set(
        RUNWAY_MCP_TRANSPORT="streamable-http",
        RUNWAY_MCP_AUTH="token",
        RUNWAY_MCP_TOKENS_FILE=str(tmp_path / "tokens.toml"),
        RUNWAY_MCP_TOOLSETS="tasks",
        RUNWAY_MCP_METRICS="1",
    )
    assert shell.run("start", *VIDEO).code == 0


def test_an_interrupted_wait_leaves_the_task_running_and_says_how_to_go_on(shell: Shell) -> None:
    def answer(_: Request) -> Reply:
        interrupt()
        return reply(200, task("RUNNING"))

    with shell.runway(answer) as api:
        waited = shell.run("wait", TASK_ID)
        assert (waited.code, waited.out) == (130, "")
        assert waited.err == (
            f"runway-mcp: interrupted. What has not finished goes on. To wait again:\n  runway-mcp wait {TASK_ID}\n"
        )
        assert api.count("DELETE") == 0


def test_what_goes_on_saves_too_and_has_the_same_key(shell: Shell) -> None:
    seen: list[str] = []

    def answer(request: Request) -> Reply:
        if request.method == "POST":
            return reply(200, {"id": TASK_ID, "estimatedCost": {"credits": 60}})
        if seen.count(request.path) == 2:
            interrupt()
        seen.append(request.path)
        return reply(200, task("RUNNING"))

    (shell.folder / "my keys.env").write_text("RUNWAY_MCP_LOG_LEVEL=error\n")
    with shell.runway(answer):
        started = shell.run("start", *VIDEO, "--save", "my videos", "--env-file", "my keys.env")
    assert started.code == 130
    options = "--env-file 'my keys.env'"
    assert started.err.endswith(
        f"To wait again:\n  runway-mcp wait {TASK_ID} {options}\n"
        f"  runway-mcp save {TASK_ID} {options} --dir '{shell.folder / 'my videos'}'\n"
    )


def test_an_interrupted_start_that_was_sent_is_in_the_list(shell: Shell) -> None:
    def answer(request: Request) -> Reply:
        if request.method == "POST":
            interrupt()
            return reply(200, {"id": TASK_ID, "estimatedCost": {"credits": 60}}, after=0.1)
        return reply(200, task("RUNNING"))

    with shell.runway(answer) as api:
        started = shell.run("start", *VIDEO, "--wait")
        assert started.code == 130
        assert started.err.endswith("If the start had been sent, Runway has the task:\n  runway-mcp list\n")
        assert api.count("POST") == 1
        assert [row["id"] for row in shell.run("list").lines] == [TASK_ID]


def test_a_start_that_is_interrupted_before_it_is_sent_buys_nothing(shell: Shell) -> None:
    (picture,) = shell.run("save", SAMPLES["succeeded_images"].id, "--output", "1").lines[0]["files"]

    def answer(_: Request) -> Reply:
        interrupt()
        return reply(500, {})

    with shell.runway(answer) as api:
        started = shell.run("start", "image_to_video", *VIDEO[1:], f"promptImage={picture['path']}")
        assert started.code == 130
        assert {request.path for request in api.requests} == {"/v1/uploads"}
        assert shell.run("list").out == ""


class Scripted(TaskSession):
    """A session whose server answers by a script."""

    def __init__(self, *answers: dict[str, JsonValue]) -> None:
        super().__init__(build_server(CallerRegistry(lambda _: faulty_client(FaultyWire()))), Screen(), 5, [])
        self.calls: list[Mapping[str, Any]] = []
        self._answers = iter(answers)

    async def call(self, tool: str, arguments: Mapping[str, Any], report: Report | None = None) -> Answer:
        self.calls.append({"tool": tool, "reports": report is not None, **arguments})
        return Answer(next(self._answers), "")


async def test_a_long_download_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    session = Scripted(
        {"files": [{"downloaded": 5}]}, {"files": [{"path": "a"}]}, {"files": [{"error": "It is gone."}]}
    )
    assert await save_outputs(session, [TASK_ID], Path()) == 0
    assert capsys.readouterr().out == '{"files":[{"path":"a"}]}\n'
    assert await save_outputs(session, [TASK_ID], Path()) == 1


async def test_a_listing_can_be_longer_than_a_page() -> None:
    rows: list[JsonValue] = [[f"id {number}"] for number in range(100)]
    session = Scripted({"columns": ["id", "files"], "tasks": rows, "nextCursor": "next"}, {"tasks": rows[:50]})
    listed, _ = await list_rows(session, {"status": "active"}, 150)
    assert len(listed) == 150
    assert [(call["limit"], call["cursor"]) for call in session.calls] == [(100, ""), (50, "next")]


@pytest.mark.parametrize(
    ("status", "credit", "found"),
    [
        ("RUNNING, 45 %", "~60", ("RUNNING", 60, False)),
        ("FAILED", "0.5", ("FAILED", 0.5, True)),
        ("UNKNOWN", "?", ("UNKNOWN", None, False)),
    ],
)
def test_a_row_for_scripts_holds_numbers(status: str, credit: str, found: tuple[str, float | None, bool]) -> None:
    row = typed_row({"id": TASK_ID, "status": status, "credits": credit})
    assert (row["status"], row["credits"], row["charged"]) == found


def test_dots_lead_into_objects(shell: Shell) -> None:
    (shell.folder / "cat.png").write_text("")
    fields = read_fields("text_to_image", ["a.b.c=1", "a.b.d=true", "a.e=x", "promptText=5", "promptImage=cat.png"])
    assert fields["a"] == {"b": {"c": 1, "d": True}, "e": "x"}
    assert fields["promptText"] == "5"
    assert fields["promptImage"] == str(shell.folder / "cat.png")


def test_a_key_is_shown_nowhere(shell: Shell) -> None:
    with shell.runway([reply(401, {"error": "no"})]):
        shell.set(RUNWAY_MCP_LOG_LEVEL="debug")
        refused = shell.run("account")
    assert refused.code == 1
    assert "key_of_a_test" not in refused.out + refused.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["start", "text_to_video", "key_secret"], "a field is given as name=value"),
        (["start", "text_to_video", "=key_secret"], "a field is given as name=value"),
        (["start", "text_to_video", "a=key_secret", "a.b=key_secret"], "must name an object"),
        (["start", "text_to_video", "a=key_secret", "a=key_secret"], "a field is given twice"),
        (["start", "text_to_video", "a=-", "b=-"], "stdin (-) can be read once"),
        (["start", "text_to_video", "a=-", "--input", "-"], "stdin (-) can be read once"),
        (["start", "text_to_video", "--input", "missing.json"], "--input: the file can't be read: No such file"),
        (["start", "text_to_video", "--input", "list.json"], "--input: the file must hold a JSON object"),
        (["start", "text_to_video", "--input", "nan.json"], "--input: the file is no JSON"),
        (["start", "text_to_video", "--save", "list.json"], "--save: the folder can't be used"),
        (["start", "text_to_video", "--max-credits", "-1"], "--max-credits"),
        (["get"], "missing argument"),
        (["save", "key_secret", "--dir", "list.json/in"], "--dir: the folder can't be used"),
        (["wait", "key_secret", "--timeout", "soon"], "--timeout"),
        (["wait", "key_secret", "--timeout", "nan"], "--timeout"),
        (["list", "--limit", "0"], "--limit"),
        (["start", "text_to_video", "--confirm-over", "nan"], "--confirm-over"),
        (["get", "key_secret", "--env-file", "missing.env"], "--env-file: there is no such file"),
        (["start", "text_to_video", "promptText=caf\udce9"], "an argument is not text"),
    ],
)
def test_bad_usage_is_exit_code_2_and_sends_nothing(shell: Shell, arguments: list[str], words: str) -> None:
    (shell.folder / "list.json").write_text("[]")
    (shell.folder / "nan.json").write_text('{"seed": NaN}')
    refused = shell.run(*arguments)
    assert refused.code == 2
    assert words in refused.err
    assert "key_secret" not in refused.err
    assert not (shell.folder / "state").exists()


@pytest.mark.parametrize("words", [["promptText=-"], ["--input", "-"]], ids=["field", "input"])
def test_stdin_that_is_no_text_is_refused(shell: Shell, words: list[str]) -> None:
    refused = shell.run("start", "text_to_video", "ratio=1280:720", "duration=5", *words, stdin='"caf\udce9"')
    assert refused.code == 2
    assert "stdin is not text" in refused.err


def test_a_sandbox_that_can_t_be_kept_is_an_error_of_the_settings(shell: Shell) -> None:
    (shell.folder / "state").mkdir()
    (shell.folder / "state" / "sandbox").write_text("")
    assert "the sandbox can't be kept in" in shell.run("account").err
    (shell.folder / "state" / "sandbox").unlink()
    assert shell.run("account").code == 0
    (shell.folder / "state" / "sandbox" / "sandbox.sqlite3").write_text("no database" * 100)
    refused = shell.run("account")
    assert refused.code == 2
    assert "delete it to begin anew" in refused.err

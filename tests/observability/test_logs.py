"""Logging that blocks nothing and gives nothing away, as text and as JSON."""

import json
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runway_mcp.observability import logs
from runway_mcp.observability.logs import (
    MAX_FIELD,
    MAX_RECORD,
    MAX_WAITING,
    JsonLines,
    Redaction,
    StderrHandler,
    TextLines,
)

KEY = "key_0123456789abcdef0123456789abcdef"


def record(message: str, *arguments: object, **fields: object) -> logging.LogRecord:
    one = logging.LogRecord("runway_mcp", logging.WARNING, "file.py", 1, message, arguments, None)
    vars(one).update(fields)
    return one


def failed(message: str) -> logging.LogRecord:
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError(message)
    info = (caught.type, caught.value, caught.tb)
    return logging.LogRecord("runway_mcp", logging.ERROR, "file.py", 1, "It failed", (), info)


def text_of(one: logging.LogRecord, *secrets: str, request: str = "") -> str:
    return TextLines(Redaction(secrets), lambda: request).format(one).split(" ", 2)[2]


def json_of(one: logging.LogRecord, *secrets: str, request: str = "") -> dict[str, Any]:
    line = JsonLines(Redaction(secrets), lambda: request).format(one)
    assert "\n" not in line
    assert len(line) <= MAX_RECORD
    return json.loads(line, parse_constant=pytest.fail)


def test_records_are_written_as_lines() -> None:
    read_end, write_end = os.pipe()
    handler = StderrHandler(write_end)
    handler.emit(record("first"))
    handler.emit(record("second %s", "\ud800"))
    handler.close()
    os.close(write_end)
    with os.fdopen(read_end, encoding="utf-8") as pipe:
        assert pipe.read() == "first\nsecond \\ud800\n"


def test_a_text_line_tells_level_logger_message_and_fields() -> None:
    one = record(
        "tools/call", tool="runway_getTask", duration_ms=1.5, outcome="tool_error", empty="", color_message="x"
    )
    line = text_of(one, request="ab12")
    fields = 'tool=runway_getTask duration_ms=1.5 outcome=tool_error empty="" request_id=ab12'
    assert line == f"WARNING runway_mcp: tools/call {fields}"


def test_a_json_line_tells_the_same_as_one_object() -> None:
    said = json_of(record("tools/call", status=200, duration_ms=1.5, none=None, odd=math.nan, path={1}), request="ab12")
    moment = datetime.fromisoformat(said.pop("time"))
    assert moment.tzinfo == UTC
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60
    assert said == {
        "level": "warning",
        "logger": "runway_mcp",
        "message": "tools/call",
        "status": 200,
        "duration_ms": 1.5,
        "none": None,
        "odd": "nan",
        "path": "{1}",
        "request_id": "ab12",
    }
    said = json_of(failed("no\nwonder"))
    assert said["exception"].endswith("RuntimeError: no\nwonder")
    assert "request_id" not in said


@pytest.mark.parametrize("of", [text_of, json_of])
def test_a_record_that_names_its_request_keeps_it(of: Callable[..., object]) -> None:
    shown = str(of(record("done", request_id="its own"), request="another"))
    assert "its own" in shown
    assert "another" not in shown


@pytest.mark.parametrize("of", [text_of, json_of])
def test_secrets_are_hidden_wherever_they_stand(of: Callable[..., object]) -> None:
    other = 'key"with\\odd characters'
    for one in (
        record(f"{KEY} {other} Authorization: Bearer abc.def https://x/y?_jwt=eyJ.abc&z=1"),
        record("field", one=f"{KEY} Bearer abc.def", two=f"{other} ?_jwt=eyJ.abc"),
        record("cut", one="x" * (MAX_FIELD - 10) + KEY, two="x" * (MAX_FIELD - 8) + other),
        failed(f"{KEY} {other} bearer abc.def ?_jwt=eyJ.abc /x/rwmcp_abc-def"),
    ):
        shown = str(of(one, KEY, other))
        assert [mark for mark in (KEY[:8], other[:8], "abc.def", "abc-def", "eyJ") if mark in shown] == []


def test_a_secret_that_is_learnt_later_is_hidden_from_then_on() -> None:
    redaction = Redaction([KEY, ""])
    redaction.hide(KEY + "more")
    redaction.hide("another")
    assert redaction(f"{KEY} {KEY}more another text") == "[hidden] [hidden] [hidden] text"


def test_a_line_is_bounded() -> None:
    assert len(TextLines(str, str).format(record("x" * 50_000))) == MAX_RECORD + 1
    said = json_of(record("\U0001f600" * 50_000, field="\U0001f600" * 50_000))
    assert said["message"].startswith("\U0001f600")
    assert len(said["field"]) == MAX_FIELD + 1
    assert json_of(failed("x" * 50_000))["exception"].startswith("Traceback")
    many = {f"field{number}": "x" * 90 for number in range(90)}
    assert json_of(record("message", **many))["field0"].endswith("x…")


@given(message=st.text(), field=st.text(max_size=50))
def test_no_text_breaks_a_line_or_begins_a_second(message: str, field: str) -> None:
    line = text_of(record("%s", message, field=field))
    assert line.isprintable()
    assert "\n" not in line
    said = json_of(record("%s", message, field=field))
    assert said["message"] == message.encode(errors="backslashreplace").decode()


def test_no_line_of_a_traceback_can_be_taken_for_a_record() -> None:
    lines = text_of(failed("no\n2026-11-21 21:00:00,000 INFO forged: \x1b[2J")).split("\n")
    assert lines[0] == "ERROR runway_mcp: It failed"
    assert all(line.startswith("  ") for line in lines[1:])
    assert "\x1b" not in lines[-1]


@pytest.mark.parametrize("form", [TextLines, JsonLines])
def test_a_reader_that_never_reads_costs_records_not_the_server(form: type[TextLines | JsonLines]) -> None:
    """With the pipe full, logging goes on without waiting, and the loss is told once there is room again."""
    read_end, write_end = os.pipe()
    handler = StderrHandler(write_end)
    handler.setFormatter(form(Redaction(), str))
    for _ in range(MAX_WAITING * 3):
        handler.emit(record("x" * 500))
    collected: list[bytes] = []

    def drain() -> None:
        while chunk := os.read(read_end, 65536):
            collected.append(chunk)

    reader = threading.Thread(target=drain)
    reader.start()
    deadline = time.monotonic() + 10
    while handler.is_behind and time.monotonic() < deadline:
        time.sleep(0.001)
    handler.emit(record("last"))
    handler.close()
    os.close(write_end)
    reader.join(10)
    os.close(read_end)
    lines = b"".join(collected).decode().splitlines()
    assert [line for line in lines if " log records were dropped" in line]
    assert "last" in lines[-1]
    assert form is TextLines or [json.loads(line) for line in lines]


def test_closing_does_not_wait_for_a_reader_that_never_reads() -> None:
    read_end, write_end = os.pipe()
    handler = StderrHandler(write_end)
    for _ in range(MAX_WAITING * 2):
        handler.emit(record("x" * 500))
    handler.close()
    assert handler.is_behind
    os.close(read_end)


def test_a_closed_stderr_and_a_record_that_cannot_be_formatted_are_survived() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    os.close(write_end)
    handler = StderrHandler(write_end)
    handler.emit(record("%d", "no number"))
    handler.emit(record("text"))
    handler.close()
    assert not handler.is_behind


@pytest.fixture
def root() -> Generator[logging.Logger]:
    one = logging.getLogger()
    before, one.handlers, level = one.handlers, [], one.level
    yield one
    for handler in one.handlers:
        handler.close()
    one.handlers = before
    one.setLevel(level)


def test_the_http_libraries_are_silent_at_every_level(root: logging.Logger) -> None:
    """They log whole URLs, signed ones too; even debug doesn't show them."""
    logs.configure("debug", secrets=[KEY])
    assert root.level == logging.DEBUG
    assert [type(handler) for handler in root.handlers] == [StderrHandler]
    for name in ("httpx2", "httpcore2", "httpcore2.http11", "urllib3.connectionpool"):
        assert not logging.getLogger(name).isEnabledFor(logging.ERROR)


@pytest.mark.parametrize(("form", "shown"), [("text", " INFO runway_mcp: ready"), ("json", '"message": "ready"')])
def test_what_is_announced_is_logged_at_every_level(
    form: Literal["text", "json"], shown: str, root: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.configure("error", form=form)
    logs.announce("ready")
    logging.getLogger("runway_mcp").warning("not shown")
    for handler in root.handlers:
        handler.close()
    (line,) = capfd.readouterr().err.splitlines()
    assert shown in line


def test_at_info_the_sdk_does_not_tell_of_each_request_too(root: logging.Logger) -> None:
    noisy = logging.getLogger("mcp.server.streamable_http")
    logs.configure("info")
    assert (root.isEnabledFor(logging.INFO), noisy.isEnabledFor(logging.INFO)) == (True, False)
    noisy.setLevel(logging.NOTSET)

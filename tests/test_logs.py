"""Logging that blocks nothing and gives nothing away."""

import logging
import os
import threading
import time

import pytest

from runway_mcp import logs
from runway_mcp.logs import LONGEST_RECORD, MOST_WAITING, StderrHandler

KEY = "key_0123456789abcdef0123456789abcdef"


def record(message: str, *arguments: object) -> logging.LogRecord:
    """A log record."""
    return logging.LogRecord("runway_mcp", logging.WARNING, "file.py", 1, message, arguments, None)


def written(handler: StderrHandler, read_end: int, write_end: int) -> str:
    """Everything the handler wrote until it was closed."""
    handler.close()
    os.close(write_end)
    with open(read_end, encoding="utf-8") as pipe:
        return pipe.read()


def test_records_are_written_as_lines() -> None:
    """One line each, in order, with characters that UTF-8 can't hold made visible."""
    read_end, write_end = os.pipe()
    handler = StderrHandler(write_end)
    handler.emit(record("first"))
    handler.emit(record("second %s", "\ud800"))
    assert written(handler, read_end, write_end) == "first\nsecond \\ud800\n"


def test_secrets_and_length_are_bounded() -> None:
    """The key, bearer tokens and signed URLs are hidden; an endless record is cut."""
    read_end, write_end = os.pipe()
    handler = StderrHandler(write_end, secret=KEY)
    handler.emit(record(f"key {KEY} Authorization: Bearer abc.def https://x/y?_jwt=eyJ.abc&z=1"))
    handler.emit(record("x" * 50_000))
    first, second = written(handler, read_end, write_end).splitlines()
    assert first == "key [API key] Authorization: Bearer [hidden] https://x/y?_jwt=[hidden]&z=1"
    assert len(second) == LONGEST_RECORD + 1


def test_a_reader_that_never_reads_costs_records_not_the_server() -> None:
    """With the pipe full, logging goes on without waiting, and the loss is told once there is room again."""
    read_end, write_end = os.pipe()
    handler = StderrHandler(write_end)
    for _ in range(MOST_WAITING * 3):
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
    assert b" log records were dropped)\n" in b"".join(collected)
    assert b"".join(collected).endswith(b"last\n")


def test_closing_does_not_wait_for_a_reader_that_never_reads() -> None:
    """A full queue is given up at once; a blocked write after half a second."""
    read_end, write_end = os.pipe()
    handler = StderrHandler(write_end)
    for _ in range(MOST_WAITING * 2):
        handler.emit(record("x" * 500))
    handler.close()
    assert handler.is_behind
    os.close(read_end)


def test_a_closed_stderr_and_a_record_that_cannot_be_formatted_are_survived() -> None:
    """Neither raises."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    os.close(write_end)
    handler = StderrHandler(write_end)
    handler.emit(record("%d", "no number"))
    handler.emit(record("text"))
    handler.close()
    assert not handler.is_behind


def test_the_http_libraries_are_silent_at_every_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """They log whole URLs, signed ones too; even debug doesn't show them."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    level = root.level
    try:
        logs.configure("debug", secret=KEY)
        assert root.level == logging.DEBUG
        assert [type(handler) for handler in root.handlers] == [StderrHandler]
        for name in ("httpx2", "httpcore2", "httpcore2.http11"):
            assert not logging.getLogger(name).isEnabledFor(logging.ERROR)
    finally:
        for handler in root.handlers:
            handler.close()
        root.setLevel(level)

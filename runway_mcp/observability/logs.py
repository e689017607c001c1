"""Logging as text or JSON lines that neither blocks the server nor shows a secret.

Lines go to stderr through a bounded queue and a thread of their own: a host that never reads
stderr costs lines, not the server. The HTTP libraries, which log whole URLs, stay silent.
"""

import json
import logging
import math
import os
import queue
import re
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal

MAX_RECORD = 8_000
"""Characters of a line."""
MAX_FIELD = 100
"""Characters of a field's text."""
MAX_WAITING = 1_000

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
_SIGNED_OR_BEARER = re.compile(r"(?i)(_jwt=|bearer |\brwmcp_)[^\s\"'&]+")
_OF_EVERY_RECORD = {*vars(logging.makeLogRecord({})), "asctime", "message", "color_message"}
"""The standard attributes of a record; uvicorn adds the last one for terminals."""


class Redaction:
    """Takes secrets out of texts: known ones, bearer tokens, and the signatures of output URLs."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: tuple[str, ...] = ()
        for secret in secrets:
            self.hide(secret)

    def hide(self, secret: str) -> None:
        """Hide one more secret from now on."""
        self._secrets = tuple(sorted({*self._secrets, secret} - {""}, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """Return `text` without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "[hidden]")
        return _SIGNED_OR_BEARER.sub(r"\1[hidden]", text)


class _Lines(logging.Formatter):
    def __init__(self, redact: Callable[[str], str], request_id: Callable[[], str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redact = redact
        self._request_id = request_id

    def _fields(self, record: logging.LogRecord) -> dict[str, object]:
        # redacted before it is cut, lest a piece of a secret be left
        fields = {name: self._field(value) for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        if "request_id" not in fields and (current := self._request_id()):
            fields["request_id"] = current
        return fields

    def _field(self, value: object) -> object:
        if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
            return value
        return _printable(_cut(self._redact(str(value)), MAX_FIELD))


class TextLines(_Lines):
    """A record as a line: time, level, logger, message and `name=value` fields; an exception is indented below it."""

    def format(self, record: logging.LogRecord) -> str:
        return _cut(self._redact(super().format(record)), MAX_RECORD)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        words = "".join(f" {name}={_word(str(value))}" for name, value in self._fields(record).items())
        return _printable(super().formatMessage(record)) + words

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - the library's name
        return "\n".join(f"  {_printable(line)}" for line in super().formatException(ei).split("\n"))


class JsonLines(_Lines):
    """A record as one JSON object: time (ISO 8601, UTC), level, logger, message, its fields, and an exception."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        whole: dict[str, object] = {
            "time": time,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._fields(record),
        }
        if record.exc_info:
            whole["exception"] = self.formatException(record.exc_info)
        clean = {name: self._clean(value) if isinstance(value, str) else value for name, value in whole.items()}
        limit = MAX_RECORD
        while len(line := _dump(clean, limit)) > MAX_RECORD and limit:
            limit //= 2
        return line

    def _clean(self, text: str) -> str:
        return self._redact(text).encode(errors="backslashreplace").decode()


class StderrHandler(logging.Handler):
    """Writes log lines to a file descriptor from its own thread, and drops what does not fit."""

    def __init__(self, fd: int = 2) -> None:
        super().__init__()
        self._fd = fd
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_WAITING)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    @property
    def is_behind(self) -> bool:
        """Whether records wait to be written."""
        return not self._lines.empty()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.put_nowait(self.format(record))
        except Exception:  # noqa: BLE001 - no room, or a record that can't be formatted: neither must end a call
            self._dropped += 1

    def close(self) -> None:
        # half a second for the queue to empty; what stderr does not take by then is lost
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            pass
        else:
            self._thread.join(0.5)
        super().close()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            dropped, self._dropped = self._dropped, 0
            lines = [line]
            if dropped:
                lines.insert(0, self.format(_record(logging.WARNING, f"{dropped} log records were dropped")))
            data = "".join(f"{line}\n" for line in lines).encode(errors="backslashreplace")
            try:
                while data:
                    data = data[os.write(self._fd, data) :]
            except OSError:
                self._dropped += 1


def configure(
    level: str,
    *,
    form: Literal["text", "json"] = "text",
    secrets: Iterable[str] = (),
    request_id: Callable[[], str] = str,
) -> Redaction:
    """Send the process's log to stderr, from `level` (debug, info, warning, error) on, without `secrets`.

    What is returned hides secrets that are known only later. `request_id` returns the id of the current request; empty
    without one.
    """
    redaction = Redaction(secrets)
    handler = StderrHandler()
    handler.setFormatter((TextLines if form == "text" else JsonLines)(redaction, request_id))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for library in ("httpx2", "httpcore2", "urllib3"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    for chatty in ("sse_starlette", "mcp.server.mcpserver"):  # which log what they are asked for and answer
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if level == "info":
        logging.getLogger("mcp.server.streamable_http").setLevel(logging.WARNING)  # two lines for each request
    return redaction


def announce(message: str) -> None:
    """Log `message` whatever the level."""
    logging.getLogger().handle(_record(logging.INFO, message))


def _record(level: int, message: str) -> logging.LogRecord:
    return logging.LogRecord("runway_mcp", level, __file__, 0, message, None, None)


def _word(text: str) -> str:
    return text if text and not set(text) & set(' "=') else json.dumps(text, ensure_ascii=False)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit] + "…"


def _dump(fields: dict[str, object], limit: int) -> str:
    return json.dumps({name: _cut(value, limit) if isinstance(value, str) else value for name, value in fields.items()})

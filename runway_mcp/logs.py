"""Logging that can neither block the server nor give a secret away.

Lines go to stderr through a bounded queue and a thread of their own: a host that never reads
stderr costs lines, not the server. The HTTP libraries, which log whole URLs, stay silent.
"""

import logging
import os
import queue
import re
import threading

LONGEST_RECORD = 8_000
MOST_WAITING = 1_000

_SECRETS = re.compile(r"(?i)(_jwt=|bearer )[^\s\"'&]+")


class StderrHandler(logging.Handler):
    """Writes log lines to a file descriptor from its own thread, and drops what does not fit.

    Args:
        fd: Where to write; 2 is stderr.
        secret: A text that is replaced wherever it appears; None for none.
    """

    def __init__(self, fd: int = 2, *, secret: str | None = None) -> None:
        super().__init__()
        self._fd = fd
        self._secret = secret
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_WAITING)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    @property
    def is_behind(self) -> bool:
        """Whether records wait to be written."""
        return not self._lines.empty()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one record; never waits, never raises."""
        try:
            self._lines.put_nowait(self._line(record))
        except queue.Full:
            self._dropped += 1
        except Exception:  # noqa: BLE001 - a record that can't be formatted must not end a call
            self._dropped += 1

    def close(self) -> None:
        """Give the queue half a second to empty; what stderr does not take by then is lost."""
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            pass
        else:
            self._thread.join(0.5)
        super().close()

    def _line(self, record: logging.LogRecord) -> str:
        text = self.format(record)
        if self._secret:
            text = text.replace(self._secret, "[API key]")
        text = _SECRETS.sub(r"\1[hidden]", text)
        return text if len(text) <= LONGEST_RECORD else text[:LONGEST_RECORD] + "…"

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            dropped, self._dropped = self._dropped, 0
            note = f"({dropped} log records were dropped)\n" if dropped else ""
            data = f"{note}{line}\n".encode(errors="backslashreplace")
            try:
                while data:
                    data = data[os.write(self._fd, data) :]
            except OSError:
                self._dropped += 1


def configure(level: str, *, secret: str | None = None) -> None:
    """Send the process's log to stderr, from `level` (debug, info, warning, error) on.

    Args:
        level: The least severe records that are written.
        secret: The API key, so that no record can show it.
    """
    handler = StderrHandler(secret=secret)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for library in ("httpx2", "httpcore2"):
        logging.getLogger(library).setLevel(logging.CRITICAL)

"""Limits for clients that never send a request or never read its response. Uvicorn sets none."""

import asyncio
from collections import Counter

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 20.0
READING_SECONDS = 20.0
MAX_SILENT = 250
"""Connections without a request in flight. One more closes the oldest of the address that has most of them."""
MIN_READ = 16 * 1024
"""Bytes of a pending response that a client has to read in `READING_SECONDS`."""


class DeadlineProtocol(H11Protocol):
    """Closes a connection whose request head does not arrive in time, or whose client does not read.

    Silent connections take no room from others, however many there are. A limit by address alone would be one for all
    clients of a proxy together.
    """

    header_seconds = HEADER_SECONDS
    reading_seconds = READING_SECONDS
    max_silent = MAX_SILENT
    _head: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _unread = 0
    silent_since: float = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Every byte that the system does not take at once counts as unread, also the last ones before a close.
        transport.set_write_buffer_limits(high=0)
        self.silent_since = self.loop.time()
        self._close_silent()
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._await_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.silent_since = self.loop.time()
        if self.conn.trailing_data[0]:
            self._await_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reading()

    def resume_writing(self) -> None:
        self._reading = _cancelled(self._reading)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head, self._reading = _cancelled(self._head), _cancelled(self._reading)
        super().connection_lost(exc)

    @property
    def is_silent(self) -> bool:
        return not self.transport.is_closing() and (not self.cycle or self.cycle.response_complete)

    @property
    def address(self) -> str:
        return self.client[0] if self.client else ""

    def _close_silent(self) -> None:
        ours: list[DeadlineProtocol] = [one for one in self.connections if isinstance(one, DeadlineProtocol)]
        silent = [one for one in ours if one.is_silent and one is not self]
        if len(silent) >= self.max_silent:
            ((most, _),) = Counter(one.address for one in silent).most_common(1)
            min((one for one in silent if one.address == most), key=lambda one: one.silent_since).transport.close()

    def _await_head(self) -> None:
        if self.cycle and not self.cycle.response_complete:
            self._head = _cancelled(self._head)
        elif self._head is None and not self.transport.is_closing():
            self._head = self.loop.call_later(self.header_seconds, self.transport.abort)

    def _await_reading(self) -> None:
        self._unread = self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(self.reading_seconds, self._check_reading)

    def _check_reading(self) -> None:
        if self.transport.get_write_buffer_size() > self._unread - MIN_READ:
            self.transport.abort()
        else:
            self._await_reading()


def _cancelled(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()

"""MCP over the process's own stdin and stdout, so that it always ends, and ends cleanly.

The SDK's transport reads and writes lines of any length in worker threads that nothing can interrupt. Here daemon
threads do it on private copies of the descriptors. A closed stdin or stdout, or a signal, ends the input.
"""

import os
import queue
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, cast

import anyio
import anyio.from_thread
import anyio.lowlevel
from anyio.abc import ObjectSendStream
from mcp.server.mcpserver import MCPServer
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import PARSE_ERROR, ErrorData, JSONRPCError

from runway_mcp.signals import on_stop_signal

MAX_LINE = 4 * 1024 * 1024
"""Bytes of one message; no tool takes anything near it."""
CHUNK = 64 * 1024
_NO_MESSAGE = JSONRPCError(
    jsonrpc="2.0",
    id=None,
    error=ErrorData(
        code=PARSE_ERROR,
        message=f"That line is no JSON-RPC message, and was not handled. Each message is one line of JSON of at most "
        f"{MAX_LINE // 1024**2} MiB; batches are not supported.",
    ),
)
READ_AHEAD = 4
"""Chunks that are read before the first of them is dealt with."""


async def serve_stdio(server: MCPServer[Any]) -> None:
    """Serve one host until stdin or stdout closes, or SIGINT or SIGTERM comes."""
    stdin, stdout = _take_descriptors()
    lines = LineReader(stdin)
    writer = LineWriter(stdout, on_closed=lines.stop)
    # MCPServer offers no public way to be served over streams of one's own.
    lowlevel = server._lowlevel_server  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    with on_stop_signal(lines.stop):
        async with stdio_server(cast("Any", lines), cast("Any", writer)) as (read, write):
            send, messages = anyio.create_memory_object_stream[SessionMessage | Exception]()
            async with anyio.create_task_group() as relaying:
                relaying.start_soon(_relay, read, send, write)
                await lowlevel.run(messages, write, lowlevel.create_initialization_options())
                relaying.cancel_scope.cancel()


class _Sender(Protocol):
    """Where answers can be sent."""

    async def send(self, item: SessionMessage, /) -> None: ...


async def _relay(
    read: AsyncIterable[SessionMessage | Exception],
    send: ObjectSendStream[SessionMessage | Exception],
    write: _Sender,
) -> None:
    with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
        async with send:
            async for item in read:
                await (write.send(SessionMessage(_NO_MESSAGE)) if isinstance(item, Exception) else send.send(item))


class LineReader:
    """The lines of a descriptor: read by a daemon thread, iterated over by the event loop."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._token = anyio.lowlevel.current_token()
        self._room = threading.Semaphore(READ_AHEAD)
        self._send, self._receive = anyio.create_memory_object_stream[list[bytes]](READ_AHEAD)
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    def stop(self) -> None:
        """End the iteration, as if the input had ended."""
        self._send.close()

    async def __aiter__(self) -> AsyncGenerator[str]:
        async with self._receive:
            async for lines in self._receive:
                for line in lines:
                    yield line.decode(errors="replace")
                self._room.release()

    def _read(self) -> None:
        with suppress(anyio.RunFinishedError, anyio.ClosedResourceError, anyio.BrokenResourceError):
            for lines in _split(iter(partial(_read_chunk, self._fd), b"")):
                self._room.acquire()
                anyio.from_thread.run_sync(self._send.send_nowait, lines, token=self._token)
            anyio.from_thread.run_sync(self.stop, token=self._token)


class LineWriter:
    """A descriptor that a daemon thread writes to, one whole message at a time.

    `on_closed` is called in the event loop once the other side has closed; later messages are dropped.
    """

    def __init__(self, fd: int, on_closed: Callable[[], None]) -> None:
        self._fd = fd
        self._on_closed = on_closed
        self._is_closed = False
        self._token = anyio.lowlevel.current_token()
        self._messages: queue.SimpleQueue[tuple[bytes, anyio.Event]] = queue.SimpleQueue()
        threading.Thread(target=self._write, name="stdout", daemon=True).start()

    async def write(self, text: str) -> None:
        """Write a message, and return once the descriptor has taken it."""
        if not self._is_closed:
            written = anyio.Event()
            self._messages.put((text.encode(errors="replace"), written))
            await written.wait()

    async def flush(self) -> None:
        """Do nothing: what is written is out."""

    def _write(self) -> None:
        with suppress(anyio.RunFinishedError):
            while True:
                data, written = self._messages.get()
                try:
                    while data:
                        data = data[os.write(self._fd, data) :]
                except OSError:
                    self._is_closed = True
                    anyio.from_thread.run_sync(self._on_closed, token=self._token)
                anyio.from_thread.run_sync(written.set, token=self._token)


def _read_chunk(fd: int) -> bytes:
    try:
        return os.read(fd, CHUNK)
    except OSError:
        return b""


def _split(chunks: Iterable[bytes]) -> Generator[list[bytes]]:
    rest = b""
    skipping = False
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if skipping and lines:
            lines[0] = b"(a part of a line that is too long)"
            skipping = False
        if skipping or len(rest) > MAX_LINE:
            rest, skipping = b"", True
        yield [line for line in lines if line.strip()]
    if rest:
        yield [rest]


def _take_descriptors() -> tuple[int, int]:
    stdin, stdout = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)
    os.close(nowhere)
    return stdin, stdout

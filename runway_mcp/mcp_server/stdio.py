"""MCP over the process's own stdin and stdout, so that it always ends, and ends cleanly.

The SDK's transport reads and writes lines of any length in worker threads that nothing can interrupt. Here daemon
threads do it on private copies of the descriptors. A closed stdin or stdout, or a signal, ends the input.
"""

import os
import queue
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator, Iterable
from contextlib import aclosing, suppress
from functools import partial
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
from anyio.abc import ObjectSendStream
from mcp.server import Server
from mcp.server.mcpserver import MCPServer
from mcp.shared.message import SessionMessage

from runway_mcp.mcp_server.message_reader import CONTEXT, MAX_BYTES, UnreadableMessageError, read_message, too_long
from runway_mcp.signals import on_stop_signal

CHUNK = 64 * 1024
READ_AHEAD = 4
"""Chunks that are read before the first of them is dealt with."""

Line = bytes | UnreadableMessageError
"""A line, or the error for one that is too long."""


async def serve_stdio(server: MCPServer[Any]) -> None:
    """Serve one host until stdin or stdout closes, or SIGINT or SIGTERM comes."""
    stdin, stdout = _take_descriptors()
    lines = LineReader(stdin)
    writer = LineWriter(stdout, on_closed=lines.stop)
    # MCPServer offers no public way to be served over streams of one's own.
    lowlevel = server._lowlevel_server  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    to_host, answers = anyio.create_memory_object_stream[SessionMessage]()
    with on_stop_signal(lines.stop):
        async with anyio.create_task_group() as tasks, answers, to_host:
            tasks.start_soon(_write_messages, answers, writer)
            async with aclosing(_messages(lines, to_host)) as messages:
                opening = await anext(messages, None)
                while opening is not None:
                    opening = await _serve_until_handshake(lowlevel, opening, messages, to_host.clone())
            tasks.cancel_scope.cancel()


async def _messages(lines: "LineReader", to_host: ObjectSendStream[SessionMessage]) -> AsyncGenerator[SessionMessage]:
    async for line in lines:
        try:
            if isinstance(line, UnreadableMessageError):
                raise line
            _, message = read_message(line)
        except UnreadableMessageError as error:
            for answer in error.answers:
                await to_host.send(SessionMessage(answer))
        else:
            yield SessionMessage(message)


async def _serve_until_handshake(
    lowlevel: Server[Any],
    opening: SessionMessage,
    messages: AsyncIterator[SessionMessage],
    to_host: ObjectSendStream[SessionMessage],
) -> SessionMessage | None:
    """Serve until the input ends, or a handshake comes from a client that has only asked what the server speaks.

    Such a client got no answer in time. The SDK decides for a revision with the first request, so it is run anew with
    the `initialize` that is returned.
    """
    to_server, received = anyio.create_memory_object_stream[SessionMessage | Exception]()
    handshake: SessionMessage | None = None

    async def relay() -> None:
        nonlocal handshake
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            async with to_server:
                await to_server.send(opening)
                has_only_asked = _method(opening) == "server/discover"
                async for message in messages:
                    if has_only_asked and _method(message) == "initialize":
                        handshake = message
                        return
                    has_only_asked = has_only_asked and _method(message) == "server/discover"
                    await to_server.send(message)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(relay)
        await lowlevel.run(received, to_host, lowlevel.create_initialization_options())
        tasks.cancel_scope.cancel()
    return handshake


def _method(message: SessionMessage) -> str:
    return str(getattr(message.message, "method", ""))


async def _write_messages(answers: AsyncIterable[SessionMessage], writer: "LineWriter") -> None:
    async for answer in answers:
        await writer.write(answer.message.model_dump_json(by_alias=True, exclude_unset=True) + "\n")


class LineReader:
    """The lines of a descriptor: read by a daemon thread, iterated over by the event loop."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._token = anyio.lowlevel.current_token()
        self._room = threading.Semaphore(READ_AHEAD)
        self._send, self._receive = anyio.create_memory_object_stream[list[Line]](READ_AHEAD)
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    def stop(self) -> None:
        """End the iteration, as if the input had ended."""
        self._send.close()

    async def __aiter__(self) -> AsyncGenerator[Line]:
        async with self._receive:
            async for lines in self._receive:
                for line in lines:
                    yield line
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


def _split(chunks: Iterable[bytes]) -> Generator[list[Line]]:
    rest = head = b""
    for chunk in chunks:
        first, *others = (rest + chunk).split(b"\n")
        if head and others:
            yield [too_long(head, first)]
            first, head = b"", b""
        *lines, rest = [first, *others]
        if len(rest) > MAX_BYTES:
            head = rest[:CONTEXT]
        if head:
            rest = rest[-CONTEXT:]
        yield [line for line in lines if line.strip()]
    if rest:
        yield [too_long(head, rest) if head else rest]


def _take_descriptors() -> tuple[int, int]:
    stdin, stdout = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)
    os.close(nowhere)
    return stdin, stdout

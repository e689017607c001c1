"""The byte work of the stdio transport, on pipes: lines in, lines out, and the ends of both."""

import os
from collections.abc import Callable, Generator

import anyio
import pytest

from runway_mcp.mcp_server.message_reader import MAX_BYTES, UnreadableMessageError
from runway_mcp.mcp_server.stdio import Line, LineReader, LineWriter


@pytest.fixture
def pipe() -> Generator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        try:
            os.close(end)
        except OSError:
            continue


async def test_lines_are_read_whole_whatever_the_pieces(pipe: tuple[int, int]) -> None:
    lines = LineReader(pipe[0])
    found: list[Line] = []
    with anyio.fail_after(5):
        os.write(pipe[1], b"one\ntw")
        async for line in lines:
            found.append(line)
            if line == b"one":
                os.write(pipe[1], "o\n\nthr\xe9\u00e9\nfour".encode("latin-1"))
                os.close(pipe[1])
    assert found == [b"one", b"two", b"thr\xe9\xe9", b"four"]


async def read_while(lines: LineReader, send: Callable[[], None]) -> list[Line]:
    """Return all lines that come while `send` writes them in a thread."""
    found: list[Line] = []
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, send)
            found += [line async for line in lines]
    return found


@pytest.mark.parametrize(
    ("head", "tail", "request_id"),
    [
        (b'{"id": 7, "method": "x", "params": "', b'"}', 7),
        (b'{"method": "x", "params": {"id": 1, "text": "', b'"}, "jsonrpc": "2.0", "id": "last"}', "last"),
        (b'{"method": "x", "params": "', b'"}', None),
        (b'{"id": 7, "result": "', b'"}', None),
    ],
)
async def test_of_an_endless_line_only_its_ends_are_kept(
    head: bytes, tail: bytes, request_id: int | str | None, pipe: tuple[int, int]
) -> None:
    """A message over the limit costs neither memory nor the connection; its id is at one of its ends."""
    lines = LineReader(pipe[0])

    def send() -> None:
        piece = b"x" * 65_536
        os.write(pipe[1], b"before\n" + head)
        for _ in range(MAX_BYTES // len(piece) + 20):
            os.write(pipe[1], piece)
        os.write(pipe[1], tail + b"\nafter\n")
        os.close(pipe[1])

    before, error, after = await read_while(lines, send)
    assert (before, after) == (b"before", b"after")
    assert isinstance(error, UnreadableMessageError)
    assert [answer.id for answer in error.answers] == [request_id]
    assert "over 4 MiB" in str(error)


async def test_an_endless_line_may_be_the_last(pipe: tuple[int, int]) -> None:
    lines = LineReader(pipe[0])

    def send() -> None:
        os.write(pipe[1], b"x" * (MAX_BYTES + 65_536))
        os.close(pipe[1])

    (error,) = await read_while(lines, send)
    assert isinstance(error, UnreadableMessageError)


async def test_a_reader_that_is_stopped_ends_as_if_the_input_had(pipe: tuple[int, int]) -> None:
    lines = LineReader(pipe[0])
    with anyio.fail_after(5):
        lines.stop()
        assert [line async for line in lines] == []
    os.write(pipe[1], b"late\n")


async def test_an_input_that_breaks_is_an_input_that_ends() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with anyio.fail_after(5):
        assert [line async for line in LineReader(reading)] == []
    os.close(writing)


async def test_messages_are_written_whole_and_in_order(pipe: tuple[int, int]) -> None:
    """Also those that are larger than what a pipe takes at once."""
    writer = LineWriter(pipe[1], on_closed=lambda: None)
    received: list[bytes] = []

    def receive() -> None:
        while not b"".join(received).endswith(b"last\n"):
            received.append(os.read(pipe[0], 65_536))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, receive)
            await writer.write("x" * 300_000 + "\n")
            await writer.write("\ud800last\n")
    assert b"".join(received) == b"x" * 300_000 + b"\n?last\n"


async def test_a_closed_output_is_told_once_and_later_messages_are_dropped(pipe: tuple[int, int]) -> None:
    told: list[bool] = []
    writer = LineWriter(pipe[1], on_closed=lambda: told.append(True))
    os.close(pipe[0])
    with anyio.fail_after(5):
        await writer.write("one\n")
        await writer.write("two\n")
    assert told == [True]

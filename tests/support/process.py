"""The server as a process of its own, driven line by line; it never outlives its test."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, cast

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from support.upstream import Reply, Request, Upstream, reply, task
from support.waiting import until

KEY = "key_5ecre7c0ffee0123456789abcdefmarked"
"""An API key that is easy to look for."""

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
"""What the newest protocol revision wants in each request, in place of a handshake."""

ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "SYSTEMROOT", "TMPDIR"}
}
MEASURING = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
"""What has coverage, where it runs, measure a process too: it then starts in double the time."""

Stop = Literal["eof", "SIGINT", "SIGTERM"]
STOPS: tuple[Stop, ...] = ("eof", "SIGINT", "SIGTERM")

END_SECONDS = 15.0
"""How long a process may take to end, also on a busy machine."""

Message = dict[str, Any]


def request(number: int | str, method: str, **params: object) -> Message:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, "_meta": META}}


def call(number: int | str, tool: str, task_id: str) -> Message:
    return request(number, "tools/call", name=tool, arguments={"taskId": task_id})


def slow_delete(seconds: float) -> Callable[[Request], Reply]:
    """Return a script that tells of a RUNNING task at once, and takes so long to remove it."""
    return lambda asked: reply(200, task("RUNNING")) if asked.method == "GET" else reply(204, after=seconds)


class Server:
    """A running `runway-mcp`. Made by `running`."""

    def __init__(self, process: Process, log: Path) -> None:
        self.process = process
        self.answers: dict[object, Message] = {}
        self.stdout = b""
        self._log = log
        self._lines = BufferedByteReceiveStream(process.stdout) if process.stdout else None

    @property
    def stderr(self) -> str:
        return self._log.read_text("utf-8")

    async def logged(self, text: str) -> None:
        await until(lambda: text in self.stderr, f"{text!r} on stderr")

    async def send(self, *messages: Message | bytes) -> None:
        assert self.process.stdin is not None
        data = b"".join(
            message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n" for message in messages
        )
        with anyio.fail_after(20):
            await self.process.stdin.send(data)

    async def answer(self, number: int | str) -> Message:
        """Return the answer to a request, which may come after those to others."""
        with anyio.fail_after(20):
            while number not in self.answers:
                await self._receive()
        return self.answers.pop(number)

    async def ask(self, message: Message) -> Message:
        await self.send(message)
        answer = await self.answer(message["id"])
        return cast("Message", answer["result"])

    async def stop(self, how: Stop) -> None:
        if how == "eof":
            assert self.process.stdin is not None
            await self.process.stdin.aclose()
        else:
            os.kill(self.process.pid, signal.Signals[how])  # the child watcher alone may reap the process

    async def ends(self, timeout: float = END_SECONDS) -> int:
        """Return the exit code, which must come within `timeout` seconds; all of stdout is read by then."""
        started = anyio.current_time()
        with anyio.move_on_after(timeout), contextlib.suppress(anyio.EndOfStream, anyio.IncompleteRead):
            while self._lines is not None:
                await self._receive()
        await until(
            lambda: self.process.returncode is not None, "the process to end", timeout - anyio.current_time() + started
        )
        assert self.process.returncode is not None
        return self.process.returncode

    async def ends_quietly(self, timeout: float = END_SECONDS) -> None:
        code = await self.ends(timeout)
        assert (code, "Traceback" in self.stderr) == (0, False), self.stderr

    async def _receive(self) -> None:
        assert self._lines is not None
        line = await self._lines.receive_until(b"\n", 2**24)
        self.stdout += line + b"\n"
        message = json.loads(line)
        self.answers[message.get("id")] = message


@asynccontextmanager
async def running(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    stdout: int = subprocess.PIPE,
    stderr: int | None = None,
    measured: bool = False,
) -> AsyncGenerator[Server]:
    """Run `runway-mcp`; kill it, should it still run at the end, which it must not where coverage is `measured`."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "stderr"
        with log.open("ab") as errors:
            process = await anyio.open_process(
                [sys.executable, "-m", "runway_mcp", *arguments],
                stdout=stdout,
                stderr=errors if stderr is None else stderr,
                env={**ENVIRONMENT, **(MEASURING if measured else {}), **(env or {})},
            )
        try:
            yield Server(process, log)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(5):
                if process.returncode is None:
                    process.kill()
                with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                    while process.stdout:
                        await process.stdout.receive()
                await process.aclose()


def serving(api: Upstream, *arguments: str) -> AbstractAsyncContextManager[Server]:
    return running(*arguments, env={"RUNWAYML_BASE_URL": api.url, "RUNWAYML_API_SECRET": KEY})


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]

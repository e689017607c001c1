"""Starts a server as a host does, and asks it for its tools."""

import tempfile
from collections.abc import Mapping, Sequence
from typing import cast

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

SECONDS = 30.0
"""How long a server may take to start and answer; most hosts give up at about that time."""


class NoStartError(Exception):
    """The server did not start, or not answer. The message is what it wrote last, or the error's name."""


async def count_tools(words: Sequence[str], environment: Mapping[str, str], *, seconds: float = SECONDS) -> int:
    """Start a server with nothing but these variables and the few that every host passes on; return its tools' number.

    Raises:
        NoStartError: It did not start, or gave no tools in time.
    """
    command, *arguments = words
    parameters = StdioServerParameters(command=command, args=arguments, env=dict(environment))
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        try:
            with anyio.fail_after(seconds):
                async with Client(stdio_client(parameters, errlog=log)) as client:
                    return len((await client.list_tools()).tools)
        except Exception as error:  # noqa: BLE001 - the SDK's are many, and groups of them
            log.seek(0)
            lines = [line.strip() for line in log if line.strip()]
            raise NoStartError(lines[-1] if lines else _name(error)) from None


def _name(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

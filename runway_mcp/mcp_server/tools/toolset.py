"""What a model can call: the record of a tool, and of those that belong together.

One module per toolset. A tool's annotations are the one place that says whether it changes
anything: read-only mode goes by them.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import Field, JsonValue, WrapValidator

from runway_mcp.tasks.callers import CallerContext

READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=True)
"""A tool that looks something up at Runway and changes nothing."""
REMOVES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True)
"""A tool that takes something away, once however often it is called."""


def _read(given: object, read: Callable[[object], str]) -> str:
    return "" if given is None else read(given)


def _without_default(schema: dict[str, JsonValue]) -> None:
    del schema["default"]


def _body(run: Callable[..., Awaitable[CallToolResult]]) -> Callable[..., Awaitable[CallToolResult]]:
    """`run`, whose protocol errors are faults: past its resolvers, a call may have done something."""

    @wraps(run)
    async def body(**arguments: object) -> CallToolResult:
        try:
            return await run(**arguments)
        except MCPError as error:
            raise RuntimeError("a protocol error within the tool") from error

    return body


Text = TypeVar("Text", bound=str)
OptionalText = Annotated[Text, WrapValidator(_read), Field(json_schema_extra=_without_default)]
"""A text that may be left out: "" then, and where a host sends null for it.

As `str | None` the SDK would take one that looks like JSON ("null", "[1]") for what it looks like.
"""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: what runs, and what a host and a model see of it."""

    name: str
    title: str
    description: str
    annotations: ToolAnnotations
    run: Callable[..., Awaitable[CallToolResult]]


@dataclass(frozen=True, slots=True)
class Toolset:
    """Tools that belong together.

    Attributes:
        name: What the operator names it by.
        tools: The tools.
        guide: What the server's instructions say of those that only read.
        guide_to_changes: What they say of the others.
    """

    name: str
    tools: tuple[Tool, ...]
    guide: str
    guide_to_changes: str = ""

    def register(self, server: MCPServer[CallerContext], *, read_only: bool) -> None:
        """Add the tools to `server`; with `read_only` only those that change nothing."""
        for tool in self.tools:
            if tool.annotations.read_only_hint or not read_only:
                server.add_tool(
                    _body(tool.run),
                    name=tool.name,
                    title=tool.title,
                    description=tool.description,
                    annotations=tool.annotations,
                    structured_output=True,
                )

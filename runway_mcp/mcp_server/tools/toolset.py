"""The records of a tool and of a toolset.

One module per toolset. Only a tool's annotations say whether it changes anything: read-only mode, scopes and what
happens to unknown arguments follow them.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from inspect import signature

from mcp.server.mcpserver import MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from runway_mcp.mcp_server.viewer.app_page import TOOL_META
from runway_mcp.tasks.callers import CallerContext

READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=True)
"""A tool that reads at Runway and changes nothing."""
LOOKS_UP = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
"""A tool that reads what this server knows by itself; nothing is sent."""
REMOVES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True)
"""A tool that removes something; calling it again changes nothing more."""


SAVE_ARGUMENTS = ("save", "save_roots")
"""Arguments of a tool that can save outputs. It has them only where files are offered, and then it writes."""


def plain_schema(schema: JsonValue) -> None:
    """Leave out of a schema what pydantic adds and readers can't use.

    Titles and empty defaults tell nothing, and more fields are allowed by default.
    """
    match schema:
        case dict():
            for name in ("title", "default"):
                schema.pop(name, None)
            if schema.get("additionalProperties") is True:
                del schema["additionalProperties"]
            for part in schema.values():
                plain_schema(part)
        case list():
            for part in schema:
                plain_schema(part)
        case _:
            pass


class Output(BaseModel):
    """The shape of a structured result. The API may add fields."""

    model_config = ConfigDict(extra="allow", alias_generator=to_camel, json_schema_extra=plain_schema)

    note: str = Field("", description="What this server says about the result.")


def _body(run: Callable[..., Awaitable[CallToolResult]], *, saves: bool) -> Callable[..., Awaitable[CallToolResult]]:
    @wraps(run)
    async def body(**arguments: object) -> CallToolResult:
        try:
            return await run(**arguments)
        except MCPError as error:
            raise RuntimeError("a protocol error within the tool") from error

    if not saves:
        found = signature(run)
        kept = [one for name, one in found.parameters.items() if name not in SAVE_ARGUMENTS]
        body.__dict__["__signature__"] = found.replace(parameters=kept)
    return body


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: what runs, and what a host and a model see of it.

    Attributes:
        is_viewed: Whether hosts with MCP Apps show its result in the viewer.
    """

    name: str
    title: str
    description: str
    annotations: ToolAnnotations
    run: Callable[..., Awaitable[CallToolResult]]
    is_viewed: bool = False

    def register(self, server: MCPServer[CallerContext], *, saves: bool) -> None:
        """Add the tool to `server`; with what saves outputs, if it has that, only where `saves` is true."""
        writes = saves and SAVE_ARGUMENTS[0] in signature(self.run).parameters
        server.add_tool(
            _body(self.run, saves=saves),
            name=self.name,
            title=self.title,
            description=self.description,
            annotations=self.annotations.model_copy(update={"read_only_hint": False}) if writes else self.annotations,
            meta=dict(TOOL_META) if self.is_viewed else None,
        )


@dataclass(frozen=True, slots=True)
class Toolset:
    """Tools that belong together.

    Attributes:
        name: Its name in the setting.
        tools: The tools.
        guide: The sentence of the server's instructions about the tools that only read.
        guide_to_changes: The sentence about the others.
    """

    name: str
    tools: tuple[Tool, ...]
    guide: str
    guide_to_changes: str = ""

    def register(self, server: MCPServer[CallerContext], *, read_only: bool, saves: bool) -> None:
        """Add the tools to `server`; with `read_only` only those that change nothing."""
        for tool in self.tools:
            if tool.annotations.read_only_hint or not read_only:
                tool.register(server, saves=saves)

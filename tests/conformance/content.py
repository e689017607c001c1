"""What the suite reads of a server that needs no client: plain tools, resources and prompts."""

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import anyio
from asking_tools import form
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.server.mcpserver.resources import BinaryResource, TextResource
from mcp.server.mcpserver.tools import Tool
from mcp_types import (
    AudioContent,
    CallToolResult,
    Completion,
    CompletionArgument,
    CompletionContext,
    ContentBlock,
    ElicitResult,
    EmbeddedResource,
    ImageContent,
    InputRequiredResult,
    PromptReference,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)
from pydantic import Field

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC"
WAV = base64.b64encode(b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0\x80>\0\0\2\0\x10\0data\0\0\0\0").decode()
PAUSE = 0.05  # seconds that the suite wants between two reports

_IMAGE = ImageContent(data=PNG, mime_type="image/png")


def _embedded(uri: str, text: str, mime_type: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


def _returning(*content: ContentBlock, is_error: bool = False) -> Callable[[], Awaitable[CallToolResult]]:
    async def tool() -> CallToolResult:
        return CallToolResult(content=list(content), is_error=is_error)

    return tool


_SIMPLE = _returning(TextContent(text="This is a simple text response for testing."))


async def report(ctx: Context) -> str:
    for progress in (0, 50, 100):
        await ctx.report_progress(progress, 100)
        await anyio.sleep(PAUSE)
    return "Reported."


async def log(ctx: Context) -> str:
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(text)  # pyright: ignore[reportDeprecated] - the suite asks for what older revisions had
        await anyio.sleep(PAUSE)
    return "Logged."


async def reconnect(ctx: Context) -> str:
    await ctx.close_sse_stream()
    await anyio.sleep(PAUSE)
    return "Reconnected."


async def change_tools(ctx: Context) -> str:
    await ctx.notify_tools_changed()
    return "Announced."


async def change_prompts(ctx: Context) -> str:
    await ctx.notify_prompts_changed()
    return "Announced."


async def mirrored(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "") -> str:
    return f"Region: {region}"


TOOLS = {
    "test_simple_text": _SIMPLE,
    "test_image_content": _returning(_IMAGE),
    "test_audio_content": _returning(AudioContent(data=WAV, mime_type="audio/wav")),
    "test_embedded_resource": _returning(_embedded("test://embedded-resource", "This is an embedded resource.")),
    "test_multiple_content_types": _returning(
        TextContent(text="Multiple content types test:"),
        _IMAGE,
        _embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
    ),
    "test_error_handling": _returning(
        TextContent(text="This tool intentionally returns an error for testing"), is_error=True
    ),
    "test_tool_with_progress": report,
    "test_tool_with_logging": log,
    "test_logging_tool": log,
    "test_reconnection": reconnect,
    "test_trigger_tool_change": change_tools,
    "test_trigger_prompt_change": change_prompts,
    "test_x_mcp_header": mirrored,
}

_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def schema_tool() -> Tool:
    name = "json_schema_2020_12_tool"
    return Tool.from_function(_SIMPLE, name=name, description=name).model_copy(update={"parameters": _SCHEMA})


async def ask_context(ctx: Context) -> list[UserMessage] | InputRequiredResult:
    answer = (ctx.input_responses or {}).get("user_context")
    if not isinstance(answer, ElicitResult):
        question = form("What context should the prompt use?", {"context": {"type": "string"}})
        return InputRequiredResult(input_requests={"user_context": question})
    return [UserMessage(TextContent(text=f"The context: {(answer.content or {}).get('context')}"))]


async def complete(
    ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, context: CompletionContext | None
) -> Completion:
    del ref, context
    found = [word for word in ("paris", "park", "party") if word.startswith(argument.value)]
    return Completion(values=found, total=len(found), has_more=False)


def add_resources(server: MCPServer[Any]) -> None:
    text = "This is the content of the static text resource."
    for resource in (
        TextResource(uri="test://static-text", mime_type="text/plain", name="text", text=text),
        TextResource(uri="test://watched-resource", mime_type="text/plain", name="watched", text="Watched."),
        BinaryResource(uri="test://static-binary", mime_type="image/png", name="image", data=base64.b64decode(PNG)),
    ):
        server.add_resource(resource)

    @server.resource("test://template/{number}/data", mime_type="application/json", description="By its id.")
    def template(number: str) -> str:
        return json.dumps({"id": number, "templateTest": True, "data": f"Data for ID: {number}"})

    del template


def add_prompts(server: MCPServer[Any]) -> None:
    @server.prompt("test_simple_prompt", description="A text.")
    def simple() -> str:
        return "This is a simple prompt for testing."

    @server.prompt("test_prompt_with_arguments", description="A text of two arguments.")
    def of_arguments(arg1: str, arg2: str) -> str:
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt("test_prompt_with_embedded_resource", description="A resource and a text.")
    def of_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803 - the suite's name
        content = _embedded(resourceUri, "Embedded resource content for testing.")
        return [UserMessage(content), UserMessage(TextContent(text="Please process the embedded resource above."))]

    @server.prompt("test_prompt_with_image", description="An image and a text.")
    def of_image() -> list[UserMessage]:
        return [UserMessage(_IMAGE), UserMessage(TextContent(text="Please analyze the image above."))]

    del simple, of_arguments, of_resource, of_image
    server.prompt("test_input_required_result_prompt", description="Asks for a context.")(ask_context)
    server.completion()(complete)

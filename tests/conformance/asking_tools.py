"""The tools with which the suite sees how a server asks its client.

In the older revisions it asks by a request of its own, in the newest by a result that wants another round.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    Result,
    SamplingMessage,
    TextContent,
)

Asked = TypeVar("Asked", bound=Result)


def form(message: str, properties: dict[str, Any]) -> ElicitRequest:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def name_form(message: str = "What is your name?") -> ElicitRequest:
    return form(message, {"name": {"type": "string"}})


def sampling(text: str, most: int = 100) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=most))


async def _ask(ctx: Context, request: ElicitRequest | CreateMessageRequest, kind: type[Asked]) -> Asked:
    """Ask the client on the stream of the call itself."""
    metadata = ServerMessageMetadata(related_request_id=ctx.request_id)
    return await ctx.session.send_request(request, kind, metadata=metadata)


def _answer(ctx: Context, key: str, kind: type[Asked]) -> Asked | None:
    """The answer that a further round brought."""
    answer = (ctx.input_responses or {}).get(key)
    return answer if isinstance(answer, kind) else None


async def sample(prompt: str, ctx: Context) -> str:
    result = await _ask(ctx, sampling(prompt), CreateMessageResult)
    return f"LLM response: {_text(result)}"


async def elicit(message: str, ctx: Context) -> str:
    fields = {"username": {"type": "string"}, "email": {"type": "string"}}
    return _said(await _ask(ctx, form(message, fields), ElicitResult))


async def elicit_with_defaults(ctx: Context) -> str:
    fields = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return _said(await _ask(ctx, form("Check these values.", fields), ElicitResult))


async def elicit_choices(ctx: Context) -> str:
    names = ["option1", "option2", "option3"]
    titled = [{"const": f"value{number}", "title": f"Choice {number}"} for number in (1, 2, 3)]
    fields = {
        "untitledSingle": {"type": "string", "enum": names},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": names}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }
    return _said(await _ask(ctx, form("Choose.", fields), ElicitResult))


def _asking(
    key: str, request: InputRequest, kind: type[Asked], say: Callable[[Asked], str]
) -> Callable[[Context], Awaitable[str | InputRequiredResult]]:
    """A tool that asks one thing in another round."""

    async def ask(ctx: Context) -> str | InputRequiredResult:
        answer = _answer(ctx, key, kind)
        return say(answer) if answer else InputRequiredResult(input_requests={key: request})

    return ask


def _greet(answer: ElicitResult) -> str:
    return f"Hello, {(answer.content or {}).get('name')}!"


def _list(answer: ListRootsResult) -> str:
    return f"Roots: {', '.join(str(root.uri) for root in answer.roots)}"


async def ask_with_state(ctx: Context) -> str | InputRequiredResult:
    if _answer(ctx, "confirm", ElicitResult) is None or ctx.request_state != "confirming":
        confirm = form("Please confirm", {"ok": {"type": "boolean"}})
        return InputRequiredResult(input_requests={"confirm": confirm}, request_state="confirming")
    return "state-ok"


async def ask_everything(ctx: Context) -> str | InputRequiredResult:
    name = _answer(ctx, "user_name", ElicitResult)
    greeting = _answer(ctx, "greeting", CreateMessageResult)
    roots = _answer(ctx, "client_roots", ListRootsResult)
    if name and greeting and roots:
        return f"{_text(greeting)}, {(name.content or {}).get('name')} of {len(roots.roots)} roots."
    requests: dict[str, InputRequest] = {
        "user_name": name_form(),
        "greeting": sampling("Generate a greeting", 50),
        "client_roots": ListRootsRequest(),
    }
    return InputRequiredResult(input_requests=requests, request_state="asked for three")


async def ask_twice(ctx: Context) -> str | InputRequiredResult:
    if ctx.request_state == "second" and _answer(ctx, "step2", ElicitResult):
        return "Both steps are done."
    if ctx.request_state == "first" and _answer(ctx, "step1", ElicitResult):
        color = form("Step 2: What is your favorite color?", {"color": {"type": "string"}})
        return InputRequiredResult(input_requests={"step2": color}, request_state="second")
    step = name_form("Step 1: What is your name?")
    return InputRequiredResult(input_requests={"step1": step}, request_state="first")


async def ask_what_is_possible(ctx: Context) -> InputRequiredResult:
    capabilities = ctx.client_capabilities
    requests: dict[str, InputRequest] = {}
    if capabilities and capabilities.sampling:
        requests["model"] = sampling("Say hello")
    if capabilities and capabilities.elicitation:
        requests["user"] = name_form()
    return InputRequiredResult(input_requests=requests, request_state="asked")


async def need_sampling(ctx: Context) -> str:
    if ctx.client_capabilities is None or ctx.client_capabilities.sampling is None:
        data: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "This tool needs sampling.", data)
    return "The client has a model."


def _text(result: CreateMessageResult) -> str:
    return result.content.text if isinstance(result.content, TextContent) else result.content.type


def _said(result: ElicitResult) -> str:
    return f"User response: {result.action}, content: {result.content}"


_ask_name = _asking("user_name", name_form(), ElicitResult, _greet)
TOOLS = {
    "test_sampling": sample,
    "test_elicitation": elicit,
    "test_elicitation_sep1034_defaults": elicit_with_defaults,
    "test_elicitation_sep1330_enums": elicit_choices,
    "test_input_required_result_elicitation": _ask_name,
    "test_streaming_elicitation": _ask_name,
    "test_input_required_result_sampling": _asking(
        "capital_question", sampling("What is the capital of France?"), CreateMessageResult, _text
    ),
    "test_input_required_result_list_roots": _asking("client_roots", ListRootsRequest(), ListRootsResult, _list),
    "test_input_required_result_request_state": ask_with_state,
    "test_input_required_result_tampered_state": ask_with_state,
    "test_input_required_result_multiple_inputs": ask_everything,
    "test_input_required_result_multi_round": ask_twice,
    "test_input_required_result_capabilities": ask_what_is_possible,
    "test_missing_capability": need_sampling,
}

"""The tools that the suite's `tasks-*` scenarios name: as jobs, and as what runs where no MCP task may be made."""

from collections.abc import Callable

import anyio
from asking_tools import form, name_form
from mcp.server.mcpserver import Context, require_client_extension
from mcp_memory import Answers, Job
from mcp_types import (
    INTERNAL_ERROR,
    CallToolRequestParams,
    CallToolResult,
    ElicitResult,
    ErrorData,
    InputRequiredResult,
    TextContent,
)

from runway_mcp.mcp_server.tasks_extension.wire import EXTENSION_ID


def said(text: str, *, is_error: bool = False) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text)], is_error=is_error)


def _slow_compute(params: CallToolRequestParams) -> Job | None:
    seconds = float((params.arguments or {}).get("seconds", 0))
    return Job(lambda _: said(f"Computed for {seconds:g} s."), seconds) if seconds else None


def _confirm_delete(params: CallToolRequestParams) -> Job:
    filename = (params.arguments or {}).get("filename")
    confirm = form(f"Delete {filename}?", {"confirm": {"type": "boolean"}})
    return Job(lambda answers: said(f"Answered: {answers['confirm']}"), seconds=0, questions={"confirm": confirm})


def _multi_input(_: CallToolRequestParams) -> Job:
    def outcome(answers: Answers) -> CallToolResult:
        return said(f"Answered: {', '.join(answers)}")

    return Job(outcome, seconds=0, questions={"first": name_form("First name?"), "second": name_form("Second name?")})


def _after_asking(params: CallToolRequestParams) -> Job | None:
    answer = (params.input_responses or {}).get("user_name")
    if not isinstance(answer, ElicitResult):
        return None
    return Job(lambda _: said(f"Hello, {(answer.content or {}).get('name')}!"), seconds=0)


JOBS: dict[str, Callable[[CallToolRequestParams], Job | None]] = {
    "slow_compute": _slow_compute,
    "failing_job": lambda _: Job(lambda _: said("The job failed.", is_error=True), seconds=1),
    "protocol_error_job": lambda _: Job(lambda _: ErrorData(code=INTERNAL_ERROR, message="The job broke."), seconds=0),
    "confirm_delete": _confirm_delete,
    "multi_input": _multi_input,
    "test_tool_with_task": _after_asking,
}


async def greet(name: str) -> str:
    return f"Hello, {name}!"


async def slow_compute(seconds: float = 0, label: str = "") -> str:
    await anyio.sleep(seconds)
    return f"Computed {label} for {seconds:g} s."


async def only_as_mcp_task(ctx: Context) -> str:
    require_client_extension(ctx.request_context, EXTENSION_ID)
    return "Not reached: such a call becomes an MCP task."


async def after_asking() -> InputRequiredResult:
    return InputRequiredResult(input_requests={"user_name": name_form()})


TOOLS = {
    "greet": greet,
    "slow_compute": slow_compute,
    "failing_job": only_as_mcp_task,
    "protocol_error_job": only_as_mcp_task,
    "confirm_delete": only_as_mcp_task,
    "multi_input": only_as_mcp_task,
    "test_tool_with_task": after_asking,
}

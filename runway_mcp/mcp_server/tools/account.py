"""The tool that shows the account of the Runway key: balance, limits and use."""

from typing import Annotated

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import BaseModel, ConfigDict, Field

from runway_mcp.api.errors import RunwayError, TransientError
from runway_mcp.history.records import HistoryError
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.messages import explain
from runway_mcp.mcp_server.start_messages import describe_spend
from runway_mcp.mcp_server.tools.toolset import READS, Tool, Toolset
from runway_mcp.spending.starter import Starter
from runway_mcp.tasks.callers import CallerContext


class AccountOutput(BaseModel):
    """The account, exactly as the API gives it."""

    model_config = ConfigDict(extra="allow")

    creditBalance: object = Field(None, description="Credits left.")  # noqa: N815 - the API's name
    tier: object = Field(None, description="Limits at once, a day and a month.")
    usage: object = Field(None, description="Today's use of each model.")


async def get_account(ctx: Context[CallerContext]) -> Annotated[CallToolResult, AccountOutput]:
    """Run `runway_getAccount`."""
    context = ctx.request_context.lifespan_context
    try:
        account = dict(await context.api.get_organization())
    except RunwayError as error:
        later = " Reading it again later is free." if isinstance(error, TransientError) else ""
        return results.error_result(f"{explain(error)} The account was not changed.{later}")
    if (size := len(results.compact_json(account))) > results.MAX_JSON:
        return results.error_result(
            f"The account's JSON has {size:,} characters, more than MCP hosts accept, and is not shown. "
            "Nothing was changed."
        )
    try:
        spent = describe_spend(await Starter(context).spent())
    except HistoryError as error:
        spent = f"What this server has spent today is unknown. {explain(error)}"
    return results.json_result(account, spent)


ACCOUNT = Toolset(
    name="account",
    guide="runway_getAccount shows credits and limits.",
    tools=(
        Tool(
            name="runway_getAccount",
            title="Get the Runway account",
            description=(
                "Read the Runway account: credit balance, tier limits, today's use of each model, and the credits that "
                "this server has spent today. Changes nothing, costs nothing."
            ),
            annotations=READS,
            run=get_account,
        ),
    ),
)

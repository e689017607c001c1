"""The tool that shows the account of the Runway key: balance, limits and use."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import Field, JsonValue

from runway_mcp.api.errors import RunwayError, TransientError
from runway_mcp.history.records import HistoryError, OpenStart
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.messages import explain
from runway_mcp.mcp_server.start_messages import describe_open, describe_spend
from runway_mcp.mcp_server.tools.toolset import READS, Output, Tool, Toolset
from runway_mcp.spending.starter import Starter
from runway_mcp.tasks.callers import CallerContext

MAX_TEXT = 575
"""Characters of the answer without detail: of the models those used least are left out."""
MAX_NAME = 40
"""Characters of a model's name; a longer one is left out."""
MAX_OPEN = 2
"""Open starts that are shown, the latest ones."""
_LEFT_OUT = "Models that only detail shows: {}."
_MONTH = "maxMonthlyCreditSpend"
_TYPES: Mapping[str, Any] = {"creditBalance": int | float, "tier": dict, "usage": dict}


class AccountOutput(Output):
    """The account in short, or with detail as the API gives it."""

    credit_balance: float = Field(0, description="Credits left.")
    monthly_limit: float = Field(0, description="Credits that may be spent in a month.")
    used_today: dict[str, int] = Field({}, description="Generations of the most used models today.")
    spent_today: dict[str, float] = Field(
        {}, description="credits: started through this server today (UTC); unknown: starts without a known price."
    )
    open_starts: list[dict[str, Any]] = Field([], description="Starts of unknown outcome: number, type, begun.")
    tier: dict[str, Any] = Field({}, description="With detail: limits at once, a day and a month.")
    usage: dict[str, Any] = Field({}, description="With detail: today's use of each model.")


async def get_account(
    ctx: Context[CallerContext],
    detail: Annotated[bool, Field(title="Detail", description="Show each model's limits and use too.")] = False,
) -> Annotated[CallToolResult, AccountOutput]:
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
    shown = {name: value for name, value in account.items() if isinstance(value, _TYPES.get(name, object))}
    notes: list[str] = []
    ours: dict[str, JsonValue] = {}
    try:
        starter = Starter(context)
        spent, open_starts = await starter.spent(), await starter.open_starts()
    except HistoryError as error:
        notes.append(f"What this server has spent today is unknown. {explain(error)}")
    else:
        ours["spentToday"] = {"credits": spent.credits, "unknown": spent.unknown}
        notes.append(describe_spend(spent))
        if open_starts:
            ours["openStarts"] = [_describe(start) for start in open_starts[:MAX_OPEN]]
            notes.append(describe_open(*(start.number for start in open_starts)))
    if not detail:
        figures = {"creditBalance": account.get("creditBalance"), "monthlyLimit": _in(account, "tier").get(_MONTH)}
        shown = {name: figure for name, figure in figures.items() if isinstance(figure, int | float)} | ours
        room = MAX_TEXT - len(" ".join(notes)) - len(_LEFT_OUT)
        everything = dict(_used(account))
        used = {model: number for model, number in everything.items() if len(model) <= MAX_NAME}
        shown["usedToday"] = {**used}
        while used and len(results.compact_json(shown)) > room:
            del used[min(used, key=used.__getitem__)]
            shown["usedToday"] = {**used}
        if left := len(everything) - len(used):
            notes.append(_LEFT_OUT.format(left))
    return results.json_result(shown, *notes)


def _used(account: Mapping[str, JsonValue]) -> Iterator[tuple[str, int]]:
    models = _in(_in(account, "usage"), "models")
    for model in models:
        number = _in(models, model).get("dailyGenerations")
        if isinstance(number, int) and number > 0:
            yield model, number


def _in(value: Mapping[str, JsonValue], name: str) -> Mapping[str, JsonValue]:
    part = value.get(name)
    return part if isinstance(part, dict) else {}


def _describe(start: OpenStart) -> JsonValue:
    return {
        "number": start.number,
        "type": start.type,
        "begun": f"{datetime.fromtimestamp(start.begun, UTC):%Y-%m-%dT%H:%M:%SZ}",
    }


ACCOUNT = Toolset(
    name="account",
    guide="runway_getAccount shows credits and limits.",
    tools=(
        Tool(
            name="runway_getAccount",
            title="Get the Runway account",
            description=(
                "Read the credit balance, the month's limit, today's generations by model, the credits spent today "
                "through this server, and starts of unknown outcome. With detail: every model's limits. Changes "
                "nothing, costs nothing."
            ),
            annotations=READS,
            run=get_account,
        ),
    ),
)

"""The tool that tells what a start costs, before it is sent."""

from typing import Annotated, Any

from mcp.server.mcpserver import Context, Resolve
from mcp_types import CallToolResult
from pydantic import Field, JsonValue, WithJsonSchema

from runway_mcp.catalogue.validation import Prepared
from runway_mcp.history.records import HistoryError
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.messages import explain
from runway_mcp.mcp_server.start_messages import describe_estimate
from runway_mcp.mcp_server.tools.confirmation import InputArgument, UnknownArgument, prepared
from runway_mcp.mcp_server.tools.task_types import TypeArgument
from runway_mcp.mcp_server.tools.toolset import LOOKS_UP, Output, Tool
from runway_mcp.spending.estimates import cheaper_ways
from runway_mcp.spending.starter import Starter
from runway_mcp.tasks.callers import CallerContext


class EstimateOutput(Output):
    """What a start costs."""

    type: str = Field("", description="The task type.")
    model: str = Field("", description="The model, where there is a choice.")
    credits: Annotated[float | None, WithJsonSchema({"type": ["number", "null"]})] = Field(
        None, description="1 credit is $0.01. null where the price is unknown."
    )
    at_least: bool = Field(default=False, description="It can be more: it goes by the length of an input or output.")
    basis: str = Field("", description="history, table, alike or unknown.")
    as_of: str = Field("", description="The day of the price table.")
    cheaper: list[dict[str, Any]] = Field([], description="Changes of the input that cost less, with their credits.")


async def estimate_cost(
    type: TypeArgument,  # noqa: A002, ARG001 - the field's name at Runway; `prepared` reads it
    input: InputArgument,  # noqa: A002, ARG001 - what the API calls it; `prepared` reads it
    ctx: Context[CallerContext],
    request: Annotated[Prepared, Resolve(prepared)],
    allowUnknown: UnknownArgument = False,  # noqa: ARG001 - as above
) -> Annotated[CallToolResult, EstimateOutput]:
    """Run `runway_estimateCost`."""
    try:
        estimate = await Starter(ctx.request_context.lifespan_context).estimate(request)
    except HistoryError as error:
        return results.error_result(f"{explain(error)} Nothing was sent.")
    data: dict[str, JsonValue] = {"type": request.type}
    if request.model is not None:
        data["model"] = request.model
    known = estimate.credits
    data["credits"] = int(known) if known is not None and known == int(known) else known
    if estimate.at_least:
        data["atLeast"] = True
    data["basis"] = estimate.basis
    if estimate.listed is not None:
        data["asOf"] = estimate.listed.as_of
    if cheaper := cheaper_ways(request, estimate.credits):
        least: dict[str, JsonValue] = {"atLeast": True} if cheaper[0].price.at_least else {}
        data["cheaper"] = [{"change": way.change, "credits": way.price.credits, **least} for way in cheaper]
    return results.json_result(data, describe_estimate(estimate), *request.understood)


ESTIMATE_COST = Tool(
    name="runway_estimateCost",
    title="Estimate what a task costs",
    description=(
        "Tell the credits that runway_startTask would spend on the same type and input, and what would cost less. "
        "Checks the input as a start does; sends nothing, costs nothing."
    ),
    annotations=LOOKS_UP,
    run=estimate_cost,
)

"""What comes before a start: its input is checked, and a person approves it where it costs more than allowed.

The SDK's resolvers run these in turn before the tool itself, and carry question and answer in either version of the
protocol. Each refusal is an error whose text goes to the model.
"""

from typing import Annotated, Any, cast

from mcp.server.mcpserver import AcceptedElicitation, Context, Elicit, ElicitationResult, ListRoots, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ListRootsResult
from pydantic import BaseModel, Field, JsonValue

from runway_mcp.api.errors import quote
from runway_mcp.api.models import amount
from runway_mcp.catalogue.media_inputs import UPLOAD_FIRST
from runway_mcp.catalogue.named_media import prepare_named
from runway_mcp.catalogue.validation import InvalidRequestError, Prepared
from runway_mcp.history.records import HistoryError
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.answer_codec import answer_token
from runway_mcp.mcp_server.client_capabilities import can_ask_person
from runway_mcp.mcp_server.start_messages import describe_estimate, describe_files, explain_unsent
from runway_mcp.mcp_server.tools.files import UPLOAD_FILE, host_roots
from runway_mcp.spending.named_inputs import NamedInputs
from runway_mcp.spending.spending_limits import ApprovalRequest
from runway_mcp.spending.start_errors import NamedInputError
from runway_mcp.spending.starter import Starter
from runway_mcp.tasks.callers import CallerContext

NO_LIMIT = -1.0
"""What maxCredits is where a call leaves it out."""
MAX_INPUT = 500
"""Characters of the input that a person is shown."""

COMMON_FIELDS: dict[str, JsonValue] = {
    "model": {"type": "string", "description": "The default one where left out."},
    "promptText": {"type": "string", "description": "What to make."},
    "promptImage": {"type": "string", "description": "https://, runway:// or data: URL, task:<id> or path."},
    "ratio": {"type": "string", "description": "Such as 1280:720."},
    "duration": {"type": "number", "description": "Seconds."},
    "json": {"type": "string", "description": "All fields as JSON text, for hosts that allow no others."},
}
"""Fields that most models take, and a way for the others: strict hosts let a model fill in named fields only."""

InputArgument = Annotated[
    dict[str, Any],
    Field(
        title="Input",
        default_factory=dict[str, Any],
        description="The fields of the type and its model: these, and any other.",
        json_schema_extra={"properties": COMMON_FIELDS},
    ),
]
UnknownArgument = Annotated[
    bool, Field(title="Allow unknown", description="Send fields and models that this server does not know.")
]


class StartRefusedError(ToolError):
    """A start that is refused before anything is sent. Its message goes to the model."""


class Approval(BaseModel):
    """A person's answer."""

    start: bool = Field(title="Start it", description="Start the task and spend its credits.")


async def named_media(
    type: str,  # noqa: A002 - the tool's own argument
    input: dict[str, Any],  # noqa: A002 - as above
    allowUnknown: bool,
    ctx: Context[CallerContext],
) -> NamedInputs:
    """Return what a call asks for, checked as far as that needs no file."""
    takes_paths = UPLOAD_FILE.name in {tool.name for tool in await ctx.mcp_server.list_tools()}
    given = cast("dict[str, JsonValue]", input)
    try:
        found, media = prepare_named(type, given, allow_unknown=allowUnknown, takes_paths=takes_paths)
    except InvalidRequestError as error:
        help_ = "runway_listTaskTypes shows what a type and a model take"
        if UPLOAD_FIRST in str(error):
            does_it = "a path in an allowed folder" if takes_paths else "runway_uploadFile"
            help_ = f"{help_}; {does_it} makes a runway:// URI of a file"
        raise StartRefusedError(f"{error}\n{help_}.") from error
    return NamedInputs(ctx.request_context.lifespan_context, found, media)


async def roots_for_paths(
    named: Annotated[NamedInputs, Resolve(named_media)], ctx: Context[CallerContext]
) -> ListRoots | ListRootsResult:
    """Ask the host for its folders, if the input names a path."""
    return await host_roots(ctx) if named.has_paths else ListRootsResult(roots=[])


async def named_inputs(
    named: Annotated[NamedInputs, Resolve(named_media)],
    roots: Annotated[ListRootsResult, Resolve(roots_for_paths)],
) -> NamedInputs:
    """Return the same, with its files looked at and its media measured."""
    if named.has_paths:
        from runway_mcp.mcp_server.tools.file_calls import allowed_folders  # noqa: PLC0415 - see `files`

        named.folders = await allowed_folders(named.context, roots)
    try:
        await named.look()
    except (NamedInputError, InvalidRequestError, HistoryError) as error:
        raise StartRefusedError(explain_unsent(error)) from error
    return named


async def prepared(named: Annotated[NamedInputs, Resolve(named_inputs)]) -> Prepared:
    """Return the request that a call asks for."""
    return named.prepared


def limit_of(max_credits: float) -> float | None:
    """Return the limit that a call names; None for none. 0 is a limit."""
    return None if max_credits == NO_LIMIT else max_credits


async def approval_request(
    named: Annotated[NamedInputs, Resolve(named_inputs)],
    clientToken: str,
    maxCredits: float,
    ctx: Context[CallerContext],
) -> ApprovalRequest | None:
    """Return what a person has to be asked, or None where nobody is asked."""
    try:
        token = clientToken or answer_token(ctx)
        starter = Starter(named.context)
        asked = await starter.approval_request(named.prepared, client_token=token, max_credits=limit_of(maxCredits))
        if asked is not None:
            await named.check_tasks()
    except (HistoryError, NamedInputError) as error:
        raise StartRefusedError(explain_unsent(error)) from error
    return asked


async def approval(
    named: Annotated[NamedInputs, Resolve(named_inputs)],
    asked: Annotated[ApprovalRequest | None, Resolve(approval_request)],
    ctx: Context[CallerContext],
) -> Elicit[Approval] | Approval:
    """Ask the person, where a start needs approval."""
    if asked is None:
        return Approval(start=True)
    if not can_ask_person(ctx):
        raise StartRefusedError(
            f"Nothing was sent. {describe_estimate(asked.estimate)} A person is asked before more than "
            f"{amount(asked.limit)} are spent, but this host has no way to ask: it does not declare "
            "elicitation, or speaks an older protocol over HTTP. Tell the user; whoever runs this server can change "
            "--confirm-over."
        )
    request = named.prepared
    model = f" with {request.model}" if request.model else ""
    short_first = dict(sorted(named.as_written().items(), key=lambda field: len(str(field[1]))))
    shown = quote(results.compact_json(short_first), MAX_INPUT)
    uploads = describe_files(named.files.values())  # the digests: an answer is for these contents only
    return Elicit(
        f"Start {request.type}{model} at Runway? {describe_estimate(asked.estimate)}{uploads} Input: {shown}", Approval
    )


async def approved_credits(
    asked: Annotated[ApprovalRequest | None, Resolve(approval_request)],
    answer: Annotated[ElicitationResult[Approval], Resolve(approval)],
) -> float:
    """Return the credits that a person has approved; 0 where nobody was asked."""
    if asked is None:
        return 0
    if not isinstance(answer, AcceptedElicitation) or not answer.data.start:
        raise StartRefusedError("Nothing was sent, and nothing is charged: the user was asked and did not agree.")
    return asked.credits

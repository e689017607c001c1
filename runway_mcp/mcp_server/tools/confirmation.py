"""What comes before a start: its input is checked, and a person approves it where it costs more than allowed.

The SDK's resolvers run these in turn before the tool itself, and carry question and answer in either version of the
protocol. Each refusal is an error whose text goes to the model.
"""

from contextvars import ContextVar
from hashlib import sha256
from typing import Annotated, Any, cast

from mcp.server.mcpserver import AcceptedElicitation, Context, Elicit, ElicitationResult, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.request_state import AESGCMRequestStateCodec
from pydantic import BaseModel, Field, JsonValue

from runway_mcp.api.errors import quote
from runway_mcp.api.models import plain
from runway_mcp.catalogue.media_inputs import UPLOAD_FIRST
from runway_mcp.catalogue.validation import InvalidRequestError, Prepared, prepare
from runway_mcp.history.records import HistoryError
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.client_capabilities import can_ask_person
from runway_mcp.mcp_server.messages import explain
from runway_mcp.mcp_server.start_messages import NOT_RECORDED, describe_estimate
from runway_mcp.spending.spending_limits import ApprovalRequest
from runway_mcp.spending.starter import Starter
from runway_mcp.tasks.callers import CallerContext

MAX_INPUT = 500
"""Characters of the input that a person is shown."""

COMMON_FIELDS: dict[str, JsonValue] = {
    "model": {"type": "string", "description": "The default one where left out."},
    "promptText": {"type": "string", "description": "What to make."},
    "promptImage": {"type": "string", "description": "https://, runway:// or data: URL."},
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

_ANSWER: ContextVar[str] = ContextVar("answer", default="")


class AnswerCodec(AESGCMRequestStateCodec):
    """The SDK's seal on a question, which also notes which question a call answers."""

    def unseal(self, token: str) -> bytes:
        found = super().unseal(token)
        _ANSWER.set(f"answer {sha256(token.encode()).hexdigest()}")
        return found


def answer_token(ctx: Context[CallerContext]) -> str:
    """Return a client token made of the answer that a call brings, or an empty text: one answer buys one task."""
    return _ANSWER.get() if ctx.request_state else ""


class StartRefusedError(ToolError):
    """A start that is refused before anything is sent. Its message goes to the model."""


class Approval(BaseModel):
    """A person's answer."""

    start: bool = Field(title="Start it", description="Start the task and spend its credits.")


async def prepared(type: str, input: dict[str, Any], allowUnknown: bool) -> Prepared:  # noqa: A002 - the tool's own arguments
    """Return the request that a call asks for."""
    try:
        return prepare(type, cast("dict[str, JsonValue]", input), allow_unknown=allowUnknown)
    except InvalidRequestError as error:
        upload = "; runway_uploadFile makes a runway:// URI of a file" if UPLOAD_FIRST in str(error) else ""
        raise StartRefusedError(f"{error}\nrunway_listTaskTypes shows what a type and a model take{upload}.") from error


async def approval_request(
    request: Annotated[Prepared, Resolve(prepared)],
    clientToken: str,
    maxCredits: float,
    ctx: Context[CallerContext],
) -> ApprovalRequest | None:
    """Return what a person has to be asked, or None where nobody is asked."""
    try:
        token = clientToken or answer_token(ctx)
        starter = Starter(ctx.request_context.lifespan_context)
        return await starter.approval_request(request, client_token=token, max_credits=maxCredits or None)
    except HistoryError as error:
        raise StartRefusedError(f"{explain(error)} {NOT_RECORDED}") from error


async def approval(
    request: Annotated[Prepared, Resolve(prepared)],
    asked: Annotated[ApprovalRequest | None, Resolve(approval_request)],
    ctx: Context[CallerContext],
) -> Elicit[Approval] | Approval:
    """Ask the person, where a start needs approval."""
    if asked is None:
        return Approval(start=True)
    if not can_ask_person(ctx):
        raise StartRefusedError(
            f"Nothing was sent. {describe_estimate(asked.estimate)} A person is asked before more than "
            f"{plain(asked.limit)} credits are spent, but this host has no way to ask: it does not declare "
            "elicitation, or speaks an older protocol over HTTP. Tell the user; whoever runs this server can change "
            "--confirm-over."
        )
    named = f" with {request.model}" if request.model else ""
    short_first = dict(sorted(request.body.items(), key=lambda field: len(str(field[1]))))
    shown = quote(results.compact_json(short_first), MAX_INPUT)
    return Elicit(
        f"Start {request.type}{named} at Runway? {describe_estimate(asked.estimate)} Input: {shown}", Approval
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

"""What comes before a start: its input checked, and a person asked where it is a dear one.

The SDK's resolvers run these in turn before the tool itself, and carry question and answer in either
generation of the protocol. Each refusal is an error whose text goes to the model.
"""

import math
from contextvars import ContextVar
from hashlib import sha256
from typing import Annotated, Any, cast

from mcp.server.mcpserver import AcceptedElicitation, Context, Elicit, ElicitationResult, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.request_state import AESGCMRequestStateCodec
from pydantic import BaseModel, Field, JsonValue

from runway_mcp.api.errors import quote
from runway_mcp.api.models import plain
from runway_mcp.catalogue.problems import UPLOAD_FIRST
from runway_mcp.catalogue.validation import InvalidRequestError, Prepared, prepare
from runway_mcp.history.records import StoreError
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.client_capabilities import can_ask_person
from runway_mcp.spending.starter import ApprovalRequest, Starter
from runway_mcp.tasks.callers import CallerContext

MAX_INPUT = 500
"""Characters of the input that a person is shown."""
NOT_WRITTEN = "So nothing was sent: a start has to be written down first."


_ANSWER: ContextVar[str] = ContextVar("answer", default="")


class Answers(AESGCMRequestStateCodec):
    """The SDK's seal on a question, which also notes which question a call brings the answer to."""

    def unseal(self, token: str) -> bytes:
        """Open the seal."""
        found = super().unseal(token)
        _ANSWER.set(f"answer {sha256(token.encode()).hexdigest()}")
        return found


def answer_token(ctx: Context[CallerContext]) -> str:
    """Return a client token for the answer that a call brings, if it brings one: one answer buys one task."""
    return _ANSWER.get() if ctx.request_state else ""


class RefusedError(ToolError):
    """Why nothing was started. Its message goes to the model."""


class Consent(BaseModel):
    """What a person answers."""

    start: bool = Field(title="Start it", description="Start the task and spend its credits.")


async def prepared(type: str, input: dict[str, Any], allowUnknown: bool) -> Prepared:  # noqa: A002 - the tool's own arguments
    """Return the request that a call asks for."""
    try:
        return prepare(type, cast("dict[str, JsonValue]", input), allow_unknown=allowUnknown)
    except InvalidRequestError as error:
        upload = "; runway_uploadFile makes a runway:// URI of a file" if UPLOAD_FIRST in str(error) else ""
        raise RefusedError(f"{error}\nrunway_listTaskTypes shows what a type and a model take{upload}.") from error


async def question(
    request: Annotated[Prepared, Resolve(prepared)],
    clientToken: str,
    ctx: Context[CallerContext],
) -> ApprovalRequest | None:
    """Return what a person has to be asked, or None where there is nothing to ask."""
    try:
        token = clientToken or answer_token(ctx)
        return await Starter(ctx.request_context.lifespan_context).question(request, client_token=token)
    except StoreError as error:
        raise RefusedError(f"{error} {NOT_WRITTEN}") from error


async def consent(
    request: Annotated[Prepared, Resolve(prepared)],
    asked: Annotated[ApprovalRequest | None, Resolve(question)],
    ctx: Context[CallerContext],
) -> Elicit[Consent] | Consent:
    """Ask the person, where there is something to ask."""
    if asked is None:
        return Consent(start=True)
    if not can_ask_person(ctx):
        raise RefusedError(
            f"Nothing was sent. {_price(asked)} A person is to be asked before more than {plain(asked.limit)} credits "
            "are spent, but this host has no way to ask (it did not declare elicitation, or speaks an older protocol "
            "over HTTP). "
            "Tell the user; whoever runs this server can change --confirm-over."
        )
    named = f" with {request.model}" if request.model else ""
    short_first = dict(sorted(request.body.items(), key=lambda field: len(str(field[1]))))
    shown = quote(results.compact_json(short_first), MAX_INPUT)
    return Elicit(f"Start {request.type}{named} at Runway? {_price(asked)} Input: {shown}", Consent)


async def leave(
    asked: Annotated[ApprovalRequest | None, Resolve(question)],
    answer: Annotated[ElicitationResult[Consent], Resolve(consent)],
) -> float:
    """Return the credits that a person has agreed to; none where nobody was asked."""
    if asked is None:
        return 0
    if not isinstance(answer, AcceptedElicitation) or not answer.data.start:
        raise RefusedError("Nothing was sent, and nothing is charged: the user was asked and did not agree.")
    return math.inf if asked.credits is None else asked.credits


def _price(asked: ApprovalRequest) -> str:
    if asked.credits is None:
        return "Its price is not known: Runway tells it once a task is started, and none like it was started here."
    like = "The same" if asked.is_certain else "One with the same settings"
    return f"{like} was estimated at {plain(asked.credits)} credits (${asked.credits / 100:.2f}) before."

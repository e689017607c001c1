"""The seal on questions to a person. Its key is in the history, so that whoever shares that takes the answer."""

from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from hashlib import sha256
from secrets import token_bytes

from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.server.mcpserver import Context
from mcp.server.request_state import AESGCMRequestStateCodec, InvalidRequestState
from mcp_types.methods import is_input_required

from runway_mcp.history.records import HistoryError
from runway_mcp.tasks.callers import CallerContext

_ANSWER: ContextVar[str] = ContextVar("answer", default="")


class AnswerCodec:
    """The SDK's seal on a question, which also notes which question a call answers.

    Until the history has told its key, a key of this process seals.
    """

    def __init__(self) -> None:
        self._own = token_bytes()
        self._codec = AESGCMRequestStateCodec([self._own])
        self._is_shared = False

    def seal(self, payload: bytes) -> str:
        return self._codec.seal(payload)

    def unseal(self, token: str) -> bytes:
        found = self._codec.unseal(token)
        _ANSWER.set(f"answer {sha256(token.encode()).hexdigest()}")
        return found

    async def before_unseal(
        self, ctx: ServerRequestContext[CallerContext, object], call_next: CallNext
    ) -> HandlerResult:
        """Read the key that an answer needs: the middleware outside the SDK's own.

        Without the history the call goes on as one without an answer, and a start says what is wrong.
        """
        params = ctx.params or {}
        try:
            if isinstance(token := params.get("requestState"), str):
                self._codec.unseal(token)
        except InvalidRequestState:
            try:
                await self._share(ctx.lifespan_context)
            except HistoryError:
                unanswered = {"requestState", "inputResponses"}
                ctx = replace(ctx, params={name: value for name, value in params.items() if name not in unanswered})
        return await call_next(ctx)

    async def before_seal(self, ctx: ServerRequestContext[CallerContext, object], call_next: CallNext) -> HandlerResult:
        """Read the key that a question needs: a middleware within the SDK's own."""
        result = await call_next(ctx)
        if is_input_required(result):
            with suppress(HistoryError):  # a question that needs no history, such as for the host's folders
                await self._share(ctx.lifespan_context)
        return result

    async def _share(self, context: CallerContext) -> None:
        if not self._is_shared and (history := await context.ledger.begun()) is not None:
            self._codec = AESGCMRequestStateCodec([await history.answer_key(), self._own])
            self._is_shared = True


def answer_token(ctx: Context[CallerContext]) -> str:
    """Return a client token made of the answer that a call brings, or an empty text: one answer buys one task."""
    return _ANSWER.get() if ctx.request_state else ""

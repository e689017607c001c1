"""Starting a task: sent once, within the operator's limits, and bought once for a client token.

A start is recorded in the history before it is sent, and its result afterwards. A lost reply leaves a start of
unknown outcome, and that is what this call and each later one with the same client token reports.

Runway tells a price only in its reply. Before that, the price is estimated: see `estimates`.

A start counts for the day's limit from the moment it is recorded: with its likely price until Runway tells the real
one, and still so where its reply is lost. Where no price is known, or only the lowest one, nothing more can start that
day until a person settles it.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import anyio
from anyio.lowlevel import checkpoint
from pydantic import JsonValue

from runway_mcp.api.errors import RunwayError
from runway_mcp.api.models import Task, TaskId, parse_cost, parse_estimate
from runway_mcp.catalogue.pricing import list_price
from runway_mcp.catalogue.validation import Prepared
from runway_mcp.history.records import (
    SENDING_SECONDS,
    HistoryError,
    Limits,
    OpenStart,
    Snapshot,
    Spend,
    StartRecord,
    StartRequest,
)
from runway_mcp.spending import spending_limits
from runway_mcp.spending import start_errors as errors
from runway_mcp.spending.estimates import Estimate, estimate_of, of_reply
from runway_mcp.spending.fingerprint import fingerprint, price_key, prompt_of
from runway_mcp.spending.spending_limits import ApprovalRequest
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.operations import UnclearOutcomeError

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
"""The time between two looks at a start of somebody else that is waited for."""
ANSWER_SECONDS = 40.0
"""How long a start waits for the answer to an earlier one with its token, below a host's 60 s."""
QUEUE_SECONDS = 10.0
"""How long a start waits for those in flight, where a day's limit lets starts go one after another only."""
PRICE_SECONDS = 5.0
"""How long a read of a task's price may take."""

Body = dict[str, JsonValue]
MakeReady = Callable[[], Awaitable[Body]]


class _NotReadyError(Exception):
    """A start that may be recorded as soon as what it sends is ready."""


@dataclass(frozen=True, slots=True)
class Started:
    """A task that was started.

    Attributes:
        estimate: Its estimated cost, by Runway where its reply tells it.
        is_repeated: Whether an earlier call with the same client token started it.
        unrecorded: Why its result could not be recorded.
    """

    task_id: TaskId
    estimate: Estimate
    is_repeated: bool = False
    unrecorded: HistoryError | None = None


@dataclass
class Starter:
    """Starts one caller's tasks."""

    context: CallerContext
    answer_seconds: float = ANSWER_SECONDS
    queue_seconds: float = QUEUE_SECONDS

    def __post_init__(self) -> None:
        self._ledger = self.context.ledger

    async def estimate(self, prepared: Prepared) -> Estimate:
        """Return what a start is going to cost, as far as that is known. Nothing is sent.

        Raises:
            HistoryError: The history can't be read.
        """
        history = await self._ledger.history()
        return estimate_of(list_price(prepared), await history.look(self._request(prepared, None)))

    async def approval_request(
        self, prepared: Prepared, *, client_token: str | None = None, max_credits: float | None = None
    ) -> ApprovalRequest | None:
        """Return what a person has to be asked before a start, or None where nobody is asked."""
        if self._ledger.limits.confirm_over is None:
            return None
        snapshot = await (await self._ledger.history()).look(self._request(prepared, client_token))
        return spending_limits.approval_request(self._within(max_credits), snapshot, list_price(prepared))

    async def start(
        self,
        prepared: Prepared,
        *,
        client_token: str | None = None,
        max_credits: float | None = None,
        approved_credits: float = 0,
        make_ready: MakeReady | None = None,
    ) -> Started:
        """Start a task, once. A call that is cancelled before its request is sent buys nothing.

        Args:
            prepared: What is sent, or what is the same for the same start where that is made ready first.
            client_token: The caller's name for this start: within 24 hours it stands for one task.
            max_credits: The most that this start may cost, as its caller says. It needs a known price.
            approved_credits: Credits that a person has approved; infinite where the price was unknown.
            make_ready: Returns what is sent; called once a start is allowed that its token does not stand for yet.

        Raises:
            RunwayError: Runway refused it; nothing was bought.
            StartError: It was not sent, was cancelled at once, or may have been bought; see `start_errors`.
            HistoryError: The history can't be written, so nothing was sent.
        """
        request, limits = self._request(prepared, client_token), self._within(max_credits)
        check = partial(
            spending_limits.check_before, limits, price=list_price(prepared), approved_credits=approved_credits
        )
        record, body = await self._begin(request, check, make_ready, prepared.body)
        if not record.is_new:
            if record.fingerprint != request.fingerprint:
                raise errors.TokenReusedError
            return await self._repeated(record)
        try:
            await checkpoint()  # a cancellation that came while the start was being recorded: it must not be sent
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await _record((await self._ledger.history()).forget(record.number))
            raise
        send = partial(self._send, prepared, body, record.number, limits, approved_credits)
        return await self.context.background.run(send, name=f"start of {prepared.type}")

    async def spent(self) -> Spend:
        """Return the sum of the account's starts of this day (UTC)."""
        return await (await self._ledger.history()).spent(self._ledger.account)

    async def open_starts(self) -> list[OpenStart]:
        """Return the account's starts of unknown outcome, the latest first."""
        return await (await self._ledger.history()).open_starts(self._ledger.account)

    def _within(self, max_credits: float | None) -> Limits:
        return replace(self._ledger.limits, start=max_credits)

    def _request(self, prepared: Prepared, client_token: str | None) -> StartRequest:
        price, seconds = list_price(prepared), prepared.body.get("duration")
        return StartRequest(
            account=self._ledger.account,
            caller=self._ledger.caller,
            fingerprint=fingerprint(prepared),
            type=prepared.type,
            client_token=client_token or None,
            price_key=price_key(prepared),
            list_price=None if price is None or price.at_least else price.credits,
            model=prepared.model,
            prompt=prompt_of(prepared.body),
            seconds=seconds if isinstance(seconds, int | float) else None,
            save=self.context.auto_save is not None,
        )

    async def _begin(
        self, request: StartRequest, check: Callable[[Snapshot], None], make_ready: MakeReady | None, body: Body
    ) -> tuple[StartRecord, Body]:
        """Record a start; before that, once nothing else is in its way, make ready what is sent."""
        if make_ready is None:
            return await self._record_start(request, check), body

        def check_unready(snapshot: Snapshot) -> None:
            check(snapshot)
            raise _NotReadyError

        with suppress(_NotReadyError):
            return await self._record_start(request, check_unready), body
        body = await make_ready()
        return await self._record_start(request, check), body

    async def _record_start(self, request: StartRequest, allow: Callable[[Snapshot], None]) -> StartRecord:
        history = await self._ledger.history()
        deadline = anyio.current_time() + self.queue_seconds
        async with history.turns.take(request.account, self.queue_seconds):
            while True:
                try:
                    return await history.begin(request, allow)
                except errors.StartsInFlightError:
                    if anyio.current_time() >= deadline:
                        raise
                await anyio.sleep(LOOK_SECONDS)

    async def _repeated(self, record: StartRecord) -> Started:
        history = await self._ledger.history()
        found: StartRecord | None = record
        deadline = anyio.current_time() + self.answer_seconds
        while found is not None and found.state == "pending" and found.age < SENDING_SECONDS:
            if anyio.current_time() >= deadline:
                raise errors.EarlierPendingError(found.number, SENDING_SECONDS - found.age)
            await anyio.sleep(LOOK_SECONDS)
            found = await history.find(record.number)
        if found is None or found.state == "cancelled":
            raise errors.EarlierFailedError
        if found.task_id is None:
            raise errors.EarlierReplyLostError(found.number)
        return Started(TaskId(found.task_id), of_reply(found.credits, None), is_repeated=True)

    async def _send(
        self, prepared: Prepared, body: Body, number: int, limits: Limits, approved_credits: float
    ) -> Started:
        history = await self._ledger.history()
        try:
            created = await self.context.api.create_task(prepared.endpoint, body)
        except RunwayError as error:
            if not error.may_have_taken_effect:
                await _record(history.forget(number))
                raise
            await _record(history.record_result(number, task_id=None, cost=None))
            raise errors.ReplyLostError(error, number) from error
        price = created.credits
        unrecorded = await _record(history.record_result(number, task_id=created.id, cost=price))
        if price is None and (found := await self._read(created.id)) is not None:
            price = parse_estimate(dict(found.data))
            unrecorded = await _record(history.record_result(number, task_id=created.id, cost=price))
        try:
            spending_limits.check_after(limits, price, await self._day(number, unrecorded), approved_credits)
        except (errors.LimitError, HistoryError) as reason:
            raise errors.StartCancelledError(reason, await self._cancel(created.id, number, price)) from None
        finally:
            if self.context.auto_save is not None:
                self.context.auto_save.look(self.context)
        return Started(created.id, of_reply(price, list_price(prepared)), unrecorded=unrecorded)

    async def _day(self, number: int, unrecorded: HistoryError | None) -> Spend:
        """The sum of the day's starts up to this one, where there is a limit for it."""
        if self._ledger.limits.day is None:
            return Spend(0, 0)
        if unrecorded is not None:
            raise unrecorded
        return await (await self._ledger.history()).spent(self._ledger.account, up_to=number)

    async def _read(self, task_id: TaskId) -> Task | None:
        with anyio.move_on_after(PRICE_SECONDS), suppress(RunwayError):
            return await self.context.tasks.get(task_id)
        return None

    async def _cancel(self, task_id: TaskId, number: int, price: float | None) -> errors.Cancellation:
        try:
            change = await self.context.tasks.cancel(task_id)
        except (RunwayError, UnclearOutcomeError) as error:
            return errors.Cancellation(task_id, "failed", error=error)
        if change.outcome != "cancelled":
            return errors.Cancellation(task_id, "finished")
        task = await self._read(task_id)
        charged = None if task is None else parse_cost(task)
        match charged, change.before and change.before.status:
            case 0, _:
                cancellation, cost = errors.Cancellation(task_id, "free"), 0.0
            case None, "PENDING" | "THROTTLED":
                cancellation, cost = errors.Cancellation(task_id, "waiting"), 0.0
            case None, _:
                cancellation, cost = errors.Cancellation(task_id, "running"), price
            case _:
                cancellation, cost = errors.Cancellation(task_id, "charged", charged), charged
        await _record((await self._ledger.history()).mark_cancelled(number, cost=cost))
        return cancellation


async def _record(writing: Awaitable[None]) -> HistoryError | None:
    try:
        await writing
    except HistoryError as error:
        logger.error("The result of a start could not be recorded: %s", error)  # noqa: TRY400 - the sentence says it all
        return error
    return None

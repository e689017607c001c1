"""Starting a task: sent once, within the operator's limits, and never bought twice for one wish.

Before a start is sent it stands in the history; what became of it is written there too. A reply that
was lost leaves a start of unknown outcome, and that is what is told, now and whenever the same client
token comes again.

Runway states a price only in its reply. Beforehand it is known from an earlier start of the same, and
likely that of one with the same settings.
"""

import logging
import math
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import anyio

from runway_mcp.api.errors import RunwayError
from runway_mcp.api.models import Task, TaskId, parse_cost, parse_estimate, plain
from runway_mcp.catalogue.validation import Prepared
from runway_mcp.history.records import (
    SENDING_SECONDS,
    BusyError,
    DayLimitError,
    Spend,
    StartRecord,
    StartRequest,
    StoreError,
)
from runway_mcp.spending.fingerprint import fingerprint, settings
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.operations import UnclearOutcomeError

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
"""How often it is looked whether a start that is in the way, sent by somebody else, has its answer."""
ANSWER_SECONDS = 40.0
"""How long the answer to a start of the same token is waited for, below a host's 60 s."""
QUEUE_SECONDS = 10.0
"""How long a start waits for those before it, where a day's limit lets them go one after another only."""
PRICE_SECONDS = 5.0
"""How long a look at a task may take that is to tell what it costs."""


@dataclass(frozen=True, slots=True)
class Started:
    """What a start has brought.

    Attributes:
        task_id: The task.
        credits: What it is estimated at, where Runway has said so.
        is_repeated: Whether it was started by an earlier call with the same client token.
        trouble: What went wrong without keeping the task from being started, or empty.
    """

    task_id: TaskId
    credits: float | None
    is_repeated: bool = False
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """What a person is to be asked before a start.

    Attributes:
        credits: What it is likely to cost; None where nothing like it was started before.
        is_certain: Whether the very same was started before.
        limit: Credits above which a person is to be asked.
    """

    credits: float | None
    is_certain: bool
    limit: float


class OverLimitError(Exception):
    """A start that costs more than the operator allows. Its message says whether anything was sent or spent."""


class TokenReusedError(Exception):
    """The client token stands for a start of something else."""


class UnclearStartError(Exception):
    """A start was sent, and whether it brought a task is not known."""


class Starter:
    """Starts one caller's tasks."""

    def __init__(
        self,
        context: CallerContext,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        queue_seconds: float = QUEUE_SECONDS,
    ) -> None:
        """Take the caller's use cases, and how long a start waits for others."""
        self._answer_seconds = answer_seconds
        self._queue_seconds = queue_seconds
        self._context = context
        self._ledger = context.ledger
        self._limits = context.ledger.limits

    async def question(self, prepared: Prepared, *, client_token: str | None = None) -> ApprovalRequest | None:
        """Return what a person has to be asked before a start, or None where it needs nobody's leave.

        What buys nothing needs none: a start that the token already stands for, or one over a limit.

        Raises:
            StoreError: The history can't be read.
        """
        limit = self._limits.confirm_over
        if limit is None:
            return None
        history = await self._ledger.history()
        start = self._start(prepared, client_token)
        if await history.find_by_client_token(start) is not None:
            return None
        if self._limits.day is not None:
            spent = await self.spent()
            if spent.unclear or spent.credits >= self._limits.day:
                return None
        prices = await history.prices(start)
        likely = prices.likely
        if self._limits.task_rule(prices.same) or (likely is not None and likely <= limit):
            return None
        return ApprovalRequest(likely, is_certain=prices.same is not None, limit=limit)

    async def start(self, prepared: Prepared, *, client_token: str | None = None, leave: float = 0) -> Started:
        """Start a task, once.

        Args:
            prepared: What is sent.
            client_token: The caller's name for this start: within 24 hours it stands for one task.
            leave: Credits up to which a person has agreed to this start; infinite where its price was not known.

        Raises:
            RunwayError: It was refused; nothing was bought.
            OverLimitError: It would cost, or did cost, more than allowed.
            TokenReusedError: The token stands for something else; nothing was sent.
            UnclearStartError: It may have been bought.
            StoreError: The history can't be written, so nothing was sent.
        """
        start = self._start(prepared, client_token)
        written = await self._begin(start, leave)
        if written.is_new:
            return await self._context.background.run(
                partial(self._send, prepared, written.number, leave), name=f"start of {prepared.type}"
            )
        if written.fingerprint != start.fingerprint:
            raise TokenReusedError("This clientToken was used within 24 hours for a start with another type or input.")
        return await self._repeated(written)

    async def spent(self) -> Spend:
        """Return what the account's starts of this day (UTC) come to."""
        return await (await self._ledger.history()).spent(self._ledger.account)

    def _start(self, prepared: Prepared, client_token: str | None) -> StartRequest:
        return StartRequest(
            account=self._ledger.account,
            caller=self._ledger.caller,
            fingerprint=fingerprint(prepared),
            type=prepared.type,
            settings=settings(prepared),
            client_token=client_token or None,
        )

    async def _begin(self, start: StartRequest, leave: float) -> StartRecord:
        """Write a start down, unless its token has one already or a limit forbids it."""
        history = await self._ledger.history()
        if (find_by_client_token := await history.find_by_client_token(start)) is not None:
            return find_by_client_token
        deadline = anyio.current_time() + self._queue_seconds
        while True:
            prices = await history.prices(start)
            if over := self._limits.task_rule(prices.same) or self._limits.person_rule(prices.same, leave):
                raise OverLimitError(
                    f"Nothing was sent: the same was estimated at {plain(prices.same or 0)} credits before, and {over}"
                )
            start = replace(start, credits=prices.likely, is_certain=prices.same is not None)
            try:
                return await history.begin(start, day_limit=self._limits.day)
            except DayLimitError as error:
                raise OverLimitError(
                    f"Nothing was sent: {error}, and this server may spend {plain(self._limits.day or 0)} credits a "
                    "day (UTC, --max-credits-per-day)."
                ) from None
            except BusyError:
                if anyio.current_time() > deadline:
                    raise OverLimitError(
                        "Nothing was sent: others are being started, and until their prices are known it can't be told "
                        "whether this one keeps within the day's limit. It can be called again."
                    ) from None
            await anyio.sleep(LOOK_SECONDS)

    async def _repeated(self, written: StartRecord) -> Started:
        """What the start with the same token has brought, once it has its answer."""
        history = await self._ledger.history()
        found: StartRecord | None = written
        deadline = anyio.current_time() + self._answer_seconds
        while found is not None and found.state == "starting" and found.age < SENDING_SECONDS:
            if anyio.current_time() > deadline:
                raise UnclearStartError(
                    "An earlier call with this clientToken still waits for Runway's answer. This one sent nothing, and "
                    "can be made again."
                )
            await anyio.sleep(LOOK_SECONDS)
            found = await history.find(written.number)
        if found is None or found.state == "taken back":
            raise UnclearStartError(
                "The call with the same clientToken that this one waited for came to nothing: it was refused, or taken "
                "back. This one sent nothing; it can be made again."
            )
        if found.task_id is not None:
            return Started(TaskId(found.task_id), found.credits, is_repeated=True)
        raise UnclearStartError(
            "An earlier call with this clientToken sent the start, and its reply was lost: the task may exist and be "
            f"charged. This call sent nothing. {_WHAT_SETTLES}"
        )

    async def _send(self, prepared: Prepared, number: int, leave: float) -> Started:
        history = await self._ledger.history()
        try:
            created = await self._context.api.create_task(prepared.endpoint, prepared.body)
        except RunwayError as error:
            if not error.may_have_taken_effect:
                await _kept(history.forget(number))
                raise
            await _kept(history.record_result(number, task_id=None, cost=None))
            raise UnclearStartError(
                f"{error} The start was sent, so the task may exist and be charged. {_WHAT_SETTLES}"
            ) from error
        price = created.credits
        trouble = await _kept(history.record_result(number, task_id=created.id, cost=price))
        if price is None and (price := await self._price(created.id)) is not None:
            trouble = await _kept(history.record_result(number, task_id=created.id, cost=price))
        over = self._without_price(leave) if price is None else await self._over(price, number, leave)
        if over:
            raise OverLimitError(f"{over} {await self._take_back(created.id, number, price)}")
        return Started(created.id, price, trouble=trouble)

    async def _price(self, task_id: TaskId) -> float | None:
        """What a task is estimated at, where the reply to its start did not say it."""
        task = await self._look(task_id)
        return None if task is None else parse_estimate(dict(task.data))

    async def _charged(self, task_id: TaskId) -> float | None:
        """What a task that was cancelled did cost, where Runway says so already."""
        task = await self._look(task_id)
        return None if task is None else parse_cost(task)

    async def _look(self, task_id: TaskId) -> Task | None:
        with anyio.move_on_after(PRICE_SECONDS), suppress(RunwayError):
            return await self._context.tasks.get(task_id)
        return None

    def _without_price(self, leave: float) -> str:
        """Whether a limit can't be kept for want of a price; empty where there is none to keep."""
        limits = self._limits
        is_agreed = limits.confirm_over is None or leave == math.inf
        if limits.task is None and limits.day is None and is_agreed:
            return ""
        return "Runway tells no price, so this server's limits can't be kept."

    async def _over(self, price: float, number: int, leave: float) -> str:
        """Which limit is broken by a price that became known only now; empty for none."""
        limits = self._limits
        if rule := limits.task_rule(price):
            return f"Runway estimates {plain(price)} credits; {rule}"
        if limits.day is not None:
            try:
                spent = await (await self._ledger.history()).spent(self._ledger.account, up_to=number)
            except StoreError as error:
                return f"{error} So it can't be told what was spent today, and this server has a limit for it."
            if spent.credits > limits.day:
                return (
                    f"Runway estimates {plain(price)} credits, which makes {plain(spent.credits)} today; this server "
                    f"may spend {plain(limits.day)} a day (UTC, --max-credits-per-day)."
                )
        if rule := limits.person_rule(price, leave):
            return f"Runway estimates {plain(price)} credits, which was not known before, and {rule}"
        return ""

    async def _take_back(self, task_id: TaskId, number: int, price: float | None) -> str:
        """Cancel a task that was just started; return what came of it."""
        try:
            change = await self._context.tasks.cancel(task_id)
        except (RunwayError, UnclearOutcomeError) as error:
            return f"Task {task_id} was started, and may not be cancelled: {error} Look at it; cancel it if it goes on."
        if change.outcome != "cancelled":
            return f"Task {task_id} could not be cancelled any more: it has finished or is gone, and may be charged."
        charged = await self._charged(task_id)
        match charged, change.before and change.before.status:
            case 0, _:
                cost, words = 0, ": nothing is charged."
            case None, "PENDING" | "THROTTLED":
                cost, words = 0, ", while it was waiting, which is not charged; Runway does not say so yet."
            case None, _:
                cost, words = price, ", but it was running already: its credits may be charged."
            case _:
                cost, words = charged, f", but Runway charged {plain(charged or 0)} credits."
        await _kept((await self._ledger.history()).mark_cancelled(number, cost=cost))
        return f"So task {task_id} was cancelled at once{words}"


_WHAT_SETTLES = (
    "Starting it again may buy a second one; Runway has no list of tasks, so the account's balance and usage "
    "(runway_getAccount) are what tells."
)


async def _kept(writing: Awaitable[None]) -> str:
    """Write to the history what has happened; return what it means where it can't be written, or nothing."""
    try:
        await writing
    except StoreError as error:
        logger.error("What became of a start could not be written down: %s", error)  # noqa: TRY400 - the sentence says all
        return f"{error} It was started all the same; only its clientToken and price are not remembered."
    return ""

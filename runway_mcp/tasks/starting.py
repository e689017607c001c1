"""Starting a task: sent once, within the operator's limits, and never bought twice for one wish.

Before a start is sent it stands in the history; what became of it is written there too. A reply that
was lost leaves a start of unknown outcome, and that is what is told, now and whenever the same client
token comes again.

Runway states a price only in its reply. Beforehand it is known from an earlier start of the same, and
likely that of one with the same settings.
"""

import re
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from json import dumps

import anyio
from pydantic import JsonValue

from runway_mcp.api.errors import RunwayError
from runway_mcp.api.models import TaskId
from runway_mcp.api.requests import Prepared
from runway_mcp.tasks.service import TaskService, UnclearOutcomeError
from runway_mcp.tasks.store import DayLimitError, Start, Written

SENDING_SECONDS = 60.0
"""How long a start may be on its way. One that was begun longer ago was cut off: nobody knows what became of it."""
LOOK_SECONDS = 0.2
"""How often it is looked whether a start of the same token, sent by somebody else, has its answer."""

_CHOICE = re.compile(r"[\w.:-]{1,40}")


@dataclass(frozen=True, slots=True)
class Started:
    """What a start has brought.

    Attributes:
        task_id: The task.
        credits: What it is estimated at, where Runway has said so.
        is_repeated: Whether it was started by an earlier call with the same client token.
    """

    task_id: TaskId
    credits: float | None
    is_repeated: bool = False


@dataclass(frozen=True, slots=True)
class Question:
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

    def __init__(self, service: TaskService) -> None:
        self._service = service
        self._ledger = service.ledger
        self._limits = service.ledger.limits

    async def question(self, prepared: Prepared, *, client_token: str | None = None) -> Question | None:
        """Return what a person has to be asked before a start, or None where it needs nobody's leave.

        What buys nothing needs none: a start that the token already stands for, or one over a limit.

        Raises:
            StoreError: The history can't be read.
        """
        limit = self._limits.unasked
        if limit is None:
            return None
        history = await self._ledger.history()
        if client_token is not None and await history.earlier(self._ledger.caller, client_token) is not None:
            return None
        prices = await history.prices(self._wish(prepared, client_token))
        likely = prices.alike if prices.same is None else prices.same
        too_dear = prices.same is not None and self._limits.task is not None and prices.same > self._limits.task
        if too_dear or (likely is not None and likely <= limit):
            return None
        return Question(likely, is_certain=prices.same is not None, limit=limit)

    async def start(self, prepared: Prepared, *, client_token: str | None = None, leave: float = 0) -> Started:
        """Start a task, once.

        Args:
            prepared: What is sent.
            client_token: The caller's name for this start: within 24 hours it stands for one task.
            leave: Credits up to which a person has agreed to this start.

        Raises:
            RunwayError: It was refused; nothing was bought.
            OverLimitError: It would cost, or did cost, more than allowed.
            TokenReusedError: The token stands for something else; nothing was sent.
            UnclearStartError: It may have been bought.
            StoreError: The history can't be written, so nothing was sent.
        """
        wish = self._wish(prepared, client_token)
        written = await self._begin(wish)
        if written.is_new:
            return await self._service.changes.run(
                partial(self._send, prepared, written, leave), name=f"start of {prepared.type}"
            )
        if written.fingerprint != wish.fingerprint:
            raise TokenReusedError("This clientToken was used within 24 hours for a start with another type or input.")
        return await self._repeated(written)

    async def spent(self) -> float:
        """Return the credits that the account's starts of this day (UTC) come to."""
        return await (await self._ledger.history()).spent(self._ledger.account)

    def _wish(self, prepared: Prepared, client_token: str | None) -> Start:
        return Start(
            account=self._ledger.account,
            caller=self._ledger.caller,
            fingerprint=_digest(prepared.endpoint, prepared.body),
            type=prepared.type,
            settings=_digest(prepared.endpoint, _settings(prepared.body)),
            client_token=client_token,
        )

    async def _begin(self, start: Start) -> Written:
        history = await self._ledger.history()
        price = (await history.prices(start)).same
        if self._limits.task is not None and price is not None and price > self._limits.task:
            raise OverLimitError(
                f"Nothing was sent: the same cost {price:g} credits before, and this server may spend "
                f"{self._limits.task:g} on a task."
            )
        try:
            return await history.begin(replace(start, credits=price), day_limit=self._limits.day)
        except DayLimitError as error:
            raise OverLimitError(
                f"Nothing was sent: {error}, and this server may spend {self._limits.day:g} a day (UTC)."
            ) from None

    async def _repeated(self, written: Written) -> Started:
        """What the start with the same token has brought, once it has its answer."""
        history = await self._ledger.history()
        found: Written | None = written
        while found is not None and found.state == "starting" and found.age < SENDING_SECONDS:
            await anyio.sleep(LOOK_SECONDS)
            found = await history.find(written.number)
        if found is None:
            raise UnclearStartError(
                "The call with the same clientToken that this one waited for was refused, and bought nothing. This one "
                "sent nothing; it can be made again."
            )
        if found.task_id is not None:
            return Started(TaskId(found.task_id), found.credits, is_repeated=True)
        raise UnclearStartError(
            "An earlier call with this clientToken sent the start, and its reply was lost: the task may exist and be "
            f"charged. This call sent nothing. {_WHAT_SETTLES}"
        )

    async def _send(self, prepared: Prepared, written: Written, leave: float) -> Started:
        history = await self._ledger.history()
        try:
            created = await self._service.client.create_task(prepared.endpoint, prepared.body)
        except RunwayError as error:
            if not error.applied:
                await history.forget(written.number)
                raise
            await history.settle(written.number, task_id=None, cost=None)
            raise UnclearStartError(
                f"{error} The start was sent, so the task may exist and be charged. {_WHAT_SETTLES}"
            ) from error
        await history.settle(written.number, task_id=created.id, cost=created.credits)
        if over := await self._over(created.credits, leave):
            raise OverLimitError(f"{over} {await self._take_back(created.id, written.number)}")
        return Started(created.id, created.credits)

    async def _over(self, credits_: float | None, leave: float) -> str:
        """Which limit a price goes over that became known only now; empty where it goes over none."""
        if credits_ is None:
            return ""
        if self._limits.task is not None and credits_ > self._limits.task:
            return f"Runway estimates {credits_:g} credits; this server may spend {self._limits.task:g} on a task."
        if self._limits.day is not None and (spent := await self.spent()) > self._limits.day:
            return (
                f"Runway estimates {credits_:g} credits, which makes {spent:g} today; this server may spend "
                f"{self._limits.day:g} a day (UTC)."
            )
        if self._limits.unasked is not None and credits_ > max(self._limits.unasked, leave):
            return (
                f"Runway estimates {credits_:g} credits, which was not known before, and a person is asked before more "
                f"than {self._limits.unasked:g} are spent. Starting it again asks."
            )
        return ""

    async def _take_back(self, task_id: TaskId, number: int) -> str:
        """Cancel a task that was just started; return what came of it."""
        try:
            change = await self._service.cancel(task_id)
        except (RunwayError, UnclearOutcomeError) as error:
            return f"Task {task_id} was started, and may not be cancelled: {error} Look at it; cancel it if it goes on."
        status = change.before.status if change.before else None
        if change.outcome == "cancelled" and status in {"PENDING", "THROTTLED"}:
            await (await self._ledger.history()).settle(number, task_id=task_id, cost=0)
            return f"So task {task_id} was cancelled at once, while it was {status}: nothing is charged."
        if change.outcome == "cancelled":
            return f"So task {task_id} was cancelled at once, but it was {status} already: its credits may be charged."
        return f"Task {task_id} could not be cancelled any more: it has finished or is gone, and may be charged."


_WHAT_SETTLES = (
    "Starting it again may buy a second one; Runway has no list of tasks, so the account's balance and usage "
    "(runway_getAccount) are what tells."
)


def _digest(endpoint: str, body: JsonValue) -> str:
    """What tells requests apart: the endpoint and the body, whatever the order of its fields."""
    return sha256(dumps([endpoint, body], sort_keys=True).encode()).hexdigest()


def _settings(value: JsonValue) -> JsonValue:
    """What a price can go by: numbers, switches, choices and how many there are; not texts, media or the seed."""
    match value:
        case str():
            return value if _CHOICE.fullmatch(value) else ""
        case list():
            return [_settings(item) for item in value]
        case dict():
            return {name: _settings(item) for name, item in value.items() if name != "seed"}
        case _:
            return value

"""What was started, in any database: one start for each client token, and what a day has cost.

A result that can't be written, because the database can't be used for a moment, is written by the next transaction.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from functools import partial
from secrets import token_bytes
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio

from runway_mcp.history import records
from runway_mcp.history import start_statements as statements
from runway_mcp.history.account_turns import AccountTurns
from runway_mcp.history.database import Database, Transaction, Values
from runway_mcp.history.task_history import SeenTasks, TaskHistory
from runway_mcp.history.task_records import IS_OPEN, PROMPT_CHARACTERS

if TYPE_CHECKING:
    from runway_mcp.history.shared_states import SharedStates

T = TypeVar("T")
logger = logging.getLogger(__name__)

MAX_STARTS = 100_000
"""Starts that are kept, the latest ones: a number, for a clock that is wrong once must not empty the history."""
PRICE_SECONDS = 31 * 24 * 3600.0
"""How long an estimate counts for later starts."""
DAY = 86_400
FORGET_SECONDS = 3600.0
"""The time between two looks for what is older."""
TURN_SECONDS = 5.0
"""How long a transaction waits for another one that writes what was left."""


class History:
    """What was started, by every process that shares the database. Each method may raise a `HistoryError`.

    It is a context, whose end writes what could not be written before.

    Args:
        elapsed: A clock that nobody sets, in seconds.
        keep_days: For how long tasks are told.

    Attributes:
        tasks: What became of it.
        turns: Whose start is recorded next.
        states: The states of tasks that replicas share, where they share a database.
        statement: Runs a single statement of PostgreSQL there.
    """

    def __init__(
        self,
        database: Database,
        elapsed: Callable[[], float],
        *,
        keep_days: float,
        prompts: bool,
        turn_seconds: float = TURN_SECONDS,
    ) -> None:
        self._database, self._elapsed, self._prompts = database, elapsed, prompts
        self._turn_seconds = turn_seconds
        self._opened, self._forgotten = 0.0, float("-inf")
        self._turn = anyio.Lock()
        self.turns = AccountTurns()
        self._unwritten: list[tuple[str, Values]] = []
        self.states: SharedStates | None = None
        self.statement: Callable[[str, Values], Awaitable[Sequence[Sequence[Any]]]]
        self.tasks = TaskHistory(self.run, keep_days * DAY)

    async def __aenter__(self) -> Self:
        async def work(transaction: Transaction) -> None:
            self._opened = transaction.now - self._elapsed()

        await self.run(work)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            try:
                await self.flush()
            except records.HistoryError as why:
                many = len(self._unwritten), len(self.tasks.unwritten)
                logger.error("Never recorded: results of %d starts and states of %d tasks. %s", *many, why)  # noqa: TRY400 - the sentence says it all

    async def run(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run one transaction, after what could not be written before and what was seen of tasks."""
        if not self._unwritten and not self.tasks.unwritten and not self._turn.locked():
            return await self._database.run(self._forgetting(work))
        with anyio.move_on_after(self._turn_seconds) as waiting:  # what is written twice at once could be out of order
            await self._turn.acquire()
        if waiting.cancelled_caught:
            return await self._database.run(self._forgetting(work))
        try:
            return await self._written_first(work)
        finally:
            self._turn.release()

    async def _written_first(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        unwritten, seen = list(self._unwritten), self.tasks.unwritten

        def written() -> None:
            del self._unwritten[: len(unwritten)]
            self.tasks.written(seen)

        async def whole(transaction: Transaction) -> T:
            for statement, values in unwritten:
                await transaction.execute(statement, values)
            await self.tasks.write(seen, transaction)
            return await self._forgetting(work)(transaction)

        try:
            done = await self._database.run(whole)
        except records.HistoryRefusedError:  # a value of `work`, or of what is written first
            await self._write_singly(unwritten, seen)
            written()
            return await self._database.run(self._forgetting(work))
        written()
        return done

    async def _write_singly(self, unwritten: Sequence[tuple[str, Values]], seen: SeenTasks) -> None:
        """Write each in a transaction of its own, and drop those that the database never takes."""
        works = [partial(_executed, statement, values) for statement, values in unwritten]
        works += [partial(self.tasks.write, {key: values}) for key, values in seen.items()]
        for work in works:
            try:
                await self._database.run(work)
            except records.HistoryRefusedError as error:
                logger.error("A result of a start, or a state of a task, is never recorded: %s", error)  # noqa: TRY400 - as above

    async def flush(self) -> None:
        """Write what was seen of tasks, and what could not be written when it came."""
        while self._unwritten or self.tasks.unwritten:
            await self.find(0)  # any transaction writes it first

    async def look(self, start: records.StartRequest) -> records.Snapshot:
        """Return what is known about a start, without recording it."""
        return await self.run(lambda transaction: self._look(transaction, start))

    async def begin(
        self, start: records.StartRequest, allow: Callable[[records.Snapshot], None]
    ) -> records.StartRecord:
        """Record a start, or return the one that its client token already stands for, in one transaction.

        `allow` is called within the transaction for a new start. If it raises, nothing is recorded.
        """
        recorded: list[Values] = []

        async def work(transaction: Transaction) -> records.StartRecord:
            await transaction.lock(start.account)
            snapshot = await self._look(transaction, start)
            if snapshot.earlier is not None:
                return snapshot.earlier
            allow(snapshot)
            values = asdict(start) | {"now": transaction.now, "token_digest": start.token_digest}
            values |= {"credits": snapshot.likely(start.list_price), "saving": "wanted" if start.save else ""}
            values["prompt"] = start.prompt[:PROMPT_CHARACTERS] if self._prompts else ""
            number = await transaction.insert_start(statements.INSERT, values)
            recorded.append(values)
            for table in ("starts", "outputs"):
                old = {"number": number - MAX_STARTS}
                await transaction.execute(f"DELETE FROM {table} WHERE number <= :number", old)  # noqa: S608 - a constant
            return records.StartRecord(number, is_new=True, state="pending", fingerprint=start.fingerprint)

        try:
            return await self.run(work)
        except records.HistoryError:  # it is not sent; whether it was recorded nobody knows
            self._unwritten += [(statements.NOT_SENT, values) for values in recorded]
            raise

    async def find(self, number: int) -> records.StartRecord | None:
        return await self.run(lambda transaction: _one(transaction, "number = :number", {"number": number}))

    async def record_result(self, number: int, *, task_id: str | None, cost: float | None) -> None:
        """Record a start's task or, without an id, its unknown outcome. No cost leaves the expected one in place."""
        state: records.State = "started" if task_id else "unknown"
        await self._execute(statements.RESULT, {"number": number, "state": state, "task_id": task_id, "cost": cost})

    async def mark_cancelled(self, number: int, *, cost: float | None) -> None:
        """Record that a task was cancelled at once. Its token is free again; its price is remembered.

        No cost leaves the estimate in place.
        """
        await self._execute(statements.CANCELLED, {"number": number, "cost": cost})

    async def forget(self, number: int) -> None:
        """Delete a start that certainly bought nothing. Its token and its credits are free again."""
        await self._execute("DELETE FROM starts WHERE number = :number", {"number": number})

    async def answer_key(self) -> bytes:
        """Return the 32 secret bytes that seal questions to a person, made by who needs them first."""

        async def work(transaction: Transaction) -> bytes:
            await transaction.execute(statements.MAKE_KEY, {"value": token_bytes().hex()})
            ((value,),) = await transaction.fetch("SELECT value FROM secrets WHERE name = 'answers'")
            return bytes.fromhex(value)

        return await self.run(work)

    async def spent(self, account: str, *, up_to: int | None = None) -> records.Spend:
        """Return the sum of an account's starts of this day (UTC), or of the day of `up_to`, its last start."""
        return await self.run(lambda transaction: _spent(transaction, account, up_to))

    async def open_starts(self, account: str | None = None) -> list[records.OpenStart]:
        """Return the open starts of an account, or of all, the latest first."""

        async def work(transaction: Transaction) -> list[records.OpenStart]:
            which = "" if account is None else "AND account = :account"
            values = {"now": transaction.now, "account": account}
            rows = await transaction.fetch(f"{statements.OPEN} {which} ORDER BY number DESC", values)
            return [records.OpenStart(*row) for row in rows]

        return await self.run(work)

    async def settle(self, number: int, *, task_id: str | None) -> None:
        """Record what became of an open start: this task or, without an id, certainly nothing.

        A task keeps the credits that the start counts for.

        Raises:
            NotOpenError: There is no such start, its outcome is known, or Runway's answer may still come.
        """

        async def work(transaction: Transaction) -> None:
            values = {"number": number, "task_id": task_id, "now": transaction.now}
            action = "UPDATE starts SET state = 'started', task_id = :task_id" if task_id else "DELETE FROM starts"
            if not await transaction.execute(f"{action} WHERE number = :number AND {IS_OPEN}", values):
                raise records.NotOpenError(number)

        await self.run(work)

    async def _look(self, transaction: Transaction, start: records.StartRequest) -> records.Snapshot:
        now = transaction.now
        values = asdict(start) | {"now": now, "sending": records.SENDING_SECONDS, "since": now - PRICE_SECONDS}
        ((in_flight, same, similar),) = await transaction.fetch(statements.SNAPSHOT, values)
        spent = await _spent(transaction, start.account)
        return records.Snapshot(spent, in_flight, same, similar, await self._earlier(transaction, start))

    async def _earlier(self, transaction: Transaction, start: records.StartRequest) -> records.StartRecord | None:
        """Find a start by its client token. A token ages by this process's own time where the clock was set ahead."""
        if start.client_token is None:
            return None
        since = min(transaction.now, self._opened + self._elapsed()) - records.TOKEN_SECONDS
        condition = (
            "account = :account AND caller = :caller AND client_token = :token AND begun > :since ORDER BY number DESC"
        )
        values = {"account": start.account, "caller": start.caller, "token": start.token_digest, "since": since}
        return await _one(transaction, condition, values)

    def _forgetting(self, work: Callable[[Transaction], Awaitable[T]]) -> Callable[[Transaction], Awaitable[T]]:
        """Return work that also forgets, now and then, what is older than it is kept for."""
        if self._elapsed() - self._forgotten < FORGET_SECONDS:
            return work

        async def both(transaction: Transaction) -> T:
            await self.tasks.forget_old(transaction, prompts=self._prompts)
            if self.states is not None:
                await self.states.forget_old(transaction)
            self._forgotten = self._elapsed()
            return await work(transaction)

        return both

    async def _execute(self, statement: str, values: Values) -> None:
        try:
            await self.run(lambda transaction: transaction.execute(statement, values))
        except records.HistoryError:
            self._unwritten.append((statement, values))
            raise


async def _executed(statement: str, values: Values, transaction: Transaction) -> None:
    await transaction.execute(statement, values)


async def _one(transaction: Transaction, condition: str, values: Values) -> records.StartRecord | None:
    found = "SELECT number, state, fingerprint, task_id, credits, begun FROM starts WHERE "
    for number, state, fingerprint, task_id, cost, begun in await transaction.fetch(
        f"{found}{condition} LIMIT 1", values
    ):
        return records.StartRecord(number, False, state, fingerprint, task_id, cost, abs(transaction.now - begun))
    return None


async def _spent(transaction: Transaction, account: str, up_to: int | None = None) -> records.Spend:
    day = transaction.now
    if up_to is not None:
        for (begun,) in await transaction.fetch("SELECT begun FROM starts WHERE number = :up_to", {"up_to": up_to}):
            day = begun
    values = {"account": account, "day": day // DAY * DAY, "up_to": up_to or 2**63 - 1, "now": transaction.now}
    ((total, unknown),) = await transaction.fetch(statements.SPENT, values)
    which = "AND account = :account AND begun >= :day AND number <= :up_to ORDER BY number"
    numbers = await transaction.fetch(f"{statements.OPEN} {which}", values)
    return records.Spend(total, unknown, tuple(number for number, *_ in numbers))

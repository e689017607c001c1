"""The tasks of the history's file: what was seen of them, where their outputs are, and what was uploaded."""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from runway_mcp.history.task_records import (
    CLAIM_SECONDS,
    GONE,
    IS_OPEN,
    NOT_ACTIVE,
    UPLOAD_SECONDS,
    SavedOutput,
    Saving,
    Seen,
    TaskPage,
    TaskQuery,
    TaskRecord,
    UploadRecord,
    plain_text,
)

T = TypeVar("T")
SeenTasks = dict[tuple[str, str], dict[str, Any]]
"""What was seen of tasks, by account and id, as the values of `_SEEN`."""

MAX_UNWRITTEN = 10_000
"""Tasks of which something is kept to be written, the latest ones, where the file can't be written."""

_FINAL = ", ".join(f"'{status}'" for status in sorted(NOT_ACTIVE))
_STATUS = f"""
CASE WHEN {IS_OPEN} THEN 'UNKNOWN' WHEN state = 'cancelled' THEN 'CANCELLED' ELSE coalesce(status, 'PENDING') END
"""
_TASK = f"""
SELECT number, task_id, type, model, prompt, {_STATUS}, credits, cost IS NOT NULL, begun, finished, seconds, saving
FROM starts WHERE account = :account AND caller = :caller
"""  # noqa: S608 - made of constants
_MATCHES = f"""
FROM starts WHERE account = :account AND caller = :caller AND begun >= :since AND begun >= :kept
AND (:type = '' OR type = :type)
AND (:text = '' OR contains(prompt, :text) OR contains(model, :text))
AND (:status = '' OR (:status = 'active' AND {_STATUS} NOT IN ({_FINAL})) OR {_STATUS} = :status)
"""
_SEEN = f"""
UPDATE starts SET
    status = CASE
        WHEN :status <> '' THEN :status WHEN status = 'CANCELLED' THEN status
        WHEN :removed AND coalesce(status, '') NOT IN ({_FINAL}) THEN 'CANCELLED' ELSE '{GONE}' END,
    finished = CASE WHEN :final THEN coalesce(finished, :now) END,
    cost = coalesce(:cost, cost), credits = coalesce(:cost, credits)
WHERE task_id = :task_id AND account = :account
"""  # noqa: S608 - made of constants


class Database(Protocol):
    """The history's file, as far as its tasks need it."""

    def now(self) -> float:
        """Return UNIX seconds."""
        ...

    def run(self, work: Callable[[sqlite3.Connection], T]) -> Awaitable[T]:
        """Run one transaction."""
        ...


class TaskHistory:
    """What is remembered of tasks. Each method may raise a `HistoryError`, but `see`."""

    def __init__(self, database: Database, keep_seconds: float) -> None:
        self._database, self._keep_seconds = database, keep_seconds
        self._seen: SeenTasks = {}

    def see(self, account: str, task_id: str, seen: Seen) -> None:
        """Take note of what was seen of a task. It is written with the next transaction."""
        values = asdict(seen) | {"account": account, "task_id": task_id, "now": self._database.now()}
        self._seen.pop((account, task_id), None)
        self._seen[account, task_id] = values | {"final": not seen.status or seen.status in NOT_ACTIVE}
        if len(self._seen) > MAX_UNWRITTEN:
            del self._seen[next(iter(self._seen))]

    @property
    def unwritten(self) -> SeenTasks:
        """What was seen and is not written yet."""
        return dict(self._seen)

    def write(self, connection: sqlite3.Connection, seen: SeenTasks) -> None:
        """Write what was seen, within a transaction."""
        connection.executemany(_SEEN, seen.values())

    def written(self, seen: SeenTasks) -> None:
        """Forget what has been written, unless something newer was seen meanwhile."""
        for key, values in seen.items():
            if self._seen.get(key) is values:
                del self._seen[key]

    async def find(self, account: str, caller: str, task_id: str) -> TaskRecord | None:
        """Return a task that the caller started; None where they did not."""
        values = self._values(account, caller) | {"task_id": task_id}

        def work(connection: sqlite3.Connection) -> TaskRecord | None:
            found = _records(connection, f"{_TASK} AND task_id = :task_id ORDER BY number DESC LIMIT 1", values)
            return found[0] if found else None

        return await self._database.run(work)

    async def page(self, account: str, caller: str, query: TaskQuery) -> TaskPage:
        """Return the caller's tasks that match a query, the latest first, and the sums over all that match."""
        values = asdict(query) | self._values(account, caller)
        values |= {"text": plain_text(query.text), "limit": query.limit + 1, "kept": self._kept_since}
        which = _TASK.partition("FROM")[0] + _MATCHES

        def work(connection: sqlite3.Connection) -> TaskPage:
            sums = f"SELECT count(*), coalesce(sum(credits), 0), count(*) FILTER (WHERE credits IS NULL) {_MATCHES}"
            matched, credits_, unknown = connection.execute(sums, values).fetchone()
            found = _records(connection, f"{which} AND number < :before ORDER BY number DESC LIMIT :limit", values)
            return TaskPage(found[: query.limit], matched, credits_, unknown, len(found) > query.limit)

        return await self._database.run(work)

    async def to_save(self, account: str, caller: str, saving: Saving = "wanted") -> list[TaskRecord]:
        """Return the caller's tasks of this state of `saving`, the oldest first."""
        values = self._values(account, caller) | {"saving": saving}
        which = f"{_TASK} AND saving = :saving AND task_id IS NOT NULL ORDER BY number"
        return await self._database.run(lambda connection: _records(connection, which, values))

    async def mark_saving(self, number: int, saving: Saving) -> None:
        """Record what became of the saving of a task's outputs."""
        await self._database.run(
            lambda connection: connection.execute("UPDATE starts SET saving = ? WHERE number = ?", (saving, number))
        )

    async def claim(self, number: int, *, renew: bool = False) -> bool:
        """Claim the saving of a task for `CLAIM_SECONDS`; return False where another process has, or none is wanted."""
        claimed = (
            "UPDATE starts SET claimed = :now WHERE number = :number AND saving = 'wanted' "
            "AND (:renew OR claimed IS NULL OR abs(:now - claimed) >= :seconds)"
        )
        values = {"number": number, "now": self._database.now(), "seconds": CLAIM_SECONDS, "renew": renew}
        return await self._database.run(lambda connection: connection.execute(claimed, values).rowcount > 0)

    async def release(self, number: int) -> None:
        """Give up the claim."""
        await self._database.run(
            lambda connection: connection.execute("UPDATE starts SET claimed = NULL WHERE number = ?", (number,))
        )

    async def record_saved(self, number: int, outputs: Sequence[SavedOutput]) -> None:
        """Record where outputs of a task were saved; those saved elsewhere before are forgotten."""
        rows = [(number, *asdict(one).values()) for one in outputs]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, ?, ?, ?)", rows)

        await self._database.run(work)

    async def saved_by_others(self, number: int, position: int, beginning: str) -> list[str]:
        """Return the paths with this beginning that hold another output than this one of task `number`."""
        which = (
            "SELECT path FROM outputs WHERE substr(path, 1, length(:beginning)) = :beginning "
            "AND NOT (number = :number AND position = :position)"
        )
        values = {"number": number, "position": position, "beginning": beginning}
        return await self._database.run(lambda connection: [path for (path,) in connection.execute(which, values)])

    async def find_upload(
        self, account: str, caller: str, *, sha256: str = "", uri: str = "", kept_seconds: float = 0
    ) -> UploadRecord | None:
        """Return the caller's latest upload of a content, or of a URI, that Runway still has for `kept_seconds`.

        None for no such.
        """
        values = (account, caller, sha256, uri, self._database.now() - UPLOAD_SECONDS + kept_seconds)
        which = (
            "SELECT sha256, uri, size, content_type, seconds, uploaded FROM uploads WHERE account = ? AND caller = ? "
            "AND (sha256 = ? OR uri = ?) AND uploaded > ? ORDER BY uploaded DESC LIMIT 1"
        )
        row = await self._database.run(lambda connection: connection.execute(which, values).fetchone())
        if row is None:
            return None
        digest, found, size, content_type, seconds, uploaded = row
        return UploadRecord(digest, found, size, content_type, None if seconds is None else Decimal(seconds), uploaded)

    async def record_upload(self, account: str, caller: str, upload: UploadRecord) -> None:
        """Record a file that was uploaded just now, and forget those that Runway no longer has."""
        now = self._database.now()
        seconds = None if upload.seconds is None else str(upload.seconds)
        row = (account, caller, upload.sha256, upload.uri, upload.size, upload.content_type, seconds, now)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM uploads WHERE uploaded <= ?", (now - UPLOAD_SECONDS,))
            connection.execute("INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

        await self._database.run(work)

    async def forget_upload(self, account: str, caller: str, uri: str) -> None:
        """Forget an upload that Runway may not have any more."""
        which = "DELETE FROM uploads WHERE account = ? AND caller = ? AND uri = ?"
        await self._database.run(lambda connection: connection.execute(which, (account, caller, uri)))

    def _values(self, account: str, caller: str) -> dict[str, Any]:
        return {"account": account, "caller": caller, "now": self._database.now()}

    @property
    def _kept_since(self) -> float:
        return self._database.now() - self._keep_seconds

    def forget_old(self, connection: sqlite3.Connection, *, prompts: bool) -> None:
        """Forget, within a transaction, what is older than it is kept for; without `prompts` every prompt as well.

        The bare starts stay, for limits and client tokens rest on them and a clock can be wrong.
        """
        since = self._kept_since if prompts else float("inf")
        connection.execute("UPDATE starts SET prompt = '' WHERE begun < ? AND prompt <> ''", (since,))
        old = "DELETE FROM outputs WHERE number IN (SELECT number FROM starts WHERE begun < ?)"
        connection.execute(old, (self._kept_since,))


def _records(connection: sqlite3.Connection, which: str, values: dict[str, Any]) -> list[TaskRecord]:
    found: list[TaskRecord] = []
    for row in connection.execute(which, values).fetchall():
        outputs = connection.execute(
            "SELECT position, path, size, content_type, sha256 FROM outputs WHERE number = ? ORDER BY position", row[:1]
        )
        found.append(TaskRecord(*row, outputs=tuple(SavedOutput(*one) for one in outputs.fetchall())))
    return found

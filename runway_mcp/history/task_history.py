"""The tasks of the history, in any database: what was seen of them, where their outputs are, and what was uploaded."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from decimal import Decimal
from operator import itemgetter
from typing import Any, Protocol, TypeVar

from runway_mcp.history import task_records as records
from runway_mcp.history.database import Transaction, Values

T = TypeVar("T")
_OUTPUTS = (
    "SELECT position, path, size, content_type, sha256 FROM outputs WHERE number = :number ORDER BY position, path"
)
_SAVED = """
INSERT INTO outputs (number, position, path, size, content_type, sha256)
VALUES (:number, :position, :path, :size, :content_type, :sha256)
ON CONFLICT (number, position, path) DO UPDATE SET
    size = excluded.size, content_type = excluded.content_type, sha256 = excluded.sha256
"""
_UPLOAD = """
SELECT sha256, uri, size, content_type, seconds, uploaded FROM uploads
WHERE account = :account AND caller = :caller AND (sha256 = :sha256 OR uri = :uri) AND uploaded > :since
ORDER BY uploaded DESC LIMIT 1
"""
_UPLOADED = """
INSERT INTO uploads (account, caller, sha256, uri, size, content_type, seconds, uploaded)
VALUES (:account, :caller, :sha256, :uri, :size, :content_type, :seconds, :uploaded)
ON CONFLICT (account, caller, uri) DO UPDATE SET
    sha256 = excluded.sha256, size = excluded.size, content_type = excluded.content_type, seconds = excluded.seconds,
    uploaded = excluded.uploaded
"""
SeenTasks = dict[tuple[str, str], dict[str, Any]]
"""What was seen of tasks, by account and id, as the values of `_SEEN`."""

MAX_UNWRITTEN = 1_000
"""Tasks of which something is kept to be written, the latest ones, where the file can't be written."""

_FINAL = ", ".join(f"'{status}'" for status in sorted(records.NOT_ACTIVE))
_ENDED = "('SUCCEEDED', 'FAILED', 'CANCELLED')"
_STATUS = f"""
CASE WHEN {records.IS_OPEN} THEN 'UNKNOWN' WHEN state = 'cancelled' THEN 'CANCELLED'
    WHEN coalesce(status, 'PENDING') NOT IN ({_FINAL}) AND begun < :now - {records.UNSEEN_SECONDS} THEN 'UNKNOWN'
    ELSE coalesce(status, 'PENDING') END
"""
_TASK = f"""
SELECT number, task_id, type, model, prompt, {_STATUS}, credits, cost IS NOT NULL, begun, finished, seconds, saving,
    made
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
        WHEN NOT :final AND status IN {_ENDED} THEN status
        WHEN :status <> '' THEN :status WHEN status = 'CANCELLED' THEN status
        WHEN :removed AND coalesce(status, '') NOT IN ({_FINAL}) THEN 'CANCELLED' ELSE '{records.GONE}' END,
    finished = CASE WHEN :final OR status IN {_ENDED} THEN coalesce(finished, :now) END,
    cost = coalesce(:cost, cost), credits = coalesce(:cost, credits), made = coalesce(:made, made),
    saving = CASE WHEN saving IN ('lost', 'told') AND status = '{records.GONE}' AND :status <> '' THEN 'wanted'
        ELSE saving END
WHERE task_id = :task_id AND account = :account
"""  # noqa: S608 - made of constants


class Run(Protocol):
    """Runs one transaction of the history."""

    def __call__(self, work: Callable[[Transaction], Awaitable[T]]) -> Awaitable[T]:
        """Run it."""
        ...


class TaskHistory:
    """What is remembered of tasks. Each method may raise a `HistoryError`, but `see`."""

    def __init__(self, run: Run, keep_seconds: float) -> None:
        self._run, self._keep_seconds = run, keep_seconds
        self._seen: SeenTasks = {}

    def see(self, account: str, task_id: str, seen: records.Seen) -> None:
        """Take note of what was seen of a task. It is written with the next transaction."""
        before = self._seen.pop((account, task_id), None)
        if before and not seen.status and (before["removed"] or before["status"] == "CANCELLED"):
            seen = replace(seen, status=before["status"], removed=before["removed"], cost=before["cost"])
        values = asdict(seen) | {"account": account, "task_id": task_id}
        self._seen[account, task_id] = values | {"final": not seen.status or seen.status in records.NOT_ACTIVE}
        if len(self._seen) > MAX_UNWRITTEN:
            del self._seen[next(iter(self._seen))]

    @property
    def unwritten(self) -> SeenTasks:
        """What was seen and is not written yet."""
        return dict(self._seen)

    async def write(self, seen: SeenTasks, transaction: Transaction) -> None:
        """Write what was seen, within a transaction, in an order in which replicas can't deadlock."""
        rows = [values | {"now": transaction.now} for _, values in sorted(seen.items(), key=itemgetter(0))]
        if rows:
            await transaction.execute_many(_SEEN, rows)

    def written(self, seen: SeenTasks) -> None:
        """Forget what has been written, unless something newer was seen meanwhile."""
        for key, values in seen.items():
            if self._seen.get(key) is values:
                del self._seen[key]

    async def find(self, account: str, caller: str, task_id: str) -> records.TaskRecord | None:
        """Return a task that the caller started; None where they did not."""
        values = {"account": account, "caller": caller, "task_id": task_id}

        async def work(transaction: Transaction) -> records.TaskRecord | None:
            which = f"{_TASK} AND task_id = :task_id ORDER BY number DESC LIMIT 1"
            return next(iter(await _records(transaction, which, values)), None)

        return await self._run(work)

    async def page(self, account: str, caller: str, query: records.TaskQuery) -> records.TaskPage:
        """Return the caller's tasks that match a query, the latest first, and the sums over all that match."""
        values = asdict(query) | {"account": account, "caller": caller}
        values |= {"text": records.plain_text(query.text), "limit": query.limit + 1}
        which = _TASK.partition("FROM")[0] + _MATCHES

        async def work(transaction: Transaction) -> records.TaskPage:
            whole = values | {"now": transaction.now, "kept": transaction.now - self._keep_seconds}
            sums = f"SELECT count(*), coalesce(sum(credits), 0), count(*) FILTER (WHERE credits IS NULL) {_MATCHES}"
            ((matched, credits_, unknown),) = await transaction.fetch(sums, whole)
            rows = f"{which} AND number < :before ORDER BY number DESC LIMIT :limit"
            found = await _records(transaction, rows, whole)
            return records.TaskPage(found[: query.limit], matched, credits_, unknown, len(found) > query.limit)

        return await self._run(work)

    async def to_save(self, account: str, caller: str, saving: records.Saving = "wanted") -> list[records.TaskRecord]:
        """Return the caller's tasks of this state of `saving`, the oldest first."""
        values = {"account": account, "caller": caller, "saving": saving}
        indexed = "saving IN ('wanted', 'lost')"
        which = f"{_TASK} AND {indexed} AND saving = :saving AND task_id IS NOT NULL ORDER BY number"
        return await self._run(lambda transaction: _records(transaction, which, values))

    async def mark_saving(self, number: int, saving: records.Saving, *, before: records.Saving = "wanted") -> None:
        """Record what became of the saving of a task's outputs, unless another process has since `before`."""
        change = "UPDATE starts SET saving = :saving WHERE number = :number AND saving = :before"
        values = {"saving": saving, "number": number, "before": before}
        await self._run(lambda transaction: transaction.execute(change, values))

    async def claim(self, number: int, *, renew: bool = False) -> bool:
        """Claim the saving of a task for `CLAIM_SECONDS`; return False where another process has, or none is wanted."""
        free = "" if renew else "AND (claimed IS NULL OR abs(:now - claimed) >= :seconds)"
        claimed = f"UPDATE starts SET claimed = :now WHERE number = :number AND saving = 'wanted' {free}"  # noqa: S608 - made of constants

        async def work(transaction: Transaction) -> bool:
            values = {"number": number, "now": transaction.now, "seconds": records.CLAIM_SECONDS}
            return await transaction.execute(claimed, values) > 0

        return await self._run(work)

    async def release(self, number: int) -> None:
        """Give up the claim."""
        change = "UPDATE starts SET claimed = NULL WHERE number = :number"
        await self._run(lambda transaction: transaction.execute(change, {"number": number}))

    async def saved_by_others(self, number: int, position: int, beginning: str) -> list[str]:
        """Return the paths with this beginning that hold another output than this one of task `number`."""
        which = (
            "SELECT path FROM outputs WHERE substr(path, 1, length(:beginning)) = :beginning "
            "AND NOT (number = :number AND position = :position) ORDER BY path"
        )
        values = {"number": number, "position": position, "beginning": beginning}
        return [path for (path,) in await self._run(lambda transaction: transaction.fetch(which, values))]

    async def record_saved(self, number: int, outputs: Sequence[records.SavedOutput]) -> None:
        """Record where outputs of a task were saved; copies in other places are kept."""

        async def work(transaction: Transaction) -> None:
            for one in outputs:
                await transaction.execute(_SAVED, asdict(one) | {"number": number})

        await self._run(work)

    async def find_upload(
        self, account: str, caller: str, *, sha256: str = "", uri: str = "", kept_seconds: float = 0
    ) -> records.UploadRecord | None:
        """Return the caller's latest upload of a content, or of a URI, that Runway still has for `kept_seconds`.

        None for no such.
        """

        async def work(transaction: Transaction) -> records.UploadRecord | None:
            values = {"account": account, "caller": caller, "sha256": sha256, "uri": uri}
            since = {"since": transaction.now - records.UPLOAD_SECONDS + kept_seconds}
            for digest, found, size, kind, seconds, uploaded in await transaction.fetch(_UPLOAD, values | since):
                measured = None if seconds is None else Decimal(seconds)
                return records.UploadRecord(digest, found, size, kind, measured, uploaded)
            return None

        return await self._run(work)

    async def record_upload(self, account: str, caller: str, upload: records.UploadRecord) -> None:
        """Record a file that was uploaded just now, and forget those that Runway no longer has."""
        seconds = None if upload.seconds is None else str(upload.seconds)
        values = asdict(upload) | {"account": account, "caller": caller, "seconds": seconds}

        async def work(transaction: Transaction) -> None:
            old = {"since": transaction.now - records.UPLOAD_SECONDS}
            await transaction.execute("DELETE FROM uploads WHERE uploaded <= :since", old)
            await transaction.execute(_UPLOADED, values | {"uploaded": transaction.now})

        await self._run(work)

    async def forget_upload(self, account: str, caller: str, uri: str) -> None:
        """Forget an upload that Runway may not have any more."""
        which = "DELETE FROM uploads WHERE account = :account AND caller = :caller AND uri = :uri"
        values = {"account": account, "caller": caller, "uri": uri}
        await self._run(lambda transaction: transaction.execute(which, values))

    async def forget_old(self, transaction: Transaction, *, prompts: bool) -> None:
        """Forget, within a transaction, what is older than it is kept for; without `prompts` every prompt as well.

        Age is counted from the third latest start, for a clock can be wrong for a while. The bare starts stay, for
        limits and client tokens rest on them.
        """
        latest = await transaction.fetch("SELECT begun FROM starts ORDER BY number DESC LIMIT 3")
        kept = {"since": min([transaction.now, *(begun for (begun,) in latest)]) - self._keep_seconds}
        which = "begun < :since AND" if prompts else ""
        await transaction.execute(f"UPDATE starts SET prompt = '' WHERE {which} prompt <> ''", kept if prompts else {})  # noqa: S608 - made of constants
        old = "DELETE FROM outputs WHERE number IN (SELECT number FROM starts WHERE begun < :since)"
        await transaction.execute(old, kept)


async def _records(transaction: Transaction, which: str, values: Values) -> list[records.TaskRecord]:
    rows = await transaction.fetch(which, {"now": transaction.now, **values})
    return [records.TaskRecord(*row, outputs=tuple(await _outputs(transaction, row[0]))) for row in rows]


async def _outputs(transaction: Transaction, number: int) -> list[records.SavedOutput]:
    return [records.SavedOutput(*row) for row in await transaction.fetch(_OUTPUTS, {"number": number})]

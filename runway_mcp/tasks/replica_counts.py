"""How much each caller has in progress on the other replicas over one database, so that limits count it in.

It is approximate: replicas tell one another every few seconds. Without the database each counts for itself.
"""

import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, NoReturn
from uuid import uuid4

import anyio

from runway_mcp.history.records import HistoryError

if TYPE_CHECKING:
    from runway_mcp.history.start_history import History
    from runway_mcp.tasks.shared_reads import DatabaseBreaker

logger = logging.getLogger(__name__)

TELL_SECONDS = 2.0
"""The time between two exchanges."""
FRESH_SECONDS = 5.0
"""How long what a replica has told counts. One that died is forgotten after it."""
KEPT_SECONDS = 60.0
"""How long the row of a replica that died is kept."""

_EXCHANGE = f"""
WITH clock AS (SELECT extract(epoch FROM clock_timestamp())::float8 AS now), told AS (
    INSERT INTO {{schema}}.replicas (replica, told, counts) SELECT :replica, now, :counts FROM clock
    ON CONFLICT (replica) DO UPDATE SET told = excluded.told, counts = excluded.counts
), dead AS (
    DELETE FROM {{schema}}.replicas WHERE replica IN (
        SELECT replica FROM {{schema}}.replicas, clock WHERE told < now - {KEPT_SECONDS} FOR UPDATE SKIP LOCKED
    ) AND replica <> :replica
)
SELECT counts FROM {{schema}}.replicas, clock WHERE replica <> :replica AND told > now - {FRESH_SECONDS}
"""  # noqa: S608 - made of constants


class ReplicaCounts:
    """What this replica counts, and what the others do.

    Attributes:
        here: What is counted here: for each kind, such as `requests`, a function that returns how many each has.
    """

    def __init__(self, tell_seconds: float = TELL_SECONDS) -> None:
        self._tell_seconds = tell_seconds
        self.here: dict[str, Callable[[], Mapping[Hashable, int]]] = {}
        self._replica = uuid4().hex
        self._elsewhere: Counter[str] = Counter()

    def elsewhere(self, kind: str, who: Hashable) -> int:
        """Return how many of a kind someone had on the other replicas a moment ago."""
        return self._elsewhere[_name(kind, who)]

    async def run(self, history: "Callable[[], Awaitable[History]]", database: "DatabaseBreaker") -> NoReturn:
        """Exchange counts from time to time; tell `database` whether it could be used."""
        has_failed = False
        while True:
            try:
                self._elsewhere = Counter() if database.is_open else await self._exchanged(history, database)
                has_failed = False
            except Exception:
                level = logging.DEBUG if has_failed else logging.ERROR  # it is told once
                logger.log(
                    level, "What the other replicas count can't be read; each limits its own callers", exc_info=True
                )
                self._elsewhere, has_failed = Counter(), True
            await anyio.sleep(self._tell_seconds)

    async def _exchanged(
        self, history: "Callable[[], Awaitable[History]]", database: "DatabaseBreaker"
    ) -> Counter[str]:
        counts = {_name(kind, who): many for kind, count in self.here.items() for who, many in count().items() if many}
        try:
            opened = await history()
            rows = await opened.statement(_EXCHANGE, {"replica": self._replica, "counts": json.dumps(counts)})
            with suppress(HistoryError):  # who saw it fail has told it; another replica may wait for it
                await opened.flush()
        except HistoryError as error:
            database.failed(error)
            return Counter()
        database.worked()
        found = Counter[str]()
        for (told,) in rows:
            for name, many in json.loads(told).items():
                found[name] += int(many)
        return found


def _name(kind: str, who: Hashable) -> str:
    return sha256(f"{kind} {who!r}".encode()).hexdigest()

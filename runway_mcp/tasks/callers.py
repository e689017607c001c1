"""Callers, and everything that belongs to each: their tasks, polls, ledger and files.

Callers share nothing but the connections of a Runway key that several use. An idle caller's context is dropped by
itself.
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

import anyio
from pydantic import SecretStr

from runway_mcp.api.client import RunwayClient
from runway_mcp.history.places import HistoryPlace, open_place
from runway_mcp.history.records import NO_LIMITS, HistoryAwayError, Limits
from runway_mcp.history.task_records import KEEP_DAYS
from runway_mcp.tasks.background_tasks import SHUTDOWN_SECONDS, BackgroundTasks, open_background_tasks
from runway_mcp.tasks.opened_once import OpenedOnce
from runway_mcp.tasks.operations import TaskOperations
from runway_mcp.tasks.poller import MAX_REQUESTS, POLL_SECONDS, Counters, TaskPoller
from runway_mcp.tasks.recorder import TaskApi, TaskRecorder
from runway_mcp.tasks.shared_reads import DatabaseBreaker, SharedReads

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from runway_mcp.files.downloads import CallerFiles
    from runway_mcp.history.shared_states import SharedStates
    from runway_mcp.history.start_history import History
    from runway_mcp.tasks.replica_counts import ReplicaCounts

READ = "runway:read"
WRITE = "runway:write"
SCOPES = (READ, WRITE)
"""What a caller may be allowed: to read tasks, and to change them."""
OPEN_SECONDS = 1.0
"""How long a read waits for the database to be opened. A start waits for as long as that takes."""
MAX_IDLE_CALLERS = 1_000
"""Idle callers whose state is kept, the latest ones."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, by the name that their issuer knows, and the Runway key used for them.

    Attributes:
        issuer: An OAuth issuer's URL, or empty for the operator of this server.
    """

    subject: str
    issuer: str = ""
    scopes: frozenset[str] = frozenset(SCOPES)
    key: SecretStr | None = field(default=None, repr=False)

    @property
    def identity(self) -> Hashable:
        """What tells callers apart. A caller whose Runway key was replaced starts afresh."""
        return self.issuer, self.subject, _digest(self.key.get_secret_value() if self.key else "")


ANONYMOUS = Caller("nobody", scopes=frozenset())
"""Whose a request is before anyone has said whose."""

OpenFiles = Callable[["TaskGroup"], AbstractAsyncContextManager[Callable[[Caller], "CallerFiles"]]]
"""Opens what knows which files a caller may use; downloads run in the task group."""


@dataclass(frozen=True, slots=True)
class CallerLedger:
    """One caller's part of the history. `account` and `caller` are digests, of the Runway key and of who asks.

    Attributes:
        history: Opens the history, made where there is none.
        begun: Opens the history; returns None where nothing was ever started.
    """

    history: "Callable[[], Awaitable[History]]"
    begun: "Callable[[], Awaitable[History | None]]"
    account: str
    caller: str
    limits: Limits = NO_LIMITS


class StartSaver(Protocol):
    """Saves what a caller starts."""

    def look(self, context: "CallerContext") -> None:
        """Look for what is to be saved, in the background: after each start, and when the server or caller comes."""
        ...


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class CallerContext:
    """Everything that belongs to one caller."""

    api: RunwayClient
    tasks: TaskOperations
    poller: TaskPoller
    background: BackgroundTasks
    ledger: CallerLedger
    files: "Callable[[], Awaitable[CallerFiles]]"
    auto_save: "StartSaver | None" = None
    """What saves what the caller starts; None where they do that themselves."""


class CallerRegistry:
    """The context of each caller, over one API client for each Runway key.

    Attributes:
        shutdown_seconds: How long the end of `running` waits for background tasks.
        database: Whether the database of the history can be used; None where it has none.
        counts: What the callers have in progress on other replicas, as far as that is known.
    """

    def __init__(
        self,
        connect: Callable[[Caller], AbstractAsyncContextManager[RunwayClient]],
        *,
        poll_seconds: float = POLL_SECONDS,
        max_waits: int | None = None,
        history: HistoryPlace | None = None,
        history_days: float = KEEP_DAYS,
        history_prompts: bool = True,
        limits: Limits = NO_LIMITS,
        files: OpenFiles | None = None,
        api: str = "",
        auto_save: "Callable[[TaskGroup], StartSaver] | None" = None,
        counts: "ReplicaCounts | None" = None,
    ) -> None:
        """Take what serves any caller; nothing is opened before `running`.

        `connect` is called once for each Runway key. The history is in memory where it has no place. Tasks are told
        from it for `history_days`, and with `history_prompts` by their prompts. `api` is the base URL: a key at another
        place is another account. `auto_save` makes what saves a caller's starts. `counts` are exchanged with replicas
        over the same database.
        """
        self.counters = Counters()
        self.poll_seconds = poll_seconds
        self.shutdown_seconds = SHUTDOWN_SECONDS
        self._connect, self._max_waits, self._limits, self._api = connect, max_waits, limits, api
        self._open_history = partial(open_place, history, keep_days=history_days, prompts=history_prompts)
        self._history_place = history
        self.database = DatabaseBreaker() if isinstance(history, SecretStr) else None
        self.counts = counts
        self._open_files, self._auto_save = files or _no_files, auto_save
        self._connecting = anyio.Lock()
        self._contexts: WeakValueDictionary[Hashable, CallerContext] = WeakValueDictionary()
        self._latest: OrderedDict[Hashable, CallerContext] = OrderedDict()
        self._clients: dict[SecretStr | None, tuple[RunwayClient, anyio.Semaphore]] = {}
        self._open: _Open | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Serve callers while the context lasts; its end ends all waits and lets background tasks finish."""
        async with AsyncExitStack() as resources, anyio.create_task_group() as loops:
            try:
                async with open_background_tasks(self.shutdown_seconds) as background:
                    self._open = _Open(
                        resources,
                        loops,
                        background,
                        history=OpenedOnce(resources, self._open_history),
                        files=OpenedOnce(resources, partial(self._open_files, loops)),
                    )
                    if self.counts is not None and self.database is not None:
                        self.counts.here["waits"] = self._waits
                        loops.start_soon(self.counts.run, self._open.history, self.database)
                    yield
            finally:
                self._open = None
                for kept in (self._contexts, self._latest, self._clients):
                    kept.clear()
                loops.cancel_scope.cancel()

    async def of(self, caller: Caller) -> CallerContext:
        context = self._latest.get(caller.identity)
        if context is None:
            async with self._connecting:
                context = self._contexts.get(caller.identity) or await self._make(caller)
            self._latest[caller.identity] = context
            if len(self._latest) > MAX_IDLE_CALLERS:
                self._latest.popitem(last=False)
        self._latest.move_to_end(caller.identity)
        return context

    def end_waits(self, caller: Caller | None = None) -> None:
        """Have every wait return now, with its tasks as they stand; only those of `caller` where given."""
        for identity, context in self._contexts.items():
            if caller is None or identity == caller.identity:
                context.tasks.end_waits()

    @property
    def saves_starts(self) -> bool:
        """Whether what callers start is saved by the server itself."""
        return self._auto_save is not None

    @property
    def waits_in_progress(self) -> int:
        return sum(self._waits().values())

    @property
    def background_tasks(self) -> int:
        return self._open.background.running if self._open else 0

    def _waits(self) -> dict[Hashable, int]:
        return {identity: context.tasks.waits_in_progress for identity, context in self._contexts.items()}

    async def _begun_history(self, history: "OpenedOnce[History]") -> "History | None":
        place = self._history_place
        is_begun = history.is_open or (place.exists() if isinstance(place, Path) else place is not None)
        return await history() if is_begun else None

    async def _make(self, caller: Caller) -> CallerContext:
        if self._open is None:
            raise RuntimeError("callers are served only while `running`")
        if caller.key not in self._clients:
            client = await self._open.resources.enter_async_context(self._connect(caller))
            self._clients[caller.key] = client, anyio.Semaphore(MAX_REQUESTS, fast_acquire=True)
        client, requests = self._clients[caller.key]
        key = caller.key.get_secret_value() if caller.key else ""
        account, asks = _digest(f"{self._api} {key}"), _digest(f"{caller.issuer} {caller.subject}")
        begun = partial(self._begun_history, self._open.history)
        tasks_api: TaskApi = client
        if self.database is not None:
            open_states = partial(_states, self._open.history, self._open.loops)
            owner, breaker = (account, asks), self.database
            tasks_api = SharedReads(client, owner, open_states, self.poll_seconds, breaker=breaker, requests=requests)
        recorder = TaskRecorder(tasks_api, account, begun, self._open.loops)
        poller = TaskPoller(
            recorder.get_task,
            self._open.loops,
            requests=requests,
            poll_seconds=self.poll_seconds,
            counters=self.counters,
            asks_replicas=self.database is not None,
        )
        open_files = self._open.files
        kept: list[CallerFiles] = []

        async def files() -> "CallerFiles":
            if not kept:
                kept.append((await open_files())(caller))
            return kept[0]

        context = self._contexts[caller.identity] = CallerContext(
            client,
            TaskOperations(
                recorder,
                self._open.background,
                poller,
                max_waits=self._max_waits,
                waits_elsewhere=lambda: self.counts.elsewhere("waits", caller.identity) if self.counts else 0,
            ),
            poller,
            self._open.background,
            CallerLedger(self._open.history, begun, account=account, caller=asks, limits=self._limits),
            files,
            self._auto_save(self._open.loops) if self._auto_save else None,
        )
        if context.auto_save is not None:
            context.auto_save.look(context)
        return context


async def _states(opening: "OpenedOnce[History]", loops: "TaskGroup") -> "SharedStates":
    late = HistoryAwayError("the database", f"could not be opened within {OPEN_SECONDS:.0f} s")
    history = await opening.within(OPEN_SECONDS, loops, late)
    assert history.states is not None  # noqa: S101 - a database has them
    return history.states


@dataclass(frozen=True, slots=True)
class _Open:
    resources: AsyncExitStack
    loops: "TaskGroup"
    background: BackgroundTasks
    history: "OpenedOnce[History]"
    files: "OpenedOnce[Callable[[Caller], CallerFiles]]"


@asynccontextmanager
async def _no_files(tasks: "TaskGroup") -> "AsyncGenerator[Callable[[Caller], CallerFiles]]":
    from runway_mcp.files.downloads import CallerFiles  # noqa: PLC0415 - only who uses files pays for it
    from runway_mcp.files.file_client import open_file_client  # noqa: PLC0415 - as above
    from runway_mcp.files.folders import Folders  # noqa: PLC0415 - as above

    async with open_file_client() as client:
        yield lambda _: CallerFiles(lambda: Folders(()), client, tasks, takes_roots=False)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()

"""Callers and what is theirs: the use cases of a task once for each, over one client for each Runway key.

What a caller has read, waits for or changes is kept apart from everyone else's, even where two
share a Runway key. Nothing of it has to be closed: a caller who comes no more is forgotten.
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import anyio
from pydantic import SecretStr

from runway_mcp.api.client import RunwayClient
from runway_mcp.history.records import NO_LIMITS, CallerLedger, History, Limits
from runway_mcp.tasks.background_tasks import SHUTDOWN_SECONDS, open_background_tasks
from runway_mcp.tasks.counters import Counters
from runway_mcp.tasks.operations import TaskService
from runway_mcp.tasks.poller import POLL_SECONDS, TaskPoller

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from runway_mcp.files.allowed import AllowedFiles
    from runway_mcp.tasks.background_tasks import BackgroundTasks

READ = "runway:read"
WRITE = "runway:write"
SCOPES = (READ, WRITE)
"""What a caller may be allowed: to read tasks, and to change them."""
MAX_IDLE_CALLERS = 1_000
"""Callers whose state is kept though nothing of theirs is under way, the latest ones."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        subject: The name that `issuer` knows them by.
        issuer: Who says who they are: an OAuth issuer's URL, or empty for the operator of this server.
        scopes: What they may do.
        key: The Runway key that is used for them, or None where nobody has provided one.
        identity: What tells callers apart. A caller whose Runway key was replaced starts afresh.
    """

    subject: str
    issuer: str = ""
    scopes: frozenset[str] = frozenset(SCOPES)
    key: SecretStr | None = field(default=None, repr=False)
    identity: Hashable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        digest = sha256(self.key.get_secret_value().encode()).hexdigest() if self.key else ""
        object.__setattr__(self, "identity", (self.issuer, self.subject, digest))


ANONYMOUS = Caller("nobody", scopes=frozenset())
"""Whose a request is before anyone has said whose."""


OpenFiles = Callable[[], AbstractAsyncContextManager[Callable[[Caller], "AllowedFiles"]]]
"""Opens what tells of a caller which files they may use."""


class CallerRegistry:
    """The use cases of a task, for each caller their own.

    Attributes:
        usage: What has been done so far, for all callers together.
        shutdown_seconds: How long the end of `running` waits for the changes under way.
    """

    def __init__(
        self,
        connect: Callable[[Caller], AbstractAsyncContextManager[RunwayClient]],
        *,
        poll_seconds: float = POLL_SECONDS,
        most_waits: int | None = None,
        history: Path | None = None,
        limits: Limits = NO_LIMITS,
        files: OpenFiles | None = None,
        api: str = "",
    ) -> None:
        """Take what is needed to serve any caller; nothing is opened before `running`.

        Args:
            connect: Opens the client that calls Runway for a caller; called once for each Runway key.
            poll_seconds: How often a task is looked at, at most.
            most_waits: Waits that one caller may have under way; any number where not given.
            history: The file in which starts are written down; opened with the first. In memory where not given.
            limits: What starts may cost.
            files: Opens what tells of a caller which files they may use; called with the first. None where not given.
            api: Where Runway's API is: a key at another place is another account.
        """
        self.usage = Counters()
        self.poll_seconds = poll_seconds
        self.shutdown_seconds = SHUTDOWN_SECONDS
        self._connect = connect
        self._most_waits = most_waits
        self._opening = anyio.Lock()
        self._services: WeakValueDictionary[Hashable, TaskService] = WeakValueDictionary()
        self._latest: OrderedDict[Hashable, TaskService] = OrderedDict()
        self._clients: dict[SecretStr | None, RunwayClient] = {}
        self._history_file = history
        self._limits = limits
        self._api = api
        self._history: History | None = None
        self._open_files = files or _no_files
        self._files: Callable[[Caller], AllowedFiles] | None = None
        self._open: tuple[AsyncExitStack, TaskGroup, BackgroundTasks] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Serve callers while the context lasts; its end ends all waits, and lets changes come to theirs."""
        async with AsyncExitStack() as clients, anyio.create_task_group() as loops:
            try:
                async with open_background_tasks(self.shutdown_seconds) as changes:
                    self._open = clients, loops, changes
                    yield
            finally:
                self._open = self._history = self._files = None
                for kept in (self._services, self._latest, self._clients):
                    kept.clear()
                loops.cancel_scope.cancel()

    async def of(self, caller: Caller) -> TaskService:
        """Return the use cases of a caller."""
        service = self._latest.get(caller.identity)
        if service is None:
            async with self._opening:
                service = self._services.get(caller.identity) or await self._make(caller)
            self._latest[caller.identity] = service
            if len(self._latest) > MAX_IDLE_CALLERS:
                self._latest.popitem(last=False)
        self._latest.move_to_end(caller.identity)
        return service

    def end_waits(self) -> None:
        """Have every wait return now, with its tasks as they stand."""
        for service in self._services.values():
            service.end_waits()

    @property
    def open_waits(self) -> int:
        """How many waits are under way."""
        return sum(service.open_waits for service in self._services.values())

    @property
    def open_background_tasks(self) -> int:
        """How many changes are under way, with a caller who waits for them or without."""
        return self._open[2].under_way if self._open else 0

    async def _make(self, caller: Caller) -> TaskService:
        if self._open is None:
            raise RuntimeError("callers are served only while `running`")
        clients, loops, changes = self._open
        client = self._clients.get(caller.key)
        if client is None:
            client = self._clients[caller.key] = await clients.enter_async_context(self._connect(caller))
        service = self._services[caller.identity] = TaskService(
            client,
            changes,
            TaskPoller(client, loops, poll_seconds=self.poll_seconds, usage=self.usage),
            CallerLedger(
                partial(self._open_history, clients),
                account=_digest(f"{self._api} {caller.key.get_secret_value() if caller.key else ''}"),
                caller=_digest(f"{caller.issuer} {caller.subject}"),
                limits=self._limits,
            ),
            partial(self._files_of, clients, caller),
            most_waits=self._most_waits,
        )
        return service

    async def _open_history(self, open_things: AsyncExitStack) -> History:
        async with self._opening:
            if self._history is None:
                from runway_mcp.history.sqlite import open_history  # noqa: PLC0415 - only who starts a task pays for it

                self._history = await open_things.enter_async_context(open_history(self._history_file))
            return self._history

    async def _files_of(self, open_things: AsyncExitStack, caller: Caller) -> "AllowedFiles":
        async with self._opening:
            if self._files is None:
                self._files = await open_things.enter_async_context(self._open_files())
            return self._files(caller)


@asynccontextmanager
async def _no_files() -> "AsyncGenerator[Callable[[Caller], AllowedFiles]]":
    from runway_mcp.files.allowed import AllowedFiles  # noqa: PLC0415 - only who uses files pays for it
    from runway_mcp.files.folders import Folders  # noqa: PLC0415 - as above
    from runway_mcp.files.transfers import open_transfers  # noqa: PLC0415 - as above

    async with open_transfers() as transfers:
        yield lambda _: AllowedFiles(Folders(()), takes_roots=False, transfers=transfers)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()

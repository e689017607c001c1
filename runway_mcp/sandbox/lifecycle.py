"""Tasks whose state follows from their script and the clock alone; nothing runs in the background.

When a task begins and ends is planned at its creation, and again for those waiting when a slot frees up early.
"""

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal
from uuid import uuid4

Status = Literal["PENDING", "THROTTLED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]

# no endpoint takes these any more, so the samples that hold a slot for an hour use them
LONG_QUEUE_MODEL, LONG_RUN_MODEL = "gen3a_turbo", "veo3"

_CANCELLED_READABLE = 60.0
_DAY = 86_400.0


def concurrency(model: str) -> int:
    """Return how many generations of a model may be PENDING or RUNNING at once."""
    return 1 if model == LONG_RUN_MODEL else 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ends: its last status, whether its credits are kept, and the formats of its files."""

    status: Literal["SUCCEEDED", "FAILED", "CANCELLED"]
    charged: bool = True
    output: tuple[str, ...] = ()
    failure: str = ""
    failure_code: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """What is to happen to a task; `pending` and `running` are seconds of lifecycle time."""

    model: str
    credits: int
    outcome: Outcome
    pending: float = 2
    running: float = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """A task that is there from the start; `age` is how long before the first look it was created."""

    id: str
    what: str
    script: Script
    age: float


@dataclass(frozen=True, slots=True)
class Entry:
    """Credits charged for a model, or given back where they are negative, at a time in UNIX seconds."""

    when: float
    model: str
    credits: int


@dataclass(slots=True)
class Task:
    """One task; all times are UNIX seconds of the sandbox's clock.

    It is THROTTLED before `begins`, PENDING from there for `pending` seconds, RUNNING until
    `ends`, in its outcome's status afterwards, and unknown to the API from `gone` on.
    """

    id: str
    script: Script  # its seconds are the clock's
    outcome: Outcome
    created: float
    begins: float = math.inf
    ends: float = math.inf
    gone: float = math.inf

    def status(self, now: float) -> Status:
        if now >= self.ends:
            return self.outcome.status
        if now < self.begins:
            return "THROTTLED"
        return "PENDING" if now < self.begins + self.script.pending else "RUNNING"

    def progress(self, now: float) -> float:
        return max(0.0, round((now - self.begins - self.script.pending) / self.script.running, 4))

    def cost(self, now: float) -> int:
        """Credits taken for the task: the estimate while it is active, the final cost afterwards."""
        return self.script.credits if now < self.ends or self.outcome.charged else 0


class Account:
    """The tasks of one organization, its queues and its credits.

    In one second of the clock, `speed` seconds of lifecycle pass. The samples exist from its first reading on.
    """

    def __init__(
        self, *, clock: Callable[[], float], speed: float, opening_balance: int, samples: Iterable[Sample]
    ) -> None:
        self._clock = clock
        self._speed = speed
        self._opening_balance = opening_balance
        self._samples = sorted(samples, key=lambda sample: -sample.age)
        self._tasks: dict[str, Task] = {}
        self._queues: defaultdict[str, list[Task]] = defaultdict(list)

    @property
    def tasks(self) -> list[Task]:
        """All tasks, the oldest first."""
        return list(self._tasks.values())

    def restore(self, tasks: Iterable[Task]) -> None:
        """Take these tasks in place of its own and of the samples."""
        self._samples.clear()
        self._tasks = {task.id: task for task in tasks}
        self._queues.clear()
        for task in self._tasks.values():
            self._queues[task.script.model].append(task)

    def now(self) -> float:
        """Read the clock; the first reading is what the samples' ages count back from."""
        now = self._clock()
        while self._samples:
            sample = self._samples.pop(0)
            self.create(sample.script, now - sample.age / self._speed, task_id=sample.id)
        return now

    def create(self, script: Script, now: float, task_id: str | None = None) -> Task:
        script = replace(script, pending=script.pending / self._speed, running=script.running / self._speed)
        task = Task(task_id or str(uuid4()), script, script.outcome, now)
        self._tasks[task.id] = task
        self._queues[script.model].append(task)
        self._plan(script.model, now)
        return task

    def find(self, task_id: str, now: float) -> Task | None:
        task = self._tasks.get(task_id)
        return task if task and now < task.gone else None

    def remove(self, task_id: str, now: float) -> bool:
        """Cancel an active task or delete a finished one; False where neither can be done any more.

        Only a RUNNING task is charged when it is cancelled. A cancelled task stays readable for a
        minute; it can not be removed again.
        """
        task = self.find(task_id, now)
        if task is None or (status := task.status(now)) == "CANCELLED":
            return False
        if now >= task.ends:
            task.gone = now
            return True
        task.outcome = Outcome("CANCELLED", charged=status == "RUNNING")
        task.ends = now
        task.gone = now + _CANCELLED_READABLE / self._speed
        self._plan(task.script.model, now)
        return True

    def ledger(self, now: float) -> Iterator[Entry]:
        """What was charged: a task's estimate at its creation, and as a refund what it did not cost at its end."""
        for task in self._tasks.values():
            yield Entry(task.created, task.script.model, task.script.credits)
            if refund := task.script.credits - task.cost(now):
                yield Entry(task.ends, task.script.model, -refund)

    def balance(self, now: float) -> int:
        return max(0, self._opening_balance - sum(entry.credits for entry in self.ledger(now)))

    def generations(self, now: float) -> Counter[str]:
        """How many tasks of each model were created in the past day."""
        return Counter(task.script.model for task in self._tasks.values() if task.created > now - _DAY)

    def _plan(self, model: str, now: float) -> None:
        # waiting tasks, oldest first, get the slots in the order they become free
        queue = self._queues[model] = [task for task in self._queues[model] if task.ends > now]
        begun = [task.ends for task in queue if task.begins <= now]
        free = begun + [now] * (concurrency(model) - len(begun))
        heapq.heapify(free)
        for task in queue:
            if task.begins > now:
                task.begins = heapq.heappop(free)
                task.ends = task.begins + task.script.pending + task.script.running
                heapq.heappush(free, task.ends)

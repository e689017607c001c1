"""Starts that tests of the history record, and the clock that they go by."""

from dataclasses import replace
from decimal import Decimal

from runway_mcp.history.records import StartRecord, StartRequest
from runway_mcp.history.start_history import DAY, History
from runway_mcp.history.task_records import SavedOutput, UploadRecord

START = StartRequest("account", "caller", "print", "text_to_video", client_token="mine", price_key="5 s")
WITHOUT_TOKEN = replace(START, client_token=None)
NOON = 20_000 * DAY + DAY / 2
"""Noon of a day, UNIX seconds."""
KITE = StartRequest(
    "account", "caller", "print", "text_to_video", list_price=60, model="gen4.5", prompt="A red kite", seconds=5
)
SAVED = SavedOutput(1, "/films/kite.mp4", 1000, "video/mp4", "ab" * 32)
UPLOAD = UploadRecord("cd" * 32, "runway://1", 2000, "video/mp4", Decimal("5.04"))


class Clock:
    """A clock that a test sets, and one that nobody sets."""

    def __init__(self) -> None:
        self.now = NOON
        self.elapsed = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.elapsed += seconds


async def begin(one: History, start: StartRequest = START) -> StartRecord:
    return await one.begin(start, lambda _: None)


async def started(one: History, start: StartRequest = START, cost: float | None = 60) -> int:
    number = (await begin(one, start)).number
    await one.record_result(number, task_id="task", cost=cost)
    return number


async def start(one: History, task_id: str | None = "task", request: StartRequest = KITE) -> int:
    number = (await one.begin(request, lambda _: None)).number
    await one.record_result(number, task_id=task_id, cost=None)
    return number


async def status(one: History, task_id: str = "task") -> str:
    found = await one.tasks.find("account", "caller", task_id)
    assert found is not None
    return found.status

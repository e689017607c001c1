"""The replies of the Runway API, read tolerantly and passed on whole.

A task keeps the API's own object beside the few fields that decisions rest on, so that
statuses and fields newer than this code still reach the caller unchanged.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NewType

from pydantic import JsonValue

TaskId = NewType("TaskId", str)
"""A Runway task's id, proved by `parse_task_id` to be a UUID of version 4 and safe in a URL's path."""

TERMINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
"""The statuses that a task never leaves; every other one, known or not, counts as active."""

MAX_DEPTH = 64
"""Levels of nesting that a reply may have; a task has three."""

MAX_CREDITS = 1e9
"""Credits of an estimate; a larger one is ignored."""

MAX_STATUS = 100
"""Characters of a status."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_RUNWAY_URI = re.compile(r"runway://[!-~]{1,2000}")
TASK_ID_PATTERN = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
"""The task ids that the API takes: UUIDs of version 4."""
_TASK_ID = re.compile(TASK_ID_PATTERN, re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


class InvalidTaskIdError(ValueError):
    """A text that can't be a task's id, in the argument `field`."""

    def __init__(self, field: str = "taskId") -> None:
        super().__init__(f"{field} is not a UUID of version 4")
        self.field = field


def parse_task_id(text: str, field: str = "taskId") -> TaskId:
    """Return a task's id in lower case; `InvalidTaskIdError`, which does not repeat the text, for any other text."""
    if _TASK_ID.fullmatch(text) is None:
        raise InvalidTaskIdError(field)
    return TaskId(text.lower())


def parse_json(body: bytes, redact: Callable[[str], str] = str) -> JsonValue:
    """Return what a UTF-8 JSON text says: its strings redacted, and unpaired surrogates replaced by U+FFFD.

    Raises:
        ValueError: It is no JSON, or holds what JSON can't pass on (NaN, infinity, over 64 levels).
    """
    try:
        value = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    return _clean(value, redact, 0)


def _clean(value: JsonValue, redact: Callable[[str], str], depth: int) -> JsonValue:
    if depth > MAX_DEPTH:
        raise ValueError("it is nested too deeply")
    match value:
        case str():
            return redact(value if value.isascii() else _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value))
        case float() if not math.isfinite(value):
            raise ValueError("it holds a number that JSON does not have")
        case list():
            return [_clean(item, redact, depth + 1) for item in value]
        case dict():
            return {str(_clean(key, redact, depth)): _clean(item, redact, depth + 1) for key, item in value.items()}
        case _:
            return value


def plain(number: float) -> str:
    """Return a number, such as credits, as people write it: 1234567 or 0.5, never 1.23457e+06."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def amount(credits_: float) -> str:
    """Return credits as people write them: 1 credit, 2.5 credits."""
    return f"{plain(credits_)} credit{'' if plain(credits_) == '1' else 's'}"


@dataclass(frozen=True, slots=True)
class Task:
    """A Runway task as the API described it at one moment.

    Attributes:
        id: Its id, as the caller asked for it.
        status: PENDING, THROTTLED, RUNNING, SUCCEEDED, FAILED, CANCELLED, or one not known here.
        data: The API's whole object, every field as it came.
        age: Seconds since another replica of this server read it.
    """

    id: TaskId
    status: str
    data: Mapping[str, JsonValue]
    age: float = field(default=0, compare=False)

    @property
    def is_active(self) -> bool:
        """Whether it may still change by itself: any status that is not known to be final."""
        return self.status not in TERMINAL

    @property
    def failure_code(self) -> str | None:
        """The dotted `failureCode`, where there is one."""
        code = self.data.get("failureCode")
        return code if isinstance(code, str) else None


def parse_task(value: JsonValue, task_id: TaskId, *, age: float = 0) -> Task:
    """Return the task that a reply to `GET /v1/tasks/{task_id}` describes; `ValueError` if it describes another."""
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    status = value.get("status")
    if not isinstance(status, str) or not 0 < len(status) <= MAX_STATUS:
        raise ValueError("it has no status")
    found = value.get("id")
    if not isinstance(found, str) or found.lower() != task_id:
        raise ValueError("it does not carry the id of the task that was asked for")
    return Task(id=task_id, status=status, data=value, age=age)


@dataclass(frozen=True, slots=True)
class Created:
    """A started task, and the credits that it may cost at most where the API says so."""

    id: TaskId
    credits: float | None


def parse_created(value: JsonValue) -> Created:
    """Return the task that the reply to a create names; `ValueError` where it names none."""
    match value:
        case {"id": str(text)} if _UUID.fullmatch(text):
            return Created(TaskId(text.lower()), parse_estimate(value))
        case _:
            raise ValueError("it names no task")


def parse_estimate(value: JsonValue) -> float | None:
    """Return the estimated credits in a reply about a started task; None where it has none."""
    match value:
        case {"estimatedCost": cost} | {"routing": {"estimatedCost": cost}}:
            return _credits(cost)
        case _:
            return None


def parse_cost(task: Task) -> float | None:
    """Return the credits that a finished task cost; None where it has not finished or does not say."""
    return None if task.is_active else _credits(task.data.get("cost"))


def _credits(cost: JsonValue) -> float | None:
    match cost:
        case {"credits": int() | float() as number} if not isinstance(number, bool) and 0 <= number <= MAX_CREDITS:
            return number
        case _:
            return None


@dataclass(frozen=True, slots=True)
class UploadSlot:
    """A place to put one file, for a little while.

    Attributes:
        url: Where its form is posted.
        fields: The form's fields before the file: the right to post, so secret as the URL is.
        uri: What names the file afterwards as an input, `runway://…`.
    """

    url: str = field(repr=False)
    fields: Mapping[str, str] = field(repr=False)
    uri: str


def parse_upload_slot(value: JsonValue) -> UploadSlot:
    """Return the place that the reply to `POST /v1/uploads` names; `ValueError` where it names none."""
    match value:
        case {"uploadUrl": str(url), "fields": dict(entries), "runwayUri": str(uri)} if _RUNWAY_URI.fullmatch(uri):
            fields = {name: text for name, text in entries.items() if isinstance(text, str)}
            if len(fields) == len(entries) and f"{''.join(fields)}{''.join(fields.values())}".isprintable():
                return UploadSlot(url, fields, uri)
        case _:
            pass
    raise ValueError("it lacks a URL, form fields or a runway:// URI")

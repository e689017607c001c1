"""Requests that go wrong on purpose, as a network, a gateway or a busy API makes them go wrong by chance.

Requests are counted and nothing is random, so a run can be repeated.
"""

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NoReturn, Self, cast, get_args

import anyio
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runway_mcp.sandbox import replies

Method = Literal["GET", "DELETE", "POST"]
Kind = Literal["status", "delay", "cut", "slow", "drop", "lost", "html", "truncated", "empty"]
Mode = Literal["only", "from", "every"]

_FORM = re.compile(
    rf"({'|'.join(get_args(Method))}|ANY) (?:((?:/[A-Za-z0-9._-]+)+) )?"
    rf"(?:([45][0-9]{{2}})|([0-9]{{1,4}}(?:\.[0-9]{{1,6}})?)s|([0-9]{{1,9}})B|([1-9][0-9]{{0,8}})B/s"
    r"|(drop|lost|html|truncated|empty))"
    r"(?: @([1-9][0-9]{0,5})([+n]?))?"
)
_MODES: dict[str, Mode] = {"": "only", "+": "from", "n": "every"}
_NO_FAULT = (
    'a fault reads METHOD [/PATH] WHAT [@N], such as "GET 503 @2", "DELETE lost", "ANY 2.5s @3n" '
    'or "GET /outputs 1000B @1"'
)
_PIECES_A_SECOND = 10  # in which a slow body is sent
_UNREADABLE = {
    "html": ("text/html", b"<!doctype html>\n<title>Welcome</title>\n"),
    "truncated": ("application/json", b'{"id":"00000000-0000-4000-8000-'),
    "empty": ("application/json", b""),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, and with which requests.

    `kind` is a `status` from 400 to 599 in the API's place; a `delay` of seconds, under 10,000, between the API's act
    and its answer; a connection that breaks before the API has acted (`drop`), after (`lost`), or after so many bytes
    of the answer's body, if it has more (`cut`); a body that comes at so many bytes a second (`slow`); or, after the
    API has acted, status 200 with a body that can not be read. `amount` is its figure. Of the requests by `method`
    (ANY: by all three) for `path` or what lies below it (empty: for any) it meets the `nth` `only`, all `from` the nth
    on, or `every` nth, counted from 1. Files are put to `/storage` and had from `/outputs`.
    """

    method: Method | Literal["ANY"]
    kind: Kind
    amount: float = 0
    mode: Mode = "from"
    nth: int = 1
    path: str = ""

    GRAMMAR: ClassVar[str] = (
        '"METHOD [/PATH] WHAT [@N]": GET, DELETE, POST or ANY; where a path is given (/storage takes uploads, /outputs '
        "gives files), for that alone; a status (503), a delay (2.5s), drop (before acting), lost (after acting), "
        "cut after so many bytes (1000B), slow (1000B/s), html, truncated or empty; @2 (the second), @2+ (from it on), "
        "@2n (every second)"
    )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form, which is `GRAMMAR`; a ValueError does not repeat what else was given."""
        if not (found := _FORM.fullmatch(" ".join(text.split()))):
            raise ValueError(_NO_FAULT)
        method, path, *amounts, word, nth, suffix = found.groups()
        given = ((kind, amount) for kind, amount in zip(get_args(Kind), amounts, strict=False) if amount)
        kind, amount = next(given, (cast("Kind", word), 0))
        return cls(cast("Method", method), kind, float(amount), _MODES.get(suffix, "from"), int(nth or 1), path or "")

    def counts(self, method: str, path: str) -> bool:
        return self.method in (method, "ANY") and f"{path}/".startswith(f"{self.path}/")

    def meets(self, number: int) -> bool:
        """Whether it is for the request that has this number among those it counts."""
        return {"only": number == self.nth, "from": number >= self.nth, "every": number % self.nth == 0}[self.mode]


class DroppedConnectionError(ConnectionError):
    """Here the connection breaks: a server closes it, and a client in the same process gets this error."""


class FaultInjection:
    """ASGI middleware: each request meets the first fault that is for it, if there is one."""

    def __init__(self, app: ASGIApp, faults: Sequence[Fault]) -> None:
        self._app = app
        self._faults = tuple(faults)
        self._seen = Counter[tuple[str, str]]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self._next(scope.get("method", ""), scope.get("path", ""))
        if fault is None:
            await self._app(scope, receive, send)
            return
        if fault.kind == "status":
            headers = {"Retry-After": "1"} if fault.amount in (429, 503) else {}
            refusal = replies.error(int(fault.amount), "The sandbox was told to answer so.", headers=headers)
            await refusal(scope, receive, send)
            return
        answer = [] if fault.kind == "drop" else await self._act(scope, receive)
        match fault.kind:
            case "drop" | "lost":
                await _drop(send)
            case "delay":
                await _send_late(answer, fault.amount, receive, send)
            case "cut":
                await _send_part(answer, int(fault.amount), send)
            case "slow":
                await _send_slowly(answer, int(fault.amount), receive, send)
            case garbled:
                media_type, body = _UNREADABLE[garbled]
                await Response(body, media_type=media_type)(scope, receive, send)

    def _next(self, method: str, path: str) -> Fault | None:
        if method not in get_args(Method):
            return None
        mine = [fault for fault in self._faults if fault.counts(method, path)]
        self._seen.update({(fault.method, fault.path) for fault in mine})
        return next((fault for fault in mine if fault.meets(self._seen[fault.method, fault.path])), None)

    async def _act(self, scope: Scope, receive: Receive) -> list[Message]:
        answer: list[Message] = []
        # by this version an app need not watch for the client to leave, which would cut a file short
        scope = {**scope, "asgi": {**scope["asgi"], "spec_version": "2.4"}}

        async def keep(message: Message) -> None:
            answer.append(message)

        await self._app(scope, receive, keep)
        return answer


async def _send_late(answer: list[Message], seconds: float, receive: Receive, send: Send) -> None:
    with anyio.move_on_after(seconds):
        await _departure(receive)
        return
    for message in answer:
        await send(message)


async def _send_part(answer: list[Message], size: int, send: Send) -> None:
    begin, body = _body_of(answer)
    whole = len(body) <= size
    await send(begin)
    await send({"type": "http.response.body", "body": body[:size], "more_body": not whole})
    if not whole:
        _break()


async def _send_slowly(answer: list[Message], rate: int, receive: Receive, send: Send) -> None:
    begin, body = _body_of(answer)
    await send(begin)
    step = max(1, rate // _PIECES_A_SECOND)
    for start in range(0, len(body), step):
        with anyio.move_on_after(step / rate):
            await _departure(receive)
            return
        await send({"type": "http.response.body", "body": body[start : start + step], "more_body": True})
    await send({"type": "http.response.body"})


def _body_of(answer: list[Message]) -> tuple[Message, bytes]:
    begin, *rest = answer
    return begin, b"".join(message.get("body", b"") for message in rest)


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _drop(send: Send) -> NoReturn:
    # Before a response has begun, an exception would be answered with a whole one; after it, the server closes.
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
    _break()


def _break() -> NoReturn:
    # Uvicorn would log a traceback, as if this were a mistake.
    logging.getLogger("uvicorn.error").addFilter(_is_no_drop)
    raise DroppedConnectionError("the sandbox was told to drop the connection")


def _is_no_drop(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], DroppedConnectionError))

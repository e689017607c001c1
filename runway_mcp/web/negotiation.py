"""Answers in the media type that a client asks for: the SDK takes only clients that accept both of its own."""

import re
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

JSON, EVENTS = "application/json", "text/event-stream"

_DATA = re.compile(rb"^data: ?(.*?)\r?$", re.MULTILINE)
_QUALITY = re.compile(r";\s*q\s*=\s*([01](?:\.\d{0,3})?)", re.IGNORECASE)


class Negotiation:
    """Lets the SDK's app answer as it likes, and turns its answer into JSON or into a stream of events.

    A client that names no stream gets JSON, also with `*/*`, without Accept, or with a type that nobody serves here.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        answered_as = _accepted(headers.getlist("accept"))
        if answered_as == JSON:
            if headers.get("mcp-method") == "subscriptions/listen":  # which has no end: the SDK refuses it
                await self._app(scope, receive, send)
                return
            send = _AsJson(send).send
        elif answered_as == EVENTS:
            send = _AsEvents(send).send
        others = [(name, value) for name, value in scope["headers"] if name != b"accept"]
        await self._app({**scope, "headers": [*others, (b"accept", f"{JSON}, {EVENTS}".encode())]}, receive, send)


def _accepted(accept: Sequence[str]) -> str | None:
    """Return the only type that is wanted, or None where both are."""
    quality: dict[str, float] = {}
    for named in ",".join(accept).lower().split(","):
        weight = _QUALITY.search(named)
        quality[named.partition(";")[0].strip()] = float(weight[1]) if weight else 1.0
    events = quality.get(EVENTS, quality.get("text/*", 0.0))
    json = quality.get(JSON, quality.get("application/*", quality.get("*/*", 0.0)))
    if events == json > 0:
        return None
    return EVENTS if events > json else JSON


class _AsJson:
    """Sends the last event of a stream as JSON; what is no stream is sent as it comes."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._head: Message | None = None
        self._last: list[bytes] = []

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is(message, EVENTS):
            self._head = message
        elif self._head is None:
            await self._send(message)
        else:
            # An answer is the last event; whatever came before it was progress.
            self._last = _DATA.findall(message.get("body", b""))[-1:] or self._last
            if not message.get("more_body", False):
                await self._finish(self._head)

    async def _finish(self, head: Message) -> None:
        body = b"".join(self._last)
        headers = MutableHeaders(scope=head)
        headers["Content-Type"], headers["Content-Length"] = JSON, str(len(body))
        await self._send(head)
        await self._send({"type": "http.response.body", "body": body})


class _AsEvents:
    """Sends a JSON answer as a stream of one event. Errors stay JSON, with their status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_wrapped = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200 and _is(message, JSON):  # noqa: PLR2004 - OK
            self._is_wrapped = True
            headers = MutableHeaders(scope=message)
            del headers["Content-Length"]
            headers["Content-Type"] = EVENTS
        elif self._is_wrapped:
            message = {**message, "body": b"event: message\r\ndata: " + message["body"] + b"\r\n\r\n"}
        await self._send(message)


def _is(head: Message, media_type: str) -> bool:
    return Headers(raw=head["headers"]).get("content-type", "").startswith(media_type)

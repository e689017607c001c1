"""Short protocol errors: the SDK answers a malformed request with a whole dump of what did not fit."""

import json
from typing import Any, cast

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_MESSAGE = 200


class ShortErrors:
    """Cuts the message of a JSON-RPC error in a 4xx response down to its first line."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        held: list[Message] = []

        async def shorten(message: Message) -> None:
            if message["type"] == "http.response.start" and 400 <= message["status"] < 500:  # noqa: PLR2004 - HTTP's client errors
                held.append(message)
            elif held:
                held.append(message)
                if not message.get("more_body", False):
                    await _send_short(held, send)
            else:
                await send(message)

        await self._app(scope, receive, shorten)


async def _send_short(held: list[Message], send: Send) -> None:
    start, *parts = held
    body = _short(b"".join(part.get("body", b"") for part in parts))
    headers = MutableHeaders(raw=start["headers"])
    headers["Content-Length"] = str(len(body))
    await send({**start, "headers": headers.raw})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _short(body: bytes) -> bytes:
    try:
        reply: Any = json.loads(body)
    except ValueError:
        return body
    match reply:
        case {"error": {"message": str(message)}} if len(message) > MAX_MESSAGE or "\n" in message:
            error = cast("dict[str, object]", reply["error"])
            error["message"] = message.partition("\n")[0][:MAX_MESSAGE]
            return json.dumps(reply).encode()
        case _:
            return body

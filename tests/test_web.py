"""What stands around the app over HTTP: its listener, and protocol errors of a readable length."""

import json
import socket

import anyio
from starlette.types import Message, Receive, Scope, Send

from runway_mcp.web.serving import listen
from runway_mcp.web.short_errors import ShortErrors

SCOPE: Scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": []}


def messages(*queued: Message) -> Receive:
    """A `receive` that hands out these messages, and then never anything more."""
    left = list(queued)

    async def receive() -> Message:
        if not left:
            await anyio.sleep_forever()
        return left.pop(0)

    return receive


class Sent(list[Message]):
    """A `send` that remembers."""

    async def __call__(self, message: Message) -> None:
        """Remember one message."""
        self.append(message)


def test_listeners_name_their_protocol() -> None:
    """Only then does asyncio turn Nagle's algorithm off, which would cost each reply 40 ms."""
    for host in ("127.0.0.1", "::1"):
        with listen(host, 0) as listener:
            assert listener.proto == socket.IPPROTO_TCP


async def answered(status: int, *parts: bytes) -> tuple[dict[str, str], bytes]:
    """Headers and body that a client gets of an app's response."""
    sent = Sent()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(b"".join(parts))).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for part in parts[:-1]:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": parts[-1], "more_body": False})

    await ShortErrors(app)(SCOPE, messages(), sent)
    headers = {name.decode(): text.decode() for name, text in sent[0]["headers"]}
    return headers, b"".join(message.get("body", b"") for message in sent)


async def test_a_dump_of_what_did_not_fit_is_cut_to_its_first_line() -> None:
    """Length and JSON stay right; short errors, other bodies and successes are left alone."""
    dump = json.dumps({"id": None, "error": {"code": -32600, "message": "Validation error: 4 errors\n" + "x" * 5000}})
    headers, body = await answered(400, dump[:100].encode(), dump[100:].encode())
    assert json.loads(body) == {"id": None, "error": {"code": -32600, "message": "Validation error: 4 errors"}}
    assert int(headers["content-length"]) == len(body)
    short = b'{"error": {"code": -32600, "message": "Short"}}'
    for status, left in ((400, short), (404, b"Not Found"), (200, dump.encode())):
        assert (await answered(status, left))[1] == left

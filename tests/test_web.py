"""What stands around the app over HTTP: deadlines of bodies and the orderly end of requests."""

import json
import socket

import anyio
from starlette.types import Message, Receive, Scope, Send

from runway_mcp.web.deadlines import LARGEST_BODY, BodyDeadline
from runway_mcp.web.errors import ShortErrors
from runway_mcp.web.serving import listen
from runway_mcp.web.stopping import Stoppable

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


async def test_a_body_over_the_limit_is_handed_on_for_the_app_to_refuse() -> None:
    """It is not gathered to its end, whether its length was declared or not."""
    seen: list[int] = []

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        seen.append(len((await receive()).get("body", b"")))

    piece: Message = {"type": "http.request", "body": b"x" * (LARGEST_BODY + 1), "more_body": True}
    with anyio.fail_after(5):
        await BodyDeadline(app)(SCOPE, messages(piece), Sent())
        declared = {**SCOPE, "headers": [(b"content-length", b"9" * 30)]}
        await BodyDeadline(app)(declared, messages(piece), Sent())
    assert seen == [LARGEST_BODY + 1] * 2


async def test_what_is_not_a_request_passes_through() -> None:
    """The lifespan has no body, no deadline and no end of its own."""
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    await BodyDeadline(Stoppable(app))({"type": "lifespan"}, messages(), Sent())
    assert seen == ["lifespan"]


START: Message = {"type": "http.response.start", "status": 200, "headers": []}
PART: Message = {"type": "http.response.body", "body": b"part", "more_body": True}
END: Message = {"type": "http.response.body", "body": b"", "more_body": False}


async def stopped_after(*said: Message) -> Sent:
    """What a client gets of a request that had said this when the server stopped."""
    sent = Sent()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in said:
            await send(message)
        await anyio.sleep_forever()

    stoppable = Stoppable(app)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stoppable, SCOPE, messages(), sent)
            await anyio.wait_all_tasks_blocked()
            stoppable.stop()
    return sent


async def test_a_request_under_way_gets_a_whole_response_when_the_server_stops() -> None:
    """503 where none had begun, an end where one had, and nothing more where it was whole."""
    assert [message.get("status") for message in await stopped_after()] == [503, None]
    assert await stopped_after(START, PART) == [START, PART, END]
    assert await stopped_after(START, END) == [START, END]


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

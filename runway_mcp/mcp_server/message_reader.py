"""Reads one JSON-RPC message from its bytes, or says what is wrong with it and whom to tell.

JSON can take fifty times its size in memory once it is decoded, so its values are counted before that.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any, cast

from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    RequestId,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError
from pydantic_core import from_json

from runway_mcp.api.errors import quote

MAX_BYTES = 4 * 1024 * 1024
"""Bytes of one message."""
MAX_VALUES = 4_000
"""JSON values of one message; an input of a start holds at most 1,000."""
MAX_REPAIRS = 10_000
"""UTF-16 escapes of one message that are looked at; more are no text of a prompt."""
CONTEXT = 16 * 1024
"""Bytes at each end of a message that is too large, in which its id is looked for."""

_HEX = rb"[0-9a-fA-F]{2}"
_HIGH, _LOW = rb"[dD][89abAB]" + _HEX, rb"[dD][c-fC-F]" + _HEX
_UTF16 = re.compile(rb"\\(?<!\\\\)(?:\\\\)*+u(?:" + _HIGH + rb"\\u" + _LOW + rb"|(" + _HIGH + rb"|" + _LOW + rb"))")
"""A pair of surrogates in escapes, or as its group one that is alone. An even run of backslashes is no escape."""
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_COUNTED = re.compile(rb"(?s:" + _STRING + rb")|([,\[{])")
_ID = rb'"id"\s*:\s*("[^"\\]{0,255}"|-?\d{1,18}(?![\d.eE]))'
_TOKEN = re.compile(rb"(?s:" + _ID + rb"|" + _STRING + rb"|([\[{])|([\]}]))")
_LAST_ID = re.compile(rb"[{,]\s*" + _ID + rb'(?:\s*,\s*"\w{1,32}"\s*:\s*"[^"\\]{0,255}")*\s*\}\s*\Z')
_INSTEAD = "Nothing was done. Pass a larger file by its URL, or upload it first with runway_uploadFile."
TOO_MANY_VALUES = f"The message holds over {MAX_VALUES:,} JSON values; no tool takes so many. Nothing was done."


class UnreadableMessageError(Exception):
    """What came is no message. `answers` are what is owed to its sender; a batch is owed several."""

    def __init__(self, answers: list[JSONRPCError], *, too_large: bool = False) -> None:
        super().__init__(answers[0].error.message)
        self.answers = answers
        self.too_large = too_large


def read_message(raw: bytes) -> tuple[bytes, JSONRPCMessage]:
    """Return the message in `raw`, and its bytes with U+FFFD in place of what is not Unicode.

    Raises:
        UnreadableMessageError: There is no message in it, or one that is too large.
    """
    if len(raw) > MAX_BYTES:
        raise too_long(raw[:CONTEXT], raw[-CONTEXT:])
    if has_too_many_values(raw):
        raise UnreadableMessageError([_error(INVALID_REQUEST, TOO_MANY_VALUES, _id_in(raw, raw))], too_large=True)
    text = _repaired(raw)
    try:
        message = jsonrpc_message_adapter.validate_json(text, by_name=False)
    except ValidationError:
        raise UnreadableMessageError(_answers(text)) from None
    if isinstance(message, JSONRPCNotification) and "id" in from_json(text):
        raise UnreadableMessageError(_answers(text))  # a request, whose sender waits for an answer
    return text, message


def too_long(head: bytes, tail: bytes, limit: int = MAX_BYTES) -> UnreadableMessageError:
    """Return the error for a message of more than `limit` bytes, of which both ends are known."""
    size = f"{limit // 1024**2} MiB" if limit >= 1024**2 else f"{limit // 1024} KiB"
    text = f"The message is over {size}, the limit here. {_INSTEAD}"
    return UnreadableMessageError([_error(INVALID_REQUEST, text, _id_in(head, tail))], too_large=True)


async def name_wrong_params(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Name the wrong fields of a request's params, and read arguments that are JSON text: an MCP middleware."""
    match ctx.params:
        case {"arguments": str(text)} if ctx.method == "tools/call":
            with suppress(ValueError):
                ctx = replace(ctx, params={**ctx.params, "arguments": from_json(text)})
        case _:
            pass
    try:
        return await call_next(ctx)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        fields = [f"{_place(one['loc'])}: {one['msg'].replace('dictionary', 'object')}" for one in found[:3]]
        text = f"{ctx.method}: {'; '.join(fields)}. Nothing was done."
        raise MCPError(INVALID_PARAMS, text) from None


def _place(loc: tuple[int | str, ...]) -> str:
    names = ("params", *loc[loc[:1] == ("params",) :])
    return ".".join(quote(str(name), 60) if not str(name).isidentifier() else str(name)[:60] for name in names[:4])


def _error(code: int, message: str, request_id: RequestId | None) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=code, message=message))


def has_too_many_values(raw: bytes) -> bool:
    """Return whether a text holds more JSON values than any tool takes; decoded they would fill the memory."""
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") <= MAX_VALUES:
        return False
    counted = (found for found in _COUNTED.finditer(raw) if found[1])
    return next(islice(counted, MAX_VALUES, None), None) is not None


def _repaired(raw: bytes) -> bytes:
    if not raw.isascii():
        raw = raw.decode(errors="replace").encode()
    alone = [found.end(1) for found in islice(_UTF16.finditer(raw), MAX_REPAIRS) if found[1]]
    if not alone:
        return raw
    repaired = bytearray(raw)
    for end in alone:
        repaired[end - 4 : end] = b"fffd"
    return bytes(repaired)


def _answers(text: bytes) -> list[JSONRPCError]:
    try:
        message: object = from_json(text)
    except ValueError as error:
        return [_error(PARSE_ERROR, f"The message is not valid JSON: {error}. Nothing was done.", _id_in(text, text))]
    if isinstance(message, list):
        wrong = "Batches are not supported: send each message by itself. Nothing was done."
        owed = [found for one in cast("list[object]", message) if (found := _id_of(one)) is not None]
        return [_error(INVALID_REQUEST, wrong, one) for one in owed] or [_error(INVALID_REQUEST, wrong, None)]
    fields = cast("Mapping[str, object]", message) if isinstance(message, dict) else None
    code, wrong = _fault(fields)
    return [_error(code, f"{wrong} Nothing was done.", _id_of(fields))]


def _fault(message: Mapping[str, object] | None) -> tuple[int, str]:
    if message is None:
        return INVALID_REQUEST, "A message is a JSON object."
    if message.get("jsonrpc") != "2.0":
        return INVALID_REQUEST, 'jsonrpc must be "2.0".'
    if "method" not in message:
        return INVALID_REQUEST, "The message has no method, and is no valid response."
    if not isinstance(message["method"], str):
        return INVALID_REQUEST, "method must be a string."
    if not isinstance(message.get("params"), dict | None):
        return INVALID_PARAMS, "params must be an object that holds the parameters by name."
    return INVALID_REQUEST, "id must be a string or an integer."


def _id_of(message: object) -> RequestId | None:
    if not isinstance(message, dict) or "method" not in message:
        return None  # a response is owed no answer: its id is one of our own
    found: object = cast("Mapping[str, object]", message).get("id")
    return found if isinstance(found, str) or type(found) is int else None


def _id_in(head: bytes, tail: bytes) -> RequestId | None:
    """Return the id of a request of which only the ends are known, or which is no JSON."""
    if b'"method"' not in head and b'"method"' not in tail:
        return None
    found = _first_id(head[:CONTEXT]) or _LAST_ID.search(tail[-CONTEXT:])
    return cast("RequestId", from_json(found[1])) if found else None


def _first_id(head: bytes) -> re.Match[bytes] | None:
    depth = 0
    for found in islice(_TOKEN.finditer(head), MAX_VALUES):
        if found[1] and depth == 1:
            return found
        depth += bool(found[2]) - bool(found[3])
    return None

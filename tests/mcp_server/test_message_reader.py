"""What is read of a message's bytes, and what is said where they are none."""

import json
from typing import Any

import pytest
from mcp_types import INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR, JSONRPCNotification, JSONRPCRequest

from runway_mcp.mcp_server.message_reader import MAX_BYTES, MAX_VALUES, UnreadableMessageError, read_message


def request(text: str) -> bytes:
    """A request as the TypeScript SDK writes one, its id last; `text` is JSON."""
    arguments = f'{{"id":1,"value":{text}}}'
    return f'{{"method":"tools/call","params":{{"arguments":{arguments}}},"jsonrpc":"2.0","id":"seven"}}'.encode()


def value(raw: bytes) -> Any:
    _, message = read_message(raw)
    assert isinstance(message, JSONRPCRequest)
    return (message.params or {})["arguments"]["value"]


def refused(raw: bytes) -> UnreadableMessageError:
    with pytest.raises(UnreadableMessageError) as caught:
        read_message(raw)
    return caught.value


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r'"a kite \ud83d"', "a kite \ufffd"),
        (r'"\uDE00 and \ud83d\ud83d\ude00"', "\ufffd and \ufffd\U0001f600"),
        (r'"\\\ud83d."', "\\\ufffd."),
        (r'"\\ud83d \\\\ud83d"', r"\ud83d \\ud83d"),
        (r'"\\ud83d\ude00"', "\\ud83d\ufffd"),
        (r'"\ud83d\ude00"', "\U0001f600"),
    ],
)
def test_half_a_character_becomes_a_replacement_character(written: str, read: str) -> None:
    assert value(request(written)) == read


def test_bytes_that_are_not_utf_8_become_replacement_characters() -> None:
    text, message = read_message(request('"x"').replace(b"x", b"\xff"))
    assert text.decode().count("\ufffd") == 1
    assert isinstance(message, JSONRPCRequest)


@pytest.mark.parametrize(
    "many",
    [
        "[" + "{}," * MAX_VALUES + "{}]",
        "[" + "[" * MAX_VALUES + "]" * MAX_VALUES + "]",
        "{" + '"":0,' * MAX_VALUES + '"":0}',
        "[" + r'"\",",' * MAX_VALUES + "0]",
        '"an open string]' + "," * MAX_VALUES + '",' + "[" * MAX_VALUES + "[",
    ],
)
def test_too_many_values_are_refused_before_they_are_decoded(many: str) -> None:
    error = refused(request(many))
    assert error.too_large
    assert "values" in str(error)
    assert "Nothing was done." in str(error)
    assert [answer.id for answer in error.answers] == ["seven"]


def test_punctuation_in_a_text_is_no_value() -> None:
    text = r'"' + r"[{,\"" * MAX_VALUES + '"'
    assert value(request(text)) == json.loads(text)


def test_a_message_that_is_too_long_says_what_to_do() -> None:
    error = refused(request('"' + "x" * MAX_BYTES + '"'))
    assert error.too_large
    assert "over 4 MiB" in str(error)
    assert "runway_uploadFile" in str(error)
    assert [answer.id for answer in error.answers] == ["seven"]


@pytest.mark.parametrize(
    ("raw", "code", "request_id", "word"),
    [
        ('{"jsonrpc": "2.0", "id": 3, "method": "x",}', PARSE_ERROR, 3, "trailing comma"),
        ('{"method": "x", "params": {"id": 4,}, "jsonrpc": "2.0", "id": 3}', PARSE_ERROR, 3, "trailing comma"),
        ('{"params": "id", "id": "3", "method', PARSE_ERROR, None, "EOF"),
        ('{"params": "id", "id": "3", "method"', PARSE_ERROR, "3", "EOF"),
        ("{nonsense", PARSE_ERROR, None, "not valid JSON"),
        ('{"jsonrpc": "2.0", "id": 3, "method": "x", "params": [1]}', INVALID_PARAMS, 3, "params must be an object"),
        ('{"jsonrpc": "1.0", "id": 3, "method": "x"}', INVALID_REQUEST, 3, "jsonrpc must be"),
        ('{"jsonrpc": "2.0", "id": 3, "method": 7}', INVALID_REQUEST, 3, "method must be a string"),
        ('{"jsonrpc": "2.0", "id": 3, "result": 7}', INVALID_REQUEST, None, "no method"),
        ('{"jsonrpc": "2.0", "id": true, "method": "x", "params": "x"}', INVALID_PARAMS, None, "params"),
        ('{"jsonrpc": "2.0", "id": 3.5, "method": "x"}', INVALID_REQUEST, None, "id must be"),
        ('{"jsonrpc": "2.0", "id": null, "method": "x"}', INVALID_REQUEST, None, "id must be"),
        ("7", INVALID_REQUEST, None, "a JSON object"),
        ("[]", INVALID_REQUEST, None, "Batches"),
    ],
)
def test_what_is_no_message_is_named_to_its_sender(
    raw: str, code: int, request_id: int | str | None, word: str
) -> None:
    error = refused(raw.encode())
    assert [(answer.error.code, answer.id) for answer in error.answers] == [(code, request_id)]
    assert word in str(error)
    assert "Nothing was done." in str(error)
    assert not error.too_large


def test_each_request_of_a_batch_is_answered() -> None:
    requests = [{"jsonrpc": "2.0", "id": number, "method": "ping"} for number in (1, 2)]
    error = refused(json.dumps([*requests, {"jsonrpc": "2.0", "method": "notifications/initialized"}, 7]).encode())
    assert [answer.id for answer in error.answers] == [1, 2]


def test_a_notification_is_read() -> None:
    _, message = read_message(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}')
    assert isinstance(message, JSONRPCNotification)

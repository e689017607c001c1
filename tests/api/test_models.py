"""Ids, JSON and tasks: what is taken, and what is refused."""

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue
from support.inputs import JSON
from support.scripted import ID, task

from runway_mcp.api.models import InvalidTaskIdError, parse_json, parse_task, parse_task_id, plain

HOSTILE_IDS = [
    "",
    "../organization",
    "%2e%2e/x",
    f"{ID}/../../organization",
    f"{ID}?x=1",
    f"{ID}#x",
    f"{ID}\x00",
    f"{ID}\r\nX-Evil: 1",
    f"{ID}\n",
    f" {ID}",
    f"{{{ID}}}",
    f"urn:uuid:{ID}",
    ID.replace("-", ""),
    ID.replace("1", "\u0661"),
    ID.replace("f", "\uff46"),
    "x" * 1_000_000,
]


@given(st.uuids(version=4))
def test_every_uuid_of_version_4_is_an_id_in_lower_case(uuid: UUID) -> None:
    assert parse_task_id(str(uuid)) == parse_task_id(str(uuid).upper()) == str(uuid)


@pytest.mark.parametrize("text", HOSTILE_IDS, ids=lambda text: ascii(text[:40]))
def test_anything_else_is_no_id(text: str) -> None:
    with pytest.raises(InvalidTaskIdError) as caught:
        parse_task_id(text)
    message = str(caught.value)
    assert "UUID" in message
    assert len(message) < 300
    assert not text or text not in message


@given(JSON)
def test_json_is_read_as_it_was_written(value: JsonValue) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"id":',
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b"[-Infinity]",
        b"[" * 5_000,
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b"9" * 5_000,
    ],
    ids=lambda body: ascii(body[:12]),
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^it "):
        parse_json(body)


def test_unpaired_surrogates_are_replaced() -> None:
    """A lone surrogate, in a value or a key, becomes U+FFFD, for no transport can encode it; pairs stay."""
    found = parse_json(b'{"\\ud800": ["a\\udfffb", "\\ud83d\\ude00"]}')
    assert found == {"\ufffd": ["a\ufffdb", "\U0001f600"]}


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    try:
        value = parse_json(body)
    except ValueError:
        return
    assert json.loads(json.dumps(value, allow_nan=False)) == value


@pytest.mark.parametrize(
    "status", ["PENDING", "THROTTLED", "RUNNING", "SOMETHING_NEW", "SUCCEEDED", "FAILED", "CANCELLED"]
)
def test_a_status_that_is_not_known_to_be_final_is_active(status: str) -> None:
    assert parse_task(task(status), ID).is_active is (status not in {"SUCCEEDED", "FAILED", "CANCELLED"})


def test_a_task_keeps_every_field() -> None:
    data: dict[str, JsonValue] = {
        "id": ID.upper(),
        "status": "DREAMING",
        "new": {"deep": [1, None]},
        "progress": "45 %",
    }
    found = parse_task(data, ID)
    assert found.data == data
    assert found.status == "DREAMING"


@pytest.mark.parametrize(("code", "expected"), [("SAFETY.INPUT.TEXT", "SAFETY.INPUT.TEXT"), (7, None), (None, None)])
def test_a_failure_code_is_a_text_or_none(code: JsonValue, expected: str | None) -> None:
    assert parse_task(task("FAILED", failureCode=code), ID).failure_code == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "RUNNING",
        {},
        {"id": ID},
        {"id": ID, "status": ""},
        {"id": ID, "status": 5},
        {"id": ID, "status": "x" * 101},
        {"status": "RUNNING"},
        {"id": 5, "status": "RUNNING"},
        {"id": "17f20503-6c24-4c16-946b-35dbbce2af2f", "status": "RUNNING"},
    ],
    ids=str,
)
def test_what_is_not_the_task_asked_for_is_refused(value: JsonValue) -> None:
    with pytest.raises(ValueError, match=r"^it "):
        parse_task(value, ID)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (25.0, "25"), (100, "100"), (0.5, "0.5"), (0.1 + 0.2, "0.3"), (1234567, "1234567"), (1e9, "1000000000")],
)
def test_a_number_is_written_plainly(number: float, text: str) -> None:
    assert plain(number) == text

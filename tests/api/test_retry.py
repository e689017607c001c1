"""When a request is repeated, and after how long."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runway_mcp.api import retry

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(("attempt", "longest"), [(1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (9, 8.0)])
def test_the_delay_doubles_up_to_eight_seconds_of_which_jitter_takes_off_at_most_half(
    attempt: int, longest: float
) -> None:
    assert [retry.delay(attempt, lambda part=part: part) for part in (0.0, 0.5, 1.0)] == [
        longest,
        longest * 0.75,
        longest / 2,
    ]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 0),
        ("3600", 3600),
        ("9" * 400, 999_999_999),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30),
        ("Sat, 21 Nov 2026 12:00:30 -0000", 30),
        ("Sat, 21 Nov 2026 11:59:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("١٢", None),
        ("nan", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry.parse_retry_after(header, NOW) == seconds


@given(st.text())
def test_no_retry_after_header_breaks_the_reader(header: str) -> None:
    found = retry.parse_retry_after(header, NOW)
    assert found is None or found >= 0
